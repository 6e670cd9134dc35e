// The rows of the list of nodes: two lines each, the second in small print. Columns are sorted by their heads.
import { ArrowDown, ArrowUp } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { Badge, StateDot, type Tone } from '../../components/badge.tsx';
import { classes } from '../../components/class-names.ts';
import { Ago } from '../../components/figures.tsx';
import { Foreign, NodeName, nodeColour } from '../../components/node-name.tsx';
import { Tooltip } from '../../components/tooltip.tsx';
import { text } from '../../text/en.ts';
import { duration, memory, rate, safeName } from '../../text/format.ts';
import { accelerators, type NodeRow, type Sorting, type SortKey, shortHardware } from './list-model.ts';

export const STATE_TONES: Readonly<Record<NodeRow['state'], Tone>> = {
  connected: 'good',
  suspect: 'warn',
  gone: 'bad',
};

/** Requests that are drawn one by one. */
const PIPS_MAX = 6;

/** Models that are named. */
const NAMED_MAX = 2;

interface HeadColumn {
  readonly key: SortKey;
  readonly className?: string;
}

const COLUMNS: readonly HeadColumn[] = [
  { key: 'name', className: 'w-full' },
  { key: 'state' },
  { key: 'load', className: 'max-md:hidden' },
  { key: 'link', className: 'max-lg:hidden' },
  { key: 'loaded', className: 'max-xl:hidden' },
  { key: 'version', className: 'max-md:hidden' },
];

export interface NodeTableProps {
  readonly rows: readonly NodeRow[];
  readonly sorting: Sorting;
  readonly onSort: (sorting: Sorting) => void;
  /** Version of the node behind the page. */
  readonly ours: string;
}

export function NodeTable({ rows, sorting, onSort, ours }: NodeTableProps): ReactNode {
  const [, navigate] = useLocation();
  return (
    <table aria-label={text.nodes.table} className="w-full border-collapse text-left text-sm">
      <thead>
        <tr className="border-line border-b">
          {COLUMNS.map(({ key, className }) => {
            const sorted = sorting.by === key;
            return (
              <th
                key={key}
                scope="col"
                aria-sort={sorted ? (sorting.descending ? 'descending' : 'ascending') : undefined}
                className={classes('whitespace-nowrap px-2 py-1 first:pl-2.5', className)}
              >
                <button
                  type="button"
                  aria-label={text.nodes.sortBy(text.nodes.columns[key])}
                  onClick={() => onSort({ by: key, descending: sorted && !sorting.descending })}
                  className={classes(
                    'kicker flex h-7 items-center gap-1 rounded-sm px-1.5 hover:bg-sunken hover:text-ink',
                    sorted && 'text-ink',
                  )}
                >
                  {text.nodes.columns[key]}
                  {sorted &&
                    (sorting.descending ? (
                      <ArrowDown aria-hidden className="size-3" />
                    ) : (
                      <ArrowUp aria-hidden className="size-3" />
                    ))}
                </button>
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={row.node}
            data-node={row.node}
            data-state={row.state}
            data-withheld={row.withheld}
            onClick={() => navigate(`/nodes/${encodeURIComponent(row.node)}`)}
            className={classes(
              'cursor-pointer border-line border-b align-top last:border-b-0 hover:bg-sunken',
              row.state === 'gone' && 'text-muted',
            )}
          >
            <Cell className="w-full max-w-0" first>
              <NameCell row={row} />
            </Cell>
            <Cell>
              <StateCell row={row} />
            </Cell>
            <Cell className="max-md:hidden">
              <LoadCell row={row} />
            </Cell>
            <Cell className="max-lg:hidden">
              <LinkCell row={row} />
            </Cell>
            <Cell className="max-w-52 max-xl:hidden">
              <LoadedCell row={row} />
            </Cell>
            <Cell className="max-md:hidden">
              <VersionCell row={row} ours={ours} />
            </Cell>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const Cell = ({
  children,
  className,
  first = false,
}: {
  readonly children: ReactNode;
  readonly className?: string;
  readonly first?: boolean;
}): ReactNode => (
  <td className={classes('whitespace-nowrap py-2 leading-5', first ? 'pr-3 pl-4' : 'px-3.5', className)}>{children}</td>
);

const Small = ({ children, className }: { readonly children: ReactNode; readonly className?: string }): ReactNode => (
  <span className={classes('block min-h-4 truncate text-faint text-xs leading-4', className)}>{children}</span>
);

function NameCell({ row }: { readonly row: NodeRow }): ReactNode {
  const { node, name, self, hardware, age } = row;
  return (
    <>
      <Link
        href={`/nodes/${encodeURIComponent(node)}`}
        onClick={(event) => event.stopPropagation()}
        className="inline-flex max-w-full rounded-sm font-medium text-ink hover:underline hover:underline-offset-2"
      >
        <NodeName node={node} name={name} self={self} />
      </Link>
      <Small className="pl-3.5">
        {age === 'older' && (
          <Badge tone="warn" className="mr-1.5 h-4 md:hidden">
            {text.nodes.older}
          </Badge>
        )}
        <span title={hardware === undefined ? undefined : hardwareLine(hardware)}>
          {hardware === undefined ? text.common.unknown : hardwareLine(hardware)}
        </span>
      </Small>
    </>
  );
}

/** Such as `RTX 4090, 32 cores, 128 GB`: what matters most first, for it may be cut. */
export function hardwareLine(hardware: NonNullable<NodeRow['hardware']>): string {
  const devices = accelerators(hardware).map(({ name }) => safeName(shortHardware(name)));
  return [
    ...(devices.length === 0 ? [safeName(shortHardware(hardware.cpuModel))] : devices),
    text.nodes.cores(hardware.cpuCount),
    memory(hardware.memoryBytes),
  ].join(', ');
}

function StateCell({ row }: { readonly row: NodeRow }): ReactNode {
  const { state, heardAtMs, self, withheld } = row;
  // What it says of work is no longer so.
  const tip = withheld === undefined || state !== 'connected' ? text.nodes.stateTips[state] : undefined;
  return (
    <>
      <span className="flex items-center gap-1.5">
        <span title={tip}>
          <StateDot tone={STATE_TONES[state]}>{text.nodes.states[state]}</StateDot>
        </span>
        {withheld !== undefined && <WithheldBadge withheld={withheld} />}
      </span>
      <Small className="pl-3.5">
        {self ? (
          text.nodes.here
        ) : heardAtMs === undefined ? null : (
          <>
            {text.nodes.heard} <Ago atMs={heardAtMs} />
          </>
        )}
      </Small>
    </>
  );
}

/** That a node takes no work of others. */
export function WithheldBadge({ withheld }: { readonly withheld: NonNullable<NodeRow['withheld']> }): ReactNode {
  return (
    <Tooltip text={text.nodes.withheldTips[withheld]}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the tip is read by keyboard, too */}
      <span tabIndex={0} className="inline-flex">
        <Badge>{text.nodes.withheld[withheld]}</Badge>
      </span>
    </Tooltip>
  );
}

/** Each request that runs is a thread in the node's colour. */
function LoadCell({ row }: { readonly row: NodeRow }): ReactNode {
  const { load, node } = row;
  if (load === undefined) return <span className="text-faint">–</span>;
  const { requestsInFlight, queuedMs, memoryFreeBytes } = load;
  return (
    <>
      <span className="flex items-center gap-2">
        <span className={requestsInFlight === 0 ? 'text-muted' : undefined}>
          {text.nodes.running(requestsInFlight)}
        </span>
        {requestsInFlight > 0 && (
          <span aria-hidden className="flex h-3 items-stretch gap-[3px]" style={nodeColour(node)}>
            {Array.from({ length: Math.min(PIPS_MAX, requestsInFlight) }, (_, pip) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: threads have no names
              <span key={pip} className="w-[3px] rounded-full bg-node" />
            ))}
          </span>
        )}
      </span>
      <Small>
        {queuedMs >= 1 && `${text.nodes.queued(duration(queuedMs))}, `}
        {text.nodes.free(memory(memoryFreeBytes))}
      </Small>
    </>
  );
}

function LinkCell({ row }: { readonly row: NodeRow }): ReactNode {
  const { link, self } = row;
  if (self || link?.rttMs === undefined) return <span className="text-faint">–</span>;
  return (
    <>
      <span className="tabular">{duration(link.rttMs)}</span>
      <Small>
        {[
          link.goodputBytesPerSecond === undefined ? undefined : rate(link.goodputBytesPerSecond),
          link.path === 'relay' ? text.nodes.relay : undefined,
        ]
          .filter(Boolean)
          .join(', ')}
      </Small>
    </>
  );
}

function LoadedCell({ row }: { readonly row: NodeRow }): ReactNode {
  const { loaded, offered } = row;
  const more = loaded.length - NAMED_MAX;
  return (
    <>
      <span className={classes('block truncate', loaded.length === 0 && 'text-muted')}>
        {loaded.length === 0
          ? text.nodes.nothingLoaded
          : loaded.slice(0, NAMED_MAX).map((name, at) => (
              <span key={name}>
                {at > 0 && ', '}
                <Foreign>{name}</Foreign>
              </span>
            ))}
        {more > 0 && <span className="text-muted"> +{more}</span>}
      </span>
      <Small>{text.nodes.offers(offered)}</Small>
    </>
  );
}

export function VersionCell({
  row: { version, age },
  ours,
}: {
  readonly row: Pick<NodeRow, 'version' | 'age'>;
  readonly ours: string;
}): ReactNode {
  if (version === '') return <span className="text-faint">–</span>;
  const shown = <span className="tabular">{safeName(version)}</span>;
  if (age !== 'older' && age !== 'newer') return shown;
  const tip = age === 'older' ? text.nodes.olderTip : text.nodes.newerTip;
  return (
    <Tooltip text={tip(safeName(version), ours)}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the tip is read by keyboard, too */}
      <span tabIndex={0} className="inline-flex items-center gap-1.5">
        {shown}
        <Badge tone={age === 'older' ? 'warn' : 'neutral'}>{text.nodes[age]}</Badge>
      </span>
    </Tooltip>
  );
}
