// One worker of a batch: what it has, how fast it showed itself to be, and whether it is to be trusted with more. Kept by
// the scatter driver; all times come from there.
import type { ErrorCode, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { endsOf, type ItemRange, type WorkerState } from '../scheduler/scatter.ts';
import {
  CHUNKS_PER_WORKER_MAX,
  CLAIM_WEIGHT_MS,
  RATE_KEEP_SHARE,
  STALL_FIRST_MS,
  STALL_MS,
  STRIKES_MAX,
  STRUCK_PAUSE_MS,
  STRUCK_PAUSE_MS_MAX,
} from './limits.ts';

/** Items on their way, once, however many workers have them. */
export interface Chunk extends ItemRange {
  readonly weight: number;
  /** Runners that were lost with it. */
  losses: number;
  /** Who has it: two at most. */
  readonly copies: Copy[];
}

/** A chunk at one worker. */
export interface Copy {
  readonly chunk: Chunk;
  readonly lane: Lane;
  readonly sentMs: number;
  readonly controller: AbortController;
}

/** What the driver knows of a worker before it did anything. */
export interface LaneInit {
  readonly node: NodeId;
  /** Weight per millisecond, above 0: predicted. */
  readonly ratePerMs: number;
  /** Predicted: from the first chunk's sending until it is worked on. */
  readonly startsInMs: number;
  /** How many times as long as predicted it may be silent. */
  readonly stallFactor: number;
}

/** Codes after which a node is of no use for this batch, whatever else it could do. */
const GONE: ReadonlySet<ErrorCode> = new Set([
  'peer_lost',
  'peer_unreachable',
  'stopping',
  'not_a_member',
  'method_unknown',
  'model_not_found',
  'model_quarantined',
  'model_corrupt',
  'model_load_failed',
]);

export class Lane {
  readonly node: NodeId;
  readonly #startsInMs: number;
  readonly #stallFactor: number;
  /** In the order in which it got them. */
  readonly #open: Copy[] = [];
  /** Cancelled ones that it hasn't stopped yet, with the moment of their end. */
  readonly #stopping = new Map<Copy, number>();
  /** Decaying sums of what was done, and of the time that it took. */
  #weight: number;
  #ms = CLAIM_WEIGHT_MS;
  #measured = false;
  /** When something of it last came to an end. */
  #lastMs = Number.NEGATIVE_INFINITY;
  #strikes = 0;
  #struckMs = Number.NEGATIVE_INFINITY;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  /** It gets nothing more. */
  out = false;

  constructor(init: LaneInit) {
    this.node = init.node;
    this.#startsInMs = init.startsInMs;
    this.#stallFactor = init.stallFactor;
    this.#weight = init.ratePerMs * CLAIM_WEIGHT_MS;
  }

  get ratePerMs(): number {
    return this.#weight / this.#ms;
  }

  get open(): readonly Copy[] {
    return this.#open;
  }

  /** It could begin with something at once. */
  isIdle(nowMs: number): boolean {
    return this.#open.length + this.#stopping.size === 0 && this.#pausedUntilMs <= nowMs;
  }

  /** When each of its chunks should be done, in their order. */
  endsMs(nowMs: number): number[] {
    const weights = this.#open.map(({ chunk }) => chunk.weight);
    return endsOf(nowMs, this.#beganMs(nowMs), this.ratePerMs, weights);
  }

  state(nowMs: number): WorkerState {
    const busyUntilMs = this.endsMs(nowMs).at(-1) ?? nowMs + (this.#measured ? 0 : this.#startsInMs);
    // What doesn't stop when it is told to is taken to need as long again.
    const stoppingMs = Math.max(0, ...[...this.#stopping.values()].map((sinceMs) => nowMs - sinceMs));
    const paused = this.#pausedUntilMs > nowMs;
    return {
      ratePerMs: this.ratePerMs,
      measured: this.#measured,
      freeAtMs: Math.max(busyUntilMs + stoppingMs, this.#pausedUntilMs),
      open: this.#open.length + this.#stopping.size,
      // One by one until it has shown what it can do, and again after a failure until it has made good.
      openMax: paused ? 0 : this.#measured && this.#strikes === 0 ? CHUNKS_PER_WORKER_MAX : 1,
    };
  }

  /** When it is to be looked at again although nothing came from it; Infinity = never. */
  wakeMs(nowMs: number): number {
    if (this.#open.length > 0) return this.#stuckAtMs(nowMs);
    return this.#pausedUntilMs > nowMs ? this.#pausedUntilMs : Number.POSITIVE_INFINITY;
  }

  isStuck(nowMs: number): boolean {
    return this.#open.length > 0 && this.#stuckAtMs(nowMs) <= nowMs;
  }

  sent(copy: Copy): void {
    this.#open.push(copy);
  }

  /** It did what it was asked for. */
  done(copy: Copy, nowMs: number): void {
    // What came out of turn was worked on since the last one ended, together with the first.
    const tookMs = Math.max(0, nowMs - Math.max(copy.sentMs, this.#lastMs));
    this.#end(copy, nowMs);
    this.#weight = this.#weight * RATE_KEEP_SHARE + copy.chunk.weight;
    // A clock may not have moved: no rate is without end.
    this.#ms = this.#ms * RATE_KEEP_SHARE + Math.max(tookMs, Number.EPSILON * copy.chunk.weight);
    this.#measured = true;
    this.#strikes = 0;
  }

  /** It is not to go on with this, and keeps its place until it has stopped. */
  cancelled(copy: Copy, nowMs: number): void {
    this.#end(copy, nowMs);
    this.#stopping.set(copy, nowMs);
  }

  /** Something that was cancelled has come to its end. @returns false where it was none of that */
  stopped(copy: Copy, nowMs: number): boolean {
    if (!this.#stopping.delete(copy)) return false;
    this.#lastMs = nowMs;
    return true;
  }

  /** It failed with this. */
  failed(copy: Copy, nowMs: number, error: WeftError): void {
    this.#end(copy, nowMs);
    this.#strike(copy, nowMs, error);
  }

  /** It has been silent for too long: all that it has, which it is not to go on with. */
  stuck(nowMs: number, error: WeftError): readonly Copy[] {
    const [first] = this.#open;
    if (first === undefined) return [];
    // Whatever it gets next is expected to take so long again.
    this.#ms += Math.max(0, nowMs - Math.max(first.sentMs, this.#lastMs));
    this.#strike(first, nowMs, error);
    return this.leave(nowMs);
  }

  /** Cancels all that it has. */
  leave(nowMs: number): readonly Copy[] {
    const copies = [...this.#open];
    for (const copy of copies) this.cancelled(copy, nowMs);
    return copies;
  }

  #strike(copy: Copy, nowMs: number, error: WeftError): void {
    if (GONE.has(error.code)) this.out = true;
    // What it had beside that which failed last fails for the same reason, and counts once.
    if (copy.sentMs <= this.#struckMs) return;
    this.#struckMs = nowMs;
    this.#strikes++;
    if (this.#strikes >= STRIKES_MAX) this.out = true;
    const askedMs = Number(error.facts.retryAfterMs ?? 0);
    this.#pausedUntilMs = nowMs + Math.min(STRUCK_PAUSE_MS_MAX, askedMs > STRUCK_PAUSE_MS ? askedMs : STRUCK_PAUSE_MS);
  }

  #end(copy: Copy, nowMs: number): void {
    this.#open.splice(this.#open.indexOf(copy), 1);
    this.#lastMs = nowMs;
  }

  /** When it began with the first of what it has. */
  #beganMs(nowMs: number): number {
    const sentMs = this.#open[0]?.sentMs ?? nowMs;
    return this.#measured ? Math.max(sentMs, this.#lastMs) : sentMs + this.#startsInMs;
  }

  /** Only the first has a limit: the others wait for it. */
  #stuckAtMs(nowMs: number): number {
    const weight = this.#open[0]?.chunk.weight ?? 0;
    const startsInMs = this.#measured ? 0 : this.#startsInMs;
    const limitMs = (weight / this.ratePerMs + startsInMs) * this.#stallFactor;
    return this.#beganMs(nowMs) - startsInMs + limitMs + (this.#measured ? STALL_MS : STALL_FIRST_MS);
  }
}
