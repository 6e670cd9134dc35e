// Everybody who is known, as the other layers see them: the directory's entries, how their connections stand, and what
// their links can do. The mesh owns one; it outlives stops and starts, what it holds doesn't.
import type { NodeId } from '../../protocol/ids.ts';
import { assert } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { PeerRecord } from '../core/mesh.ts';
import type { Connections } from './connections.ts';
import { Directory, type Entry } from './directory.ts';
import type { MeshLimits } from './limits.ts';
import { LinkEstimator } from './links.ts';
import { Notifier } from './notifier.ts';

export interface PeersComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Of the time between start and stop. */
  readonly connections: () => Connections | undefined;
}

export class Peers {
  readonly directory: Directory;
  readonly #components: PeersComponents;
  readonly #limits: MeshLimits;
  readonly #estimators = new Map<NodeId, LinkEstimator>();
  readonly #listeners: Notifier;
  #records: readonly PeerRecord[] | undefined;

  constructor(components: PeersComponents, init: { readonly limits: MeshLimits }) {
    this.#components = components;
    this.#limits = init.limits;
    this.directory = new Directory(components, init);
    this.#listeners = new Notifier(components);
  }

  /** A new array only when {@link changed} was called. */
  all(): readonly PeerRecord[] {
    this.#records ??= [...this.directory.entries()].map(({ node }) => this.#record(node));
    return this.#records;
  }

  connected(): readonly PeerRecord[] {
    return this.all().filter(({ state }) => state === 'connected');
  }

  get(node: NodeId): PeerRecord | undefined {
    return this.all().find(({ advert }) => advert.node === node);
  }

  /** What is measured of the way to a peer; kept over its connections. */
  estimatorOf(node: NodeId): LinkEstimator {
    let estimator = this.#estimators.get(node);
    if (estimator === undefined) {
      estimator = new LinkEstimator(this.#components, { limits: this.#limits });
      this.#estimators.set(node, estimator);
    }
    return estimator;
  }

  /** Takes over how a peer's connections stand. @returns true when it came back or came for the first time */
  updateState(node: NodeId): boolean {
    const state = this.#components.connections()?.state(node) ?? 'gone';
    const before = this.directory.get(node)?.state;
    if (!this.directory.setState(node, state)) return false;
    this.changed();
    return before === 'gone';
  }

  /** Forgets whom the test refuses. */
  retain(test: (node: NodeId) => boolean): void {
    for (const node of [...this.#estimators.keys()]) if (!test(node)) this.#estimators.delete(node);
    if (this.directory.retain(test)) this.changed();
  }

  /** Forgets peers that have been gone for long. */
  expire(): void {
    if (this.directory.expire()) this.changed();
  }

  /** The list is another one now: listeners hear of it. */
  changed(): void {
    this.#records = undefined;
    this.#listeners.notify();
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.subscribe(listener);
  }

  /** Own properties with getters: always fresh, and a spread copies them. */
  #record(node: NodeId): PeerRecord {
    const { clock, connections } = this.#components;
    const estimator = this.estimatorOf(node);
    const last = this.directory.get(node);
    assert(last !== undefined, 'records are made of entries');
    const entry = (): Entry => this.directory.get(node) ?? last;
    return {
      get advert() {
        return entry().advert;
      },
      get state() {
        return entry().state;
      },
      get link() {
        return estimator.estimate();
      },
      get load() {
        return entry().load;
      },
      get callsInFlight() {
        return connections()?.callsInFlight(node) ?? 0;
      },
      get heardAgoMs() {
        return clock.now() - Math.max(entry().heardMs, connections()?.heardMs(node) ?? 0);
      },
    };
  }
}
