// Which parts of graphs ran where a moment ago: their sessions are loaded there still. Guesses, as those of prefixes are.
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import { keepNewest } from '../core/keep-newest.ts';
import { PART_HOLDERS_MAX, PART_KEPT_MS } from './limits.ts';

export class PartMemory {
  readonly #clock: Pick<Clock, 'now'>;
  /** When, in the order of their last use. */
  readonly #parts = new Map<string, { readonly node: NodeId; readonly atMs: number }>();

  constructor(components: { readonly clock: Pick<Clock, 'now'> }) {
    this.#clock = components.clock;
  }

  /** Segments [from, to) of the model's table have run there. */
  note(digest: string, node: NodeId, from: number, to: number): void {
    const key = keyOf(digest, node, from, to);
    this.#parts.delete(key);
    this.#parts.set(key, { node, atMs: this.#clock.now() });
    keepNewest(this.#parts, PART_HOLDERS_MAX);
  }

  holds(digest: string, node: NodeId, from: number, to: number): boolean {
    const part = this.#parts.get(keyOf(digest, node, from, to));
    return part !== undefined && this.#clock.now() - part.atMs < PART_KEPT_MS;
  }

  /** The node failed, or was started again. */
  forget(node: NodeId): void {
    for (const [key, part] of this.#parts) if (part.node === node) this.#parts.delete(key);
  }
}

const keyOf = (digest: string, node: NodeId, from: number, to: number): string => `${digest} ${node} ${from} ${to}`;
