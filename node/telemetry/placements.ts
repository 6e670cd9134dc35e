// One decision of a request, and what became of it: the attempt's spans as the parts that its plan had priced. Kept by traces.
import { type Plan, planNodes } from '../../protocol/plan.ts';
import type { PlanRecord } from '../../protocol/plan-record.ts';
import type { Measured, PlacementRecord, Span, SpanName } from '../core/trace.ts';

/** What a part of the price is called among spans. An acknowledgement comes while the work goes on: it is no part. */
const PARTS: Readonly<Partial<Record<SpanName, keyof Measured>>> = {
  up: 'upMs',
  queue: 'queueMs',
  load: 'loadMs',
  compute: 'computeMs',
  down: 'downMs',
};

export class KeptPlacement {
  readonly plan: Plan;
  readonly #atMs: number;
  readonly #measured: { -readonly [Part in keyof Measured]: Measured[Part] } = {};
  /** What the decision was made on, while there is room for it. */
  record: PlanRecord | undefined;

  /** @param atMs since the request began */
  constructor(plan: Plan, atMs: number) {
    this.plan = plan;
    this.#atMs = atMs;
  }

  /** Notes a part down. @returns false where it belongs to another placement, or is no part */
  take({ name, node, durationMs }: Span): boolean {
    const part = PARTS[name];
    if (part === undefined) return false;
    const nodes = planNodes(this.plan);
    if (!nodes.includes(node)) return false;
    const known = this.#measured[part];
    // Of one node there is one attempt; nodes that share the work do it side by side.
    if (known !== undefined && nodes.length === 1) return false;
    this.#measured[part] = Math.max(known ?? 0, durationMs);
    return true;
  }

  toRecord(): PlacementRecord {
    return { plan: this.plan, atMs: this.#atMs, record: this.record, measured: { ...this.#measured } };
  }
}
