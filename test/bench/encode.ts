// What batching by length and by measured cost is worth: MiniLM on texts of 8 to 256 tokens mixed, 32 in flight, through the
// node's engine, against batches of the same limits in order of arrival, and against one text at a time.

import type { InstalledModel } from '../../models/installed.ts';
import { canonicalJson } from '../../models/manifest.ts';
import { systemClock } from '../../node/core/clock.ts';
import { silentLog } from '../../node/core/log.ts';
import { BATCH_LIMITS } from '../../node/engine/batching.ts';
import type { BatchLimits } from '../../node/engine/forming.ts';
import { CALLS_IN_FLIGHT_MAX } from '../../node/engine/limits.ts';
import { RunnerProcess } from '../../node/engine/runner-process.ts';
import { RUNNER_METHODS } from '../../protocol/methods.ts';
import { minilm, RUNNER_ENTRY, startEngine } from '../node/engine/support.ts';
import { SeededRandom } from '../support/seeded.ts';
import { type Benchmark, interleave, median, timeAll } from './harness.ts';

const LENGTH_MIN = 8;
const LENGTH_MAX = 256;
const IN_FLIGHT = 32;
/** Texts of one sample: six times as many as are in flight, so that the beginning and the end weigh little. */
const TEXTS = 192;

/** The batch curve: rows × tokens. */
const CURVE_ROWS = [1, 2, 4, 8, 16, 32];
const CURVE_TOKENS = [16, 64, 128];

const options = () => ({ signal: new AbortController().signal, requestId: 'req_bench' });

export const encode: Benchmark = {
  name: 'encode',
  summary: 'MiniLM, 8 to 256 tokens mixed, 32 in flight: batches by length against order of arrival and one by one',
  async run({ rounds, threads, say }) {
    const model = await minilm();
    await using started = await startEngine([model], { threads });
    const { engine } = started;
    await using runner = await BenchRunner.start(model, threads);
    const alone = new ArrivalOrder(runner, { ...BATCH_LIMITS, rowsMax: 1 });
    const arrival = new ArrivalOrder(runner, BATCH_LIMITS);
    const calls: Record<string, (ids: Int32Array) => Promise<Float32Array>> = {
      bucketed: async (ids) => (await engine.encode(requestOf(model, [ids]), options())).embeddings,
      arrival_order: (ids) => arrival.encode(ids),
      batch_one: (ids) => alone.encode(ids),
    };
    await agree(calls);
    let round = 0;
    const contenders: Record<string, () => Promise<readonly number[]>> = {};
    for (const [who, call] of Object.entries(calls)) {
      contenders[`${who}_texts_per_s`] = async () => {
        // The same texts for every contender of a round.
        const texts = mixedTexts(TEXTS, Math.floor(round++ / Object.keys(calls).length));
        let next = 0;
        const ms = await timeAll(TEXTS, IN_FLIGHT, () => call(texts[next++] as Int32Array));
        return [(TEXTS * 1000) / ms];
      };
    }
    say('  warming up');
    for (const warm of Object.values(contenders)) await warm();
    round = 0;
    say(`  ${rounds} rounds`);
    const series = await interleave(rounds, contenders);
    say('  batch curve');
    const curve: Record<string, () => Promise<readonly number[]>> = {};
    for (const tokens of CURVE_TOKENS) {
      for (const rows of CURVE_ROWS) {
        const texts = Array.from({ length: rows }, (_, text) => textOf(tokens, text));
        curve[`curve_${tokens}x${rows}_texts_per_s`] = async () => [(rows * 1000) / (await runner.runMs(texts))];
      }
    }
    for (const warm of Object.values(curve)) await warm();
    const measured = await interleave(Math.min(rounds, 5), curve);
    const flat = (name: string): number[] => ({ ...series, ...measured })[name]?.flat() ?? [];
    // Ratios pair by pair within a round: drift of the machine cancels.
    const ratio = (a: string, b: string): number =>
      median(flat(`${a}_texts_per_s`).map((value, index) => value / (flat(`${b}_texts_per_s`)[index] as number)));
    const names = [...Object.keys(contenders), ...Object.keys(curve)];
    return {
      figures: {
        bucketing_gain: ratio('bucketed', 'arrival_order'),
        ratio_vs_batch_one: ratio('bucketed', 'batch_one'),
        ...Object.fromEntries(names.map((name) => [name, median(flat(name))])),
      },
      samples: Object.fromEntries(names.map((name) => [name, flat(name)])),
    };
  },
};

/** Lengths uniform in their logarithm, as those of real texts are roughly: many short ones, a few long ones. */
function mixedTexts(count: number, seed: number): Int32Array[] {
  const random = new SeededRandom(1_000 + seed);
  const octaves = Math.log(LENGTH_MAX / LENGTH_MIN);
  return Array.from({ length: count }, (_, text) =>
    textOf(Math.round(LENGTH_MIN * Math.exp(octaves * random.next())), text),
  );
}

/** Ordinary word pieces between [CLS] and [SEP]. */
function textOf(length: number, text: number): Int32Array {
  const ids = Int32Array.from({ length }, (_, index) => 2000 + ((text * 911 + index * 37) % 20_000));
  ids[0] = 101;
  ids[length - 1] = 102;
  return ids;
}

function requestOf(model: InstalledModel, texts: readonly Int32Array[]) {
  const ids = new Int32Array(texts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const text of texts) {
    ids.set(text, at);
    at += text.length;
  }
  const lengths = Int32Array.from(texts, ({ length }) => length);
  return { model: model.ref, ids, lengths, pooling: 'mean', normalize: true } as const;
}

/** A runner process with MiniLM in it, asked directly: the engine's own, without the engine before it. */
class BenchRunner {
  readonly #process: RunnerProcess;
  readonly #model: InstalledModel;

  private constructor(process: RunnerProcess, model: InstalledModel) {
    this.#process = process;
    this.#model = model;
  }

  static async start(model: InstalledModel, threads: number): Promise<BenchRunner> {
    const child = new RunnerProcess(
      { clock: systemClock, log: silentLog, onLost: () => undefined, onGone: () => undefined },
      {
        nodePath: process.execPath,
        execArgv: [],
        entry: RUNNER_ENTRY,
        args: [],
        liveness: { intervalMs: 1_000, timeoutMs: 60_000 },
      },
    );
    const request = {
      model: model.ref,
      folder: model.folder,
      manifestJson: canonicalJson(model.manifest),
      threads,
      provider: 'cpu',
      device: '',
      verifyLarge: false,
      kvBytesMax: 0n,
      sequencesMax: 0,
      exact: false,
      decoderChecked: false,
      spareBytes: 0n,
      spin: true,
    };
    await child.client.call(RUNNER_METHODS.load, request, options()).response;
    return new BenchRunner(child, model);
  }

  async encode(texts: readonly Int32Array[]) {
    return this.#process.client.call(RUNNER_METHODS.encode, requestOf(this.#model, texts), options()).response;
  }

  /** Milliseconds in the runtime. */
  async runMs(texts: readonly Int32Array[]): Promise<number> {
    return (await this.encode(texts)).timing.computeMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}

/** The contender: whatever waits goes in order of arrival, up to the engine's limits, padded to its longest text. */
class ArrivalOrder {
  readonly #runner: BenchRunner;
  readonly #limits: BatchLimits;
  readonly #waiting: { readonly ids: Int32Array; resolve(vector: Float32Array): void; reject(error: unknown): void }[] =
    [];
  #calls = 0;
  #pumpQueued = false;

  constructor(runner: BenchRunner, limits: BatchLimits) {
    this.#runner = runner;
    this.#limits = limits;
  }

  encode(ids: Int32Array): Promise<Float32Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Float32Array>();
    this.#waiting.push({ ids, resolve, reject });
    this.#pump();
    return promise;
  }

  /** In the next turn of the loop, so that all that comes at once is there. */
  #pump(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    setImmediate(() => {
      this.#pumpQueued = false;
      while (this.#calls < CALLS_IN_FLIGHT_MAX && this.#waiting.length > 0) void this.#send();
    });
  }

  async #send(): Promise<void> {
    let width = 0;
    let rows = 0;
    for (const { ids } of this.#waiting) {
      width = Math.max(width, ids.length);
      if (rows > 0 && (rows === this.#limits.rowsMax || (rows + 1) * width > this.#limits.tokensMax)) break;
      rows++;
    }
    const batch = this.#waiting.splice(0, rows);
    this.#calls++;
    try {
      const { embeddings, dimensions } = await this.#runner.encode(batch.map(({ ids }) => ids));
      for (const [row, { resolve }] of batch.entries()) {
        resolve(embeddings.subarray(row * dimensions, (row + 1) * dimensions));
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#calls--;
    this.#pump();
  }
}

/** All contenders give the same vectors: a fast wrong answer is no contender. */
async function agree(calls: Record<string, (ids: Int32Array) => Promise<Float32Array>>): Promise<void> {
  const texts = mixedTexts(12, -1);
  const reference: Float32Array[] = [];
  for (const [who, call] of Object.entries(calls)) {
    const vectors = await Promise.all(texts.map((ids) => call(ids)));
    for (const [text, vector] of vectors.entries()) {
      reference[text] ??= vector;
      const other = reference[text];
      const difference = Math.max(...vector.map((value, index) => Math.abs(value - (other[index] as number))));
      if (vector.length !== other.length || !(difference < 1e-4)) {
        throw new Error(`${who} differs by ${difference} in text ${text}.`);
      }
    }
  }
}
