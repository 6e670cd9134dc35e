// Which nodes failed a moment ago, or declined whatever they were offered, as this node saw it: sooner than any advert says
// so. Read for every snapshot.
import type { ErrorCode } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import { keepNewest } from '../core/keep-newest.ts';
import { AVOID_DEFAULT_MS, AVOID_MS, DECLINER_AVOID_MS, DECLINES_IN_A_ROW_MAX, FAILED_NODES_MAX } from './limits.ts';

const NONE: ReadonlyMap<NodeId, string> = new Map();

interface Decliner {
  /** In a row, each of an offer that was made after the one before had come. */
  declines: number;
  lastMs: number;
  avoidMs: number;
}

export interface NodeHealthInit {
  /** @default DECLINES_IN_A_ROW_MAX */
  readonly declinesInARowMax?: number;
}

export class NodeHealth {
  readonly #clock: Clock;
  readonly #declinesInARowMax: number;
  /** In order of failure. */
  readonly #failures = new Map<NodeId, { readonly reason: string; readonly untilMs: number }>();
  /** In order of their first decline. */
  readonly #decliners = new Map<NodeId, Decliner>();

  constructor(components: { readonly clock: Clock }, init: NodeHealthInit = {}) {
    this.#clock = components.clock;
    this.#declinesInARowMax = init.declinesInARowMax ?? DECLINES_IN_A_ROW_MAX;
  }

  /** The node failed with this code: for a while it is asked only when no other is left. */
  failed(node: NodeId, code: ErrorCode): void {
    this.#avoid(node, `failed a moment ago (${code})`, AVOID_MS[code] ?? AVOID_DEFAULT_MS);
  }

  /**
   * The node declined. That is no failure, but one that does so time after time, whatever it tells of its load, would cost
   * every request a round trip.
   * @param offeredMs when the offer was made, by the clock
   */
  declined(node: NodeId, offeredMs: number): void {
    const nowMs = this.#clock.now();
    let decliner = this.#decliners.get(node);
    if (decliner === undefined) {
      decliner = { declines: 0, lastMs: Number.NEGATIVE_INFINITY, avoidMs: DECLINER_AVOID_MS.min };
      this.#decliners.set(node, decliner);
      keepNewest(this.#decliners, FAILED_NODES_MAX);
    }
    // Offers that were under way when it declined didn't know better.
    if (offeredMs >= decliner.lastMs) decliner.declines++;
    decliner.lastMs = nowMs;
    if (decliner.declines < this.#declinesInARowMax) return;
    this.#avoid(node, 'declined whatever it was offered', decliner.avoidMs);
    decliner.declines = 0;
    decliner.avoidMs = Math.min(DECLINER_AVOID_MS.max, decliner.avoidMs * 2);
  }

  /** The node did what it was asked for. */
  succeeded(node: NodeId): void {
    if (this.#failures.size > 0) this.#failures.delete(node);
    if (this.#decliners.size > 0) this.#decliners.delete(node);
  }

  /** Nodes to avoid now, each with the reason for people. */
  avoided(): ReadonlyMap<NodeId, string> {
    if (this.#failures.size === 0) return NONE;
    const now = this.#clock.now();
    const avoided = new Map<NodeId, string>();
    for (const [node, { reason, untilMs }] of this.#failures) {
      if (untilMs > now) avoided.set(node, reason);
      else this.#failures.delete(node);
    }
    return avoided;
  }

  #avoid(node: NodeId, reason: string, forMs: number): void {
    this.#failures.delete(node);
    this.#failures.set(node, { reason, untilMs: this.#clock.now() + forMs });
    keepNewest(this.#failures, FAILED_NODES_MAX);
  }
}
