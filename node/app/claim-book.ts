// Claims of this node and of others: published in adverts, so that two nodes don't do the same with a model at once. A claim
// is a lease without a keeper; who holds one waits until whoever might have made another one meanwhile has been heard.
import type { ModelIntent } from '../../protocol/capability.ts';
import { INTENTS_MAX } from '../../protocol/limits.ts';
import type { Clock } from '../core/clock.ts';
import { delay } from '../core/clock.ts';
import type { Mesh, PeerRecord } from '../core/mesh.ts';
import { type Claim, goesBefore, isVoid, settleMs } from '../scheduler/claims.ts';
import { CLAIM_BROKEN_MS } from '../scheduler/limits.ts';
import { isInMemory } from '../scheduler/replicas.ts';

type Kind = ModelIntent['kind'];

export interface ClaimBookComponents {
  readonly clock: Clock;
  readonly mesh: Pick<Mesh, 'self' | 'peers' | 'onPeers' | 'announce'>;
}

export interface ClaimBookInit {
  /** Off: nobody waits, and nobody's claim counts. For the test that shows what happens then. @default true */
  readonly leases?: boolean;
}

/** Told claims of a node, as of its advert. */
interface Told {
  readonly incarnation: number;
  readonly sequence: number;
  readonly atMs: number;
  readonly intents: readonly ModelIntent[];
}

export class ClaimBook {
  readonly #components: ClaimBookComponents;
  readonly #leases: boolean;
  readonly #own = new Map<string, { readonly digest: string; readonly kind: Kind; readonly atMs: number }>();
  readonly #told = new Map<string, Told>();
  /** Until when the claims of a node for a model are not believed. */
  readonly #broken = new Map<string, number>();
  #unsubscribe: (() => void) | undefined;

  constructor(components: ClaimBookComponents, init: ClaimBookInit = {}) {
    this.#components = components;
    this.#leases = init.leases ?? true;
  }

  start(): void {
    this.#unsubscribe ??= this.#components.mesh.onPeers(() => this.#look());
    this.#look();
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  /** For this node's advert. */
  intents(): readonly ModelIntent[] {
    const now = this.#components.clock.now();
    return [...this.#own.values()].map(({ digest, kind, atMs }) => ({ digest, kind, sinceMs: now - atMs }));
  }

  /** Publishes a claim; one that is there already stays as old as it is. @returns false when this node has too many */
  claim(kind: Kind, digest: string): boolean {
    const { clock, mesh } = this.#components;
    const key = keyOf(kind, digest);
    if (this.#own.has(key)) return true;
    if (this.#own.size >= INTENTS_MAX) return false;
    this.#own.set(key, { digest, kind, atMs: clock.now() });
    mesh.announce();
    return true;
  }

  withdraw(kind: Kind, digest: string): void {
    if (this.#own.delete(keyOf(kind, digest))) this.#components.mesh.announce();
  }

  /** Milliseconds until an own claim may be acted upon; 0 = now, undefined = there is none. */
  waitMs(kind: Kind, digest: string): number | undefined {
    const own = this.#own.get(keyOf(kind, digest));
    if (own === undefined) return undefined;
    return this.#leases ? Math.max(0, own.atMs + this.#settleMs() - this.#components.clock.now()) : 0;
  }

  /** Claims of others for a model that count: their owners are there, and they are neither too old nor of one who broke one. */
  others(digest: string): readonly Claim[] {
    if (!this.#leases) return [];
    const now = this.#components.clock.now();
    return this.#components.mesh.peers().flatMap(({ advert, state }) => {
      if (state === 'gone') return [];
      return this.#claimsOf(advert.node, now)
        .filter((claim) => claim.digest === digest && !isVoid(claim))
        .filter(({ kind }) => (this.#broken.get(`${keyOf(kind, digest)} ${advert.node}`) ?? now) <= now);
    });
  }

  /** Of them, those that go before this node's own claim. */
  before(kind: Kind, digest: string): readonly Claim[] {
    const { clock, mesh } = this.#components;
    const own = this.#own.get(keyOf(kind, digest));
    if (own === undefined) return this.others(digest);
    const mine: Claim = { node: mesh.self, kind, ageMs: clock.now() - own.atMs };
    const settledMs = this.#settleMs();
    return this.others(digest).filter((claim) => goesBefore(claim, mine, settledMs));
  }

  /**
   * Claims, waits, and looks who else did.
   * @param mayGo whether it may be done, given the claims that go before this one
   * @returns what gives the claim back, or undefined where another goes first
   * @throws the signal's reason
   */
  async take(
    kind: Kind,
    digest: string,
    { signal, mayGo }: { readonly signal: AbortSignal; readonly mayGo: (claims: readonly Claim[]) => boolean },
  ): Promise<(() => void) | undefined> {
    if (!mayGo(this.others(digest)) || !this.claim(kind, digest)) return undefined;
    const giveBack = (): void => this.withdraw(kind, digest);
    try {
      await delay(this.#components.clock, this.waitMs(kind, digest) ?? 0, signal);
    } catch (error) {
      giveBack();
      throw error;
    }
    if (mayGo(this.before(kind, digest))) return giveBack;
    giveBack();
    return undefined;
  }

  #settleMs(): number {
    const rtts = this.#components.mesh.peers().map(({ link, state }) => (state === 'gone' ? 0 : (link.rttMs ?? 0)));
    return settleMs(rtts.reduce((most, rtt) => Math.max(most, rtt), 0));
  }

  /** Notes when each advert came: its claims grow older from then on. */
  #look(): void {
    const now = this.#components.clock.now();
    const peers = this.#components.mesh.peers();
    const known = new Set(peers.map(({ advert }) => advert.node));
    for (const node of this.#told.keys()) if (!known.has(node)) this.#told.delete(node);
    for (const peer of peers) {
      const { node, incarnation, sequence, intents = [] } = peer.advert;
      const told = this.#told.get(node);
      if (told?.incarnation === incarnation && told.sequence === sequence) continue;
      this.#breakVoid(peer, now);
      if (intents.length === 0) this.#told.delete(node);
      else this.#told.set(node, { incarnation, sequence, intents, atMs: now });
      this.#breakVoid(peer, now);
    }
  }

  /** A claim that grew too old and came to nothing: its owner's next one for this model is not believed for a while. */
  #breakVoid({ advert: { node, offers } }: PeerRecord, now: number): void {
    for (const claim of this.#claimsOf(node, now).filter(isVoid)) {
      const { kind, digest } = claim;
      const state = offers.find(({ model }) => model.digest === digest)?.state;
      const inMemory = isInMemory(state);
      if (kind === 'load' ? inMemory : kind === 'pull' ? state !== undefined : !inMemory) continue;
      this.#broken.set(`${keyOf(kind, digest)} ${node}`, now + CLAIM_BROKEN_MS);
      for (const [key, untilMs] of this.#broken) {
        if (this.#broken.size > BROKEN_MAX || untilMs <= now) this.#broken.delete(key);
      }
    }
  }

  #claimsOf(node: string, now: number): readonly (Claim & { readonly digest: string })[] {
    const told = this.#told.get(node);
    if (told === undefined) return [];
    return told.intents.map(({ digest, kind, sinceMs }) => ({ node, digest, kind, ageMs: sinceMs + now - told.atMs }));
  }
}

const keyOf = (kind: Kind, digest: string): string => `${kind} ${digest}`;

/** Claims of others that are remembered as broken. */
const BROKEN_MAX = 1_024;
