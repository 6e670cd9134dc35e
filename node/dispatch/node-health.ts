// Which nodes failed a moment ago, as this node saw it: sooner than any advert says so. Read for every snapshot.
import type { ErrorCode } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import { AVOID_DEFAULT_MS, AVOID_MS, FAILED_NODES_MAX } from './limits.ts';

const NONE: ReadonlyMap<NodeId, string> = new Map();

export class NodeHealth {
  readonly #clock: Clock;
  /** In order of failure. */
  readonly #failures = new Map<NodeId, { readonly code: ErrorCode; readonly untilMs: number }>();

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock;
  }

  /** The node failed with this code: for a while it is asked only when no other is left. */
  failed(node: NodeId, code: ErrorCode): void {
    this.#failures.delete(node);
    this.#failures.set(node, { code, untilMs: this.#clock.now() + (AVOID_MS[code] ?? AVOID_DEFAULT_MS) });
    if (this.#failures.size <= FAILED_NODES_MAX) return;
    const [oldest] = this.#failures.keys();
    if (oldest !== undefined) this.#failures.delete(oldest);
  }

  /** The node did what it was asked for. */
  succeeded(node: NodeId): void {
    this.#failures.delete(node);
  }

  /** Nodes to avoid now, each with the reason for people. */
  avoided(): ReadonlyMap<NodeId, string> {
    if (this.#failures.size === 0) return NONE;
    const now = this.#clock.now();
    const avoided = new Map<NodeId, string>();
    for (const [node, { code, untilMs }] of this.#failures) {
      if (untilMs > now) avoided.set(node, `failed a moment ago (${code})`);
      else this.#failures.delete(node);
    }
    return avoided;
  }
}
