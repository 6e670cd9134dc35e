// How much each model is asked for: fading sums of what this node has seen, and of what the others tell. Seen are requests
// that were placed through this node (those are told to others, so that each counts once), and those computed on it.
import type { ModelDemand as ToldDemand } from '../../protocol/capability.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { Timing } from '../../protocol/infer.ts';
import { DEMANDS_MAX } from '../../protocol/limits.ts';
import type { Clock } from '../core/clock.ts';
import type { Engine, WorkOptions } from '../core/engine.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { Mesh } from '../core/mesh.ts';
import { DEMAND_FADE_MS } from '../scheduler/limits.ts';
import type { DemandSum } from '../scheduler/replicas.ts';

export interface ModelDemandComponents {
  readonly clock: Pick<Clock, 'now'>;
  readonly mesh: Pick<Mesh, 'peers'>;
}

/** `placed`: by this node's dispatcher, anywhere. `computed`: here, for anyone. */
export type Seen = 'placed' | 'computed';

interface Sum extends DemandSum {
  readonly atMs: number;
}

export class ModelDemand {
  readonly #components: ModelDemandComponents;
  readonly #sums: Readonly<Record<Seen, Map<string, Sum>>> = { placed: new Map(), computed: new Map() };
  /** When each peer's advert was seen first: what it tells fades from then on. */
  readonly #toldAt = new Map<
    string,
    { readonly incarnation: number; readonly sequence: number; readonly atMs: number }
  >();
  #published: ReadonlyMap<string, DemandSum> = new Map();
  #publishedMs = Number.NEGATIVE_INFINITY;

  constructor(components: ModelDemandComponents) {
    this.#components = components;
  }

  /** The engine, whose answers are counted from here on. */
  watch(engine: Engine, ...seen: readonly Seen[]): Engine {
    const counted = async <R extends { readonly timing: Timing }>(
      { digest }: ModelRef,
      { waitedMs = 0 }: WorkOptions,
      answer: Promise<R>,
    ): Promise<R> => {
      const result = await answer;
      const { timing } = result;
      for (const one of seen) this.add(one, digest, { ...timing, queueMs: timing.queueMs + waitedMs });
      return result;
    };
    return {
      node: engine.node,
      run: (request, options) => counted(request.model, options, engine.run(request, options)),
      encode: (request, options) => counted(request.model, options, engine.encode(request, options)),
      generate: (request, options, onTokens) =>
        counted(request.model, options, engine.generate(request, options, onTokens)),
    };
  }

  /** A request was answered. */
  add(seen: Seen, digest: string, { queueMs, loadMs, computeMs }: Omit<Timing, 'prefillMs'>): void {
    const sums = this.#sums[seen];
    const { requests, busyMs, lostMs, coldMs } = this.seen(seen, digest);
    const waitedMs = within(queueMs, REQUEST_MS_MAX);
    sums.delete(digest);
    // A peer says how long it took: no request costs more than a bounded part of what is decided by.
    sums.set(digest, {
      requests: requests + 1,
      busyMs: busyMs + within(computeMs, REQUEST_MS_MAX),
      lostMs: lostMs + waitedMs,
      coldMs: coldMs + within(loadMs, waitedMs),
      atMs: this.#components.clock.now(),
    });
    keepNewest(sums, MODELS_MAX);
  }

  /** What this node has seen itself. */
  seen(seen: Seen, digest: string): DemandSum {
    const sum = this.#sums[seen].get(digest);
    return sum === undefined ? NOTHING : faded(sum, this.#components.clock.now() - sum.atMs);
  }

  /** Of the whole mesh: what was placed here, and what connected peers tell of theirs. */
  inAll(): ReadonlyMap<string, DemandSum> {
    const now = this.#components.clock.now();
    const all = new Map<string, DemandSum>();
    for (const digest of this.#sums.placed.keys()) all.set(digest, this.seen('placed', digest));
    const peers = this.#components.mesh.peers();
    const known = new Set(peers.map(({ advert }) => advert.node));
    for (const node of this.#toldAt.keys()) if (!known.has(node)) this.#toldAt.delete(node);
    for (const { advert, state } of peers) {
      const { node, incarnation, sequence, demand = [] } = advert;
      let told = this.#toldAt.get(node);
      if (told?.incarnation !== incarnation || told.sequence !== sequence) {
        told = { incarnation, sequence, atMs: now };
        this.#toldAt.set(node, told);
      }
      if (state === 'gone') continue;
      for (const one of demand)
        all.set(one.digest, plus(all.get(one.digest) ?? NOTHING, believed(one, now - told.atMs)));
    }
    return all;
  }

  /** For this node's advert: the models for which most is lost. */
  told(): readonly ToldDemand[] {
    const sums = [...this.#sums.placed.keys()]
      .map((digest) => ({ digest, ...this.seen('placed', digest) }))
      .filter(({ requests }) => requests >= REQUESTS_TOLD_MIN)
      .sort((a, b) => b.lostMs - a.lostMs || b.requests - a.requests)
      .slice(0, DEMANDS_MAX);
    this.#published = new Map(sums.map(({ digest, ...sum }) => [digest, sum]));
    this.#publishedMs = this.#components.clock.now();
    return sums;
  }

  /** Others would decide otherwise if they knew what this node has seen since it told them last. */
  get isNews(): boolean {
    const agoMs = this.#components.clock.now() - this.#publishedMs;
    if (agoMs < TOLD_MS_MIN) return false;
    return [...this.#sums.placed.keys()].some((digest) => {
      const now = this.seen('placed', digest);
      const then = faded(this.#published.get(digest) ?? NOTHING, agoMs);
      return (
        differs(now.requests, then.requests, REQUESTS_NEWS_MIN) ||
        differs(now.lostMs, then.lostMs, MS_NEWS_MIN) ||
        differs(now.busyMs, then.busyMs, MS_NEWS_MIN)
      );
    });
  }
}

const NOTHING: DemandSum = { requests: 0, busyMs: 0, lostMs: 0, coldMs: 0 };

/** Models whose demand is remembered; the one that was asked for least lately is forgotten first. */
const MODELS_MAX = 256;

/** Longest part of a request that counts. */
const REQUEST_MS_MAX = 600_000;

/** Of what one peer tells: as many requests as a node takes in flight, each of which waits all the time. */
const PEER_REQUESTS_MAX = 1e5;
const PEER_MS_MAX = 256 * DEMAND_FADE_MS;

/** Between two announcements for demand alone; and what is worth one: a half more, or a third less, above these. */
const TOLD_MS_MIN = 5_000;
const REQUESTS_TOLD_MIN = 0.5;
const REQUESTS_NEWS_MIN = 4;
const MS_NEWS_MIN = 1_000;

function differs(now: number, then: number, least: number): boolean {
  const [more, less] = now > then ? [now, then] : [then, now];
  return more >= least && more > less * 1.5;
}

function faded({ requests, busyMs, lostMs, coldMs }: DemandSum, ms: number): DemandSum {
  const factor = 2 ** (-Math.max(0, ms) / DEMAND_FADE_MS);
  return { requests: requests * factor, busyMs: busyMs * factor, lostMs: lostMs * factor, coldMs: coldMs * factor };
}

function believed({ requests, busyMs, lostMs, coldMs }: DemandSum, agoMs: number): DemandSum {
  const bounded = {
    requests: within(requests, PEER_REQUESTS_MAX),
    busyMs: within(busyMs, PEER_MS_MAX),
    lostMs: within(lostMs, PEER_MS_MAX),
    coldMs: within(coldMs, PEER_MS_MAX),
  };
  return faded(bounded, agoMs);
}

const plus = (a: DemandSum, b: DemandSum): DemandSum => ({
  requests: a.requests + b.requests,
  busyMs: a.busyMs + b.busyMs,
  lostMs: a.lostMs + b.lostMs,
  coldMs: a.coldMs + b.coldMs,
});

const within = (value: number, most: number): number => (value > 0 ? Math.min(value, most) : 0);
