// The entry of the view "access": who belongs to the mesh and how one comes in, and who uses this node.
import type { ReactNode } from 'react';
import { Page } from '../../components/page.tsx';
import { text } from '../../text/en.ts';
import { InviteCard } from './invite-card.tsx';
import { JoinCard } from './join-card.tsx';
import { KeyCard } from './key-card.tsx';
import { MembersCard } from './members-card.tsx';
import { SessionsCard } from './sessions-card.tsx';

export function AccessView(): ReactNode {
  return (
    <Page title={text.access.title} note={text.access.note}>
      <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <div className="flex min-w-0 flex-col gap-4">
          <InviteCard />
          <MembersCard />
        </div>
        <div className="flex min-w-0 flex-col gap-4">
          <SessionsCard />
          <KeyCard />
          <JoinCard />
        </div>
      </div>
    </Page>
  );
}
