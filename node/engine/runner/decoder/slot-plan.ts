// Which sequences are decoded in one run. Those of one run share the capacity of the longest, what a shorter one doesn't
// use is computed and masked: one of 6,000 tokens beside seven of 100 costs eight of 6,000. Two runs cost a fixed part
// twice instead. Asked by the batch loop when a sequence begins to decode, or ends.
import { KV_CAPACITY_STEP } from '../../limits.ts';
import type { StepCosts, StepLine } from './step-costs.ts';

/** Steps over which a move must pay for itself. What it gains lasts longer as a rule; what never moves back never flaps. */
const HORIZON_STEPS = 32;

/** Copying the rows of one token to another block: 46 KB at 2 to 5 GB/s for SmolLM2. */
const MOVE_MS_PER_TOKEN = 0.02;

/** Indices of sequences by run; the run of the longest first, and the longest first within each. */
export type Runs = readonly (readonly number[])[];

export interface SlotState {
  /** Of each sequence: tokens in its cache, and the one of the next step. */
  readonly lengths: readonly number[];
  /** Indices of the sequences that are in one block now; an index that is none stands for somebody else and is ignored. */
  readonly current: Runs;
  readonly costs: Pick<StepCosts, 'line'>;
  /** @default 0.02 */
  readonly moveMsPerToken?: number;
}

/**
 * The runs with the least time per step, or those that there are, with newcomers added, while moving would not pay within
 * the next {@link HORIZON_STEPS} steps. All in one while nothing is known of what more rows cost: steps tell.
 */
export function planSlots({ lengths, current, costs, moveMsPerToken = MOVE_MS_PER_TOKEN }: SlotState): Runs {
  const order = byLength(lengths);
  const line = costs.line();
  if (line === undefined) return order.length === 0 ? [] : [order];
  const best = bestRuns(lengths, line);
  const kept = keptRuns(lengths, current, line);
  const gainMs = (runsMs(kept, lengths, line) - runsMs(best, lengths, line)) * HORIZON_STEPS;
  return gainMs > moveMsPerToken * movedTokens(best, lengths, current) ? best : kept;
}

/**
 * The runs with the least time per step, wherever the sequences are now. Groups of neighbours in length are all that need
 * be looked at: of two that overlap, exchanging members never costs more. Dynamic programming, O(n²).
 */
export function bestRuns(lengths: readonly number[], line: StepLine): Runs {
  const order = byLength(lengths);
  // The least time for the n longest, and where the last of their runs begins.
  const leastMs: number[] = [0];
  const begins: number[] = [0];
  for (let end = 1; end <= order.length; end++) {
    leastMs[end] = Number.POSITIVE_INFINITY;
    for (let begin = 0; begin < end; begin++) {
      const ms = (leastMs[begin] as number) + runMs(end - begin, lengths[order[begin] as number] as number, line);
      if (ms >= (leastMs[end] as number)) continue;
      leastMs[end] = ms;
      begins[end] = begin;
    }
  }
  const runs: number[][] = [];
  for (let end = order.length; end > 0; end = begins[end] as number) runs.unshift(order.slice(begins[end], end));
  return runs;
}

/** Expected time of one step of all runs. */
export function runsMs(runs: Runs, lengths: readonly number[], line: StepLine): number {
  return runs.reduce((sum, run) => sum + msOf(run, lengths, line), 0);
}

/** The runs as they are; a newcomer joins the one where it costs least, or begins its own, the longest first. */
function keptRuns(lengths: readonly number[], current: Runs, line: StepLine): Runs {
  const order = byLength(lengths);
  const runs = current.map((run) => run.filter((index) => index in lengths)).filter((run) => run.length > 0);
  const settled = new Set(runs.flat());
  for (const index of order) {
    if (settled.has(index)) continue;
    const own: number[] = [];
    const places = [...runs, own].map((run) => ({
      run,
      ms: msOf([...run, index], lengths, line) - msOf(run, lengths, line),
    }));
    const { run } = places.reduce((least, place) => (place.ms < least.ms ? place : least));
    if (run === own) runs.push(own);
    run.push(index);
  }
  const rank = new Map(order.map((index, at) => [index, at]));
  const first = (run: readonly number[]): number => rank.get(run[0] as number) ?? 0;
  for (const run of runs) run.sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0));
  return runs.sort((a, b) => first(a) - first(b));
}

/** Tokens whose rows are copied: of each run all but those in the block that it goes on in, which is no other run's. */
function movedTokens(runs: Runs, lengths: readonly number[], current: Runs): number {
  const blockOf = new Map(current.flatMap((run, block) => run.map((index) => [index, block] as const)));
  const taken = new Set<number>();
  let moved = 0;
  for (const run of runs) {
    const tokens = new Map<number, number>();
    for (const index of run) {
      const block = blockOf.get(index);
      if (block !== undefined) tokens.set(block, (tokens.get(block) ?? 0) + (lengths[index] as number));
    }
    let home: number | undefined;
    for (const [block, count] of tokens) {
      if (!taken.has(block) && count > (home === undefined ? 0 : (tokens.get(home) as number))) home = block;
    }
    if (home !== undefined) taken.add(home);
    for (const [block, count] of tokens) if (block !== home) moved += count;
  }
  return moved;
}

function msOf(run: readonly number[], lengths: readonly number[], line: StepLine): number {
  if (run.length === 0) return 0;
  return runMs(run.length, Math.max(...run.map((index) => lengths[index] as number)), line);
}

function runMs(rows: number, longest: number, { fixedMs, perRowMs, perCellMs }: StepLine): number {
  const capacity = Math.ceil(longest / KV_CAPACITY_STEP) * KV_CAPACITY_STEP;
  return fixedMs + rows * (perRowMs + capacity * perCellMs);
}

function byLength(lengths: readonly number[]): number[] {
  return [...lengths.keys()].sort((a, b) => (lengths[b] as number) - (lengths[a] as number) || a - b);
}
