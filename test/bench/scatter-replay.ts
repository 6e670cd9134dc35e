// Emulated executors for `scatter`: they replay how long MiniLM took for batches of each size on this machine, at a speed of
// their own, and answer with the number of each text.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine, WorkOptions } from '../../node/core/engine.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { EncodeRequest, EncodeResult } from '../../protocol/infer.ts';
import { SeededRandom } from '../support/seeded.ts';
import { PlainEncoder } from './plain.ts';

/** Rows of one run: as many texts of 128 tokens as the node's engine takes together. */
export const ROWS = 4;

/** One way of the link to each. */
const LINK_MS = 1;

/** Milliseconds of runs of 1 to {@link ROWS} texts, by rows - 1. */
export type Durations = readonly (readonly number[])[];

/** Measures runs of every size, sizes taking turns. */
export async function measured(threads: number, tokens: number, runs: number): Promise<Durations> {
  const plain = await PlainEncoder.open(threads);
  const durations: number[][] = Array.from({ length: ROWS }, () => []);
  for (let run = -2; run < runs; run++) {
    for (let rows = 1; rows <= ROWS; rows++) {
      const ids = Int32Array.from({ length: rows * tokens }, (_, index) => 2000 + ((index * 37) % 20_000));
      const start = performance.now();
      await plain.encode(ids, rows, tokens);
      // The first two of each size warm up.
      if (run >= 0) durations[rows - 1]?.push(performance.now() - start);
    }
  }
  return durations;
}

/** Milliseconds of one text at speed 1, in runs of full size. */
export function textMs(durations: Durations): number {
  const full = durations[ROWS - 1] ?? [];
  return full.reduce((sum, ms) => sum + ms, 0) / full.length / ROWS;
}

/** One run after the other, in the order in which texts came. */
export class ReplayEngine implements Pick<Engine, 'node' | 'encode'> {
  readonly node: string;
  readonly #durations: Durations;
  readonly #speed: number;
  readonly #random: SeededRandom;
  readonly #killed = new AbortController();
  /** What is being worked on, and what waits behind it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(node: string, durations: Durations, speed: number, seed: number) {
    this.node = node;
    this.#durations = durations;
    this.#speed = speed;
    this.#random = new SeededRandom(seed);
  }

  /** Everything that it has, and that it gets from now on, is lost. */
  kill(): void {
    this.#killed.abort(new WeftError({ code: 'peer_lost', message: `${this.node} was killed.` }));
  }

  async encode(request: EncodeRequest, options: WorkOptions): Promise<EncodeResult> {
    const signal = AbortSignal.any([options.signal, this.#killed.signal]);
    await pause(LINK_MS, signal);
    const before = this.#last;
    const mine = Promise.withResolvers<void>();
    this.#last = mine.promise;
    try {
      await before;
      const computeMs = await this.#compute(request.lengths.length, signal);
      const timing = { queueMs: 0, loadMs: 0, computeMs, prefillMs: 0 };
      setImmediate(mine.resolve);
      await pause(LINK_MS, signal);
      return { embeddings: numbersOf(request), dimensions: 1, node: this.node, timing };
    } finally {
      mine.resolve();
    }
  }

  async #compute(rows: number, signal: AbortSignal): Promise<number> {
    const begunMs = performance.now();
    let dueMs = begunMs;
    for (let left = rows; left > 0; left -= ROWS) {
      dueMs += this.#random.pick(this.#durations[Math.min(left, ROWS) - 1] ?? []) / this.#speed;
      // Towards a moment, so that the timer's grain doesn't add up. Runs end before they hear that they are not wanted.
      await sleep(Math.max(0, dueMs - performance.now()));
      signal.throwIfAborted();
    }
    return performance.now() - begunMs;
  }
}

/** The first id of each text, which is its number. */
function numbersOf({ ids, lengths }: EncodeRequest): Float32Array {
  let at = 0;
  return Float32Array.from(lengths, (length) => {
    const number = ids[at] as number;
    at += length;
    return number;
  });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}
