// Brings models here that requests keep asking other nodes for, where that ends sooner over the demand seen. What it
// brought it may delete again, to make room for another one; never what a person pulled, imported or pinned.

import type { InstalledModel } from '../../models/installed.ts';
import { sizeOf } from '../../models/manifest.ts';
import { toWeftError, type WeftError } from '../../protocol/errors.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import type { RemoteAnswer, RemoteAnswers } from '../core/dispatcher.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { PullOutcome } from '../core/library.ts';
import type { Log } from '../core/log.ts';
import type { LibraryStore } from './components.ts';
import { BRING_PAUSE_MS, DEMAND_MODELS_MAX, DEMAND_SAMPLES_MAX, DEMAND_WINDOW_MS, LEASE_PAUSE_MS } from './limits.ts';

/** Requests for one model that is not here, lately, and what only the library knows of it. */
export interface Demand {
  readonly model: ModelRef;
  /** Oldest first; at least one. */
  readonly requests: readonly (Omit<RemoteAnswer, 'model'> & { readonly agoMs: number })[];
  /** Of the model, bytes that are here already. */
  readonly heldBytes: number;
  /** Of brought models that would make room for it. */
  readonly evictableBytes: number;
  /** Milliseconds since this node deleted it for another one; undefined = never. */
  readonly leftAgoMs: number | undefined;
}

export interface BringVerdict {
  readonly bring: boolean;
  /** For the log. */
  readonly reason: string;
}

/** What the composition root knows of demand and use. */
export interface DemandComponents {
  readonly onRemote: RemoteAnswers['onRemote'];
  /** Whether a model shall be brought: prices both ways. */
  readonly decide: (demand: Demand) => BringVerdict;
  /**
   * Asks to be the one who brings it: waits until other nodes' claims are known. Gives what ends the claim, or undefined
   * where another brings it, or there are enough.
   * @default whoever wants to, does
   */
  readonly lease?: (digest: string, signal: AbortSignal) => Promise<(() => void) | undefined>;
  /** When it was last used here, in ms since 1970; undefined = not since the node started. */
  readonly lastUsedMs: (digest: string) => number | undefined;
  /** It is pinned, or works right now. */
  readonly inUse: (digest: string) => boolean;
}

export interface BringingComponents extends DemandComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Pick<LibraryStore, 'list' | 'byDigest' | 'origin' | 'remove'>;
  /** The setting `bring`, as it is now. */
  readonly allowed: () => boolean;
  readonly pull: (model: ModelRef, signal: AbortSignal) => Promise<PullOutcome>;
  /** Bytes of a model that are here already. */
  readonly heldBytes: (digest: string) => number;
  readonly letGo: (digest: string) => Promise<void>;
  readonly offer: (model: InstalledModel) => void;
}

interface Seen {
  readonly model: ModelRef;
  requests: (Omit<RemoteAnswer, 'model'> & { readonly at: number })[];
}

export class Bringing {
  readonly #components: BringingComponents;
  /** By digest; what was asked for least lately comes first. */
  readonly #seen = new Map<string, Seen>();
  /** Until when a model that could not be brought is left alone. */
  readonly #paused = new Map<string, number>();
  /** When a model was deleted for another one. */
  readonly #left = new Map<string, number>();
  readonly #controller = new AbortController();
  #unsubscribe: (() => void) | undefined;
  #bringing: Promise<void> | undefined;

  constructor(components: BringingComponents) {
    this.#components = components;
  }

  start(): void {
    this.#unsubscribe ??= this.#components.onRemote((seen) => this.#onRemote(seen));
  }

  /** Ends what it brings, and waits for that. */
  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#controller.abort();
    await this.#bringing;
  }

  #onRemote({ model, ...request }: RemoteAnswer): void {
    const { clock, store, allowed, decide } = this.#components;
    const { digest } = model;
    if (!allowed() || store.byDigest(digest) !== undefined) {
      this.#seen.delete(digest);
      return;
    }
    const now = clock.now();
    const seen = this.#seen.get(digest) ?? { model, requests: [] };
    this.#seen.delete(digest);
    this.#seen.set(digest, seen);
    seen.requests = [...seen.requests, { ...request, at: now }]
      .filter(({ at }) => now - at <= DEMAND_WINDOW_MS)
      .slice(-DEMAND_SAMPLES_MAX);
    keepNewest(this.#seen, DEMAND_MODELS_MAX);
    // One at a time: what is brought takes from the links that requests need.
    if (this.#bringing !== undefined || (this.#paused.get(digest) ?? now) > now) return;
    const { bring, reason } = decide(this.#demand(seen));
    if (!bring) return;
    this.#bringing = this.#bringLeased(model, reason).finally(() => {
      this.#bringing = undefined;
    });
  }

  #demand({ model, requests }: Seen): Demand {
    const { clock, heldBytes } = this.#components;
    const now = clock.now();
    const left = this.#left.get(model.digest);
    return {
      model,
      requests: requests.map(({ at, ...request }) => ({ ...request, agoMs: now - at })),
      heldBytes: heldBytes(model.digest),
      evictableBytes: this.#evictable(model.digest).reduce((sum, { manifest }) => sum + sizeOf(manifest), 0),
      leftAgoMs: left === undefined ? undefined : now - left,
    };
  }

  /** Models that were brought and may go. */
  #evictable(wanted: string): InstalledModel[] {
    const { store, inUse } = this.#components;
    return store
      .list()
      .filter(({ ref: { digest } }) => store.origin(digest)?.brought === true && digest !== wanted && !inUse(digest));
  }

  /** Never rejects. */
  async #bringLeased(model: ModelRef, reason: string): Promise<void> {
    const { clock, log, lease } = this.#components;
    const { id, digest } = model;
    // Only the end of the node ends the wait for a lease.
    const giveBack = lease === undefined ? () => undefined : await this.#leased(digest, lease);
    if (giveBack === undefined) {
      this.#paused.set(digest, clock.now() + LEASE_PAUSE_MS);
      keepNewest(this.#paused, DEMAND_MODELS_MAX);
      return;
    }
    log.info({ model: id, digest, reason }, 'brings a model here');
    try {
      await this.#bring(model);
    } finally {
      giveBack();
    }
  }

  #leased(digest: string, lease: NonNullable<DemandComponents['lease']>): Promise<(() => void) | undefined> {
    return lease(digest, this.#controller.signal).catch(() => undefined);
  }

  /** Never rejects. */
  async #bring(model: ModelRef): Promise<void> {
    const { clock, log, pull } = this.#components;
    const { signal } = this.#controller;
    this.#paused.delete(model.digest);
    for (;;) {
      try {
        await pull(model, signal);
        this.#seen.delete(model.digest);
        return;
      } catch (thrown) {
        const { code, message, facts } = toWeftError(thrown);
        if (
          !signal.aborted &&
          code === 'disk_full' &&
          this.#canFit(model.digest, facts) &&
          (await this.#makeRoom(model.digest))
        )
          continue;
        this.#paused.set(model.digest, clock.now() + BRING_PAUSE_MS);
        keepNewest(this.#paused, DEMAND_MODELS_MAX);
        log.warn({ model: model.id, digest: model.digest, code, reason: message }, 'a model could not be brought here');
        return;
      }
    }
  }

  /** Nothing is deleted for a model that is too large all the same. What the disk doesn't say, it is tried. */
  #canFit(wanted: string, { wantedBytes, freeBytes }: WeftError['facts']): boolean {
    if (wantedBytes === undefined || freeBytes === undefined) return true;
    const evictable = this.#evictable(wanted).reduce((sum, { manifest }) => sum + sizeOf(manifest), 0);
    return Number(wantedBytes) <= Number(freeBytes) + evictable;
  }

  /** Deletes the brought model that was used least lately. @returns false when there is none that may go */
  async #makeRoom(wanted: string): Promise<boolean> {
    const { clock, store, lastUsedMs, letGo, offer, log } = this.#components;
    const usedMs = ({ ref: { digest } }: InstalledModel): number =>
      lastUsedMs(digest) ?? store.origin(digest)?.atMs ?? 0;
    const [leaving] = this.#evictable(wanted).sort((a, b) => usedMs(a) - usedMs(b));
    if (leaving === undefined) return false;
    const { id, digest } = leaving.ref;
    try {
      await letGo(digest);
      const freedBytes = await store.remove(digest);
      this.#left.set(digest, clock.now());
      keepNewest(this.#left, DEMAND_MODELS_MAX);
      log.info({ model: id, digest, bytes: freedBytes }, 'deleted a model that was brought, for another one');
      return true;
    } catch (thrown) {
      if (store.byDigest(digest) !== undefined) offer(leaving);
      log.warn({ model: id, digest, reason: toWeftError(thrown).message }, 'a model that was brought stays');
      return false;
    }
  }
}
