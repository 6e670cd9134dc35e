// How much longer than predicted work stays at peers: what is usual among all of them is no lie of one. Where requests differ
// a hundredfold, every queue is a surprise; where they don't, a queue that nobody could see is an excuse.
import type { NodeId } from '../../protocol/ids.ts';
import { PROMISE_FACTOR, SURPRISES_KEPT, SURPRISES_MIN } from './limits.ts';

/** Of other nodes' surprises, a queue that is believed is no greater than this share of them. */
const USUAL_QUANTILE = 0.95;

export class Surprises {
  readonly #nodes: NodeId[] = [];
  readonly #factors = new Float64Array(SURPRISES_KEPT);
  #next = 0;

  /** One answer of a peer. */
  note(node: NodeId, predictedMs: number, stayedMs: number): void {
    if (!(predictedMs > 0)) return;
    this.#nodes[this.#next] = node;
    this.#factors[this.#next] = stayedMs / predictedMs;
    this.#next = (this.#next + 1) % SURPRISES_KEPT;
  }

  /** How many times longer than predicted work may stay at this node and be believed: by what the others show. */
  patience(node: NodeId): number {
    const others = this.#factors.slice(0, this.#nodes.length).filter((_, at) => this.#nodes[at] !== node);
    if (others.length < SURPRISES_MIN) return PROMISE_FACTOR;
    others.sort();
    return Math.max(PROMISE_FACTOR, others[Math.floor(others.length * USUAL_QUANTILE)] ?? 0);
  }
}
