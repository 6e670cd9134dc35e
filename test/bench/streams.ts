// Generations through a node's engine as `llm` and `batch` time them: when each token of each stream arrives.
import { availableParallelism } from 'node:os';
import type { Engine } from '../../node/core/engine.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { Sampling } from '../../protocol/infer.ts';
import { SeededRandom } from '../support/seeded.ts';
import { until } from '../support/wait.ts';
import { type LocalNode, offered, startLocal } from './nodes.ts';

/** Ids of whole words in SmolLM2's vocabulary: no special token among them. */
const [FIRST_ID, LAST_ID] = [400, 40_000];

/**
 * Greedy, and no token twice: where nothing repeats there is nothing that an engine could guess from what stands there
 * already, so every token is computed in a step of its own, as llama.cpp and the bare loops do it.
 */
const GREEDY_WITHOUT_REPEATS: Sampling = { temperature: 0, topP: 1, topK: 0, seed: 0n, repetitionPenalty: 100 };

/** A prompt of this many tokens; another seed gives one that shares no prefix with it. */
export function promptOf(length: number, seed: number): Int32Array {
  const random = new SeededRandom(seed);
  return Int32Array.from({ length }, () => random.between(FIRST_ID, LAST_ID));
}

/** Thread counts worth trying on this machine: 1, 2, 4 … and all cores. */
export function threadCounts(cores: number = availableParallelism()): number[] {
  const counts: number[] = [];
  for (let count = 1; count < cores; count *= 2) counts.push(count);
  return [...counts, cores];
}

/** A node that generates text in this process's runner, with the model loaded. */
export interface TextNode {
  readonly node: LocalNode;
  readonly engine: LocalNode['node']['engine'];
  readonly model: ModelRef;
}

/** @param parallel sequences that may be decoded at once */
export async function startTextNode(threads: number, parallel: number): Promise<TextNode> {
  const node = await startLocal({
    WEFT_THREADS: String(threads),
    WEFT_NUM_PARALLEL: String(parallel),
    WEFT_KEEP_ALIVE: '-1',
    WEFT_MAX_QUEUE: '10m',
  });
  const { engine } = node.node;
  const { model } = (await until('an offer of a text generator', () => offered(node, 'text-generation'))).offer;
  const text: TextNode = { node, engine, model };
  await new Stream(text, promptOf(8, 1), 2).done;
  return text;
}

/** One generation, begun at once. No token ends it; `stop` does. */
export class Stream {
  readonly begunMs = performance.now();
  /** When each token came. */
  readonly atMs: number[] = [];
  readonly ids: number[] = [];
  /** Resolves when all tokens are there, or it was stopped. */
  readonly done: Promise<void>;
  readonly #abort = new AbortController();
  #onToken: () => void = () => undefined;

  constructor(
    { engine, model }: { readonly engine: Engine; readonly model: ModelRef },
    ids: Int32Array,
    count: number,
  ) {
    const request = {
      model,
      ids,
      promptLength: ids.length,
      maxNewTokens: count,
      stopIds: [],
      sampling: GREEDY_WITHOUT_REPEATS,
    };
    const { signal } = this.#abort;
    this.done = engine
      .generate(request, { signal, requestId: 'req_bench' }, (_first, drawn) => {
        const nowMs = performance.now();
        for (const id of drawn) {
          this.atMs.push(nowMs);
          this.ids.push(id);
        }
        this.#onToken();
      })
      .then(
        () => {
          if (this.ids.length !== count) throw new Error(`${this.ids.length} tokens came instead of ${count}.`);
        },
        (error: unknown) => {
          if (!signal.aborted) throw error;
        },
      );
    // Whoever waits for tokens hears of a failure; `done` is for the others.
    this.done.catch(() => undefined);
  }

  /** Milliseconds to the first token. */
  get ttftMs(): number {
    return (this.atMs[0] ?? Number.NaN) - this.begunMs;
  }

  /** Tokens per second behind the first one. */
  get decodeRate(): number {
    return ((this.atMs.length - 1) * 1000) / ((this.atMs.at(-1) ?? Number.NaN) - (this.atMs[0] ?? Number.NaN));
  }

  /** Waits for this many tokens. @throws Error when it ends before */
  async reached(count: number): Promise<void> {
    if (this.ids.length >= count) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onToken = () => {
      if (this.ids.length >= count) resolve();
    };
    await Promise.race([promise, this.done]);
    if (this.ids.length < count) throw new Error(`A stream ended at token ${this.ids.length}, before ${count}.`);
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('The benchmark has seen enough.'));
    await this.done;
  }
}

/** A whole generation, one at a time. */
export async function generateWhole(text: TextNode, ids: Int32Array, count: number): Promise<Stream> {
  const stream = new Stream(text, ids, count);
  await stream.done;
  return stream;
}

/** The value below which this share of the samples lies; nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
