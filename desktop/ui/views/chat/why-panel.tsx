// Why an answer was computed where it was: read from the request's trace when it is asked for.
import { ArrowRight } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { Skeleton } from '../../components/empty.tsx';
import { Failed } from '../../components/failed.tsx';
import { useNodeNames, useRequest } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { safeName } from '../../text/format.ts';
import { reasonsOf } from './why.ts';

export function WhyPanel({
  requestId,
  nodes,
}: {
  readonly requestId: string;
  /** Names that the answer itself knows: their nodes may have left. */
  readonly nodes: readonly { readonly node: string; readonly name: string }[];
}): ReactNode {
  const { data, error, refetch } = useRequest(requestId);
  const names = useNodeNames();
  const nameOf = (node: string): string =>
    safeName(nodes.find((known) => known.node === node)?.name ?? names.nameOf(node));
  return (
    <section
      aria-label={text.chat.why.title}
      className="mt-1 rounded-md border border-line bg-sunken px-3 py-2.5 text-sm"
    >
      {data !== undefined ? (
        <>
          <ul className="flex flex-col gap-1">
            {reasonsOf(data, nameOf).map((reason) => (
              <li key={reason} className="break-words text-muted first:text-ink">
                <bdi>{reason}</bdi>
              </li>
            ))}
          </ul>
          <Link
            href={`/requests/${encodeURIComponent(requestId)}`}
            className="mt-2 inline-flex items-center gap-1 font-medium text-accent text-sm hover:text-accent-hover"
          >
            {text.chat.why.trace}
            <ArrowRight aria-hidden className="size-4" />
          </Link>
        </>
      ) : error === null ? (
        <Skeleton lines={2} />
      ) : error.status === 404 ? (
        <p className="text-muted">{text.chat.why.forgotten}</p>
      ) : (
        <Failed compact error={error} onRetry={() => void refetch()} />
      )}
    </section>
  );
}
