// The load of a node as it changes, from the pulses of the node behind the page. Brings uPlot in.
import { type ReactNode, useMemo } from 'react';
import { Skeleton } from '../../components/empty.tsx';
import { Plot, type Series } from '../../components/plot.tsx';
import type { Pulse } from '../../data/contract.ts';
import { useHistory } from '../../data/queries.ts';
import { text } from '../../text/en.ts';
import { duration, memory } from '../../text/format.ts';

/** Minutes that are shown. */
const SHOWN_MS = 15 * 60_000;

/** Fewer points draw no line. */
const POINTS_MIN = 2;

interface Figure {
  readonly label: string;
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  readonly topMin?: number;
}

/** @param node undefined: the node behind the page, which tells more of itself */
export function LiveLoad({ node }: { readonly node: string | undefined }): ReactNode {
  const { pulses, query } = useHistory();
  const { xs, figures } = useMemo(() => {
    const since = (pulses.at(-1)?.atMs ?? 0) - SHOWN_MS;
    const shown = pulses.filter(({ atMs }) => atMs >= since);
    return {
      xs: shown.map(({ atMs }) => atMs),
      figures: node === undefined ? ownFigures(shown) : peerFigures(shown, node),
    };
  }, [pulses, node]);
  if (xs.length < POINTS_MIN && query.isError) return <p className="text-muted text-sm">{text.overview.noPulses}</p>;
  if (xs.length < POINTS_MIN) {
    return (
      <>
        <p className="mb-3 text-muted text-sm">{text.nodes.liveWaiting}</p>
        <Skeleton lines={4} />
      </>
    );
  }
  return (
    <div className="grid gap-x-6 gap-y-5 sm:grid-cols-2">
      {figures.map(({ label, series, format, topMin }) => (
        <div key={label} className="min-w-0">
          <Plot
            label={label}
            xs={xs}
            series={series}
            format={format}
            height={112}
            sync="node-load"
            {...(topMin === undefined ? {} : { topMin })}
          />
        </div>
      ))}
    </div>
  );
}

const whole = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));

function figure(
  label: string,
  pulses: readonly Pulse[],
  value: (pulse: Pulse) => number | undefined,
  rest: Pick<Figure, 'format' | 'topMin'>,
): Figure {
  return { label, series: [{ label, values: pulses.map((pulse) => value(pulse) ?? null), area: true }], ...rest };
}

const ownFigures = (pulses: readonly Pulse[]): readonly Figure[] => [
  figure(text.nodes.plots.running, pulses, ({ self }) => self.requestsInFlight, { format: whole, topMin: 2 }),
  figure(text.nodes.plots.tokens, pulses, ({ self }) => self.tokensPerSecond, {
    format: (value) => text.nodes.perSecond(whole(Math.round(value))),
    topMin: 10,
  }),
  figure(text.nodes.plots.queued, pulses, ({ self }) => self.queuedMs, { format: duration, topMin: 100 }),
  figure(text.nodes.plots.used, pulses, ({ self }) => self.memoryUsedBytes, { format: memory, topMin: 1e8 }),
];

function peerFigures(pulses: readonly Pulse[], node: string): readonly Figure[] {
  const of = ({ peers }: Pulse): Pulse['peers'][number] | undefined => peers.find((peer) => peer.node === node);
  return [
    figure(text.nodes.plots.running, pulses, (pulse) => of(pulse)?.load?.requestsInFlight, {
      format: whole,
      topMin: 2,
    }),
    figure(text.nodes.plots.queued, pulses, (pulse) => of(pulse)?.load?.queuedMs, { format: duration, topMin: 100 }),
    figure(text.nodes.plots.rtt, pulses, (pulse) => of(pulse)?.rttMs, { format: duration, topMin: 1 }),
    figure(text.nodes.plots.memory, pulses, (pulse) => of(pulse)?.load?.memoryFreeBytes, {
      format: memory,
      topMin: 1e8,
    }),
  ];
}
