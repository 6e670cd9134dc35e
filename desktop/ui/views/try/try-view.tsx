// Try it: one request at a time, by hand, in three kinds.
import { type ReactNode, useEffect } from 'react';
import { useLocation, useParams } from 'wouter';
import { Page } from '../../components/page.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { text } from '../../text/en.ts';
import { EmbedTab } from './embed-tab.tsx';
import { keep, useKept } from './memory.ts';
import { TensorTab } from './tensor-tab.tsx';
import { TextTab } from './text-tab.tsx';

/** As they stand in the address. */
const TABS = ['text', 'embeddings', 'tensors'] as const;

/** What the address without a tab leads to. */
const last = keep<(typeof TABS)[number]>('text');

export function TryView(): ReactNode {
  const { tab: wanted } = useParams<{ tab?: string }>();
  const [, navigate] = useLocation();
  const lastTab = useKept(last);
  const tab = TABS.find((id) => id === wanted) ?? lastTab;
  useEffect(() => {
    last.set(tab);
    if (tab !== wanted) navigate(`/try/${tab}`, { replace: true });
  }, [tab, wanted, navigate]);
  return (
    <Page title={text.app.views.try} note={text.try.note}>
      <Tabs
        label={text.try.tabs}
        value={tab}
        onChange={(id) => navigate(`/try/${id}`)}
        tabs={[
          { id: 'text', title: text.try.textTab, body: <TextTab /> },
          { id: 'embeddings', title: text.try.embedTab, body: <EmbedTab /> },
          { id: 'tensors', title: text.try.tensorTab, body: <TensorTab /> },
        ]}
      />
    </Page>
  );
}
