// Invitations of this node that nobody has used yet: when each ends, and how it is ended sooner.
import { useQueryClient } from '@tanstack/react-query';
import { Ticket } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { InvitationsAnswer } from '../../../../protocol/api/control.ts';
import { Button } from '../../components/button.tsx';
import { useToast } from '../../components/toast.tsx';
import { api } from '../../data/client.ts';
import { queryKey, useAnswer } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration } from '../../text/format.ts';

/** Shows nothing where there are none, or an older node doesn't tell. @param except the one that is shown beside the list */
export function OpenInvitations({ except }: { readonly except: string | undefined }): ReactNode {
  const { data } = useAnswer<InvitationsAnswer>('invitations', 'invitations');
  const client = useQueryClient();
  const toast = useToast();
  const [ending, setEnding] = useState<string>();
  const others = data?.invitations.filter(({ id }) => id !== except) ?? [];
  if (others.length === 0) return null;
  const cancel = async (id: string): Promise<void> => {
    setEnding(id);
    try {
      await api.delete(`/api/v1/invitations/${encodeURIComponent(id)}`);
      toast.done(text.access.cancelled);
    } catch (problem) {
      toast.failed(text.access.cancelFailed, problem);
    } finally {
      setEnding(undefined);
      await client.invalidateQueries({ queryKey: queryKey('invitations') });
    }
  };
  return (
    <section aria-label={text.access.openInvitations} className="mt-4 border-line border-t pt-3">
      <h3 className="kicker mb-1">{text.access.openInvitations}</h3>
      <ul>
        {others.map(({ id, expiresAtMs }) => (
          <li key={id} data-open-invitation={id} className="flex items-center gap-3 py-1.5 text-sm">
            <Ticket aria-hidden className="size-4 shrink-0 text-faint" />
            <span className="min-w-0 grow">
              <code className="font-mono text-xs">{id.slice(0, 8)}</code>{' '}
              <span className="text-muted">{text.access.endsIn(duration(Math.max(0, expiresAtMs - Date.now())))}</span>
            </span>
            <Button size="small" busy={ending === id} onClick={() => void cancel(id)}>
              {text.access.cancelInvitation}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
