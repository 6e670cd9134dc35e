// What nodes answered that declined one request: their quotes go into its next placement. A decline is no failure, but it
// is a word: one that can't be true, or that is broken, counts as a failure of its node, and nobody is asked for ever.
import type { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { DECLINE_LATE_MS, DECLINES_MAX } from './limits.ts';

/** A declined offer. */
export interface Declined {
  readonly node: NodeId;
  readonly error: WeftError;
  /** The condition that went with it; undefined = none. */
  readonly withinMs: number | undefined;
  /** From the offer to the decline. */
  readonly tookMs: number;
  /** Predicted, both ways. */
  readonly linkMs: number;
}

export class Quotes {
  readonly #declinesMax: number;
  #quoted: Map<NodeId, number> | undefined;
  #declines = 0;

  /** @param declinesMax after so many an offer has no condition any more. @default DECLINES_MAX */
  constructor(declinesMax = DECLINES_MAX) {
    this.#declinesMax = declinesMax;
  }

  /** By node, milliseconds; undefined while nobody declined. */
  get quoted(): ReadonlyMap<NodeId, number> | undefined {
    return this.#quoted;
  }

  /** Whether an offer may still have a condition. */
  get mayAsk(): boolean {
    return this.#declines < this.#declinesMax;
  }

  /** @returns false when it is to be taken for a failure of the node: nobody asked, it came late, or it broke its own quote */
  add({ node, error, withinMs, tookMs, linkMs }: Declined): boolean {
    const told = Number(error.facts.quotedMs ?? Number.NaN);
    if (withinMs === undefined || !(told >= 0) || tookMs > withinMs + 2 * linkMs + DECLINE_LATE_MS) return false;
    const before = this.#quoted?.get(node);
    if (before !== undefined && before <= withinMs) return false;
    this.#declines++;
    this.#quoted ??= new Map();
    // It said that it takes longer than asked: a quote below that would only attract the request again.
    this.#quoted.set(node, Math.max(told, withinMs));
    return true;
  }
}
