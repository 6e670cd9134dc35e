// A seeded world that runs the real dispatcher and scheduler: a virtual clock, machines with executors, links, faults and
// liars. The same seed and the same calls give the same events, whose hash tells.
import type { PlacedOptions } from '../../node/core/dispatcher.ts';
import { silentLog } from '../../node/core/log.ts';
import type { Telemetry } from '../../node/core/telemetry.ts';
import { MeshDispatcher } from '../../node/dispatch/mesh-dispatcher.ts';
import { SessionMemory } from '../../node/memory/sessions.ts';
import { RemoteEngine } from '../../node/mesh/remote-engine.ts';
import type { RoutingPolicy } from '../../node/scheduler/policy.ts';
import type { Advert } from '../../protocol/capability.ts';
import { toWeftError } from '../../protocol/errors.ts';
import { Draws } from './draws.ts';
import { type EventKind, EventLog, type OnEvent } from './event-log.ts';
import { LocalWork } from './sim-local.ts';
import { SimMesh } from './sim-mesh.ts';
import { ONE_TEXT, type Prepared, prepare, type SimModel, WorkRef } from './sim-models.ts';
import { type Lie, SimNode, type SimNodeSpec } from './sim-node.ts';
import { finishOf, oracle } from './sim-oracle.ts';
import { VirtualClock } from './virtual-clock.ts';

export type { SimModel } from './sim-models.ts';
export type { Lie, SimNodeSpec } from './sim-node.ts';

export interface WorldInit {
  readonly seed: number;
  readonly models: readonly SimModel[];
  /** Made for each entry. @default the dispatcher's own */
  readonly policy?: (entry: string) => RoutingPolicy;
  /** As the dispatcher's. */
  readonly hedgeShare?: number | undefined;
  readonly inFlightMax?: number | undefined;
  readonly attemptsMax?: number | undefined;
}

/** What became of a request. */
export interface Outcome {
  readonly ok: boolean;
  /** Of the error that the app got. */
  readonly code?: string;
  /** Who answered. */
  readonly node?: string;
  readonly latencyMs: number;
  /** Plans that were carried out, the first included. */
  readonly attempts: number;
}

/** As the app's: all but the signal is the dispatcher's. */
export type SubmitOptions = Partial<Omit<PlacedOptions, 'requestId' | 'trace'>>;

interface Entry {
  readonly node: SimNode;
  readonly mesh: SimMesh;
  readonly dispatcher: MeshDispatcher;
}

const NO_TELEMETRY: Telemetry = {
  count() {
    /* dropped */
  },
  observe() {
    /* dropped */
  },
  gauge() {
    /* dropped */
  },
  text: () => Promise.resolve(''),
};

export class World {
  readonly clock = new VirtualClock();
  readonly #init: WorldInit;
  readonly #log = new EventLog();
  readonly #models: ReadonlyMap<string, Prepared>;
  readonly #nodes = new Map<string, SimNode>();
  readonly #entries = new Map<string, Entry>();
  readonly #adverts = new Map<string, Advert>();
  #requests = 0;

  constructor(init: WorldInit) {
    this.#init = init;
    this.#models = new Map(init.models.map((model) => [model.id, prepare(model)]));
  }

  /** Of everything that has happened: 16 hex digits. */
  get eventHash(): string {
    return this.#log.hash;
  }

  /** Events that it is made of. */
  get events(): number {
    return this.#log.count;
  }

  /** Requests that were submitted; they are numbered from 0. */
  get requests(): number {
    return this.#requests;
  }

  /** Calls back for everything that happens. */
  onEvent(watcher: OnEvent): void {
    this.#log.watch(watcher);
  }

  /** A node that works for others. Before the clock has moved, everybody knows of it at once. @returns its id: its name */
  addNode(spec: SimNodeSpec): string {
    return this.#add(spec).id;
  }

  /** A node that takes requests from apps, and works for others too. @returns its id: its name */
  addEntry(spec: SimNodeSpec): string {
    const node = this.#add(spec);
    const { clock } = this;
    const draws = new Draws(this.#init.seed, `entry ${spec.name}`);
    const mesh = new SimMesh({ clock, log: this.#log, draws, node });
    const engines = new Map<string, RemoteEngine>();
    const local = new LocalWork(node, clock);
    const dispatcher = new MeshDispatcher(
      {
        clock,
        random: draws,
        log: silentLog,
        telemetry: NO_TELEMETRY,
        memory: new SessionMemory(),
        mesh,
        local,
        remote: (id) => {
          let engine = engines.get(id);
          if (engine === undefined) {
            engine = new RemoteEngine({ mesh }, { node: id });
            engines.set(id, engine);
          }
          return engine;
        },
      },
      this.#settings(node.id),
    );
    const atOnce = clock.now() === 0;
    for (const other of this.#nodes.values()) if (other !== node) mesh.meet(other, atOnce);
    this.#entries.set(node.id, { node, mesh, dispatcher });
    return node.id;
  }

  /**
   * Hands a request to an entry, now.
   * @param workMs how much work it is, in milliseconds at speed 1
   */
  async submit(entry: string, model: string, workMs: number, options?: SubmitOptions): Promise<Outcome> {
    const { dispatcher, node } = this.entry(entry);
    const { clock } = this;
    const request = this.#requests++;
    const begunMs = clock.now();
    let attempts = 0;
    const ref = new WorkRef(this.#model(model), workMs, request);
    this.#log.note('submitted', begunMs, node.id, node.index, request);
    const placed: PlacedOptions = {
      signal: NEVER,
      ...options,
      requestId: `req_${request}`,
      onPlan: (plan) => {
        attempts++;
        if (plan.kind === 'local' || plan.kind === 'remote') this.#note('placed', plan.node, request);
        options?.onPlan?.(plan);
      },
    };
    try {
      const encode = { model: ref, ids: ref.model.ids, lengths: ONE_TEXT, pooling: 'mean', normalize: false } as const;
      const result = await dispatcher.encode(encode, placed);
      return { ok: true, node: result.node, latencyMs: clock.now() - begunMs, attempts };
    } catch (error) {
      const { code } = toWeftError(error);
      // A bug of the world or of the code under test, not an outcome.
      if (code === 'internal') throw error;
      return { ok: false, code, latencyMs: clock.now() - begunMs, attempts };
    } finally {
      this.#log.note('outcome', clock.now(), node.id, node.index, request);
    }
  }

  /** The dispatcher of an entry, for what {@link submit} doesn't do. @throws RangeError */
  entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new RangeError(`There is no entry ${id}.`);
    return entry;
  }

  /** Its packets vanish, for ever: nobody is told. Not for entries, whose apps would be lost with them. */
  kill(node: string): void {
    this.#end(node).die();
  }

  /** Its process ends and its connections with it: who is connected hears of it. */
  reset(node: string): void {
    const ended = this.#end(node);
    for (const { mesh } of this.#entries.values()) mesh.linkTo(node)?.reset();
    ended.die();
  }

  /** After either: it is started again, with a new incarnation and its models on disk. */
  rise(node: string): void {
    this.#note('fault', node, -1);
    this.node(node).rise();
  }

  /** As {@link reset}, and {@link rise} after so many milliseconds. */
  restart(node: string, afterMs: number): void {
    this.reset(node);
    this.clock.after(afterMs, () => this.rise(node));
  }

  /** Somebody passes on what this node said before it was killed or restarted last. */
  ghost(node: string): void {
    this.#note('fault', node, -1);
    const advert = this.#adverts.get(node);
    if (advert === undefined) throw new RangeError(`${node} has not ended yet.`);
    for (const { mesh } of this.#entries.values()) mesh.linkTo(node)?.heardAdvert(advert);
  }

  /** Runs at this speed from now on. */
  slow(node: string, speed: number): void {
    this.#note('fault', node, -1);
    this.node(node).slow(speed);
  }

  /** Its line. @param change `rttMs` on top of every round trip; `mbit` each way */
  link(node: string, change: { readonly rttMs?: number; readonly mbit?: number }): void {
    this.#note('fault', node, -1);
    const { line } = this.node(node);
    if (change.rttMs !== undefined) line.addedRttMs = change.rttMs;
    if (change.mbit !== undefined) line.mbit = change.mbit;
  }

  /** SIGSTOP, and SIGCONT. Not for entries: what runs there runs on. */
  stop(node: string): void {
    this.#notEntry(node);
    this.#note('fault', node, -1);
    this.node(node).stop();
  }

  cont(node: string): void {
    this.#note('fault', node, -1);
    this.node(node).cont();
  }

  /** The link goes dead without a word, until {@link heal}. @param entry that of one entry only */
  silence(node: string, entry?: string): void {
    this.#note('fault', node, -1);
    for (const { wire } of this.#linksTo(node, entry)) wire.silence();
  }

  heal(node: string, entry?: string): void {
    this.#note('fault', node, -1);
    for (const { wire } of this.#linksTo(node, entry)) wire.heal();
  }

  /** Makes a liar of it, or with {} an honest node again. */
  lie(node: string, lie: Lie): void {
    this.#note('fault', node, -1);
    const liar = this.node(node);
    liar.lie = lie;
    liar.announce();
  }

  /** By the clock, when a request that leaves the entry now would be answered by this node; Infinity where never. */
  finishMs(entry: string, node: string, model: string, workMs: number): number {
    const reaches = this.entry(entry).mesh.reaches();
    const reach = reaches.find((one) => one.node.id === node);
    if (reach === undefined) return Number.POSITIVE_INFINITY;
    return finishOf(reach, this.#model(model), workMs, this.clock.now());
  }

  /** Sends each request where {@link finishMs} is least. */
  oracle(entry: string): RoutingPolicy {
    return oracle(
      () => this.clock.now(),
      entry,
      () => this.entry(entry).mesh.reaches(),
    );
  }

  /** Its executor, for whoever looks on. @throws RangeError */
  node(id: string): SimNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new RangeError(`There is no node ${id}.`);
    return node;
  }

  #add(spec: SimNodeSpec): SimNode {
    if (this.#nodes.has(spec.name)) throw new RangeError(`There is a node ${spec.name} already.`);
    const { clock } = this;
    const node = new SimNode({ clock, log: this.#log, models: this.#models }, spec, this.#nodes.size);
    this.#nodes.set(node.id, node);
    for (const { mesh } of this.#entries.values()) mesh.meet(node, clock.now() === 0);
    return node;
  }

  #settings(entry: string) {
    const { policy, hedgeShare, inFlightMax, attemptsMax } = this.#init;
    return {
      ...(policy === undefined ? {} : { policy: policy(entry) }),
      ...(hedgeShare === undefined ? {} : { hedgeShare }),
      ...(inFlightMax === undefined ? {} : { inFlightMax }),
      ...(attemptsMax === undefined ? {} : { attemptsMax }),
    };
  }

  #model(id: string): Prepared {
    const model = this.#models.get(id);
    if (model === undefined) throw new RangeError(`There is no model ${id}.`);
    return model;
  }

  /** @throws RangeError */
  #notEntry(id: string): void {
    if (this.#entries.has(id)) throw new RangeError(`${id} is an entry: its apps would be lost with it.`);
  }

  #end(id: string): SimNode {
    this.#notEntry(id);
    this.#note('fault', id, -1);
    const node = this.node(id);
    this.#adverts.set(id, node.advert());
    return node;
  }

  #linksTo(node: string, entry: string | undefined) {
    const entries = entry === undefined ? [...this.#entries.values()] : [this.entry(entry)];
    return entries.flatMap(({ mesh }) => mesh.linkTo(node) ?? []);
  }

  #note(kind: EventKind, node: string, request: number): void {
    this.#log.note(kind, this.clock.now(), node, this.node(node).index, request);
  }
}

const NEVER = new AbortController().signal;
