// What a part of a graph is predicted to take on the device that its table was measured on, and what is learned from how
// long it took: three numbers beside the shares. Pure.
import { type CutTable, givenBy, type ObservedPart, takenBy } from '../../../protocol/cut-table.ts';

/** How long parts take: share × whole + fixed + per megabyte. */
export interface PartCosts {
  readonly wholeMs: number;
  readonly partFixedMs: number;
  readonly partMsPerMb: number;
}

/** A part that was run. */
export interface PartSample {
  /** Of the whole graph's computing time. */
  readonly share: number;
  /** Of all tensors that it took and gave, 1e6 bytes each. */
  readonly mb: number;
  readonly ms: number;
  /** Parts that the sample is the sum of. @default 1 */
  readonly parts?: number;
}

/** Milliseconds in the runtime, without queue, load or way. */
export function predictPartMs(costs: PartCosts, { share, mb }: Pick<PartSample, 'share' | 'mb'>): number {
  return share * costs.wholeMs + costs.partFixedMs + mb * costs.partMsPerMb;
}

/**
 * What the part of these segments computes and carries. All of them together are no part, but the whole as it is: what it
 * carries is in its time already.
 * @throws RangeError for segments that aren't there
 */
export function partLoad(
  table: Pick<CutTable, 'segments' | 'tensors'>,
  from: number,
  to: number,
): Pick<PartSample, 'share' | 'mb'> {
  const { segments } = table;
  if (!(from >= 0 && from < to && to <= segments.length)) throw new RangeError('no such segments');
  const share = segments.slice(from, to).reduce((sum, segment) => sum + segment.share, 0);
  const bytes = [...takenBy(table, from, to), ...givenBy(table, from, to)].reduce(
    (sum, tensor) => sum + tensor.bytes,
    0,
  );
  return { share, mb: bytes / 1e6 };
}

/** How much what was known before weighs against what was seen: as much as so many runs. */
export interface Trust {
  readonly wholeMs: number;
  readonly partFixedMs: number;
  readonly partMsPerMb: number;
}

/**
 * The costs that fit the samples best: least squares of relative errors, none below zero, drawn towards what was known
 * before (ridge). Without samples it is what was known.
 */
export function fitCosts(samples: readonly PartSample[], before: PartCosts, trust: Trust): PartCosts {
  const scale = [
    Math.max(before.wholeMs, 1e-6),
    Math.max(before.partFixedMs, FIXED_SCALE_SHARE * before.wholeMs, 1e-6),
    Math.max(before.partMsPerMb, PER_MB_SCALE),
  ] as const;
  const known = [before.wholeMs / scale[0], before.partFixedMs / scale[1], before.partMsPerMb / scale[2]] as const;
  const weight = [trust.wholeMs, trust.partFixedMs, trust.partMsPerMb] as const;
  const rows = samples.map(({ share, mb, ms, parts = 1 }) => {
    const expected = Math.max(ms, predictPartMs(before, { share, mb }), 1e-6);
    return {
      x: [share * scale[0], parts * scale[1], mb * scale[2]].map((value) => value / expected),
      y: ms / expected,
    };
  });
  let best: { error: number; values: number[] } | undefined;
  // Three numbers: every choice of those that stay at zero is tried.
  for (let free = 0; free < 8; free++) {
    const indices = [0, 1, 2].filter((index) => (free >> index) & 1);
    const values = solve(rows, known, weight, indices);
    if (values === undefined || values.some((value) => value < 0)) continue;
    const error = errorOf(rows, known, weight, values);
    if (best === undefined || error < best.error) best = { error, values };
  }
  const [wholeMs = 0, partFixedMs = 0, partMsPerMb = 0] = (best?.values ?? known).map(
    (value, index) => value * (scale[index] ?? 1),
  );
  return { wholeMs, partFixedMs, partMsPerMb };
}

/** Both parts of one cut, run in turns with the whole. */
export interface CutSample {
  /** The first segment behind the cut. */
  readonly at: number;
  readonly before: Pick<PartSample, 'mb' | 'ms'>;
  readonly after: Pick<PartSample, 'mb' | 'ms'>;
}

/**
 * What parts cost beside their share, by what two parts took more than the whole; and the shares themselves, which a profile
 * gives with errors that add up over many kernels: between two cuts that were run, all are stretched to what was measured.
 * @param shares of the segments, by a profile
 * @returns shares whose sum is 1, as before
 */
export function calibrate(
  shares: readonly number[],
  wholeMs: number,
  cuts: readonly CutSample[],
): { readonly shares: readonly number[]; readonly costs: PartCosts } {
  const sums = cuts.map(({ before, after }) => ({ ...together(before, after), share: 1, parts: 2 }));
  const nothing = { wholeMs, partFixedMs: 0, partMsPerMb: 0 };
  let costs = fitCosts(sums, nothing, FIRST_TRUST);
  let points = pointsOf(cuts, costs);
  // Two parts may take longer than the whole because both compute a thing, which a small part shows not to be a cost of every
  // part: with the shares as they are now, each part counts for itself.
  for (let round = 0; round < ROUNDS; round++) {
    const parts = cuts.flatMap(({ at, before, after }) => {
      const share = points.find((point) => point.at === at)?.share;
      return share === undefined
        ? []
        : [
            { ...before, share },
            { ...after, share: 1 - share },
          ];
    });
    costs = fitCosts([...sums, ...parts], nothing, FIRST_TRUST);
    points = pointsOf(cuts, costs);
  }
  points = [{ at: 0, share: 0 }, ...points, { at: shares.length, share: 1 }];
  const stretched: number[] = [];
  for (const [index, end] of points.entries()) {
    const begin = points[index - 1];
    if (begin === undefined) continue;
    const inside = shares.slice(begin.at, end.at);
    const sum = inside.reduce((total, share) => total + share, 0);
    for (const share of inside) {
      stretched.push((end.share - begin.share) * (sum > 0 ? share / sum : 1 / inside.length));
    }
  }
  return { shares: stretched, costs };
}

/** The fit hardly moves after the second. */
const ROUNDS = 3;

interface SharePoint {
  readonly at: number;
  /** Of what lies before it. */
  readonly share: number;
}

const together = (before: CutSample['before'], after: CutSample['after']): CutSample['before'] => ({
  mb: before.mb + after.mb,
  ms: before.ms + after.ms,
});

/** In order; those that contradict an earlier one are left out. */
function pointsOf(cuts: readonly CutSample[], costs: PartCosts): SharePoint[] {
  const computed = ({ mb, ms }: CutSample['before']): number =>
    Math.max(0, ms - costs.partFixedMs - mb * costs.partMsPerMb);
  const points: SharePoint[] = [];
  for (const { at, before, after } of cuts.toSorted((a, b) => a.at - b.at)) {
    const share = computed(before) / Math.max(1e-9, computed(before) + computed(after));
    const last = points.at(-1) ?? { at: 0, share: 0 };
    if (at > last.at && share >= last.share && share <= 1) points.push({ at, share });
  }
  return points;
}

/** The whole was measured, the others are to be found; a little doubt keeps what no sample tells at zero. */
const FIRST_TRUST: Trust = { wholeMs: 1e6, partFixedMs: 1e-6, partMsPerMb: 1e-6 };

/** The table as real runs show it. @param observed of parts, or of the whole: all segments */
export function refresh(table: CutTable, observed: readonly ObservedPart[]): CutTable {
  const whole = table.segments.length;
  const samples = observed.map(({ from, to, ms }): PartSample => ({ ...partLoad(table, from, to), ms }));
  const parts = samples.filter((_, index) => !isWhole(observed[index], whole));
  const wholes = observed.filter((part) => isWhole(part, whole)).map(({ ms }) => ms);
  const sum = wholes.reduce((total, ms) => total + ms, TABLE_TRUST.wholeMs * table.wholeMs);
  const wholeMs = sum / (wholes.length + TABLE_TRUST.wholeMs);
  const trust = { ...TABLE_TRUST, wholeMs: TABLE_TRUST.wholeMs + wholes.length };
  return { ...table, ...fitCosts(parts, { ...table, wholeMs }, trust) };
}

/** A table is the median of several runs each. */
const TABLE_TRUST: Trust = { wholeMs: 8, partFixedMs: 4, partMsPerMb: 4 };

const isWhole = (part: ObservedPart | undefined, segments: number): boolean =>
  part !== undefined && part.from === 0 && part.to === segments;

/** Of the whole: what a part costs beside its share, in the order of size, where nothing is known of it. */
const FIXED_SCALE_SHARE = 0.01;
/** Milliseconds for 1e6 bytes that are copied and laid out anew, in the order of size. */
const PER_MB_SCALE = 0.5;

interface Row {
  readonly x: readonly number[];
  readonly y: number;
}

function errorOf(
  rows: readonly Row[],
  known: readonly number[],
  weight: readonly number[],
  values: readonly number[],
): number {
  const fit = rows.reduce((sum, { x, y }) => sum + (dot(x, values) - y) ** 2, 0);
  return values.reduce((sum, value, index) => sum + (weight[index] ?? 0) * (value - (known[index] ?? 0)) ** 2, fit);
}

/** Normal equations of the free values, the others being 0; undefined where they have no answer. */
function solve(
  rows: readonly Row[],
  known: readonly number[],
  weight: readonly number[],
  free: readonly number[],
): number[] | undefined {
  const matrix = free.map((i) => [
    ...free.map((j) => rows.reduce((sum, { x }) => sum + at(x, i) * at(x, j), i === j ? at(weight, i) : 0)),
    rows.reduce((sum, { x, y }) => sum + at(x, i) * y, at(weight, i) * at(known, i)),
  ]);
  const size = free.length;
  for (let column = 0; column < size; column++) {
    const pivot = matrix[column] as number[];
    const divisor = at(pivot, column);
    if (!(Math.abs(divisor) > 1e-12)) return undefined;
    for (const row of matrix) {
      if (row === pivot) continue;
      const factor = at(row, column) / divisor;
      for (let k = column; k <= size; k++) row[k] = at(row, k) - factor * at(pivot, k);
    }
  }
  const values = [0, 0, 0];
  for (const [row, index] of free.entries()) values[index] = at(matrix[row] ?? [], size) / at(matrix[row] ?? [], row);
  return values;
}

const at = (values: readonly number[], index: number): number => values[index] ?? 0;
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * at(b, index), 0);
