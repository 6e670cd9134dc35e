// What would be best, for whoever knows every queue, the true service times and links, but not the future: the greedy oracle
// that policies are compared with.
import type { RoutingPolicy } from '../../node/scheduler/policy.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { Price, WholePlan } from '../../protocol/plan.ts';
import { type Holding, type Prepared, workOf } from './sim-models.ts';
import type { Wire } from './sim-network.ts';
import type { SimNode } from './sim-node.ts';

/** A node as the oracle's entry reaches it. */
export interface Reach {
  readonly node: SimNode;
  /** Undefined = the entry itself. */
  readonly wire: Wire | undefined;
  /** Whether calls go through at all. */
  readonly isConnected: boolean;
}

/** Models of a node as they will be while its queue is worked off; models in use count as any other. */
class Shelf {
  readonly #node: SimNode;
  readonly #lastUsedMs = new Map<Holding, number>();
  #freeMb: number;

  constructor(node: SimNode) {
    this.#node = node;
    this.#freeMb = node.spec.memoryMb;
    for (const holding of node.holdings.values()) {
      if (holding.state === 'disk') continue;
      this.#lastUsedMs.set(holding, holding.lastUsedMs);
      this.#freeMb -= holding.model.memoryMb;
    }
  }

  /** Work on a model begins then. @returns milliseconds until it is loaded */
  use(holding: Holding, atMs: number): number {
    const { model } = holding;
    const there = this.#lastUsedMs.has(holding);
    if (!there) this.#makeRoom(model.memoryMb);
    this.#lastUsedMs.set(holding, atMs);
    if (!there) return model.loadMs / this.#node.speed;
    // As an event, a holding is the end of its load.
    return holding.state === 'loading' ? Math.max(0, holding.atMs - atMs) : 0;
  }

  #makeRoom(memoryMb: number): void {
    for (const [other] of [...this.#lastUsedMs].sort((a, b) => a[1] - b[1])) {
      if (this.#freeMb >= memoryMb) break;
      this.#lastUsedMs.delete(other);
      this.#freeMb += other.model.memoryMb;
    }
    this.#freeMb -= memoryMb;
  }
}

/** When each part of a request would begin, by the clock. One is used again and again: a thousand nodes are looked at. */
class Foresight {
  #node: SimNode | undefined;
  #shelf: Shelf | undefined;
  /** When each slot is free. */
  readonly #freeMs: number[] = [];
  sentMs = 0;
  arrivesMs = 0;
  beginMs = 0;
  loadMs = 0;
  endMs = 0;
  hereMs = 0;

  /** @returns when the answer would be here; Infinity where never, or not before `beforeMs` */
  look({ node, wire, isConnected }: Reach, model: Prepared, workMs: number, nowMs: number, beforeMs: number): number {
    const holding = node.holdings.get(model.digest);
    if (!isConnected || node.state !== 'up' || wire?.isSilent || holding === undefined || node.lie.mute) return never;
    if (holding.state !== 'loaded' && model.memoryMb > node.spec.memoryMb) return never;
    this.sentMs = nowMs;
    this.arrivesMs = wire === undefined ? nowMs : wire.peekUp(nowMs, model.requestBytes);
    if (this.arrivesMs + workMs / node.speed >= beforeMs) return never;
    this.#workOff(node, nowMs);
    this.#begin(holding, workMs, this.arrivesMs);
    this.hereMs = wire === undefined ? this.endMs : wire.peekDown(this.endMs, model.outBytes);
    return this.hereMs;
  }

  price(): Price {
    return {
      queueMs: this.beginMs - this.arrivesMs,
      loadMs: this.loadMs,
      upMs: this.arrivesMs - this.sentMs,
      computeMs: this.endMs - this.beginMs - this.loadMs,
      downMs: this.hereMs - this.endMs,
      totalMs: this.hereMs - this.sentMs,
    };
  }

  /** Everything that will be there before the request. */
  #workOff(node: SimNode, nowMs: number): void {
    this.#node = node;
    this.#shelf = node.allLoaded ? undefined : new Shelf(node);
    const freeMs = this.#freeMs;
    freeMs.length = 0;
    for (const { atMs } of node.running) freeMs.push(atMs);
    while (freeMs.length < node.spec.slots) freeMs.push(nowMs);
    if (node.waitingCount > 0) {
      for (const { holding, owner } of node.waiting()) this.#begin(holding, owner.work.workMs, nowMs);
    }
    if (node.coming.size === 0) return;
    const coming = [...node.coming].filter(({ atMs }) => atMs <= this.arrivesMs);
    for (const { atMs, work } of coming.length < 2 ? coming : coming.sort((a, b) => a.atMs - b.atMs)) {
      const holding = node.holdings.get(work.digest);
      if (holding !== undefined) this.#begin(holding, work.workMs, atMs);
    }
  }

  #begin(holding: Holding, workMs: number, notBeforeMs: number): void {
    const freeMs = this.#freeMs;
    const speed = this.#node?.speed ?? 1;
    let slot = 0;
    for (let at = 1; at < freeMs.length; at++) if ((freeMs[at] ?? 0) < (freeMs[slot] ?? 0)) slot = at;
    this.beginMs = Math.max(freeMs[slot] ?? 0, notBeforeMs);
    this.loadMs = this.#shelf?.use(holding, this.beginMs) ?? 0;
    this.endMs = this.beginMs + this.loadMs + workMs / speed;
    freeMs[slot] = this.endMs;
  }
}

const never = Number.POSITIVE_INFINITY;

/** By the clock, when a request that leaves now would be answered; Infinity where never. */
export function finishOf(reach: Reach, model: Prepared, workMs: number, nowMs: number): number {
  return new Foresight().look(reach, model, workMs, nowMs, never);
}

/** Sends each request to the node that ends it soonest; the first of several. @param reaches asked for each request */
export function oracle(nowMs: () => number, self: string, reaches: () => readonly Reach[]): RoutingPolicy {
  const foresight = new Foresight();
  return {
    name: 'oracle',
    choose(request): WholePlan {
      const { model, workMs } = workOf(request.model);
      const sentMs = nowMs();
      let best: Reach | undefined;
      let bestMs = never;
      for (const reach of reaches()) {
        if (request.excluded.size > 0 && request.excluded.has(reach.node.id)) continue;
        const finishMs = foresight.look(reach, model, workMs, sentMs, bestMs);
        if (finishMs >= bestMs) continue;
        bestMs = finishMs;
        best = reach;
      }
      if (best === undefined) throw new WeftError({ code: 'no_capable_node', message: 'No node is left.' });
      foresight.look(best, model, workMs, sentMs, never);
      const node = best.node.id;
      const kind = node === self ? 'local' : 'remote';
      return { kind, node, price: foresight.price(), policy: 'oracle', others: [], rejected: [] };
    },
  };
}
