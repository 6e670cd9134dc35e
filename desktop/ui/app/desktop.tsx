// What only the desktop app brings into the pages: addresses that its menus ask for, and invitations that were opened as links.
import { type ReactNode, useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import type { JoinAnswer } from '../../../protocol/api/control.ts';
import { ConfirmDialog } from '../components/dialog.tsx';
import { useToast } from '../components/toast.tsx';
import { api } from '../data/client.ts';
import { text } from '../text/en.ts';
import { plural } from '../text/format.ts';
import { bridge } from './bridge.ts';
import { setPendingTicket, takePendingTicket } from './pending-ticket.ts';

/** Nothing is joined before the person has agreed. */
export function Desktop(): ReactNode {
  const [, navigate] = useLocation();
  const [ticket, setTicket] = useState<string>();
  const { done } = useToast();
  useEffect(() => bridge()?.onNavigate((path) => navigate(path)), [navigate]);
  useEffect(
    () =>
      bridge()?.onDeepLink((link) => {
        setPendingTicket(link.ticket);
        setTicket(link.ticket);
      }),
    [],
  );
  return (
    <ConfirmDialog
      open={ticket !== undefined && location.hash !== '#/welcome'}
      onClose={() => {
        takePendingTicket();
        setTicket(undefined);
      }}
      title={text.app.join.title}
      description={text.app.join.text}
      action={text.app.join.action}
      onConfirm={async () => {
        const { members } = await api.post<JoinAnswer>('/api/v1/join', { ticket });
        done(text.app.join.done, plural(members.length, 'member'));
        navigate('/');
      }}
    />
  );
}
