// What decisions were made on, within a bound over all requests: past it the oldest are dropped first. Used by traces.
import type { PlanRecord } from '../../protocol/plan-record.ts';
import type { KeptPlacement } from './placements.ts';

export class KeptRecords {
  readonly #nodesMax: number;
  /** Oldest first. */
  readonly #placements = new Set<KeptPlacement>();
  #nodes = 0;

  constructor(init: { readonly nodesMax: number }) {
    this.#nodesMax = init.nodesMax;
  }

  keep(placement: KeptPlacement, record: PlanRecord): void {
    placement.record = record;
    this.#placements.add(placement);
    this.#nodes += record.nodes.length;
    for (const oldest of this.#placements) {
      if (this.#nodes <= this.#nodesMax) return;
      this.drop(oldest);
    }
  }

  drop(placement: KeptPlacement): void {
    if (!this.#placements.delete(placement)) return;
    this.#nodes -= placement.record?.nodes.length ?? 0;
    placement.record = undefined;
  }
}
