// How many requests nodes do at once, as far as they have shown it: one that says that nothing waits has room for one more than
// it has, one that says that something does has none. Called by the placer, for the node that was chosen.
import type { Load } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { keepNewest } from '../core/keep-newest.ts';
import { PLACES_NODES_MAX } from './limits.ts';

export class Places {
  readonly #known = new Map<NodeId, number>();

  /** Requests at once, by all that it has told. @param load its newest word */
  at(node: NodeId, { queuedMs, requestsInFlight }: Load): number {
    const before = this.#known.get(node) ?? 1;
    const places =
      queuedMs > 0 ? Math.min(before, Math.max(1, requestsInFlight)) : Math.max(before, requestsInFlight + 1);
    if (places !== before) {
      this.#known.delete(node);
      this.#known.set(node, places);
      keepNewest(this.#known, PLACES_NODES_MAX);
    }
    return places;
  }
}
