// Places every piece of work on the node that ends it soonest, and sees it through: a lost node is left out and the work
// placed again, a generation from the last token that came. Called by the coordinator.
import { type ErrorCode, toWeftError, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
  Timing,
} from '../../protocol/infer.ts';
import type { Plan } from '../../protocol/plan.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock, Random } from '../core/clock.ts';
import type {
  AvailableModel,
  Dispatcher,
  PlacedOptions,
  Placement,
  RemoteAnswer,
  RemoteAnswers,
} from '../core/dispatcher.ts';
import { DrainRate } from '../core/drain-rate.ts';
import type { Engine, LocalEngine, WorkOptions } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { Memory } from '../core/memory.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { RequestTrace } from '../core/trace.ts';
import { choose } from '../scheduler/choose.ts';
import type { WholePlan } from '../scheduler/policy.ts';
import { attempt } from './attempt.ts';
import { availableModels } from './available-models.ts';
import { Failures } from './failures.ts';
import { ATTEMPTS_MAX, BUDGET_DEFAULT_MS, EXPLORE_SHARE, REQUESTS_IN_FLIGHT_MAX } from './limits.ts';
import { NodeHealth } from './node-health.ts';
import { type AttemptTimes, spansOf } from './spans.ts';
import { EncodeWork, GenerateWork, RunWork, type Work } from './work.ts';

export interface MeshDispatcherComponents {
  readonly clock: Clock;
  readonly random: Pick<Random, 'next'>;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly mesh: Pick<Mesh, 'peers'>;
  readonly local: Pick<LocalEngine, keyof Engine | 'offers' | 'load'>;
  /** The engine of a peer. */
  readonly remote: (node: NodeId) => Engine;
  readonly memory: Memory;
}

export interface MeshDispatcherInit {
  /** Nodes that one request is tried on. @default ATTEMPTS_MAX */
  readonly attemptsMax?: number;
  /** Requests at once; one more is `overloaded`. @default REQUESTS_IN_FLIGHT_MAX */
  readonly inFlightMax?: number;
}

export class MeshDispatcher implements Dispatcher, RemoteAnswers {
  readonly #components: MeshDispatcherComponents;
  readonly #attemptsMax: number;
  readonly #inFlightMax: number;
  readonly #health: NodeHealth;
  readonly #drain: DrainRate;
  readonly #remoteListeners = new Set<(answer: RemoteAnswer) => void>();
  #inFlight = 0;

  constructor(components: MeshDispatcherComponents, init: MeshDispatcherInit = {}) {
    this.#components = components;
    this.#attemptsMax = init.attemptsMax ?? ATTEMPTS_MAX;
    this.#inFlightMax = init.inFlightMax ?? REQUESTS_IN_FLIGHT_MAX;
    this.#health = new NodeHealth(components);
    this.#drain = new DrainRate(components);
  }

  run(request: RunRequest, options: PlacedOptions): Promise<RunResult & Placement> {
    return this.#admit(options, (signal, untilMs) => this.#carryOut(new RunWork(request), options, signal, untilMs));
  }

  encode(request: EncodeRequest, options: PlacedOptions): Promise<EncodeResult & Placement> {
    return this.#admit(options, (signal, untilMs) => this.#carryOut(new EncodeWork(request), options, signal, untilMs));
  }

  generate(request: GenerateRequest, options: PlacedOptions, onTokens: OnTokens): Promise<GenerateResult & Placement> {
    return this.#admit(options, async (signal, untilMs) => {
      const session = this.#components.memory.open(options.requestId, request);
      try {
        return await this.#carryOut(new GenerateWork(request, session, onTokens), options, signal, untilMs);
      } finally {
        session.close();
      }
    });
  }

  models(): readonly AvailableModel[] {
    const { local, mesh } = this.#components;
    return availableModels({ node: local.node, offers: local.offers() }, mesh.peers());
  }

  inFlight(): number {
    return this.#inFlight;
  }

  onRemote(listener: (answer: RemoteAnswer) => void): () => void {
    this.#remoteListeners.add(listener);
    return () => this.#remoteListeners.delete(listener);
  }

  /** Counts a request in and out, and gives it a signal that also ends at its deadline. */
  async #admit<R>(options: PlacedOptions, work: (signal: AbortSignal, untilMs: number) => Promise<R>): Promise<R> {
    if (options.signal.aborted) throw toAbortError(options.signal);
    if (this.#inFlight >= this.#inFlightMax) {
      throw new WeftError({
        code: 'overloaded',
        message: `This node has ${this.#inFlightMax} requests in flight, as many as it takes.`,
        facts: { limit: String(this.#inFlightMax), retryAfterMs: String(this.#drain.retryAfterMs(this.#inFlight)) },
      });
    }
    const { clock } = this.#components;
    const budgetMs = options.budgetMs ?? BUDGET_DEFAULT_MS;
    const controller = new AbortController();
    const follow = (): void => controller.abort(options.signal.reason);
    options.signal.addEventListener('abort', follow, { once: true });
    const deadline = clock.after(budgetMs, () =>
      controller.abort(
        new WeftError({ code: 'deadline_exceeded', message: `No answer within ${Math.round(budgetMs)} ms.` }),
      ),
    );
    this.#inFlight++;
    try {
      return await work(controller.signal, clock.now() + budgetMs);
    } finally {
      this.#inFlight--;
      this.#drain.left();
      deadline.cancel();
      options.signal.removeEventListener('abort', follow);
    }
  }

  async #carryOut<R extends { readonly timing: Timing }>(
    work: Work<R>,
    options: PlacedOptions,
    signal: AbortSignal,
    untilMs: number,
  ): Promise<R & Placement> {
    const { clock, log, telemetry } = this.#components;
    const { requestId, trace } = options;
    const begunMs = clock.now();
    const failures = new Failures();
    const nodes: NodeId[] = [];
    for (let tried = 0; tried < this.#attemptsMax; tried++) {
      const plan = this.#place(work, failures);
      const engine = this.#engineOf(plan);
      if (nodes.at(-1) !== plan.node) nodes.push(plan.node);
      log.debug({ requestId, node: plan.node, price: plan.price, recovery: tried > 0 }, 'placed request');
      options.onPlan?.(plan);
      trace?.placed(plan);
      const progress = work.progress;
      const startMs = trace?.elapsedMs() ?? 0;
      let acknowledgedMs: number | undefined;
      const noted: Partial<WorkOptions> =
        trace === undefined
          ? {}
          : {
              traceParent: trace.traceParent,
              onAck: () => {
                acknowledgedMs = trace.elapsedMs();
              },
            };
      try {
        const result = await attempt(signal, (attemptSignal, abandon) => {
          const budgetMs = Math.max(1, untilMs - clock.now());
          return work.begin(engine, { signal: attemptSignal, requestId, budgetMs, ...noted }, abandon);
        });
        this.#health.succeeded(plan.node);
        this.#note(trace, plan, { timing: result.timing, startMs, acknowledgedMs });
        if (plan.kind === 'remote') this.#tellRemote(work, plan.node, clock.now() - begunMs);
        return { ...result, plan, nodes };
      } catch (error) {
        // Cancelled, as by a stop string, or failed: what was seen from here is all that is known of it.
        this.#note(trace, plan, { timing: undefined, startMs, acknowledgedMs });
        const failure = toWeftError(error);
        if (signal.aborted) throw toAbortError(signal);
        if (!mayGoElsewhere(failure, plan)) throw failure;
        log.warn({ requestId, node: plan.node, code: failure.code, error: failure }, 'node failed a request');
        this.#health.failed(plan.node, failure.code);
        failures.add(plan.node, failure, work.progress > progress);
        trace?.failed(plan.node, failure.code);
        telemetry.count('weft_recoveries_total', { method: work.method, reason: failure.code });
        const recovered = work.recovered(engine);
        if (recovered !== undefined) return { ...recovered, plan, nodes };
      }
    }
    throw failures.giveUp();
  }

  #tellRemote(work: Work<unknown>, node: NodeId, ms: number): void {
    const { inputTokens } = work.size();
    const answer = { model: work.model, node, ms, inputTokens, outputTokens: work.progress };
    for (const listener of this.#remoteListeners) {
      try {
        listener(answer);
      } catch (error) {
        // The answer is here: whoever only looks on must not fail it.
        this.#components.log.error({ error }, 'who watches remote answers has failed');
      }
    }
  }

  #note(
    trace: RequestTrace | undefined,
    { node, price }: WholePlan,
    seen: Pick<AttemptTimes, 'timing' | 'startMs' | 'acknowledgedMs'>,
  ): void {
    if (trace === undefined) return;
    const rttMs = this.#components.mesh.peers().find(({ advert }) => advert.node === node)?.link.rttMs;
    for (const span of spansOf({ ...seen, node, price, rttMs, endMs: trace.elapsedMs() })) trace.span(span);
  }

  /** @throws WeftError when no node is left */
  #place(work: Work<unknown>, failures: Failures): WholePlan {
    const { local, mesh, random } = this.#components;
    const snapshot = {
      self: { node: local.node, offers: local.offers(), load: local.load() },
      peers: mesh.peers(),
      avoided: this.#health.avoided(),
    };
    // A request that lost a node once has waited enough to be no one's first try.
    const explore = failures.count === 0 && random.next() < EXPLORE_SHARE;
    const request = { model: work.model, ...work.size(), explore };
    try {
      return choose({ ...request, excluded: failures.excluded() }, snapshot);
    } catch (error) {
      // A runner is started again at once: where nobody else can, its node is asked again.
      const second = failures.excludedInNeed();
      if (second === undefined) throw failures.giveUp(toWeftError(error));
      try {
        return choose({ ...request, excluded: second }, snapshot);
      } catch (cause) {
        throw failures.giveUp(toWeftError(cause));
      }
    }
  }

  #engineOf(plan: WholePlan): Engine {
    return plan.kind === 'local' ? this.#components.local : this.#components.remote(plan.node);
  }
}

/** Codes by which a peer says that its offer was out of date, or that it gave up a call which nobody here cancelled. */
const PEER_GAVE_UP: ReadonlySet<ErrorCode> = new Set(['cancelled', 'model_not_found']);

function mayGoElsewhere(failure: WeftError, plan: Plan): boolean {
  return failure.elsewhere || (plan.kind === 'remote' && PEER_GAVE_UP.has(failure.code));
}
