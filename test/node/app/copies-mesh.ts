// A mesh of nodes that decide about copies by themselves: the real parts of node/app/copies.ts on one virtual clock, with
// engines that load in a fixed time and adverts that are delayed and lost as a seed says.
import { createCopies } from '../../../node/app/copies.ts';
import type { ReplicaSetting } from '../../../node/config/replicas.ts';
import type { LoadedModel } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import type { Advert, ModelIntent, ModelOffer } from '../../../protocol/capability.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { IDLE, offer, PROFILE, peer, SMOL } from '../scheduler/builders.ts';

export const LOAD_MS = 3_000;

export interface CopiesMeshInit {
  readonly nodes: number;
  readonly random: () => number;
  /** Share of adverts that don't arrive; a heartbeat tries again. */
  readonly lost?: number;
  /** Of an advert: least and most. */
  readonly delayMs?: readonly [number, number];
  readonly replicas?: readonly ReplicaSetting[];
  readonly leases?: boolean;
  /** Nodes that have the model in memory at the start. */
  readonly loaded?: number;
  readonly keepAliveMs?: number;
}

export class CopiesMesh {
  readonly clock = new VirtualClock();
  readonly nodes: SimNode[];
  /** When and where a load or an unload began. */
  readonly done: { readonly atMs: number; readonly node: string; readonly what: 'load' | 'unload' }[] = [];
  readonly init: CopiesMeshInit;
  replicas: readonly ReplicaSetting[];

  constructor(init: CopiesMeshInit) {
    this.init = init;
    this.replicas = init.replicas ?? [];
    this.nodes = Array.from({ length: init.nodes }, (_, at) => new SimNode(this, `node-${at}`));
    for (const node of this.nodes.slice(0, init.loaded ?? 0)) node.state = 'loaded';
    for (const node of this.nodes) node.start();
  }

  /** Copies in memory or on their way there, on nodes that live. */
  get copies(): number {
    return this.nodes.filter(({ alive, state }) => alive && state !== 'disk').length;
  }

  /** Longest time, up to now, that more than so many copies were there. */
  overMs(max: number, history: readonly { readonly atMs: number; readonly copies: number }[]): number {
    let longest = 0;
    let sinceMs: number | undefined;
    for (const { atMs, copies } of history) {
      if (copies <= max) sinceMs = undefined;
      else {
        sinceMs ??= atMs;
        longest = Math.max(longest, atMs - sinceMs);
      }
    }
    return longest;
  }

  /** Looks every so often at how many copies there are. */
  async watch(untilMs: number, everyMs = 100, each?: () => void): Promise<{ atMs: number; copies: number }[]> {
    const history: { atMs: number; copies: number }[] = [];
    while (this.clock.now() < untilMs) {
      await this.clock.run(Math.min(untilMs, this.clock.now() + everyMs));
      each?.();
      history.push({ atMs: this.clock.now(), copies: this.copies });
    }
    return history;
  }

  delayMs(): number {
    const [least, most] = this.init.delayMs ?? [5, 100];
    return least + this.init.random() * (most - least);
  }

  get isLost(): boolean {
    return this.init.random() < (this.init.lost ?? 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ copies }) => copies.replicas.stop()));
  }
}

export class SimNode {
  readonly #mesh: CopiesMesh;
  readonly id: string;
  readonly copies: ReturnType<typeof createCopies>;
  readonly #known = new Map<string, Advert>();
  readonly #listeners = new Set<() => void>();
  readonly pinned = new Set<string>();
  state: ModelOffer['state'] = 'disk';
  alive = true;
  /** False, set before the clock runs: it only says what a test lets it say. */
  decides = true;
  inFlight = 0;
  /** Claims beside its own: what a liar says. */
  lies: readonly ModelIntent[] = [];
  #advert: Advert | undefined;
  #announcing = false;
  #sequence = 0;
  #loading: Promise<void> | undefined;

  constructor(mesh: CopiesMesh, id: string) {
    this.#mesh = mesh;
    this.id = id;
    const { leases = true, keepAliveMs = 300_000 } = mesh.init;
    this.copies = createCopies(
      {
        clock: mesh.clock,
        log: silentLog,
        engine: {
          node: id,
          offers: () => [this.#offer()],
          load: () => IDLE,
          loaded: () => (this.state === 'disk' ? [] : [this.#loaded()]),
          ensureLoaded: () => this.load(),
          unload: async () => this.unload(),
        },
        mesh: () => ({
          peers: () => this.#peers(),
          onPeers: (listener) => {
            this.#listeners.add(listener);
            return () => this.#listeners.delete(listener);
          },
          announce: () => this.announce(),
        }),
        settings: () => ({ replicas: mesh.replicas, keepAliveMs }),
        keep: (digests) => {
          this.pinned.clear();
          for (const digest of digests) this.pinned.add(digest);
          if (this.pinned.size > 0) void this.load();
        },
        lends: () => true,
        pull: () => Promise.reject(new Error('nothing is fetched here')),
      },
      { leases },
    );
  }

  /** Adverts of all are known at the start, as after the first sync. */
  start(): void {
    const { clock, nodes, init } = this.#mesh;
    this.#publish();
    for (const other of nodes) if (other !== this && other.#advert) this.#known.set(other.id, other.#advert);
    for (const other of nodes) if (other !== this && this.#advert) other.#known.set(this.id, this.#advert);
    // Not all at the same time, but within a tick of each other.
    clock.after(init.random() * 50, () => {
      if (this.decides) this.copies.replicas.start();
    });
    this.#heartbeat();
  }

  load(): Promise<void> {
    if (this.state !== 'disk') return this.#loading ?? Promise.resolve();
    this.state = 'loading';
    this.#mesh.done.push({ atMs: this.#mesh.clock.now(), node: this.id, what: 'load' });
    this.announce();
    this.#loading = new Promise((resolve) => {
      this.#mesh.clock.after(LOAD_MS, () => {
        this.state = 'loaded';
        this.announce();
        resolve();
      });
    });
    return this.#loading;
  }

  unload(): boolean {
    if (this.state !== 'loaded') return false;
    this.state = 'disk';
    this.#mesh.done.push({ atMs: this.#mesh.clock.now(), node: this.id, what: 'unload' });
    this.announce();
    return true;
  }

  announce(): void {
    if (this.#announcing) return;
    this.#announcing = true;
    this.#mesh.clock.after(50, () => {
      this.#announcing = false;
      if (!this.alive) return;
      this.#publish();
      for (const other of this.#mesh.nodes) this.#tell(other);
    });
  }

  /** It is gone, and everybody sees that its connection is. */
  kill(): void {
    this.alive = false;
    void this.copies.replicas.stop();
    for (const other of this.#mesh.nodes) other.#changed();
  }

  #publish(): void {
    const { intents = [], demand = [] } = this.copies.said();
    this.#advert = {
      ...peer(this.id).advert,
      sequence: ++this.#sequence,
      offers: [this.#offer()],
      intents: [...intents, ...this.lies],
      demand,
    };
  }

  #tell(other: SimNode): void {
    const advert = this.#advert;
    if (other === this || advert === undefined || !this.alive || this.#mesh.isLost) return;
    this.#mesh.clock.after(this.#mesh.delayMs(), () => {
      if (!other.alive || (other.#known.get(this.id)?.sequence ?? 0) >= advert.sequence) return;
      other.#known.set(this.id, advert);
      other.#changed();
    });
  }

  #heartbeat(): void {
    this.#mesh.clock.after(500, () => {
      if (!this.alive) return;
      for (const other of this.#mesh.nodes) {
        if (other !== this && (other.#known.get(this.id)?.sequence ?? 0) < this.#sequence) this.#tell(other);
      }
      this.#heartbeat();
    });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #peers(): PeerRecord[] {
    return [...this.#known.values()].map((advert) => {
      const alive = this.#mesh.nodes.find(({ id }) => id === advert.node)?.alive === true;
      return { ...peer(advert.node), advert, state: alive ? 'connected' : 'gone' };
    });
  }

  #offer(): ModelOffer {
    return offer({ state: this.state, profile: { ...PROFILE, loadMs: LOAD_MS } });
  }

  #loaded(): LoadedModel {
    return {
      digest: SMOL.digest,
      id: SMOL.id,
      state: this.state === 'loading' ? 'loading' : 'loaded',
      pinned: this.pinned.has(SMOL.digest),
      requestsInFlight: this.inFlight,
      residentBytes: 300e6,
    } as LoadedModel;
  }
}
