// Who is in the mesh and what each offers, by newest word. Fed by gossip, by what peers tell when they meet, and by the
// load in every answer. Holds no connection and no timer: the mesh tells it what happens.
import { type Advert, isNewer, type Load } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import type { PeerRecord } from '../core/mesh.ts';
import type { MeshLimits } from './limits.ts';

/** A peer as far as it is known. */
export interface Entry {
  readonly node: NodeId;
  advert: Advert;
  /** The peer said so itself: over its own connection, or signed by it. */
  firstHand: boolean;
  load: Load;
  state: PeerRecord['state'];
  /** When the peer itself was last heard, or first heard of, by the clock. */
  heardMs: number;
}

export class Directory {
  readonly #clock: Clock;
  readonly #limits: MeshLimits['directory'];
  readonly #entries = new Map<NodeId, Entry>();

  constructor(components: { readonly clock: Clock }, init: { readonly limits: MeshLimits }) {
    this.#clock = components.clock;
    this.#limits = init.limits.directory;
  }

  get(node: NodeId): Entry | undefined {
    return this.#entries.get(node);
  }

  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  /**
   * Takes an advert over if it is news: a later incarnation, or a later word of the same one. What others say of a peer
   * never replaces what it says itself while it is connected, so that no member can speak over another.
   * @returns true when the directory changed
   */
  accept(advert: Advert, source: { readonly firstHand: boolean }): boolean {
    const { firstHand } = source;
    const known = this.#entries.get(advert.node);
    if (known === undefined) {
      this.#makeRoom();
      if (this.#entries.size >= this.#limits.peersMax) return false;
      this.#entries.set(advert.node, {
        node: advert.node,
        advert,
        firstHand,
        load: advert.load,
        state: 'gone',
        heardMs: this.#clock.now(),
      });
      return true;
    }
    const hearsay = known.firstHand && !firstHand;
    if (hearsay && known.state !== 'gone') return false;
    const outranks = firstHand && !known.firstHand;
    if (!outranks && !isNewer(advert, known.advert)) return false;
    known.advert = advert;
    known.firstHand = firstHand;
    known.load = advert.load;
    if (firstHand) known.heardMs = this.#clock.now();
    return true;
  }

  /** Load that came with an answer of the peer. */
  setLoad(node: NodeId, load: Load): void {
    const known = this.#entries.get(node);
    if (known === undefined) return;
    known.load = load;
    known.heardMs = this.#clock.now();
  }

  /** @returns true when the state changed */
  setState(node: NodeId, state: PeerRecord['state']): boolean {
    const known = this.#entries.get(node);
    if (known === undefined || known.state === state) return false;
    if (known.state !== 'gone' || state === 'connected') known.heardMs = this.#clock.now();
    known.state = state;
    return true;
  }

  /** Forgets whom the test refuses. @returns true when somebody was */
  retain(test: (node: NodeId) => boolean): boolean {
    let changed = false;
    for (const node of [...this.#entries.keys()]) {
      if (!test(node)) changed = this.#entries.delete(node) || changed;
    }
    return changed;
  }

  /** Forgets peers that have been gone for long. @returns true when there was one */
  expire(): boolean {
    const beforeMs = this.#clock.now() - this.#limits.goneKeptMs;
    let changed = false;
    for (const entry of [...this.#entries.values()]) {
      if (entry.state === 'gone' && entry.heardMs < beforeMs) changed = this.#entries.delete(entry.node) || changed;
    }
    return changed;
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#limits.peersMax) return;
    const gone = [...this.#entries.values()].filter(({ state }) => state === 'gone');
    const oldest = gone.toSorted((a, b) => a.heardMs - b.heardMs)[0];
    if (oldest !== undefined) this.#entries.delete(oldest.node);
  }
}
