// Keeps as many copies of each model in memory as the demand pays for, within the owner's bounds: asks the scheduler every
// second what this node would do, claims it, waits until the others' claims are known, and does one thing at a time.
import { toWeftError } from '../../protocol/errors.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { LocalEngine } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { Mesh } from '../core/mesh.ts';
import { hasRoom, keptReplicas, type ReplicaBounds, type ReplicaWish, replicaWishes } from '../scheduler/replicas.ts';
import type { ClaimBook } from './claim-book.ts';
import type { ModelDemand } from './model-demand.ts';
import { ReplicaViews } from './replica-views.ts';

export interface ReplicasComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly mesh: Pick<Mesh, 'self' | 'peers' | 'announce'>;
  readonly engine: Pick<LocalEngine, 'offers' | 'load' | 'loaded' | 'ensureLoaded' | 'unload'>;
  readonly demand: Pick<ModelDemand, 'inAll' | 'seen' | 'isNews'>;
  readonly claims: ClaimBook;
  /** Of a model, by its id and short names, as the settings are now. */
  readonly bounds: (model: { readonly id: string; readonly aliases: readonly string[] }) => ReplicaBounds;
  /** How long an idle model stays, as the settings are now; Infinity = none leaves for lack of demand. */
  readonly keepAliveMs: () => number;
  /** These models stay in memory, whatever their keep-alive says. */
  readonly keep: (digests: readonly string[]) => void;
  /** Fetches a model of the mesh; undefined = this node fetches none. */
  readonly pull?: (model: ModelRef, signal: AbortSignal) => Promise<unknown>;
  /** False while nothing is loaded or fetched here for the mesh's sake. @default it always is */
  readonly lends?: () => boolean;
}

/** What the loop is about to do. */
interface Plan {
  readonly wish: ReplicaWish;
  readonly sinceMs: number;
}

export class Replicas {
  readonly #components: ReplicasComponents;
  readonly #views: ReplicaViews;
  readonly #controller = new AbortController();
  /** Until when a model that could not be loaded or fetched is left alone. */
  readonly #paused = new Map<string, number>();
  #kept: readonly string[] = [];
  #plan: Plan | undefined;
  #acting: Promise<void> | undefined;
  #timer: Timer | undefined;
  #running = false;

  constructor(components: ReplicasComponents) {
    this.#components = components;
    this.#views = new ReplicaViews(components);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#components.claims.start();
    this.#later();
  }

  /** Ends what it does, and waits for that. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    this.#controller.abort();
    this.#components.claims.stop();
    await this.#acting;
  }

  /**
   * Asks to be the one who fetches a model.
   * @returns what ends the claim; undefined where another goes first, or there are as many copies as the owner wants
   * @throws the signal's reason
   */
  lease(digest: string, signal: AbortSignal): Promise<(() => void) | undefined> {
    const { claims } = this.#components;
    return claims.take('pull', digest, {
      signal,
      mayGo: (others) => {
        const view = this.#views.look(digest);
        if (view === undefined) return false;
        const { copies, bounds } = view;
        // One after the other: the next one decides by what the last one changed.
        return hasRoom({ kind: 'pull', copies: Math.min(bounds.max, copies.length + 1) }, view, others);
      },
    });
  }

  #later(): void {
    this.#timer = this.#components.clock.after(TICK_MS, () => {
      if (!this.#running) return;
      try {
        this.#tick();
      } catch (error) {
        this.#components.log.error({ error }, 'the copies of models could not be looked at');
      }
      this.#later();
    });
  }

  #tick(): void {
    const { clock, mesh, demand } = this.#components;
    const snapshot = this.#views.snapshot();
    this.#keep(keptReplicas(snapshot));
    if (demand.isNews) mesh.announce();
    if (this.#acting !== undefined) return;
    const now = clock.now();
    for (const [digest, untilMs] of this.#paused) if (untilMs <= now) this.#paused.delete(digest);
    const lends = this.#components.lends?.() !== false;
    const wishes = replicaWishes(snapshot).filter(({ digest, kind }) => {
      const mayHave = kind === 'unload' || (lends && (kind !== 'pull' || this.#components.pull !== undefined));
      return mayHave && !this.#paused.has(digest);
    });
    this.#step(wishes, now);
  }

  /** One step towards what is most urgent: hesitate, claim, wait, act. */
  #step(wishes: readonly ReplicaWish[], now: number): void {
    const { claims } = this.#components;
    const last = this.#plan;
    const same = last && wishes.find(({ kind, digest }) => kind === last.wish.kind && digest === last.wish.digest);
    if (last !== undefined && same === undefined) this.#drop(last.wish);
    const wish = same ?? wishes.find((one) => this.#hasRoom(one, claims.others(one.digest)));
    if (wish === undefined) return;
    const { kind, digest, hesitateMs } = wish;
    const sinceMs = last !== undefined && same !== undefined ? last.sinceMs : now;
    this.#plan = { wish, sinceMs };
    const waitMs = claims.waitMs(kind, digest);
    if (waitMs === undefined) {
      if (now - sinceMs < hesitateMs) return;
      if (!this.#hasRoom(wish, claims.others(digest)) || !claims.claim(kind, digest)) this.#drop(wish);
      // Without leases nobody waits.
      else if (claims.waitMs(kind, digest) === 0) this.#begin(wish);
    } else if (waitMs === 0) {
      if (this.#hasRoom(wish, claims.before(kind, digest))) this.#begin(wish);
      else this.#drop(wish);
    }
  }

  #hasRoom(wish: ReplicaWish, claims: ReturnType<ClaimBook['others']>): boolean {
    const view = this.#views.of(wish.digest);
    return view !== undefined && hasRoom(wish, view, claims);
  }

  #drop({ kind, digest }: ReplicaWish): void {
    this.#plan = undefined;
    this.#components.claims.withdraw(kind, digest);
  }

  #begin(wish: ReplicaWish): void {
    this.#plan = undefined;
    this.#acting = this.#act(wish).finally(() => {
      this.#acting = undefined;
    });
  }

  /** Never rejects. */
  async #act({ kind, digest, evict, reason }: ReplicaWish): Promise<void> {
    const { clock, log, engine, claims, pull } = this.#components;
    const { signal } = this.#controller;
    const model = this.#views.refOf(digest);
    try {
      log.info({ model: model.id, digest, reason }, DONE[kind]);
      if (kind === 'unload') {
        await engine.unload(digest);
        this.#views.letGo(digest);
        return;
      }
      if (kind === 'pull') await pull?.(model, signal);
      for (const other of evict) {
        await engine.unload(other);
        this.#views.letGo(other);
      }
      await engine.ensureLoaded(digest, { signal });
    } catch (thrown) {
      this.#paused.set(digest, clock.now() + PAUSE_MS);
      const { code, message } = toWeftError(thrown);
      if (!signal.aborted) log.warn({ model: model.id, digest, code, reason: message }, 'a copy did not come about');
    } finally {
      claims.withdraw(kind, digest);
    }
  }

  #keep(digests: readonly string[]): void {
    if (digests.join() === this.#kept.join()) return;
    this.#kept = digests;
    this.#components.keep(digests);
  }
}

const DONE = {
  load: 'loads another copy',
  pull: 'fetches another copy',
  unload: 'lets its copy go',
} as const satisfies Record<ReplicaWish['kind'], string>;

/** Between two looks. */
const TICK_MS = 1_000;

/** After a model could not be loaded or fetched it is left alone for this long. */
const PAUSE_MS = 300_000;
