// Places every piece of work on the node that ends it soonest, and sees it through: a lost node is left out and the work
// placed again, a generation from the last token that came. Called by the coordinator.

import type { YieldReason } from '../../protocol/capability.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
} from '../../protocol/infer.ts';
import type { WholePlan } from '../../protocol/plan.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { CutTables } from '../core/cut-tables.ts';
import type {
  AvailableModel,
  ConsideredCut,
  Dispatcher,
  PlacedOptions,
  Placement,
  RemoteAnswer,
  RemoteAnswers,
  WorkRequests,
} from '../core/dispatcher.ts';
import { DrainRate } from '../core/drain-rate.ts';
import type { Engine, LocalEngine } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { Memory } from '../core/memory.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { RoutingPolicy } from '../scheduler/policy.ts';
import { weftPolicy } from '../scheduler/weft-policy.ts';
import { availableModels } from './available-models.ts';
import { CutAudits } from './cut-audits.ts';
import { Cutting } from './cutting.ts';
import { Delivery, type DeliveryComponents } from './delivery.ts';
import { dryRun } from './dry-run.ts';
import { Hedging } from './hedging.ts';
import { type Ended, Lessons } from './lessons.ts';
import { Lifetime } from './lifetime.ts';
import { ATTEMPTS_MAX, BUDGET_DEFAULT_MS, REQUESTS_IN_FLIGHT_MAX, SCATTER_ROWS_MIN, SILENT_MS_MIN } from './limits.ts';
import { NodeHealth } from './node-health.ts';
import { OutputLengths } from './output-lengths.ts';
import { PartMemory } from './part-memory.ts';
import { Placer } from './placer.ts';
import { PrefixMemory } from './prefix-memory.ts';
import { Residuals } from './residuals.ts';
import { spread } from './spread.ts';
import { WaitingRoom } from './waiting-room.ts';
import { EncodeWork, GenerateWork, RunWork, type Work } from './work.ts';

export interface MeshDispatcherComponents {
  readonly clock: Clock;
  readonly random: Pick<Random, 'next'>;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly mesh: Pick<Mesh, 'peers'>;
  readonly local: Pick<LocalEngine, keyof Engine | 'offers' | 'load'>;
  /** Where graphs of this node can be cut. @default none ever is */
  readonly cuts?: CutTables;
  /** The engine of a peer. */
  readonly remote: (node: NodeId) => Engine;
  /** Why this node would rather have others do it; asked for each placement. @default it wouldn't */
  readonly yields?: () => readonly YieldReason[];
  readonly memory: Memory;
}

export interface MeshDispatcherInit {
  /** Who chooses the nodes. @default weftPolicy */
  readonly policy?: RoutingPolicy;
  /** Share of requests that may be sent to a second node where the first shows nothing; 0 = none. @default HEDGE_SHARE */
  readonly hedgeShare?: number;
  /** Nodes that one request is tried on. @default ATTEMPTS_MAX */
  readonly attemptsMax?: number;
  /** Offers of one request that may be declined. @default DECLINES_MAX */
  readonly declinesMax?: number;
  /** Declines in a row after which a node is left alone. @default DECLINES_IN_A_ROW_MAX */
  readonly declinesInARowMax?: number;
  /** How long a peer may show nothing at least before another is asked. @default SILENT_MS_MIN */
  readonly silentMsMin?: number;
  /** Requests at once; one more is `overloaded`. @default REQUESTS_IN_FLIGHT_MAX */
  readonly inFlightMax?: number;
  /** As CutAuditsInit.every. @default AUDIT_EVERY */
  readonly auditEvery?: number;
}

export class MeshDispatcher implements Dispatcher, RemoteAnswers {
  readonly #components: MeshDispatcherComponents;
  readonly #init: MeshDispatcherInit;
  readonly #inFlightMax: number;
  readonly #health: NodeHealth;
  readonly #hedging: Hedging;
  readonly #lengths = new OutputLengths();
  readonly #placer: Placer;
  readonly #delivering: DeliveryComponents;
  readonly #cutting: Cutting;
  readonly #drain: DrainRate;
  readonly #remoteListeners = new Set<(answer: RemoteAnswer) => void>();
  #inFlight = 0;

  constructor(components: MeshDispatcherComponents, init: MeshDispatcherInit = {}) {
    this.#components = components;
    this.#init = init;
    this.#inFlightMax = init.inFlightMax ?? REQUESTS_IN_FLIGHT_MAX;
    this.#drain = new DrainRate(components);
    const { clock, log, telemetry } = components;
    const health = new NodeHealth(components, init);
    const hedging = new Hedging(init.hedgeShare);
    const prefixes = new PrefixMemory(components);
    const residuals = new Residuals(components);
    const lessons = new Lessons({ health, residuals, hedging, prefixes, lengths: this.#lengths });
    const placer = new Placer({ ...components, health, residuals, prefixes, policy: init.policy ?? weftPolicy });
    this.#health = health;
    this.#hedging = hedging;
    this.#placer = placer;
    this.#delivering = {
      clock,
      log,
      telemetry,
      placer,
      health,
      hedging,
      lessons,
      waiting: new WaitingRoom({ clock }),
      rttMs: this.#rttMs,
    };
    const { local, remote } = components;
    const { attemptsMax = ATTEMPTS_MAX, silentMsMin = SILENT_MS_MIN } = init;
    this.#cutting = new Cutting(
      {
        clock,
        log,
        telemetry,
        health,
        residuals,
        placer,
        cuts: components.cuts,
        parts: new PartMemory(components),
        audits: new CutAudits(components, { ...(init.auditEvery !== undefined && { every: init.auditEvery }) }),
        self: local.node,
        engineOf: (node) => (node === local.node ? local : remote(node)),
        rttMs: this.#rttMs,
      },
      { attemptsMax, silentMsMin },
    );
    telemetry.gauge('weft_prediction_error_ratio', () => lessons.predictionError());
  }

  run(request: RunRequest, options: PlacedOptions): Promise<RunResult & Placement> {
    return this.#admit(options, async (lifetime) => {
      const inParts = await this.#cut(request, options, lifetime);
      if (inParts !== undefined) return inParts;
      try {
        return await this.#deliver(new RunWork(request), options, lifetime);
      } catch (error) {
        const failure = toWeftError(error);
        if (failure.code !== 'out_of_memory') throw failure;
        // What fits nowhere whole may fit in parts.
        const inNeed = await this.#cut(request, options, lifetime, failure);
        if (inNeed !== undefined) return inNeed;
        throw failure;
      }
    });
  }

  encode(request: EncodeRequest, options: PlacedOptions): Promise<EncodeResult & Placement> {
    return this.#admit(options, async (lifetime) => {
      const many = request.lengths.length >= SCATTER_ROWS_MIN && options.rawLocal === undefined;
      const scattered = many ? await this.#spread(request, options, lifetime) : undefined;
      return scattered ?? this.#deliver(new EncodeWork(request), options, lifetime);
    });
  }

  generate(request: GenerateRequest, options: PlacedOptions, onTokens: OnTokens): Promise<GenerateResult & Placement> {
    return this.#admit(options, async (lifetime) => {
      const session = this.#components.memory.open(options.requestId, request);
      try {
        const expected = this.#lengths.expected(request.model.digest, request.maxNewTokens);
        return await this.#deliver(new GenerateWork(request, session, onTokens, expected), options, lifetime);
      } finally {
        session.close();
      }
    });
  }

  plan<Kind extends keyof WorkRequests>(
    kind: Kind,
    request: WorkRequests[Kind],
    { rawLocal }: Pick<PlacedOptions, 'rawLocal'> = {},
  ): WholePlan {
    return this.#placer.plan(dryRun(kind, request, this.#lengths), rawLocal !== undefined);
  }

  async planCut(
    request: RunRequest,
    options: Pick<PlacedOptions, 'cut' | 'rawLocal' | 'signal'>,
  ): Promise<ConsideredCut | undefined> {
    if (options.cut === undefined && options.rawLocal === undefined) return undefined;
    return this.#cutting.consider(request, { ...options, dryRun: true });
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

  /** Counts a request in and out, and bounds its time. */
  async #admit<R>(options: PlacedOptions, work: (lifetime: Lifetime) => Promise<R>): Promise<R> {
    const { signal, budgetMs = BUDGET_DEFAULT_MS, deadlineMs = Number.POSITIVE_INFINITY } = options;
    if (signal.aborted) throw toAbortError(signal);
    if (this.#inFlight >= this.#inFlightMax) {
      throw new WeftError({
        code: 'overloaded',
        message: `This node has ${this.#inFlightMax} requests in flight, as many as it takes.`,
        facts: { limit: String(this.#inFlightMax), retryAfterMs: String(this.#drain.retryAfterMs(this.#inFlight)) },
      });
    }
    const lifetime = new Lifetime(this.#components, { signal, budgetMs: Math.max(0, Math.min(budgetMs, deadlineMs)) });
    this.#inFlight++;
    this.#hedging.earn();
    try {
      return await work(lifetime);
    } finally {
      this.#inFlight--;
      this.#drain.left();
      lifetime.close();
    }
  }

  async #deliver<R extends Ended>(work: Work<R>, options: PlacedOptions, lifetime: Lifetime): Promise<R & Placement> {
    const { clock } = this.#components;
    const { deadlineMs } = options;
    const begunMs = clock.now();
    const delivery = new Delivery(this.#delivering, work, options, {
      lifetime,
      deadlineMs: deadlineMs === undefined ? undefined : begunMs + deadlineMs,
      attemptsMax: this.#init.attemptsMax ?? ATTEMPTS_MAX,
      declinesMax: this.#init.declinesMax,
      silentMsMin: this.#init.silentMsMin ?? SILENT_MS_MIN,
    });
    const result = await delivery.run();
    if (result.plan.kind === 'remote') this.#tellRemote(work, result.plan.node, clock.now() - begunMs);
    return result;
  }

  /** Undefined where the graph is to be run whole. @param tooLarge what every node said that was to run the whole */
  async #cut(
    request: RunRequest,
    options: PlacedOptions,
    lifetime: Lifetime,
    tooLarge?: WeftError,
  ): Promise<(RunResult & Placement) | undefined> {
    const controller = new AbortController();
    lifetime.watch({ end: (reason) => controller.abort(reason) });
    lifetime.alarm(Number.POSITIVE_INFINITY, () => undefined);
    try {
      const asked = { ...options, signal: controller.signal };
      return await this.#cutting.run(request, asked, { lifetime, tooLarge: tooLarge?.message });
    } catch (error) {
      if (lifetime.ended !== undefined) throw lifetime.ended;
      throw error;
    } finally {
      lifetime.watch(undefined);
    }
  }

  /** Undefined where one node alone does as well, or those that were asked could not. */
  async #spread(
    request: EncodeRequest,
    options: PlacedOptions,
    lifetime: Lifetime,
  ): Promise<(EncodeResult & Placement) | undefined> {
    const { clock, log, local, remote } = this.#components;
    const work = new EncodeWork(request);
    const controller = new AbortController();
    lifetime.watch({ end: (reason) => controller.abort(reason) });
    lifetime.alarm(Number.POSITIVE_INFINITY, () => undefined);
    const engineOf = (node: NodeId): Engine => (node === local.node ? local : remote(node));
    try {
      const plan = this.#placer.plan(work);
      return await spread({ clock, log, health: this.#health, engineOf }, request, plan, {
        placed: options,
        signal: controller.signal,
        budgetMs: lifetime.leftMs(),
      });
    } catch (error) {
      const failure = toWeftError(error);
      if (lifetime.ended !== undefined) throw lifetime.ended;
      if (!failure.elsewhere && failure.code !== 'no_capable_node') throw failure;
      return undefined;
    } finally {
      lifetime.watch(undefined);
    }
  }

  readonly #rttMs = (node: NodeId): number | undefined =>
    this.#components.mesh.peers().find(({ advert }) => advert.node === node)?.link.rttMs;

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
}
