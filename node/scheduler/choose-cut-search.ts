// The best chain of parts over a table's segments: exact, by a dynamic programme that knows nothing of memory that parts
// share, as the bound of a search that does. Called by chooseCut.
import type { CutNode, CutPrices } from './cut-price.ts';
import { CUT_TRIES_MAX, STREAM_DELAY_SHARE } from './limits.ts';

/** Segments [from, to) on the node of that index. */
export interface PlacedPart {
  readonly node: number;
  readonly from: number;
  readonly to: number;
}

export interface CutSearch {
  readonly prices: CutPrices;
  /** Neighbouring parts are never on one node. */
  readonly nodes: readonly CutNode[];
  /** A plan has two parts at least. */
  readonly partsMax: number;
  /** Whether the part may be there at all, whatever else is; its memory apart. */
  mayRun(part: PlacedPart): boolean;
  /** Least time between two requests of a stream, not least time of one. */
  readonly steady: boolean;
  /** As if every node had all the memory that it needs. @default memory counts */
  readonly unlimited?: true;
}

export interface FoundCut {
  readonly parts: readonly PlacedPart[];
  /** Of one request. */
  readonly totalMs: number;
  /** Between two of a stream. */
  readonly periodMs: number;
}

/** Compute, up, down: each node's ways and processor work on different requests of a stream at the same time. */
const STAGES = 3;

/** The best plan of at least two parts; undefined where the rules and the memory allow none. */
export function bestCut(search: CutSearch): FoundCut | undefined {
  return new Searcher(search).run();
}

class Searcher {
  readonly #search: CutSearch;
  readonly #count: number;
  readonly #width: number;
  /** Of a part alone, by node, from and to: infinity where it may not be. Of one request, without a load in a stream… */
  readonly #totals: Float64Array;
  /** …and of its slowest stage, and of each. */
  readonly #slowest: Float64Array;
  readonly #stages: Float64Array;
  /** Least of all ways to place what begins at a segment in so many parts at most, the first of them not on this node. */
  readonly #restTotals: Float64Array;
  readonly #restSlowest: Float64Array;
  readonly #trail: PlacedPart[] = [];
  readonly #busy: Float64Array;
  #best: FoundCut | undefined;
  #bestScore = Number.POSITIVE_INFINITY;
  #tries = 0;

  constructor(search: CutSearch) {
    this.#search = search;
    this.#count = search.prices.count;
    this.#width = search.nodes.length;
    const ranges = this.#width * (this.#count + 1) ** 2;
    this.#totals = new Float64Array(ranges).fill(Number.POSITIVE_INFINITY);
    this.#slowest = new Float64Array(ranges).fill(Number.POSITIVE_INFINITY);
    this.#stages = new Float64Array(ranges * STAGES);
    this.#busy = new Float64Array(this.#width * STAGES);
    this.#price();
    this.#restTotals = this.#bound(this.#totals, (part, rest) => part + rest);
    this.#restSlowest = this.#bound(this.#slowest, Math.max);
  }

  run(): FoundCut | undefined {
    this.#extend(0, -1, 0);
    return this.#best;
  }

  #at(node: number, from: number, to: number): number {
    return (node * (this.#count + 1) + from) * (this.#count + 1) + to;
  }

  #restAt(parts: number, from: number, except: number): number {
    return (parts * (this.#count + 1) + from) * (this.#width + 1) + except + 1;
  }

  #price(): void {
    const { nodes, prices, mayRun, steady } = this.#search;
    for (const [index, node] of nodes.entries()) {
      for (let from = 0; from < this.#count; from++) {
        for (let to = from + 1; to <= this.#count; to++) {
          if (from === 0 && to === this.#count) continue;
          const part = { node: index, from, to };
          if (!mayRun(part) || !this.#fits(node, [part])) continue;
          const at = this.#at(index, from, to);
          const price = prices.price(node, from, to);
          const { computeMs, upMs, downMs } = prices.busy(node, from, to);
          this.#totals[at] = steady ? price.totalMs - price.loadMs : price.totalMs;
          this.#slowest[at] = Math.max(computeMs, upMs, downMs);
          this.#stages[at * STAGES] = computeMs;
          this.#stages[at * STAGES + 1] = upMs;
          this.#stages[at * STAGES + 2] = downMs;
        }
      }
    }
  }

  #bound(each: Float64Array, join: (part: number, rest: number) => number): Float64Array {
    const { partsMax } = this.#search;
    const rest = new Float64Array((partsMax + 1) * (this.#count + 1) * (this.#width + 1)).fill(
      Number.POSITIVE_INFINITY,
    );
    for (let parts = 0; parts <= partsMax; parts++) {
      for (let except = -1; except < this.#width; except++) rest[this.#restAt(parts, this.#count, except)] = 0;
    }
    for (let parts = 1; parts <= partsMax; parts++) {
      for (let from = this.#count - 1; from >= 0; from--) {
        // The least, and the least on any other node.
        let [least, next, leastAt] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, -1];
        for (let node = 0; node < this.#width; node++) {
          let own = Number.POSITIVE_INFINITY;
          for (let to = from + 1; to <= this.#count; to++) {
            const ms = each[this.#at(node, from, to)] as number;
            if (ms < own) own = Math.min(own, join(ms, rest[this.#restAt(parts - 1, to, node)] as number));
          }
          if (own < least) [least, next, leastAt] = [own, least, node];
          else if (own < next) next = own;
        }
        for (let except = -1; except < this.#width; except++) {
          rest[this.#restAt(parts, from, except)] = except === leastAt ? next : least;
        }
      }
    }
    return rest;
  }

  /** Places what begins here, the most promising part first. */
  #extend(from: number, last: number, totalMs: number): void {
    if (from === this.#count) {
      this.#note(totalMs);
      return;
    }
    const left = this.#search.partsMax - this.#trail.length - 1;
    if (left < 0) return;
    const next: { readonly part: PlacedPart; readonly totalMs: number; readonly score: number }[] = [];
    const slowest = Math.max(...this.#busy);
    for (let node = 0; node < this.#width; node++) {
      if (node === last) continue;
      for (let to = from + 1; to <= this.#count; to++) {
        this.#tries++;
        const at = this.#at(node, from, to);
        const total = totalMs + (this.#totals[at] as number);
        const rest = this.#restAt(left, to, node);
        const score = this.#score(
          total + (this.#restTotals[rest] as number),
          Math.max(slowest, this.#slowestWith(node, at), this.#restSlowest[rest] as number),
        );
        if (score < this.#bestScore) next.push({ part: { node, from, to }, totalMs: total, score });
      }
    }
    next.sort((a, b) => a.score - b.score);
    for (const { part, totalMs: total, score } of next) {
      if (score >= this.#bestScore || this.#tries > CUT_TRIES_MAX) return;
      const node = this.#search.nodes[part.node] as CutNode;
      const there = [...this.#trail.filter((other) => other.node === part.node), part];
      if (there.length > 1 && !this.#fits(node, there)) continue;
      this.#trail.push(part);
      this.#within(part, () => this.#extend(part.to, part.node, total));
      this.#trail.pop();
    }
  }

  #note(totalMs: number): void {
    const periodMs = Math.max(...this.#busy);
    const score = this.#score(totalMs, periodMs);
    if (score >= this.#bestScore) return;
    this.#bestScore = score;
    this.#best = { parts: [...this.#trail], totalMs, periodMs };
  }

  #score(totalMs: number, periodMs: number): number {
    return this.#search.steady ? periodMs + STREAM_DELAY_SHARE * totalMs : totalMs;
  }

  /** Weights that several parts on a node use are there once. */
  #fits(node: CutNode, parts: readonly PlacedPart[]): boolean {
    if (this.#search.unlimited) return true;
    const missing = parts.filter(({ from, to }) => node.holds?.(from, to) !== true);
    return missing.length === 0 || this.#search.prices.weightBytes(missing) <= node.memoryFreeBytes;
  }

  /** The node's slowest stage, with this part. */
  #slowestWith(node: number, at: number): number {
    let slowest = 0;
    for (let stage = 0; stage < STAGES; stage++) {
      slowest = Math.max(slowest, this.#busyAt(node, stage) + (this.#stages[at * STAGES + stage] as number));
    }
    return slowest;
  }

  /** Does this with the part counted among what its node is busy with. */
  #within({ node, from, to }: PlacedPart, work: () => void): void {
    const before = this.#busy.slice(node * STAGES, (node + 1) * STAGES);
    const at = this.#at(node, from, to) * STAGES;
    for (let stage = 0; stage < STAGES; stage++) {
      this.#busy[node * STAGES + stage] = this.#busyAt(node, stage) + (this.#stages[at + stage] as number);
    }
    work();
    this.#busy.set(before, node * STAGES);
  }

  #busyAt(node: number, stage: number): number {
    return this.#busy[node * STAGES + stage] as number;
  }
}
