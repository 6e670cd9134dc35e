// Sees one request through: places it, lets one node or two race for it, and places it again where they failed or declined.
// Made by MeshDispatcher for every request.
import type { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Timing } from '../../protocol/infer.ts';
import type { Plan, WholePlan } from '../../protocol/plan.ts';
import type { Clock } from '../core/clock.ts';
import type { PlacedOptions, Placement } from '../core/dispatcher.ts';
import type { WorkOptions } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { Failures, PEER_GAVE_UP } from './failures.ts';
import type { Hedging } from './hedging.ts';
import type { Ended, Lessons } from './lessons.ts';
import type { Lifetime } from './lifetime.ts';
import { CANCELLED_STOP_MS } from './limits.ts';
import type { NodeHealth } from './node-health.ts';
import type { Circumstances, Placed, Placer } from './placer.ts';
import { Quotes } from './quotes.ts';
import { Race, type Referee, type Won } from './race.ts';
import { spansOfTrial } from './spans.ts';
import type { Trial } from './trial.ts';
import type { WaitingRoom } from './waiting-room.ts';
import type { Beginner, Work } from './work.ts';

export interface DeliveryComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly placer: Placer;
  readonly health: NodeHealth;
  readonly hedging: Hedging;
  readonly lessons: Lessons;
  readonly waiting: WaitingRoom;
  /** Round trip to a peer, for its spans. */
  readonly rttMs: (node: NodeId) => number | undefined;
}

export interface DeliveryInit {
  readonly lifetime: Lifetime;
  /** By the clock; undefined = none. */
  readonly deadlineMs: number | undefined;
  readonly attemptsMax: number;
  readonly declinesMax: number | undefined;
  readonly silentMsMin: number;
}

export class Delivery<R extends Ended> implements Referee<R> {
  readonly #components: DeliveryComponents;
  readonly #init: DeliveryInit;
  readonly #work: Work<R>;
  readonly #options: PlacedOptions;
  readonly #failures = new Failures();
  readonly #quotes: Quotes;
  readonly #nodes: NodeId[] = [];
  /** What had come of the answer when the placement began. */
  #progress = 0;
  #last: Trial | undefined;
  /** Until a node was free. */
  #waitedMs = 0;
  /** A node may be free now. */
  readonly #lookAgain = (): void => this.#components.waiting.look();

  constructor(components: DeliveryComponents, work: Work<R>, options: PlacedOptions, init: DeliveryInit) {
    this.#components = components;
    this.#init = init;
    this.#work = work;
    this.#options = options;
    this.#quotes = new Quotes(init.declinesMax);
  }

  /** @throws WeftError when no node is left, or as the request is itself at fault or was ended */
  async run(): Promise<R & Placement> {
    const { clock, waiting } = this.#components;
    const { lifetime, attemptsMax, silentMsMin } = this.#init;
    while (this.#failures.count < attemptsMax) {
      const askedMs = clock.now();
      const first = this.#firstPlaced();
      const placed = first instanceof Promise ? await first : first;
      this.#waitedMs += clock.now() - askedMs;
      this.#progress = this.#work.progress;
      const race = new Race<R>({ clock }, { lifetime, referee: this, silentMsMin });
      const racing = race.run(placed, this.#hedgeAfterMs(placed));
      waiting.look();
      const won = await racing.finally(this.#lookAgain);
      if (won !== undefined) return this.#won(won);
      const recovered = this.#last === undefined ? undefined : this.#work.recovered(this.#last.placed.engine);
      if (recovered !== undefined) return this.#placement(recovered, this.#last as Trial);
    }
    throw this.#failures.giveUp();
  }

  /** Where it goes now; a request that nobody has seen yet may have to wait for that. */
  #firstPlaced(): Placed | Promise<Placed> {
    const { placer, waiting } = this.#components;
    const { lifetime } = this.#init;
    const look = (aheadMs: number): Placed => placer.place(this.#work, { ...this.#circumstances(), aheadMs });
    const isNew = this.#failures.count === 0 && this.#quotes.quoted === undefined && this.#work.progress === 0;
    if (!isNew) return placer.place(this.#work, this.#circumstances());
    return waiting.enter({
      digest: this.#work.model.digest,
      isBatch: this.#options.priority === 'batch',
      lifetime,
      look,
    });
  }

  begin(trial: Trial, beginner: Beginner): Promise<R> {
    const { log } = this.#components;
    const { requestId, priority, trace } = this.#options;
    const { plan, engine, record } = trial.placed;
    const failures = this.#failures.count;
    log.debug({ requestId, node: plan.node, price: plan.price, recovery: failures > 0 }, 'placed request');
    // What may be declined, or beaten, is told of once it is neither.
    if (plan.withinMs === undefined && !trial.isHedge) this.#tell(trial);
    if (trace !== undefined) {
      trial.traceStartMs = trace.elapsedMs();
      trace.placed(trial.isHedge ? this.#hedgedPlan(plan) : plan, record);
    }
    this.#last = trial;
    const options: WorkOptions = {
      signal: trial.controller.signal,
      requestId,
      budgetMs: this.#init.lifetime.leftMs(),
      ...(priority !== undefined && { priority }),
      ...(this.#waitedMs > 0 && { waitedMs: this.#waitedMs }),
      ...(plan.withinMs !== undefined && { withinMs: plan.withinMs }),
      ...(trace !== undefined && { traceParent: trace.traceParent }),
      ...(plan.kind === 'remote' && { onAck: trial.acknowledged }),
    };
    return this.#work.begin(engine, options, beginner);
  }

  claimed(trial: Trial): void {
    this.#last = trial;
    this.#tell(trial);
    this.#components.lessons.begun(this.#work, trial);
  }

  lost(trial: Trial): void {
    const { clock, health, hedging, lessons, log } = this.#components;
    const { node } = trial.placed.plan;
    hedging.settled(!trial.isHedge);
    this.#note(trial, undefined);
    lessons.outrun(this.#work, trial, clock.now());
    const deaf = clock.after(CANCELLED_STOP_MS, () => {
      log.warn({ requestId: this.#options.requestId, node }, 'node goes on with work that was cancelled');
      health.failed(node, 'peer_timeout');
    });
    trial.onStopped(() => deaf.cancel());
  }

  left(trial: Trial): void {
    this.#note(trial, undefined);
    this.#components.lessons.left(this.#work);
  }

  failed(trial: Trial, failure: WeftError): boolean {
    const { clock, health, lessons, log, telemetry } = this.#components;
    const { requestId, trace } = this.#options;
    const { plan } = trial.placed;
    const { node } = plan;
    // Failed, or given up: what was seen from here is all that is known of it.
    this.#note(trial, undefined);
    if (failure.code === 'declined' && this.#declined(trial, failure)) return true;
    if (!failure.elsewhere && !(plan.kind === 'remote' && PEER_GAVE_UP.has(failure.code))) return false;
    log.warn({ requestId, node, code: failure.code, error: failure }, 'node failed a request');
    if (failure.code === 'peer_timeout') lessons.outrun(this.#work, trial, clock.now());
    health.failed(node, failure.code);
    this.#failures.add(node, failure, this.#work.progress > this.#progress);
    if (!trial.isHedge) this.#tell(trial);
    trace?.failed(node, failure.code);
    telemetry.count('weft_recoveries_total', { method: this.#work.method, reason: failure.code });
    return true;
  }

  hedge(first: Trial): Placed | undefined {
    const { placer, hedging, waiting } = this.#components;
    // Whoever waits here for a free node comes before a second try.
    if (!hedging.mayHedge || waiting.size > 0) return undefined;
    return placer.placeHedge(this.#work, this.#circumstances(), [first.placed.plan.node]);
  }

  mayHedge(): boolean {
    if (!this.#components.hedging.spend()) return false;
    this.#components.telemetry.count('weft_hedges_total');
    return true;
  }

  #won({ trial, result }: Won<R>): R & Placement {
    const { clock, lessons, telemetry } = this.#components;
    this.#note(trial, result.timing);
    lessons.succeeded(this.#work, trial, result, clock.now());
    if (trial.isHedge) telemetry.count('weft_hedges_won_total');
    return this.#placement(result, trial);
  }

  #placement(result: R, { placed: { plan } }: Trial): R & Placement {
    return { ...result, plan, nodes: this.#nodes };
  }

  /** A node works on it: whoever asked hears of it. */
  #tell(trial: Trial): void {
    if (trial.told) return;
    trial.told = true;
    const { plan } = trial.placed;
    if (this.#nodes.at(-1) !== plan.node) this.#nodes.push(plan.node);
    this.#options.onPlan?.(plan);
  }

  #hedgedPlan({ kind: _kind, node, ...plan }: WholePlan): Plan {
    const first = this.#last;
    if (first === undefined) return { ...plan, kind: 'remote', node };
    const afterMs = this.#components.clock.now() - first.startMs;
    return { ...plan, kind: 'hedged', nodes: [first.placed.plan.node, node], afterMs };
  }

  /** @returns false when it is to count as a failure */
  #declined(trial: Trial, error: WeftError): boolean {
    const { clock, health, telemetry, log } = this.#components;
    const { node, price, withinMs } = trial.placed.plan;
    const tookMs = clock.now() - trial.startMs;
    const linkMs = price.upMs + price.downMs;
    telemetry.count('weft_declines_total');
    if (trial.firstMs !== undefined || !this.#quotes.add({ node, error, withinMs, tookMs, linkMs })) return false;
    log.debug({ requestId: this.#options.requestId, node, withinMs, quotedMs: error.facts.quotedMs }, 'node declined');
    health.declined(node, trial.startMs);
    return true;
  }

  #hedgeAfterMs({ plan, firstByteMs }: Placed): number {
    const { hedging } = this.#components;
    const { method, model } = this.#work;
    // A request that lost a node is in nobody's twentieth any more, and one node has nobody beside it.
    if (this.#failures.count > 0 || plan.others.length === 0 || !hedging.mayHedge) return Number.POSITIVE_INFINITY;
    return hedging.afterMs(method, model.digest, firstByteMs);
  }

  #circumstances(): Circumstances {
    const { deadlineMs } = this.#init;
    const begun = this.#work.progress > 0;
    return {
      failures: this.#failures,
      quotes: this.#quotes,
      // What has begun is gone on with until its time is over.
      leftMs: deadlineMs === undefined || begun ? undefined : deadlineMs - this.#components.clock.now(),
      recorded: this.#options.trace !== undefined,
      here: this.#options.rawLocal !== undefined,
    };
  }

  #note(trial: Trial, timing: Timing | undefined): void {
    const { trace } = this.#options;
    if (trace === undefined) return;
    const rttMs = this.#components.rttMs(trial.placed.plan.node);
    for (const span of spansOfTrial(trial, { timing, endMs: trace.elapsedMs(), rttMs })) trace.span(span);
  }
}
