// One model's measurement: does the steps that the plan names, through the engine's own port, and gathers what comes out.
// Made by the profiler. It may be interrupted after any step and goes on from there.
import type { InstalledModel } from '../../models/installed.ts';
import type { BatchPoint } from '../../protocol/capability.ts';
import type { Sampling } from '../../protocol/infer.ts';
import { type NamedTensor, tensorOf } from '../../protocol/tensor.ts';
import type { Clock } from '../core/clock.ts';
import type { WorkOptions } from '../core/engine.ts';
import type { DecodePoint, MeasurableEngine, MeasuredProfile, WorkPoint } from '../core/profile.ts';
import { PROFILE_STEP_MS_MAX } from './limits.ts';
import {
  ANSWER_TOKENS,
  inputShapes,
  ROW_TOKENS,
  SEQUENCE_PROMPT_TOKENS,
  type Step,
  sharedStepMs,
} from './measuring.ts';
import { median } from './profile.ts';

export interface MeasurementComponents {
  readonly clock: Pick<Clock, 'now' | 'after'>;
  readonly engine: Pick<MeasurableEngine, 'run' | 'encode' | 'generate'>;
}

/** What has been measured so far. */
export type Measured = Pick<MeasuredProfile, 'work' | 'decode' | 'batch'>;

/** Short runs are repeated: one may meet anything, of three the middle one is right. */
const RUNS = 3;

/** Ids of texts: an encoder's vocabulary is not in its manifest, and none is smaller. */
const TEXT_IDS_MAX = 100;

/** Drawn, not greedy: the likeliest tokens repeat themselves, and repetition is what drafts are made of. */
const SAMPLING: Sampling = { temperature: 1, topP: 1, topK: 40, seed: 1n };

export class Measurement {
  readonly #components: MeasurementComponents;
  readonly #installed: InstalledModel;
  #steps: readonly Step[];
  readonly #work: WorkPoint[] = [];
  readonly #decode: DecodePoint[] = [];
  readonly #batch: BatchPoint[] = [];
  #random: number;
  #requests = 0;

  constructor(
    components: MeasurementComponents,
    init: { readonly model: InstalledModel; readonly steps: readonly Step[] },
  ) {
    this.#components = components;
    this.#installed = init.model;
    this.#steps = [...init.steps];
    // The same model is always asked the same.
    this.#random = Number.parseInt(init.model.ref.digest.slice(-7), 16) | 1;
  }

  get measured(): Measured {
    return { work: [...this.#work], decode: [...this.#decode], batch: [...this.#batch] };
  }

  /**
   * Does all steps that are left, behind a short one that only warms up. One that takes too long is left out, with those
   * of its kind that are larger.
   * @throws WeftError `cancelled` when the signal aborts or the engine has other work; what else the engine throws
   */
  async run(signal: AbortSignal): Promise<void> {
    const [first] = this.#steps;
    if (first === undefined) return;
    if (!(await this.#inTime(signal, (either) => this.#warmUp(first, either)))) this.#steps = [];
    for (let step = this.#steps[0]; step !== undefined; step = this.#steps[0]) {
      const { kind } = step;
      const current = step;
      const inTime = await this.#inTime(signal, (either) => this.#do(current, either));
      const rest = this.#steps.slice(1);
      this.#steps = inTime ? rest : rest.filter((other) => other.kind !== kind);
    }
  }

  /** @returns false when it was ended because it took too long */
  async #inTime(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const overtime = new AbortController();
    const timer = this.#components.clock.after(PROFILE_STEP_MS_MAX, () => overtime.abort());
    try {
      await work(AbortSignal.any([signal, overtime.signal]));
      return true;
    } catch (error) {
      if (signal.aborted || !overtime.signal.aborted) throw error;
      return false;
    } finally {
      timer.cancel();
    }
  }

  async #warmUp({ kind }: Step, signal: AbortSignal): Promise<void> {
    if (kind === 'answer' || kind === 'sequences') await this.#answer(SEQUENCE_PROMPT_TOKENS, 2, signal);
    else if (kind === 'text' || this.#installed.manifest.task !== 'tensor') await this.#texts(1, ROW_TOKENS, signal);
    else await this.#rows(1, signal);
  }

  async #do(step: Step, signal: AbortSignal): Promise<void> {
    const isGraph = this.#installed.manifest.task === 'tensor';
    switch (step.kind) {
      case 'answer': {
        const { timing } = await this.#answer(step.context, ANSWER_TOKENS, signal);
        this.#work.push({ tokens: step.context, ms: timing.prefillMs });
        const ms = (timing.computeMs - timing.prefillMs) / (ANSWER_TOKENS - 1);
        if (ms > 0) this.#decode.push({ context: step.context + ANSWER_TOKENS / 2, ms });
        break;
      }
      case 'sequences': {
        const ms = await this.#sequences(step.size, signal);
        if (ms !== undefined) this.#batch.push({ size: step.size, ms });
        break;
      }
      case 'text':
        this.#work.push({ tokens: step.tokens, ms: await middle(() => this.#texts(1, step.tokens, signal)) });
        break;
      case 'rows': {
        const once = isGraph
          ? (): Promise<number> => this.#rows(step.size, signal)
          : (): Promise<number> => this.#texts(step.size, ROW_TOKENS, signal);
        const ms = await middle(once);
        if (isGraph && step.size === 1) this.#work.push({ tokens: 1, ms });
        this.#batch.push({ size: step.size, ms });
      }
    }
  }

  #answer(promptLength: number, maxNewTokens: number, signal: AbortSignal, onTokens: (count: number) => void = ignore) {
    const { ref, manifest } = this.#installed;
    const ids = this.#ids(promptLength, manifest.generation?.vocabularySize ?? TEXT_IDS_MAX);
    const request = { model: ref, ids, promptLength, maxNewTokens, stopIds: [], sampling: SAMPLING };
    return this.#components.engine.generate(request, this.#options(signal), (_first, drawn) => onTokens(drawn.length));
  }

  /** @returns milliseconds of a step of all of them; undefined where they didn't decode side by side */
  async #sequences(size: number, signal: AbortSignal): Promise<number | undefined> {
    // Where one fails, the others have nothing left to tell.
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const answers = Array.from({ length: size }, async () => {
      const times: number[] = [];
      const at = (count: number): void => {
        for (let token = 0; token < count; token++) times.push(this.#components.clock.now());
      };
      await this.#answer(SEQUENCE_PROMPT_TOKENS, ANSWER_TOKENS, either, at);
      return times;
    });
    try {
      return sharedStepMs(await Promise.all(answers));
    } finally {
      failed.abort();
      await Promise.allSettled(answers);
    }
  }

  /** @returns milliseconds in the runtime */
  async #texts(texts: number, tokens: number, signal: AbortSignal): Promise<number> {
    const { ref, manifest } = this.#installed;
    const ids = this.#ids(texts * tokens, TEXT_IDS_MAX);
    const lengths = new Int32Array(texts).fill(tokens);
    const { pooling = 'mean', normalize = false } = manifest.encoding ?? {};
    const request = { model: ref, ids, lengths, pooling, normalize };
    const { timing } = await this.#components.engine.encode(request, this.#options(signal));
    return timing.computeMs;
  }

  /** @returns milliseconds in the runtime */
  async #rows(rows: number, signal: AbortSignal): Promise<number> {
    const { ref, manifest } = this.#installed;
    const shapes = inputShapes(manifest.inputs, rows) ?? [];
    const inputs = manifest.inputs.map(({ name }, index): NamedTensor => {
      const dims = shapes[index] ?? [];
      const values = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
      return tensorOf(
        name,
        'float32',
        dims,
        values.map(() => this.#next() / 2 ** 31 - 1),
      );
    });
    const { timing } = await this.#components.engine.run({ model: ref, inputs, outputs: [] }, this.#options(signal));
    return timing.computeMs;
  }

  #options(signal: AbortSignal): WorkOptions {
    return {
      signal,
      requestId: `measure-${this.#installed.ref.digest.slice(-8)}-${this.#requests++}`,
      background: true,
    };
  }

  /** Fresh ids each time: none is a prefix of what has been computed before. */
  #ids(length: number, below: number): Int32Array {
    return Int32Array.from({ length }, () => this.#next() % below);
  }

  /** xorshift32 (Marsaglia, 2003): 1 to 2^32 − 1. */
  #next(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 0;
  }
}

function ignore(): void {
  // Only the answer's own timing is wanted.
}

async function middle(once: () => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) times.push(await once());
  return median(times);
}
