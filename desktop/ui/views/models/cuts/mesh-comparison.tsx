// A cut over the mesh as it is now: predicted totals of the graph whole here, whole on a peer, and cut between both, for each peer with
// its link. Every figure is a dry run of the node; nothing is computed.
import { useQueries } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import type { CutsAnswer, PlanAnswer } from '../../../../../protocol/api/control.ts';
import { Badge } from '../../../components/badge.tsx';
import { Card } from '../../../components/card.tsx';
import { classes } from '../../../components/class-names.ts';
import { Skeleton } from '../../../components/empty.tsx';
import { Failed, told } from '../../../components/failed.tsx';
import { NodeName } from '../../../components/node-name.tsx';
import { Switch } from '../../../components/switch.tsx';
import { type ApiError, api } from '../../../data/client.ts';
import type { Peer } from '../../../data/contract.ts';
import { type NodeNames, useNodeNames, usePeers } from '../../../data/queries.ts';
import { text } from '../../../text/en.ts';
import { duration, rate, safeText } from '../../../text/format.ts';
import { fineDuration, planInputs } from './cut-points.ts';
import { OPTION_PARTS, type Option, optionsOf, totalOf } from './mesh-options.ts';

const { cuts } = text.models;

/** The nearest ones: each costs a dry run whenever the cut moves. */
const PEERS_ASKED_MAX = 6;
/** The cut must have come to rest. */
const REST_MS = 250;

const PART_COLOURS = {
  queueMs: 'bg-series-4',
  loadMs: 'bg-faint',
  wayMs: 'bg-series-3',
  computeMs: 'bg-series-1',
} as const;

export function MeshComparison({ table, cut }: { readonly table: CutsAnswer; readonly cut: number }): ReactNode {
  const names = useNodeNames();
  const { data } = usePeers();
  const [loaded, setLoaded] = useState(false);
  const rested = useRested(cut);
  const { self } = names;
  const peers = (data?.peers ?? [])
    .filter(({ state }) => state === 'connected')
    .toSorted((a, b) => (a.link?.rttMs ?? Number.POSITIVE_INFINITY) - (b.link?.rttMs ?? Number.POSITIVE_INFINITY))
    .slice(0, PEERS_ASKED_MAX);
  const plans = useQueries({
    queries: peers.map(({ node }) => ({
      queryKey: ['cuts', 'plan', table.model.digest, rested, node],
      queryFn: ({ signal }: { readonly signal: AbortSignal }) =>
        api.post<PlanAnswer>(
          '/api/v1/plan',
          { model: table.model.id, inputs: planInputs(table.shapes) },
          { signal, headers: { 'x-weft-cut': `${rested};on=${self},${node}` } },
        ),
      enabled: self !== undefined,
      retry: false,
      // Loads and links move on.
      staleTime: 5_000,
    })),
  });
  const waiting = plans.some(({ isPending }) => isPending);
  const stale = waiting || rested !== cut;
  const options = optionsOf(
    self ?? '',
    peers.map(({ node }, index) => {
      const plan = plans[index];
      const error = plan?.error as ApiError | null | undefined;
      return { node, answer: plan?.data, problem: error == null ? undefined : told(error).what };
    }),
  );
  // What stands in the way of all: a graph that runs on no made-up inputs, or a node that is too old.
  const problem = plans.find(({ error }) => error !== null)?.error;
  const totals = options.flatMap(({ price }) => (price === undefined ? [] : [totalOf(price, loaded)]));
  const most = Math.max(0.001, ...totals);
  const least = Math.min(...totals);
  return (
    <Card
      title={cuts.compare}
      note={cuts.compareNote}
      actions={
        peers.length > 0 && (
          // biome-ignore lint/a11y/noLabelWithoutControl: the switch is inside
          <label className="flex items-center gap-2 text-muted text-xs">
            {cuts.loaded}
            <Switch checked={loaded} onChange={setLoaded} label={cuts.loaded} />
          </label>
        )
      }
    >
      {peers.length === 0 && data !== undefined ? (
        <p className="text-muted text-sm">{cuts.alone}</p>
      ) : options.length === 0 || (waiting && totals.length === 0) ? (
        <Skeleton lines={3} className="max-w-md" />
      ) : problem !== undefined && totals.length === 0 ? (
        <Failed compact title={cuts.planFailed} error={problem} />
      ) : (
        <>
          <ul aria-busy={stale} className="flex flex-col gap-2.5">
            {options.map((option) => (
              <OptionRow
                key={option.key}
                option={option}
                names={names}
                peer={peers.find(({ node }) => node === option.node)}
                loaded={loaded}
                most={most}
                stale={stale}
                best={option.price !== undefined && totalOf(option.price, loaded) === least}
              />
            ))}
          </ul>
          <p aria-hidden className="mt-4 flex flex-wrap gap-x-4 gap-y-1 text-muted text-xs">
            {OPTION_PARTS.filter((part) => !(loaded && part === 'loadMs')).map((part) => (
              <span key={part} className="inline-flex items-center gap-1.5">
                <span className={`size-2 rounded-[2px] ${PART_COLOURS[part]}`} />
                {cuts.parts[part]}
              </span>
            ))}
          </p>
        </>
      )}
    </Card>
  );
}

interface OptionRowProps {
  readonly option: Option;
  readonly names: NodeNames;
  readonly peer: Peer | undefined;
  readonly loaded: boolean;
  readonly most: number;
  /** Of the cut before: another prediction is on its way. */
  readonly stale: boolean;
  readonly best: boolean;
}

function OptionRow({ option, names, peer, loaded, most, stale, best }: OptionRowProps): ReactNode {
  const { kind, node, price, reason } = option;
  const link =
    kind === 'cut' && peer?.link?.rttMs !== undefined
      ? cuts.link(
          duration(peer.link.rttMs),
          peer.link.goodputBytesPerSecond === undefined ? '' : rate(peer.link.goodputBytesPerSecond),
        )
      : undefined;
  const words = price === undefined ? '' : partWords(option, loaded);
  return (
    <li className="grid items-center gap-x-4 gap-y-1 sm:grid-cols-[minmax(0,17rem)_minmax(0,1fr)_5rem]">
      <div className="min-w-0 text-sm">
        <span className="flex min-w-0 flex-wrap items-center gap-x-2">
          {kind === 'here' ? (
            <span className="font-medium">{cuts.wholeHere}</span>
          ) : (
            <>
              <span className={classes(kind === 'cut' && 'font-medium', 'shrink-0')}>
                {kind === 'cut' ? cuts.cutThere : cuts.wholeThere}
              </span>
              <NodeName node={node} name={names.nameOf(node)} className="max-w-32" />
            </>
          )}
          {best && <Badge tone="accent">{cuts.best}</Badge>}
        </span>
        {link !== undefined && <span className="tabular block text-faint text-xs">{link}</span>}
      </div>
      {price === undefined ? (
        <p className="min-w-0 text-muted text-xs sm:col-span-2">
          {[cuts.notNow, reason === undefined ? '' : safeText(reasonWords(reason, names))].filter(Boolean).join(': ')}
        </p>
      ) : (
        <>
          <div
            role="img"
            aria-label={words}
            title={words}
            className={classes('flex h-3.5 overflow-hidden rounded-sm bg-sunken', stale && 'opacity-60')}
          >
            {OPTION_PARTS.map((part) =>
              loaded && part === 'loadMs' ? null : (
                <span key={part} className={PART_COLOURS[part]} style={{ width: `${(price[part] / most) * 100}%` }} />
              ),
            )}
          </div>
          <span className="tabular text-right font-semibold text-sm max-sm:text-left">
            {fineDuration(totalOf(price, loaded))}
          </span>
        </>
      )}
    </li>
  );
}

function partWords({ price }: Option, loaded: boolean): string {
  if (price === undefined) return '';
  return OPTION_PARTS.filter((part) => !(loaded && part === 'loadMs') && price[part] > 0)
    .map((part) => `${cuts.parts[part]} ${fineDuration(price[part])}`)
    .join(', ');
}

/** Reasons name nodes by their ids. */
function reasonWords(reason: string, names: NodeNames): string {
  return reason.replace(/\b12D3KooW[1-9A-HJ-NP-Za-km-z]{40,}\b/g, (id) => names.nameOf(id));
}

/** The value once it has stayed the same for a moment. */
function useRested(value: number): number {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), REST_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return rested;
}
