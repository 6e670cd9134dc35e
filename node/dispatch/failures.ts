// What went wrong so far with one request, on which node: whom to leave out next, and what to say when nobody is left.
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';

/** The node itself is well: its runner is being started again. What it worked on may be the reason. */
export const RUNNER_RESTARTS: ReadonlySet<ErrorCode> = new Set(['runner_lost', 'runner_timeout']);

/** Codes by which a peer says that its offer was out of date, or that it gave up a call which nobody here cancelled. */
export const PEER_GAVE_UP: ReadonlySet<ErrorCode> = new Set(['cancelled', 'model_not_found']);

/** Codes that tell the caller more than "no node is left" would: that it may come back, or what is broken. */
const SAYS_MORE: ReadonlySet<ErrorCode> = new Set([
  'overloaded',
  'quota_exceeded',
  'out_of_memory',
  'model_quarantined',
  'model_corrupt',
  'model_load_failed',
  'runner_lost',
  'runner_timeout',
]);

const soonest = (errors: readonly WeftError[]): WeftError =>
  errors.reduce((a, b) => (Number(b.facts.retryAfterMs) < Number(a.facts.retryAfterMs) ? b : a));

const NONE: ReadonlyMap<NodeId, string> = new Map();

export class Failures {
  readonly #failures: { readonly node: NodeId; readonly error: WeftError; readonly progressed: boolean }[] = [];

  get count(): number {
    return this.#failures.length;
  }

  /** @param progressed the attempt brought a part of the answer before it failed */
  add(node: NodeId, error: WeftError, progressed: boolean): void {
    this.#failures.push({ node, error, progressed });
  }

  /** Every node that failed, each with the reason for people. */
  excluded(): ReadonlyMap<NodeId, string> {
    if (this.#failures.length === 0) return NONE;
    return new Map(this.#failures.map(({ node, error }) => [node, `excluded after failure (${error.code})`]));
  }

  /**
   * As {@link excluded} without the nodes that may be asked again; undefined when there is none. Those are nodes whose
   * runner was lost once, or whenever it had brought the answer forward: a request that only kills runners gets two.
   */
  excludedInNeed(): ReadonlyMap<NodeId, string> | undefined {
    const excluded = new Map(this.excluded());
    const all = excluded.size;
    for (const node of [...excluded.keys()]) {
      const failures = this.#failures.filter((failure) => failure.node === node);
      const last = failures.at(-1);
      if (last === undefined || !RUNNER_RESTARTS.has(last.error.code)) continue;
      if (failures.length === 1 || last.progressed) excluded.delete(node);
    }
    return excluded.size < all ? excluded : undefined;
  }

  /**
   * The error that ends the request: the last failure that says more than that no node is left, else just that.
   * @param none what the scheduler said, where it found nobody
   */
  giveUp(none?: WeftError): WeftError {
    const last = this.#failures.at(-1)?.error;
    if (last === undefined) {
      return none ?? new WeftError({ code: 'no_capable_node', message: 'No node was asked.' });
    }
    const telling = this.#failures.filter(({ error }) => SAYS_MORE.has(error.code)).map(({ error }) => error);
    const latest = telling.at(-1);
    if (latest !== undefined) {
      // Several nodes are full: the caller may come back as soon as the first of them has room.
      const full = telling.filter(({ facts }) => facts.retryAfterMs !== undefined);
      return latest.facts.retryAfterMs === undefined ? latest : soonest(full);
    }
    const tried = this.#failures.map(({ node, error }) => `${node}: ${error.code}`).join('; ');
    return new WeftError(
      {
        code: 'no_capable_node',
        message: 'Every node of this mesh that could do it failed, or is gone.',
        facts: { ...none?.facts, tried },
      },
      { cause: last },
    );
  }
}
