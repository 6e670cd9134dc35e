// The entry of the view "logs": the log of the node behind the page, or of another one that may be managed from it.
import type { ReactNode } from 'react';
import { useLocation, useParams } from 'wouter';
import { Page } from '../../components/page.tsx';
import { text } from '../../text/en.ts';
import { NodeChoice, useChosenNode } from '../nodes/node-choice.tsx';
import { LogPane } from './log-pane.tsx';

export function LogsView(): ReactNode {
  const [, navigate] = useLocation();
  const chosen = useChosenNode(useParams<{ node?: string }>().node);
  return (
    <Page
      title={text.logs.title}
      layout="full"
      actions={
        <NodeChoice
          label={text.logs.of}
          node={chosen}
          onChange={(node) => navigate(node === undefined ? '/logs' : `/logs/${encodeURIComponent(node)}`)}
        />
      }
    >
      <LogPane key={chosen} node={chosen} />
    </Page>
  );
}
