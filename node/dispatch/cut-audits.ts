// Whether peers compute the parts of graphs that they answer for: now and then a part is run again on this node, after the answer
// is out, and compared. A peer that gives something else gets no more parts. Called by CutRun.
import { disagreement } from '../../models/onnx/cost/agreement.ts';
import { toWeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { RunRequest } from '../../protocol/infer.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import type { Clock } from '../core/clock.ts';
import type { Engine, LocalEngine } from '../core/engine.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import {
  AUDIT_BYTES_MAX,
  AUDIT_EVERY,
  AUDIT_MS_MAX,
  AUDIT_TOLERANCE,
  AUDITED_PARTS_MAX,
  DISTRUST_MS,
  DISTRUSTED_MAX,
} from './limits.ts';

export interface CutAuditsComponents {
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly local: Pick<Engine, 'run'> & Pick<LocalEngine, 'offers' | 'load'>;
}

export interface CutAuditsInit {
  /** Of the runs of one part on one peer the first is audited, and one of so many from then on; 0 = none. @default AUDIT_EVERY */
  readonly every?: number;
}

/** A part that a peer has run. */
export interface PeerPart {
  readonly node: NodeId;
  /** Without blocks: what was packed on its way differs by what its packing lost. */
  readonly request: RunRequest;
  readonly outputs: readonly NamedTensor[];
  /** Of its weights. */
  readonly weightBytes: () => number;
  /** Which one it is, among all parts of all models. */
  readonly key: string;
}

export class CutAudits {
  readonly #components: CutAuditsComponents;
  readonly #every: number;
  /** Runs by peer and part. */
  readonly #runs = new Map<string, number>();
  readonly #distrusted = new Map<NodeId, { readonly reason: string; readonly untilMs: number }>();
  /** One at a time: they are extra work. */
  #running = false;

  constructor(components: CutAuditsComponents, { every = AUDIT_EVERY }: CutAuditsInit = {}) {
    this.#components = components;
    this.#every = every;
  }

  /** Peers that gave a wrong result, with the reason for people. */
  distrusted(): ReadonlyMap<NodeId, string> {
    const nowMs = this.#components.clock.now();
    const kept = [...this.#distrusted].filter(([, { untilMs }]) => untilMs > nowMs);
    return new Map(kept.map(([node, { reason }]) => [node, reason]));
  }

  /** Counts the run, and audits it where it is its turn and this node has the graph, and room. Returns at once. */
  ran(part: PeerPart): void {
    const key = `${part.node} ${part.key}`;
    const runs = this.#runs.get(key) ?? 0;
    const isDue = this.#every > 0 && runs % this.#every === 0;
    // One that can't be audited now is the next time.
    if (isDue && !this.#mayAudit(part)) return;
    this.#runs.delete(key);
    this.#runs.set(key, runs + 1);
    keepNewest(this.#runs, AUDITED_PARTS_MAX);
    if (!isDue) return;
    this.#running = true;
    this.#audit(part).finally(() => {
      this.#running = false;
    });
  }

  #mayAudit({ request, outputs, weightBytes }: PeerPart): boolean {
    if (this.#running) return false;
    const { local } = this.#components;
    const bytes = [...request.inputs, ...outputs].reduce((sum, { data }) => sum + data.byteLength, 0);
    const isHere = local.offers().some(({ model }) => model.digest === request.model.digest);
    // Nothing that is used may have to leave the memory for it.
    return isHere && bytes <= AUDIT_BYTES_MAX && local.load().memoryFreeBytes > 2 * weightBytes();
  }

  async #audit({ node, request, outputs }: PeerPart): Promise<void> {
    const { clock, local, log, telemetry } = this.#components;
    const model = request.model.id;
    try {
      const { outputs: expected } = await local.run(request, {
        signal: new AbortController().signal,
        requestId: '',
        priority: 'batch',
        budgetMs: AUDIT_MS_MAX,
      });
      const given = new Map(outputs.map((tensor) => [tensor.name, tensor]));
      const difference = disagreement(expected, given, AUDIT_TOLERANCE);
      telemetry.count('weft_cut_audits_total', { result: difference === undefined ? 'same' : 'different' });
      if (difference === undefined) return;
      log.error(
        { node, model, difference },
        'a peer gave something else for a part of a graph than this node computes',
      );
      this.#distrusted.delete(node);
      const reason = `gave something else for a part of ${model} than this node computes: ${difference}`;
      this.#distrusted.set(node, { reason, untilMs: clock.now() + DISTRUST_MS });
      keepNewest(this.#distrusted, DISTRUSTED_MAX);
    } catch (error) {
      // This node had no time for it, or is stopping: the next turn will come.
      log.debug({ node, model, code: toWeftError(error).code }, 'a part was not audited');
    }
  }
}
