// Try it: one request at a time, by hand, in three kinds.
import { type ReactNode, useState } from 'react';
import { Page } from '../../components/page.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { text } from '../../text/en.ts';
import { EmbedTab } from './embed-tab.tsx';
import { TensorTab } from './tensor-tab.tsx';
import { TextTab } from './text-tab.tsx';

/** Survives leaving the view. */
let lastTab = 'text';

export function TryView(): ReactNode {
  const [tab, setTab] = useState(lastTab);
  return (
    <Page title={text.app.views.try} note={text.try.note}>
      <Tabs
        label={text.try.tabs}
        value={tab}
        onChange={(id) => {
          lastTab = id;
          setTab(id);
        }}
        tabs={[
          { id: 'text', title: text.try.textTab, body: <TextTab /> },
          { id: 'embed', title: text.try.embedTab, body: <EmbedTab /> },
          { id: 'tensor', title: text.try.tensorTab, body: <TensorTab /> },
        ]}
      />
    </Page>
  );
}
