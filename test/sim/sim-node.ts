// A machine of a simulated world: an executor with so many slots, a queue by priority, models that come and go within its
// memory, and what it tells of itself – which is the truth unless it was made a liar.

import type { Priority } from '../../node/core/engine.ts';
import { QUEUE_LENGTH_MAX, QUEUE_MS_MAX, RESIDUAL_SAMPLES_MIN } from '../../node/engine/limits.ts';
import { LIVENESS } from '../../node/mesh/limits.ts';
import { quoteOf } from '../../node/scheduler/quote.ts';
import type { Advert, Load, ModelOffer } from '../../protocol/capability.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { EventKind, EventLog } from './event-log.ts';
import { Job, type JobOwner, Queue } from './sim-job.ts';
import { Holding, type Prepared, Recent, type WorkRef } from './sim-models.ts';
import { Line } from './sim-network.ts';
import { SimEvent, type VirtualClock } from './virtual-clock.ts';

export interface SimNodeSpec {
  readonly name: string;
  /** Divides a model's work. */
  readonly speed: number;
  /** Requests at once. */
  readonly slots: number;
  /** Round trip to it, [low, high], drawn once for each entry. */
  readonly rttMs: readonly [number, number];
  /** Of its line, each way. */
  readonly mbit: number;
  /** For models that are loaded. */
  readonly memoryMb: number;
  /** Models by id. */
  readonly loaded: readonly string[];
  readonly disk: readonly string[];
  /** Its clock is so many milliseconds ahead. @default 0 */
  readonly clockMs?: number;
}

/** What a node says and does that isn't so. Everything else about it stays true. */
export interface Lie {
  /** Says that its work takes so many times as long as it does: 0.01 boasts. */
  readonly claim?: number;
  /** Says that it is idle. */
  readonly idle?: boolean;
  /** Takes on whatever it was asked to decline: its quotes are never honoured. */
  readonly takesAll?: boolean;
  /** Declines whatever it may, and quotes next to nothing. */
  readonly declinesAll?: boolean;
  /** Acknowledges, and never answers. */
  readonly mute?: boolean;
}

/** Why work isn't taken in. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
}

/** Of what a running job was predicted to take, what is still expected of one that takes longer. */
const OVERDUE_SHARE = 0.25;
/** Of so many jobs that begin, one is of the batch class where that waits: nobody starves. */
const BATCH_EVERY = 4;
/** Others are told of a speed that differs by this factor from what they were told. */
const WORTH_TELLING = 1.25;
/** Work whose time doesn't depend on its size. */
const ONE_ITEM = { inputTokens: 1, outputTokens: 0, requestBytes: 0, answerBytes: 0, answerRows: 1 } as const;
/** Latencies between two medians of them. */
const LATENCY_EVERY = 4;

const HARDWARE = { platform: 'sim', arch: 'sim', cpuModel: 'sim', cpuCount: 1, memoryBytes: 0, devices: [] } as const;

export class SimNode {
  readonly id: NodeId;
  readonly index: number;
  readonly line: Line;
  readonly spec: SimNodeSpec;
  readonly holdings = new Map<string, Holding>();
  lie: Lie = {};
  /** `dead`: says nothing; `stopped`: neither, but goes on where it was. */
  state: 'up' | 'stopped' | 'dead' = 'up';
  incarnation: number;
  readonly running: Job[] = [];
  /** Calls that have left an entry for here, by whoever sends them. */
  readonly coming = new Set<{ readonly atMs: number; readonly work: WorkRef; readonly batch: boolean }>();
  readonly #clock: VirtualClock;
  readonly #log: EventLog;
  readonly #held: SimEvent[] = [];
  readonly #listeners: ((advert: Advert) => void)[] = [];
  readonly #latency = new Recent(LATENCY_EVERY);
  readonly #announcement: Announcement;
  #interactive = new Queue();
  #batch = new Queue();
  #waiting = 0;
  #waitingMs = 0;
  #sinceBatch = 0;
  #speed: number;
  #sequence = 0;
  #usedMb = 0;
  #offers: readonly ModelOffer[] | undefined;

  constructor(
    components: {
      readonly clock: VirtualClock;
      readonly log: EventLog;
      readonly models: ReadonlyMap<string, Prepared>;
    },
    spec: SimNodeSpec,
    index: number,
  ) {
    this.#clock = components.clock;
    this.#log = components.log;
    this.#announcement = new Announcement(() => this.#publish());
    this.spec = spec;
    this.id = spec.name;
    this.index = index;
    this.line = new Line(spec.mbit);
    this.#speed = spec.speed;
    this.incarnation = this.#wallNow();
    const hold = (id: string, state: 'disk' | 'loaded'): void => {
      const model = components.models.get(id);
      if (model === undefined) throw new RangeError(`There is no model ${id}.`);
      if (this.holdings.has(model.digest)) return;
      this.holdings.set(model.digest, new Holding(model, state, (holding) => this.#loaded(holding)));
      if (state === 'loaded') this.#usedMb += model.memoryMb;
    };
    for (const id of spec.loaded) hold(id, 'loaded');
    for (const id of spec.disk) hold(id, 'disk');
    for (const holding of this.holdings.values()) holding.toldMs = this.#computeMs(holding);
  }

  get speed(): number {
    return this.#speed;
  }

  get waitingCount(): number {
    return this.#waiting;
  }

  /** Nothing that it offers has to be loaded first. */
  get allLoaded(): boolean {
    for (const { state } of this.holdings.values()) if (state !== 'loaded') return false;
    return true;
  }

  /** Waiting jobs in the order in which they begin, were all batch work last. */
  *waiting(): Generator<Job> {
    yield* this.#interactive;
    yield* this.#batch;
  }

  /** What it told last, or would tell now. */
  advert(): Advert {
    return {
      node: this.id,
      name: this.spec.name,
      version: 'sim',
      incarnation: this.incarnation,
      sequence: this.#sequence,
      addresses: [],
      hardware: HARDWARE,
      offers: this.offers(),
      load: this.load(),
    };
  }

  /** Calls back with every new advert, when it leaves. */
  onAdvert(listener: (advert: Advert) => void): void {
    this.#listeners.push(listener);
  }

  offers(): readonly ModelOffer[] {
    if (this.#offers === undefined) {
      const offers: ModelOffer[] = [];
      for (const holding of this.holdings.values()) {
        const { model, state } = holding;
        offers.push({
          model: { id: model.id, digest: model.digest },
          task: 'feature-extraction',
          state,
          contextLength: 1 << 20,
          dimensions: model.embeddings.length,
          sizeBytes: model.memoryMb * 1e6,
          profile: {
            fixedMs: this.#computeMs(holding) * (this.lie.claim ?? 1),
            perTokenMs: 0,
            decodeMs: 0,
            loadMs: (model.loadMs / this.#speed) * (this.lie.claim ?? 1),
            samples: 32,
          },
          aliases: [],
        });
      }
      this.#offers = offers;
    }
    return this.#offers;
  }

  load(): Load {
    const memoryFreeBytes = Math.max(0, this.spec.memoryMb - this.#usedMb) * 1e6;
    if (this.lie.idle) return { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes };
    return {
      requestsInFlight: this.running.length + this.#waiting,
      queuedMs: this.#queuedMs(),
      latencyMs: this.#latency.median,
      memoryFreeBytes,
    };
  }

  /** Takes work in, or says why not. */
  take(
    owner: JobOwner,
    options: { readonly withinMs?: number | undefined; readonly priority?: Priority | undefined },
  ): Job | Refusal {
    const { work } = owner;
    const holding = this.holdings.get(work.digest);
    const refusal = this.#refusal(holding, options.withinMs);
    if (refusal !== undefined || holding === undefined) {
      this.#note('refused', work.request);
      return refusal ?? { code: 'model_not_found', message: `${work.id} is not here.`, facts: {} };
    }
    const nowMs = this.#clock.now();
    const predictedMs = this.#computeMs(holding) + (holding.wanted === 0 ? this.#loadMs(holding) : 0);
    const job = new Job(this, holding, owner, options.priority === 'batch', predictedMs, nowMs);
    holding.wanted++;
    this.#waiting++;
    this.#waitingMs += predictedMs;
    (job.batch ? this.#batch : this.#interactive).push(job);
    this.#note('taken', work.request);
    this.#next();
    return job;
  }

  /** Nobody waits for it any more: it never begins, or ends with the step that it is in. */
  cancel(job: Job): void {
    if (job.state === 'waiting') {
      job.state = 'over';
      job.holding.wanted--;
      this.#waiting--;
      this.#waitingMs -= job.predictedMs;
      this.#note('stopped', job.owner.work.request);
    } else if (job.state === 'running') {
      job.state = 'stopping';
      this.#pass(job);
      job.leftMs = Math.min(job.leftMs, job.holding.model.stepMs ?? 20);
      this.#plan(job);
    }
  }

  /** The end of a job that ran. Called by itself. */
  finish(job: Job): void {
    const { holding, owner } = job;
    const wanted = job.state === 'running';
    job.state = 'over';
    this.running.splice(this.running.indexOf(job), 1);
    holding.wanted--;
    holding.running--;
    this.#note(wanted ? 'done' : 'stopped', owner.work.request);
    if (wanted) {
      const nowMs = this.#clock.now();
      if (job.loadMs === 0) this.#latency.add(nowMs - job.arrivedMs);
      this.#measured(holding, nowMs - job.begunMs - job.loadMs);
    }
    this.#next();
    if (wanted && this.lie.mute !== true) owner.ended(job);
  }

  /** Runs at this speed from now on, what runs already included. */
  slow(speed: number): void {
    this.#retime(() => {
      this.#speed = speed;
    });
  }

  /** SIGSTOP: stands still with all that it has… */
  stop(): void {
    if (this.state !== 'up') return;
    this.#retime(() => {
      this.state = 'stopped';
    });
  }

  /** …SIGCONT: and goes on with it; what has arrived meanwhile is there. */
  cont(): void {
    if (this.state !== 'stopped') return;
    this.#retime(() => {
      this.state = 'up';
    });
    for (const event of this.#held.splice(0)) this.#clock.schedule(event, this.#clock.now());
  }

  /** Keeps what has arrived for a node that stands still. */
  hold(event: SimEvent): void {
    this.#held.push(event);
  }

  /** Its process is gone, and all its work. */
  die(): void {
    for (const job of [...this.running, ...this.waiting()]) {
      this.#clock.cancel(job);
      job.state = 'over';
    }
    for (const holding of this.holdings.values()) {
      this.#clock.cancel(holding);
      holding.wanted = holding.running = 0;
      holding.state = 'disk';
    }
    this.state = 'dead';
    this.running.length = this.#held.length = this.#waiting = this.#waitingMs = this.#usedMb = 0;
    this.#interactive = new Queue();
    this.#batch = new Queue();
    this.coming.clear();
    this.#clock.cancel(this.#announcement);
  }

  /** Its process is started again, with its models on disk. */
  rise(): void {
    if (this.state !== 'dead') return;
    this.state = 'up';
    this.incarnation = Math.max(this.incarnation + 1, this.#wallNow());
    this.#sequence = 0;
    this.#offers = undefined;
  }

  /** Publishes its advert soon: several changes in a row are sent as one. */
  announce(): void {
    this.#offers = undefined;
    if (this.state === 'dead' || this.#announcement.place >= 0) return;
    this.#clock.schedule(this.#announcement, this.#clock.now() + LIVENESS.announceMs);
  }

  #publish(): void {
    if (this.state === 'stopped') {
      this.hold(this.#announcement);
      return;
    }
    this.#sequence++;
    for (const holding of this.holdings.values()) holding.toldMs = this.#computeMs(holding);
    const advert = this.advert();
    for (const listener of this.#listeners) listener(advert);
  }

  #refusal(holding: Holding | undefined, withinMs: number | undefined): Refusal | undefined {
    if (holding === undefined) return undefined;
    if (this.spec.memoryMb < holding.model.memoryMb && holding.state !== 'loaded') {
      return { code: 'out_of_memory', message: 'The model is larger than the memory.', facts: {} };
    }
    const queuedMs = this.#queuedMs();
    if (this.running.length + this.#waiting >= QUEUE_LENGTH_MAX || queuedMs > QUEUE_MS_MAX) {
      const facts = { retryAfterMs: String(Math.max(1_000, Math.round(queuedMs / 2))) };
      return { code: 'overloaded', message: 'Too much waits here already.', facts };
    }
    if (withinMs === undefined || this.lie.takesAll) return undefined;
    const offer = this.offers().find(({ model }) => model.digest === holding.model.digest);
    const quotedMs = this.lie.declinesAll || offer === undefined ? 1 : quoteOf(ONE_ITEM, offer, this.load());
    if (quotedMs <= withinMs && this.lie.declinesAll !== true) return undefined;
    return { code: 'declined', message: 'It would take longer than asked.', facts: { quotedMs: String(quotedMs) } };
  }

  /** Predicted time until work that arrives now begins. */
  #queuedMs(): number {
    const free = this.spec.slots - this.running.length;
    if (free > 0) return 0;
    const nowMs = this.#clock.now();
    let ms = this.#waitingMs;
    for (const { predictedMs, begunMs } of this.running) {
      ms += Math.max(begunMs + predictedMs - nowMs, predictedMs * OVERDUE_SHARE);
    }
    return Math.max(0, ms / this.spec.slots);
  }

  #computeMs({ measured, model }: Holding): number {
    // As real nodes: what was measured before is corrected once there are enough samples to tell.
    return measured.count >= RESIDUAL_SAMPLES_MIN ? measured.median : model.workMs.median / this.#speed;
  }

  #loadMs({ state, model }: Holding): number {
    return state === 'loaded' ? 0 : model.loadMs / this.#speed;
  }

  #measured(holding: Holding, ms: number): void {
    if (!holding.measured.add(ms)) return;
    this.#offers = undefined;
    const now = this.#computeMs(holding);
    const { toldMs } = holding;
    if (Math.max(now, toldMs) > WORTH_TELLING * Math.min(now, toldMs)) this.announce();
  }

  /** Fills the slots. */
  #next(): void {
    while (this.state === 'up' && this.#waiting > 0 && this.running.length < this.spec.slots) {
      const turn = this.#sinceBatch >= BATCH_EVERY - 1;
      const [first, second] = turn ? [this.#batch, this.#interactive] : [this.#interactive, this.#batch];
      const job = first.shift() ?? second.shift();
      if (job === undefined) return;
      this.#sinceBatch = job.batch ? 0 : this.#sinceBatch + 1;
      this.#begin(job);
    }
  }

  #begin(job: Job): void {
    const nowMs = this.#clock.now();
    const { holding } = job;
    job.state = 'running';
    job.begunMs = job.sinceMs = holding.lastUsedMs = nowMs;
    this.#waiting--;
    this.#waitingMs = this.#waiting === 0 ? 0 : this.#waitingMs - job.predictedMs;
    this.running.push(job);
    holding.running++;
    let loadMs = 0;
    if (holding.state !== 'loaded') {
      if (holding.state === 'disk') this.#beginLoad(holding);
      this.#pass(holding);
      loadMs = holding.leftMs;
    }
    job.loadMs = loadMs / this.#speed;
    job.leftMs = loadMs + job.owner.work.workMs;
    this.#plan(job);
    this.#note('begun', job.owner.work.request);
  }

  #beginLoad(holding: Holding): void {
    const { model } = holding;
    for (const other of this.#leastRecentlyUsed(holding)) {
      if (this.#usedMb + model.memoryMb <= this.spec.memoryMb) break;
      this.#usedMb -= other.model.memoryMb;
      this.#clock.cancel(other);
      other.state = 'disk';
    }
    this.#usedMb += model.memoryMb;
    holding.state = 'loading';
    holding.leftMs = model.loadMs;
    holding.sinceMs = this.#clock.now();
    this.#plan(holding);
    this.announce();
  }

  /** Whom to unload first: models in use come last, and their work is ended all the same. */
  #leastRecentlyUsed(except: Holding): Holding[] {
    return [...this.holdings.values()]
      .filter((other) => other !== except && other.state !== 'disk')
      .sort((a, b) => Math.sign(a.running) - Math.sign(b.running) || a.lastUsedMs - b.lastUsedMs);
  }

  #loaded(holding: Holding): void {
    holding.state = 'loaded';
    this.announce();
  }

  get #rate(): number {
    return this.state === 'up' ? this.#speed : 0;
  }

  /** Counts what was done until now. */
  #pass(timed: Job | Holding): void {
    const nowMs = this.#clock.now();
    timed.leftMs = Math.max(0, timed.leftMs - (nowMs - timed.sinceMs) * this.#rate);
    timed.sinceMs = nowMs;
  }

  #plan(timed: Job | Holding): void {
    if (this.#rate > 0) this.#clock.schedule(timed, this.#clock.now() + timed.leftMs / this.#rate);
    else this.#clock.cancel(timed);
  }

  /** What runs goes on at another rate. */
  #retime(change: () => void): void {
    const timed = [...this.running, ...[...this.holdings.values()].filter(({ state }) => state === 'loading')];
    for (const one of timed) this.#pass(one);
    change();
    for (const one of timed) this.#plan(one);
    if (this.state === 'up') this.#next();
  }

  #wallNow(): number {
    return this.#clock.wallNow() + (this.spec.clockMs ?? 0);
  }

  #note(kind: EventKind, request: number): void {
    this.#log.note(kind, this.#clock.now(), this.id, this.index, request);
  }
}

/** An advert that leaves in a moment. */
class Announcement extends SimEvent {
  readonly #publish: () => void;

  constructor(publish: () => void) {
    super();
    this.#publish = publish;
  }

  fire(): void {
    this.#publish();
  }
}
