// The requests of this moment: those under way first, then the last that ended.
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { Card } from '../../components/card.tsx';
import { classes } from '../../components/class-names.ts';
import { Empty } from '../../components/empty.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { useLiveRequests } from '../../data/events.ts';
import type { LiveRequest } from '../../data/live.ts';
import { useRequests } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration, safeName, shortModel } from '../../text/format.ts';
import { lastRequests } from './last-requests.ts';

const ROWS = 6;

export function RequestsNow({ nameOf }: { readonly nameOf: (node: string) => string }): ReactNode {
  const live = useLiveRequests();
  const { data } = useRequests();
  const rows = lastRequests(live, data?.requests ?? [], ROWS);
  return (
    <Card
      title={text.overview.now}
      flush
      actions={
        <Link href="/requests" className="text-accent text-xs hover:underline">
          {text.overview.allRequests}
        </Link>
      }
    >
      {rows.length === 0 ? (
        <Empty
          title={text.overview.nowEmpty}
          action={
            <Link href="/chat" className="text-accent hover:underline">
              {text.overview.nowEmptyAction}
            </Link>
          }
        />
      ) : (
        <ul>
          {rows.map((request) => (
            <RequestRow key={request.requestId} request={request} nameOf={nameOf} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function RequestRow({
  request,
  nameOf,
}: {
  readonly request: LiveRequest;
  readonly nameOf: (node: string) => string;
}): ReactNode {
  const { requestId, model, name, nodes, status, durationMs } = request;
  const [node] = nodes;
  const running = status === 'running';
  return (
    <li className="border-line border-b last:border-b-0">
      <Link
        href={`/requests/${encodeURIComponent(requestId)}`}
        className="relative flex h-11 items-center gap-3 px-4 hover:bg-sunken focus-visible:-outline-offset-2"
      >
        <span className="min-w-0 grow">
          <span className="block truncate text-sm">
            {model === undefined ? safeName(name) : <bdi>{safeName(shortModel(model))}</bdi>}
          </span>
          <span className="flex min-w-0 items-center text-faint text-xs">
            {node === undefined ? safeName(name) : <NodeName node={node} name={nameOf(node)} />}
          </span>
        </span>
        <span
          className={classes(
            'tabular shrink-0 text-xs',
            status === 'error' ? 'text-bad' : running ? 'text-accent' : 'text-muted',
          )}
        >
          {running
            ? text.overview.running
            : status === 'error'
              ? text.overview.failedRequest
              : status === 'cancelled'
                ? text.overview.cancelledRequest
                : durationMs !== undefined && duration(durationMs)}
        </span>
        {running && <span aria-hidden className="thread-busy absolute inset-x-4 bottom-0 h-px" />}
      </Link>
    </li>
  );
}
