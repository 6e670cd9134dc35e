// One request in the list: what it was, where it was computed, how long it took beside what was predicted.
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { StateDot, type Tone } from '../../components/badge.tsx';
import { classes } from '../../components/class-names.ts';
import { Ago } from '../../components/figures.tsx';
import { Foreign, NodeName } from '../../components/node-name.tsx';
import type { NodeNames } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { count, duration, safeName, shortModel } from '../../text/format.ts';
import { barOf, isSlow, kindOf, type RequestRow, tokensOf, tookMs } from './request-rows.ts';

/** Columns of a line, and of the heading above all. */
export const LIST_GRID =
  'grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 px-4 sm:px-6 md:grid-cols-[minmax(0,1fr)_minmax(0,14rem)_15rem_6rem_5.5rem]';

const TONES: Readonly<Record<RequestRow['status'], Tone>> = {
  running: 'accent',
  ok: 'good',
  error: 'bad',
  cancelled: 'neutral',
};

/** Names that a line shows; the request's page has all. */
const NODES_SHOWN_MAX = 2;

export interface RequestLineProps {
  readonly row: RequestRow;
  readonly names: NodeNames;
  readonly nowMs: number;
}

export function RequestLine({ row, names, nowMs }: RequestLineProps): ReactNode {
  const { requestId, name, model, status, code, startedAtMs, failures, caller } = row;
  return (
    <Link
      href={`/requests/${encodeURIComponent(requestId)}`}
      className={classes(
        LIST_GRID,
        'min-h-13 border-line border-b py-1.5 hover:bg-sunken focus-visible:-outline-offset-2',
      )}
    >
      <span className="min-w-0">
        <span className="flex min-w-0 items-center gap-2">
          <StateDot tone={TONES[status]} />
          <span className="sr-only">{text.requests.statuses[status]}</span>
          <span className="shrink-0 font-medium">{kindOf(name)}</span>
          <span className="min-w-0 truncate text-muted">
            {model === undefined ? text.requests.noModel : <Foreign>{shortModel(model)}</Foreign>}
          </span>
        </span>
        <span className="flex min-w-0 flex-wrap gap-x-2 pl-4 text-xs">
          {status !== 'ok' && (
            <span className={status === 'error' ? 'text-bad' : 'text-muted'}>
              {code === undefined || status === 'running' ? text.requests.statuses[status] : safeName(code)}
            </span>
          )}
          {failures > 0 && <span className="text-warn">{text.requests.retried(count(failures))}</span>}
          {caller !== undefined && (
            <span className="text-faint">{text.requests.from(safeName(names.nameOf(caller)))}</span>
          )}
          <span className="min-w-0 md:hidden">
            <Nodes row={row} names={names} />
          </span>
        </span>
      </span>
      <span className="min-w-0 max-md:hidden">
        <Nodes row={row} names={names} />
      </span>
      <Took row={row} nowMs={nowMs} />
      <span className="tabular text-right text-muted text-xs max-md:hidden">{tokensOf(row)}</span>
      <span className="tabular text-right text-muted text-xs max-md:hidden">
        <Ago atMs={startedAtMs} />
      </span>
    </Link>
  );
}

function Nodes({ row, names }: { readonly row: RequestRow; readonly names: NodeNames }): ReactNode {
  const { nodes, status } = row;
  if (nodes.length === 0)
    return (
      <span className="text-faint text-xs">
        {status === 'running' ? text.requests.nowhere : text.requests.notPlaced}
      </span>
    );
  const more = nodes.length - NODES_SHOWN_MAX;
  return (
    <span className="flex min-w-0 items-center gap-2.5 text-xs">
      {nodes.slice(0, NODES_SHOWN_MAX).map((node) => (
        <NodeName key={node} node={node} name={names.nameOf(node)} className="min-w-0" />
      ))}
      {more > 0 && <span className="shrink-0 text-faint">{text.requests.moreNodes(count(more))}</span>}
    </span>
  );
}

/** A bar as long as the longer of both; the thin mark is what was predicted. */
function Took({ row, nowMs }: { readonly row: RequestRow; readonly nowMs: number }): ReactNode {
  const took = tookMs(row, nowMs);
  const { predictedMs, status } = row;
  const bar = barOf(took, predictedMs);
  const slow = isSlow(row, nowMs);
  const label = predictedMs === undefined ? duration(took) : text.requests.took(duration(took), duration(predictedMs));
  return (
    <span className="grid grid-cols-[auto] items-center gap-3 md:grid-cols-[1fr_4.5rem]">
      <svg aria-hidden className="h-3 w-full max-md:hidden" preserveAspectRatio="none">
        <rect
          x="0"
          y="4"
          height="4"
          rx="1"
          width={`${bar.took * 100}%`}
          className={status === 'error' ? 'fill-bad' : slow ? 'fill-warn' : 'fill-accent'}
          fillOpacity={status === 'running' ? 0.5 : 0.85}
        />
        {bar.predicted !== undefined && (
          <rect
            x={`${bar.predicted * 100}%`}
            y="0"
            width="2"
            height="12"
            className="fill-ink"
            transform="translate(-2 0)"
          />
        )}
      </svg>
      <span
        title={label}
        className={classes('tabular text-right text-sm', slow ? 'text-warn' : status === 'running' && 'text-muted')}
      >
        {duration(took)}
        {predictedMs !== undefined && (
          <span className="sr-only">, {text.requests.predicted(duration(predictedMs))}</span>
        )}
      </span>
    </span>
  );
}
