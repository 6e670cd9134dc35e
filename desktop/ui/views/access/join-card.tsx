// Joining the mesh of others with an invitation.
import { LogIn } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import type { JoinAnswer } from '../../../../protocol/api/control.ts';
import { pendingTicket, takePendingTicket } from '../../app/pending-ticket.ts';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { Failed } from '../../components/failed.tsx';
import { Field, TextArea } from '../../components/field.tsx';
import { useToast } from '../../components/toast.tsx';
import { api } from '../../data/client.ts';
import { useMembers } from '../../data/queries.ts';
import { queryClient } from '../../data/store.ts';
import { text } from '../../text/en.ts';

export function JoinCard(): ReactNode {
  const others = (useMembers().data?.members.length ?? 1) - 1;
  // A link that was opened outside fills the field; the person still says yes.
  const [ticket, setTicket] = useState(() => pendingTicket() ?? '');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const toast = useToast();
  const join = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const wanted = ticket.trim().replace(/^weft:\/\/join\//, '');
    if (wanted === '' || busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      const { members } = await api.post<JoinAnswer>('/api/v1/join', { ticket: wanted });
      takePendingTicket();
      setTicket('');
      toast.done(text.access.joinDone(members.length));
      // Another mesh: nothing of what is shown holds any more.
      void queryClient.invalidateQueries();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card title={text.access.join}>
      {others > 0 ? (
        <div className="max-w-prose text-sm">
          <p className="text-muted">{text.access.joinAlready(others)}</p>
          <p className="mt-1">{text.access.joinAlreadyTodo}</p>
        </div>
      ) : (
        <p className="mb-3 max-w-prose text-muted text-sm">{text.access.joinText}</p>
      )}
      {(others === 0 || ticket !== '') && (
        <form onSubmit={(event) => void join(event)} className="mt-3 flex flex-col items-start gap-3">
          <Field label={text.access.joinLabel} hint={text.access.joinHint} className="w-full">
            <TextArea
              rows={3}
              value={ticket}
              spellCheck={false}
              onChange={({ target }) => setTicket(target.value)}
              className="font-mono text-xs"
            />
          </Field>
          <Button type="submit" icon={<LogIn />} busy={busy} disabled={ticket.trim() === ''}>
            {text.access.joinButton}
          </Button>
          {problem !== undefined && <Failed title={text.access.joinFailed} error={problem} />}
        </form>
      )}
    </Card>
  );
}
