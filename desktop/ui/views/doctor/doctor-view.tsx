// The entry of the view "doctor": the node behind the page, or another one that may be managed from it.
import type { ReactNode } from 'react';
import { useLocation, useParams } from 'wouter';
import { Page } from '../../components/page.tsx';
import { text } from '../../text/en.ts';
import { NodeChoice, useChosenNode } from '../nodes/node-choice.tsx';
import { DoctorPane } from './doctor-pane.tsx';

export function DoctorView(): ReactNode {
  const [, navigate] = useLocation();
  const chosen = useChosenNode(useParams<{ node?: string }>().node);
  return (
    <Page
      title={text.doctor.title}
      note={text.doctor.note}
      actions={
        <NodeChoice
          label={text.doctor.of}
          node={chosen}
          onChange={(node) => navigate(node === undefined ? '/doctor' : `/doctor/${encodeURIComponent(node)}`)}
        />
      }
    >
      <DoctorPane key={chosen} node={chosen} />
    </Page>
  );
}
