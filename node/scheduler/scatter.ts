// Spreads a batch over workers: who gets which of the items that wait, how many, and when what one works on is given to
// another as well. Pure: asked by dispatch whenever a worker has room, with all that is known at that moment.
import { CHUNK_MS_FIRST, CHUNK_MS_MAX, CHUNK_MS_MIN, DOUBLE_GAIN_MS, DOUBLE_GAIN_SHARE } from './limits.ts';

/** Items [from, to) of the batch. */
export interface ItemRange {
  readonly from: number;
  readonly to: number;
}

/** A worker that isn't left out, as it stands now. */
export interface WorkerState {
  /** Weight that it does in a millisecond, above 0: as measured, or as it was predicted where nothing came from it yet. */
  readonly ratePerMs: number;
  /** Something came from it in this batch: the rate is what was seen. */
  readonly measured: boolean;
  /** Predicted: from when on it could work on something new. Not before now. */
  readonly freeAtMs: number;
  /** Chunks that it has. */
  readonly open: number;
  /** Chunks that it may have; 0 while it gets none. */
  readonly openMax: number;
}

/** Items that some worker has. */
export interface OpenChunk extends ItemRange {
  /** Who has them, by index; never more than two. */
  readonly workers: readonly number[];
  /** Predicted: when the first of those is through with them. */
  readonly endsMs: number;
}

export interface ScatterState {
  readonly nowMs: number;
  /** Weight of all items before each one, and of all of them at the end: [items + 1], ascending. */
  readonly weightBefore: Float64Array;
  /** What nobody has yet, in the order in which it is given away. */
  readonly waiting: readonly ItemRange[];
  readonly workers: readonly WorkerState[];
  readonly open: readonly OpenChunk[];
}

/** What is done next; workers and chunks by their index. */
export type ScatterStep =
  | { readonly kind: 'start'; readonly worker: number; readonly range: ItemRange }
  | { readonly kind: 'double'; readonly worker: number; readonly chunk: number };

/**
 * The next thing to do now; undefined when there is nothing until a worker has room, or time has passed. While items wait and
 * nobody works, there is always something to do once a worker that may have chunks is free.
 */
export function nextStep(state: ScatterState): ScatterStep | undefined {
  return state.waiting.length > 0 ? nextChunk(state) : nextDouble(state);
}

/** How fast a worker is, and from when on. */
export interface Pace {
  readonly ratePerMs: number;
  readonly freeAtMs: number;
}

/**
 * The moment at which all workers end together, when so much is poured over them like water: who is free later than that gets
 * nothing. Infinity without a worker.
 */
export function levelOf(weight: number, paces: readonly Pace[]): number {
  const sorted = [...paces].sort((a, b) => a.freeAtMs - b.freeAtMs);
  let rate = 0;
  let rateTimesFree = 0;
  let level = Number.POSITIVE_INFINITY;
  for (const { ratePerMs, freeAtMs } of sorted) {
    if (level <= freeAtMs) break;
    rate += ratePerMs;
    rateTimesFree += ratePerMs * freeAtMs;
    level = (weight + rateTimesFree) / rate;
  }
  return level;
}

/**
 * When a worker should be through with each of its chunks, which it does one after the other. What is late is taken to be as
 * late again: the longer it has been silent, the longer it will be.
 * @param beganMs when it began with the first
 * @param weights of its chunks, in the order in which it got them
 */
export function endsOf(nowMs: number, beganMs: number, ratePerMs: number, weights: readonly number[]): number[] {
  let at = beganMs;
  return weights.map((weight, index) => {
    at += weight / ratePerMs;
    if (index === 0 && at < nowMs) at = nowMs + (nowMs - at);
    return at;
  });
}

function nextChunk(state: ScatterState): ScatterStep | undefined {
  const { weightBefore, waiting, workers } = state;
  const [first] = waiting;
  if (first === undefined) return undefined;
  const left = waiting.reduce((sum, range) => sum + weightOf(weightBefore, range), 0);
  const level = levelOf(left, workers);
  // Whoever runs dry first is served first; of several, the fastest.
  const ready = indicesOf(workers, ({ open, openMax }) => open < openMax).sort((a, b) => {
    const [one, other] = [workers[a] as WorkerState, workers[b] as WorkerState];
    return one.freeAtMs - other.freeAtMs || other.ratePerMs - one.ratePerMs;
  });
  for (const worker of ready) {
    const count = countFor(worker, first, left, level, state);
    if (count > 0) return { kind: 'start', worker, range: { from: first.from, to: first.from + count } };
  }
  return undefined;
}

/** How many of the items that wait first this worker gets now; 0 = others will end sooner without it. */
function countFor(index: number, first: ItemRange, left: number, level: number, state: ScatterState): number {
  const { weightBefore, workers } = state;
  const worker = workers[index] as WorkerState;
  const shareMs = level - worker.freeAtMs;
  const mostMs = worker.measured ? CHUNK_MS_MAX : CHUNK_MS_FIRST;
  // Half of its share leaves room to make good what predictions err by; what is left at the end is not worth cutting.
  const chunkMs = Math.min(mostMs, shareMs <= 2 * CHUNK_MS_MIN ? shareMs : shareMs / 2);
  const count = countWithin(weightBefore, first, chunkMs * worker.ratePerMs);
  if (count > 0) return count;
  // Less than one item is its share: it gets one all the same where the others would not be through sooner without it.
  const one = weightOf(weightBefore, { from: first.from, to: first.from + 1 });
  const endsMs = worker.freeAtMs + one / worker.ratePerMs;
  const others = workers.filter((_, other) => other !== index);
  if (others.length === 0) return 1;
  const soonest = Math.min(...others.map(({ freeAtMs, ratePerMs }) => freeAtMs + one / ratePerMs));
  return endsMs <= Math.max(soonest, levelOf(left, others)) ? 1 : 0;
}

/** Gives what would end last to an idle worker as well, where that one is sure enough to end it sooner. */
function nextDouble({ nowMs, weightBefore, workers, open }: ScatterState): ScatterStep | undefined {
  let best: ScatterStep | undefined;
  let bestGainMs = 0;
  for (const worker of indicesOf(workers, (one) => one.open === 0 && one.openMax > 0)) {
    const { freeAtMs, ratePerMs } = workers[worker] as WorkerState;
    for (const [chunk, range] of open.entries()) {
      if (range.workers.length !== 1 || range.workers[0] === worker) continue;
      const endsMs = freeAtMs + weightOf(weightBefore, range) / ratePerMs;
      const gainMs = range.endsMs - endsMs;
      // Of equals the oldest: chunks come in the order in which they were begun.
      if (gainMs < DOUBLE_GAIN_MS || gainMs < DOUBLE_GAIN_SHARE * (endsMs - nowMs) || gainMs <= bestGainMs) continue;
      best = { kind: 'double', worker, chunk };
      bestGainMs = gainMs;
    }
  }
  return best;
}

/** Weight of the items of a range. */
export function weightOf(weightBefore: Float64Array, { from, to }: ItemRange): number {
  return (weightBefore[to] as number) - (weightBefore[from] as number);
}

/** How many items from the start of the range weigh no more than this together. */
function countWithin(weightBefore: Float64Array, { from, to }: ItemRange, weight: number): number {
  // A rate that was measured on whole items gives whole items back but for rounding.
  const most = (weightBefore[from] as number) + weight * (1 + 1e-9);
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((weightBefore[middle] as number) <= most) low = middle;
    else high = middle - 1;
  }
  return low - from;
}

function indicesOf(workers: readonly WorkerState[], which: (worker: WorkerState) => boolean): number[] {
  return workers.flatMap((worker, index) => (which(worker) ? [index] : []));
}
