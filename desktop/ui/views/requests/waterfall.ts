// The way of a request as bars in the order of time: where each begins and how long it is, as shares of the whole, with what had been
// predicted. Pure.
import type { RequestAnswer } from '../../../../protocol/api/control.ts';

type Span = RequestAnswer['spans'][number];

/** A bar. */
export interface Bar {
  readonly kind: 'span';
  readonly name: Span['name'];
  readonly node: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly predictedMs: number | undefined;
  /** 0 to 1 of the axis. */
  readonly from: number;
  readonly length: number;
  /** Where it was predicted to end. */
  readonly predictedTo: number | undefined;
}

/** An attempt that failed, at the moment in which that was known. */
export interface Mark {
  readonly kind: 'failure';
  readonly node: string;
  readonly code: string;
  readonly startMs: number;
  readonly from: number;
}

/** Bars of one stay on one node: another begins where the request went on elsewhere, or began there again. */
export interface Leg {
  readonly node: string;
  readonly rows: readonly (Bar | Mark)[];
}

export interface Waterfall {
  readonly legs: readonly Leg[];
  readonly endMs: number;
  /** Round times on the axis, with their place. */
  readonly ticks: readonly { readonly ms: number; readonly at: number }[];
}

const ORDER: readonly Span['name'][] = ['prepare', 'up', 'acknowledge', 'queue', 'load', 'compute', 'down'];

/** About so many ticks stand on the axis. */
const TICKS = 5;

export function waterfallOf({
  spans,
  failures,
  durationMs,
}: Pick<RequestAnswer, 'spans' | 'failures' | 'durationMs'>): Waterfall {
  const endMs = Math.max(
    durationMs,
    0.001,
    ...spans.map((span) => span.startMs + span.durationMs),
    ...failures.map(({ atMs }) => atMs),
  );
  const share = (ms: number): number => Math.min(1, Math.max(0, ms / endMs));
  const rows: (Bar | Mark)[] = [
    ...spans.map(
      ({ name, node, startMs, durationMs: length, predictedMs }): Bar => ({
        kind: 'span',
        name,
        node,
        startMs,
        durationMs: length,
        predictedMs,
        from: share(startMs),
        length: share(startMs + length) - share(startMs),
        predictedTo: predictedMs === undefined ? undefined : share(startMs + predictedMs),
      }),
    ),
    ...failures.map(
      ({ node, code, atMs }): Mark => ({ kind: 'failure', node, code, startMs: atMs, from: share(atMs) }),
    ),
  ];
  // What begins at the same moment stands in the order in which it is done.
  rows.sort((a, b) => a.startMs - b.startMs || rank(a) - rank(b));
  return { legs: legsOf(rows), endMs, ticks: ticksOf(endMs) };
}

const rank = (row: Bar | Mark): number => (row.kind === 'span' ? ORDER.indexOf(row.name) : ORDER.length);

function legsOf(rows: readonly (Bar | Mark)[]): Leg[] {
  const legs: { node: string; rows: (Bar | Mark)[] }[] = [];
  for (const row of rows) {
    const last = legs.at(-1);
    if (last !== undefined && last.node === row.node) last.rows.push(row);
    else legs.push({ node: row.node, rows: [row] });
  }
  return legs;
}

/** 1, 2 or 5 of a power of ten apart. */
function ticksOf(endMs: number): { ms: number; at: number }[] {
  const raw = endMs / TICKS;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((one) => one * power >= raw) ?? 10) * power;
  const ticks: { ms: number; at: number }[] = [];
  for (let ms = 0; ms <= endMs * 0.999; ms += step) ticks.push({ ms, at: ms / endMs });
  return ticks;
}
