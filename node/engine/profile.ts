// What the engine knows of its own speed: a measured claim, corrected by medians over recent warm work. Fed by the
// supervisor after every answer, read for offers (the scheduler's prices) and for the queue's predicted length.
import type { ServiceProfile } from '../../protocol/capability.ts';
import type { MeasuredProfile, ProfileReport, WorkPoint } from '../core/profile.ts';
import { decodeAt, residual, stepRatio, TYPICAL_CONTEXT } from './claim.ts';
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
export function fitLine(samples: readonly WorkPoint[]): Line {
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
  const newCurve = told.batch === undefined && now.batch !== undefined;
  return newCurve || differs(predicted(told), predicted(now)) || differs(told.decodeMs, now.decodeMs);
}

function differs(a: number, b: number): boolean {
  return a === 0 || b === 0 ? a !== b : Math.max(a, b) / Math.min(a, b) > WORTH_TELLING;
}

/** Where a decode speed was seen. */
export interface DecodeConditions {
  /** Tokens in front, on average. */
  readonly context: number;
  /** Sequences that shared the steps, on average. */
  readonly sequences: number;
}

interface DecodeSample {
  readonly ms: number;
  readonly at: DecodeConditions;
}

const ALONE: DecodeConditions = { context: TYPICAL_CONTEXT, sequences: 1 };

/**
 * The speed of one model on this node: what real requests show, or, once it has been measured, that claim corrected by
 * them.
 */
export class ModelProfile {
  readonly #work: WorkPoint[] = [];
  readonly #decode: DecodeSample[] = [];
  readonly #loads = new RecentMedian();
  #samples = 0;
  #answers = 0;
  #claim: MeasuredProfile | undefined;
  #line: Line | undefined;
  #decodeMs: number | undefined;

  /** A batch, a prompt, or a run of any graph (one token), and its time in the runtime. */
  worked(tokens: number, ms: number): void {
    this.#work[this.#samples % PROFILE_SAMPLES] = { tokens: Math.max(1, tokens), ms };
    this.#samples++;
    // A fit sorts 496 slopes, and the queue's length is asked for with every answer: not anew for each sample.
    if (this.#samples <= REFIT_EVERY || this.#samples % REFIT_EVERY === 0) this.#line = undefined;
  }

  /** Tokens that followed the first one, and their time. */
  decoded(tokens: number, ms: number, at: DecodeConditions = ALONE): void {
    if (tokens <= 0) return;
    this.#decode[this.#answers % PROFILE_SAMPLES] = { ms: ms / tokens, at };
    this.#answers++;
    this.#decodeMs = undefined;
  }

  loaded(ms: number): void {
    this.#loads.add(ms);
  }

  /** Takes a measurement for what it is: the best guess until real requests say otherwise. */
  claim(claim: MeasuredProfile): void {
    this.#claim = claim;
    this.#line = this.#decodeMs = undefined;
  }

  /** Predicted time of work on so many tokens; 0 while nothing has been measured. */
  predictMs(tokens: number): number {
    const { fixedMs, perTokenMs } = this.#fit();
    return fixedMs + perTokenMs * tokens;
  }

  /** Per generated token. */
  get decodeMs(): number {
    this.#decodeMs ??= this.#claimsDecode
      ? decodeAt(this.#claim?.decode ?? [], TYPICAL_CONTEXT) * this.#decodeRatio()
      : median(this.#decode.map(({ ms }) => ms));
    return this.#decodeMs;
  }

  snapshot(): ServiceProfile {
    const { work = [], decode = [], batch = [], loadMs = 0 } = this.#claim ?? {};
    const ratio = this.#claimsDecode ? this.#decodeRatio() : this.#workRatio();
    return {
      ...this.#fit(),
      decodeMs: this.decodeMs,
      loadMs: this.#loads.median || loadMs,
      samples: this.#samples + work.length + decode.length,
      ...(batch.length === 0 ? {} : { batch: batch.map(({ size, ms }) => ({ size, ms: ms * ratio })) }),
    };
  }

  report(): ProfileReport {
    return {
      claim: this.#claim,
      observed: {
        samples: this.#samples,
        answers: this.#answers,
        ...fitLine(this.#work),
        decodeMs: median(this.#decode.map(({ ms }) => ms)),
        loadMs: this.#loads.median,
        workRatio: this.#workRatio(),
        decodeRatio: this.#decodeRatio(),
      },
      offered: this.snapshot(),
    };
  }

  get #claimsWork(): boolean {
    return (this.#claim?.work.length ?? 0) > 0;
  }

  get #claimsDecode(): boolean {
    return (this.#claim?.decode.length ?? 0) > 0;
  }

  #fit(): Line {
    if (this.#line !== undefined) return this.#line;
    if (this.#claimsWork) {
      const { fixedMs, perTokenMs } = fitLine(this.#claim?.work ?? []);
      const ratio = this.#workRatio();
      this.#line = { fixedMs: fixedMs * ratio, perTokenMs: perTokenMs * ratio };
    } else this.#line = fitLine(this.#work);
    return this.#line;
  }

  #workRatio(): number {
    if (!this.#claimsWork) return 1;
    const { fixedMs, perTokenMs } = fitLine(this.#claim?.work ?? []);
    return residual(
      this.#work.map(({ tokens, ms }) => ms / (fixedMs + perTokenMs * tokens)),
      median,
    );
  }

  /** A step that is shared takes longer: what the measured curve says of that is no news. */
  #decodeRatio(): number {
    if (!this.#claimsDecode) return 1;
    const { decode = [], batch = [] } = this.#claim ?? {};
    return residual(
      this.#decode.map(({ ms, at }) => ms / (decodeAt(decode, at.context) * stepRatio(batch, at.sequences))),
      median,
    );
  }
}
