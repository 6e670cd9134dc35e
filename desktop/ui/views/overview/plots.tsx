// The live plots of the overview. Comes with uPlot, so it is loaded behind what is seen first.
import { type ReactNode, useMemo } from 'react';
import { Plot } from '../../components/plot.tsx';
import type { Pulse } from '../../data/contract.ts';
import { text } from '../../text/en.ts';
import { count, duration, memory } from '../../text/format.ts';
import { gauges, ratesPerMinute, within } from './plot-data.ts';

const words = text.overview;

/** All show the same moment under the pointer. */
const SYNC = 'overview';

export interface PlotsProps {
  readonly pulses: readonly Pulse[];
  readonly windowMs: number;
}

export function Plots({ pulses, windowMs }: PlotsProps): ReactNode {
  const shown = useMemo(() => within(pulses, windowMs), [pulses, windowMs]);
  return (
    <div className="grid gap-px bg-line sm:grid-cols-2 xl:grid-cols-3">
      <Gauge
        title={words.plots.ttft}
        pulses={shown}
        windowMs={windowMs}
        picks={TTFT}
        labels={[words.series.p50, words.series.p95]}
        format={duration}
        topMin={50}
      />
      <Gauge
        title={words.plots.duration}
        pulses={shown}
        windowMs={windowMs}
        picks={DURATION}
        labels={[words.series.p50, words.series.p95]}
        format={duration}
        topMin={100}
      />
      <Gauge
        title={words.plots.tokens}
        pulses={shown}
        windowMs={windowMs}
        picks={TOKENS}
        labels={[words.series.tokens]}
        format={count}
        topMin={10}
        area
      />
      <Where pulses={shown} windowMs={windowMs} />
      <Gauge
        title={words.plots.queue}
        pulses={shown}
        windowMs={windowMs}
        picks={QUEUE}
        labels={[words.series.queue]}
        format={duration}
        topMin={100}
        area
      />
      <Gauge
        title={words.plots.memory}
        pulses={shown}
        windowMs={windowMs}
        picks={MEMORY}
        labels={[words.series.used, words.series.free]}
        format={memory}
      />
    </div>
  );
}

type Pick = (self: Pulse['self']) => number | undefined;

const TTFT: readonly Pick[] = [({ ttftMsP50 }) => ttftMsP50, ({ ttftMsP95 }) => ttftMsP95];
const DURATION: readonly Pick[] = [({ durationMsP50 }) => durationMsP50, ({ durationMsP95 }) => durationMsP95];
const TOKENS: readonly Pick[] = [({ tokensPerSecond }) => tokensPerSecond];
const QUEUE: readonly Pick[] = [({ queuedMs }) => queuedMs];
const MEMORY: readonly Pick[] = [({ memoryUsedBytes }) => memoryUsedBytes, ({ memoryFreeBytes }) => memoryFreeBytes];

function Gauge({
  title,
  pulses,
  windowMs,
  picks,
  labels,
  format,
  topMin = 0,
  area = false,
}: {
  readonly title: string;
  readonly pulses: readonly Pulse[];
  readonly windowMs: number;
  readonly picks: readonly Pick[];
  readonly labels: readonly string[];
  readonly format: (value: number) => string;
  readonly topMin?: number;
  readonly area?: boolean;
}): ReactNode {
  const { xs, values } = useMemo(() => gauges(pulses, picks), [pulses, picks]);
  const series = useMemo(
    () => labels.map((label, at) => ({ label, values: values[at] ?? [], area })),
    [labels, values, area],
  );
  return (
    <Framed title={title}>
      <Plot
        label={title}
        xs={xs}
        series={series}
        format={format}
        topMin={topMin}
        span={windowMs}
        sync={SYNC}
        height={124}
      />
    </Framed>
  );
}

function Where({ pulses, windowMs }: PlotsProps): ReactNode {
  const { xs, values } = useMemo(
    () => ratesPerMinute(pulses, windowMs, [({ local }) => local, ({ remote }) => remote]),
    [pulses, windowMs],
  );
  const series = useMemo(
    () => [
      { label: words.series.local, values: values[0] ?? [], area: true },
      { label: words.series.remote, values: values[1] ?? [], colour: 3 as const },
    ],
    [values],
  );
  return (
    <Framed title={words.plots.where}>
      <Plot
        label={words.plots.where}
        xs={xs}
        series={series}
        format={count}
        topMin={4}
        span={windowMs}
        sync={SYNC}
        height={124}
      />
    </Framed>
  );
}

const Framed = ({ title, children }: { readonly title: string; readonly children: ReactNode }): ReactNode => (
  <section className="min-w-0 bg-panel px-4 pt-3 pb-2">
    <h3 className="mb-1 font-medium text-sm">{title}</h3>
    {children}
  </section>
);
