// What the engine knows of its own speed: medians over recent warm work. Fed by the supervisor after every answer, read
// for offers (the scheduler's prices) and for the queue's predicted length.
import type { ServiceProfile } from '../../protocol/capability.ts';
import { PROFILE_SAMPLES } from './limits.ts';

const REFIT_EVERY = 8;

/** The last few numbers, and their median. */
export class RecentMedian {
  readonly #values: number[] = [];
  #next = 0;
  #median: number | undefined;

  add(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % PROFILE_SAMPLES;
    this.#median = undefined;
  }

  /** 0 while there is none. */
  get median(): number {
    this.#median ??= median(this.#values);
    return this.#median;
  }
}

/** The middle value; the lower one of two. 0 of none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? 0;
}

/** A line through measured times. */
export interface Line {
  readonly fixedMs: number;
  readonly perTokenMs: number;
}

/**
 * Theil–Sen: the median of the slopes between all pairs, then the median of what is left. A few disturbed samples move
 * it little. Where all samples have one size, their time counts as proportional to it.
 */
export function fitLine(samples: readonly { readonly tokens: number; readonly ms: number }[]): Line {
  const slopes: number[] = [];
  for (const [index, a] of samples.entries()) {
    for (const b of samples.slice(index + 1)) {
      if (a.tokens !== b.tokens) slopes.push((a.ms - b.ms) / (a.tokens - b.tokens));
    }
  }
  const perTokenMs = slopes.length > 0 ? Math.max(0, median(slopes)) : median(samples.map((s) => s.ms / s.tokens));
  return { perTokenMs, fixedMs: Math.max(0, median(samples.map(({ tokens, ms }) => ms - perTokenMs * tokens))) };
}

/** Speeds that differ by less are not worth another word to the whole mesh. */
const WORTH_TELLING = 1.25;
const TYPICAL_TOKENS = 64;

/** Whether others, who price by what they were told, should be told anew. */
export function worthTelling(told: ServiceProfile, now: ServiceProfile): boolean {
  const predicted = ({ fixedMs, perTokenMs }: ServiceProfile): number => fixedMs + perTokenMs * TYPICAL_TOKENS;
  return differs(predicted(told), predicted(now)) || differs(told.decodeMs, now.decodeMs);
}

function differs(a: number, b: number): boolean {
  return a === 0 || b === 0 ? a !== b : Math.max(a, b) / Math.min(a, b) > WORTH_TELLING;
}

/** The measured speed of one model on this node. */
export class ModelProfile {
  readonly #work: { tokens: number; ms: number }[] = [];
  readonly #decode = new RecentMedian();
  readonly #loads = new RecentMedian();
  #samples = 0;
  #line: Line | undefined;

  /** A batch, a prompt, or a run of any graph (one token), and its time in the runtime. */
  worked(tokens: number, ms: number): void {
    this.#work[this.#samples % PROFILE_SAMPLES] = { tokens: Math.max(1, tokens), ms };
    this.#samples++;
    // A fit sorts 496 slopes, and the queue's length is asked for with every answer: not anew for each sample.
    if (this.#samples <= REFIT_EVERY || this.#samples % REFIT_EVERY === 0) this.#line = undefined;
  }

  /** Tokens that followed the first one, and their time. */
  decoded(tokens: number, ms: number): void {
    if (tokens > 0) this.#decode.add(ms / tokens);
  }

  loaded(ms: number): void {
    this.#loads.add(ms);
  }

  /** Predicted time of work on so many tokens; 0 while nothing has been measured. */
  predictMs(tokens: number): number {
    const { fixedMs, perTokenMs } = this.#fit();
    return fixedMs + perTokenMs * tokens;
  }

  /** Per generated token. */
  get decodeMs(): number {
    return this.#decode.median;
  }

  snapshot(): ServiceProfile {
    return { ...this.#fit(), decodeMs: this.#decode.median, loadMs: this.#loads.median, samples: this.#samples };
  }

  #fit(): Line {
    this.#line ??= fitLine(this.#work);
    return this.#line;
  }
}
