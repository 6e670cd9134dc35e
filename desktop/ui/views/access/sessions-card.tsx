// Browsers that are signed in to this node, and how they are signed out.
import { useQueryClient } from '@tanstack/react-query';
import { MonitorSmartphone } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { Ago } from '../../components/figures.tsx';
import { useToast } from '../../components/toast.tsx';
import { api } from '../../data/client.ts';
import type { SessionsAnswer } from '../../data/contract.ts';
import { queryKey, useAnswer } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { agentText } from './agent.ts';

type Session = SessionsAnswer['sessions'][number];

export function SessionsCard(): ReactNode {
  const { data, error, refetch } = useAnswer<SessionsAnswer>('sessions', 'sessions');
  const client = useQueryClient();
  const toast = useToast();
  const [asking, setAsking] = useState(false);
  const [ending, setEnding] = useState<string>();
  const others = data?.sessions.filter(({ current }) => !current) ?? [];
  const end = ({ id }: Session): Promise<unknown> => api.delete(`/api/v1/sessions/${encodeURIComponent(id)}`);
  const readAgain = (): Promise<void> => client.invalidateQueries({ queryKey: queryKey('sessions') });
  const endOne = async (session: Session): Promise<void> => {
    setEnding(session.id);
    try {
      await end(session);
      toast.done(text.access.ended(agentText(session.agent)));
    } catch (problem) {
      toast.failed(text.access.endFailed, problem);
    } finally {
      setEnding(undefined);
      await readAgain();
    }
  };
  return (
    <Card
      title={text.access.sessions}
      actions={
        others.length > 0 && (
          <Button size="small" onClick={() => setAsking(true)}>
            {text.access.endOthers}
          </Button>
        )
      }
      flush
    >
      <p className="max-w-prose px-4 pt-3 pb-1 text-muted text-sm">{text.access.sessionsText}</p>
      {data === undefined ? (
        <div className="p-4">
          {error === null ? <Skeleton lines={2} /> : <Failed error={error} onRetry={() => void refetch()} />}
        </div>
      ) : data.sessions.length === 0 ? (
        <p className="px-4 pt-1 pb-4 text-sm">{text.access.sessionsNone}</p>
      ) : (
        <ul aria-label={text.access.sessions}>
          {data.sessions.map((session) => (
            <li
              key={session.id}
              data-session={session.current ? 'current' : 'other'}
              className="flex items-center gap-3 border-line border-b px-4 py-2.5 last:border-b-0"
            >
              <MonitorSmartphone aria-hidden className="size-4 shrink-0 text-faint" />
              <div className="min-w-0 grow text-sm">
                <p className="flex min-w-0 items-center gap-2">
                  <bdi className="truncate" title={agentText(session.agent)}>
                    {agentText(session.agent)}
                  </bdi>
                  {session.current && <Badge tone="accent">{text.access.current}</Badge>}
                </p>
                <p className="text-faint text-xs">
                  {text.access.signedIn} <Ago atMs={session.createdAtMs} />, {text.access.used}{' '}
                  <Ago atMs={session.usedAtMs} />
                </p>
              </div>
              {!session.current && (
                <Button
                  size="small"
                  busy={ending === session.id}
                  aria-label={text.access.endSessionOf(agentText(session.agent))}
                  onClick={() => void endOne(session)}
                >
                  {text.access.endSession}
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={text.access.endOthersTitle}
        description={text.access.endOthersText}
        action={text.access.endOthers}
        onConfirm={async () => {
          await Promise.all(others.map(end));
          toast.done(text.access.endedOthers);
          await readAgain();
        }}
      />
    </Card>
  );
}
