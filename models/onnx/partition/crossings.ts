// How long each tensor lives when the steps of a graph run one after another, and the order in which the fewest bytes do.
import { CONE_INPUTS_MAX } from '../../limits.ts';
import type { Step, StepGraph } from './step-graph.ts';

/** A graph whose cheap cones are folded into the steps that use them. */
export interface FoldedGraph extends StepGraph {
  /** Places of the steps that run once, as they stand in the graph. */
  readonly once: readonly number[];
  /** What each step needs from others, through what is computed anew; by place. */
  readonly needs: readonly (readonly number[])[];
  /** Steps that are computed wherever they are used. */
  readonly replicas: ReadonlySet<number>;
}

/** @param replicas of which those that need too many tensors are taken back */
export function foldReplicas(graph: StepGraph, replicas: ReadonlySet<number>): FoldedGraph {
  const kept = new Set(replicas);
  const needs: (readonly number[])[] = [];
  for (const [place, { uses }] of graph.steps.entries()) {
    const need = new Set<number>();
    for (const tensor of uses) {
      const from = graph.tensors[tensor]?.from ?? -1;
      if (kept.has(from)) for (const root of needs[from] ?? []) need.add(root);
      else need.add(tensor);
    }
    if (kept.has(place) && need.size > CONE_INPUTS_MAX) kept.delete(place);
    needs.push([...need]);
  }
  const once = graph.steps.flatMap((_, place) => (kept.has(place) ? [] : [place]));
  return { ...graph, once, needs, replicas: kept };
}

/** Steps that are computed anew for these, in order. */
export function conesOf(graph: FoldedGraph, places: readonly number[]): readonly number[] {
  const found = new Set<number>();
  const waiting = [...places];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    for (const tensor of graph.steps[place]?.uses ?? []) {
      const from = graph.tensors[tensor]?.from ?? -1;
      if (!graph.replicas.has(from) || found.has(from)) continue;
      found.add(from);
      waiting.push(from);
    }
  }
  return [...found].sort((a, b) => a - b);
}

/** Bytes of a tensor; 0 where nothing is known of it. */
export const bytesOf = (graph: StepGraph, tensor: number): number => graph.tensors[tensor]?.cost?.bytes ?? 0;

/**
 * Where each tensor is made and used last, as positions in an order of steps; −1 = before the first. By place of the
 * tensor; `last` is −1 for one that no step uses.
 */
export function lifetimes(
  graph: FoldedGraph,
  order: readonly number[],
): { readonly first: Int32Array; readonly last: Int32Array } {
  const first = new Int32Array(graph.tensors.length).fill(-1);
  const last = new Int32Array(graph.tensors.length).fill(-1);
  for (const [position, place] of order.entries()) {
    for (const tensor of graph.steps[place]?.makes ?? []) first[tensor] = position;
    for (const tensor of graph.needs[place] ?? []) last[tensor] = position;
  }
  return { first, last };
}

/**
 * An order in which the steps can run with few bytes alive: the graph's own, or the one that always takes the step that
 * frees most, whichever keeps fewer bytes alive over all.
 */
export function fewestLiveBytes(graph: FoldedGraph): readonly number[] {
  const greedy = greedyOrder(graph);
  return byteSteps(graph, greedy) < byteSteps(graph, graph.once) ? greedy : graph.once;
}

/** Bytes alive between each two steps, all together. */
function byteSteps(graph: FoldedGraph, order: readonly number[]): number {
  const { first, last } = lifetimes(graph, order);
  let sum = 0;
  for (const [tensor, end] of last.entries()) {
    // Before the first step and at it is the same for an input of the graph.
    sum += bytesOf(graph, tensor) * Math.max(0, end - Math.max(0, first[tensor] as number));
  }
  return sum;
}

function greedyOrder(graph: FoldedGraph): readonly number[] {
  const { steps, tensors, needs, once } = graph;
  const users: number[][] = tensors.map(() => []);
  const missing = new Int32Array(steps.length);
  for (const place of once) {
    for (const tensor of needs[place] ?? []) {
      users[tensor]?.push(place);
      if ((tensors[tensor]?.from ?? -1) >= 0) missing[place] = (missing[place] as number) + 1;
    }
  }
  const left = Int32Array.from(users, ({ length }) => length);
  const growth = (place: number): number => {
    const { makes } = steps[place] as Step;
    let bytes = 0;
    for (const tensor of makes) if ((left[tensor] as number) > 0) bytes += bytesOf(graph, tensor);
    for (const tensor of needs[place] ?? []) if (left[tensor] === 1) bytes -= bytesOf(graph, tensor);
    return bytes;
  };
  const ready = new ReadySteps();
  for (const place of once) if (missing[place] === 0) ready.add(place, growth(place));
  const order: number[] = [];
  for (let place = ready.take(); place !== undefined; place = ready.take()) {
    order.push(place);
    for (const tensor of needs[place] ?? []) {
      const rest = (left[tensor] as number) - 1;
      left[tensor] = rest;
      if (rest !== 1) continue;
      // Its last user frees it now.
      const user = (users[tensor] as number[]).find((other) => ready.has(other));
      if (user !== undefined) ready.add(user, growth(user));
    }
    for (const tensor of steps[place]?.makes ?? []) {
      for (const user of users[tensor] ?? []) {
        missing[user] = (missing[user] as number) - 1;
        if (missing[user] === 0) ready.add(user, growth(user));
      }
    }
  }
  return order;
}

interface ReadyStep {
  readonly place: number;
  readonly bytes: number;
  readonly turn: number;
}

/** Steps that could run next: the one that adds the fewest bytes first, of equal ones the one that was ready last. */
class ReadySteps {
  readonly #heap: ReadyStep[] = [];
  /** The turn that counts of each step: a step that was added again stands in the heap twice. */
  readonly #turns = new Map<number, number>();
  #turn = 0;

  has(place: number): boolean {
    return this.#turns.has(place);
  }

  add(place: number, bytes: number): void {
    const entry = { place, bytes, turn: this.#turn++ };
    this.#turns.set(place, entry.turn);
    let at = this.#heap.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#before(at, above)) break;
      this.#swap(at, above);
      at = above;
    }
  }

  take(): number | undefined {
    for (;;) {
      const [top] = this.#heap;
      const last = this.#heap.pop();
      if (top === undefined || last === undefined) return undefined;
      if (this.#heap.length > 0) {
        this.#heap[0] = last;
        this.#sink();
      }
      if (this.#turns.get(top.place) !== top.turn) continue;
      this.#turns.delete(top.place);
      return top.place;
    }
  }

  #sink(): void {
    for (let at = 0; ; ) {
      let best = at;
      for (const below of [2 * at + 1, 2 * at + 2]) {
        if (below < this.#heap.length && this.#before(below, best)) best = below;
      }
      if (best === at) return;
      this.#swap(at, best);
      at = best;
    }
  }

  #before(a: number, b: number): boolean {
    const [left, right] = [this.#heap[a], this.#heap[b]];
    if (left === undefined || right === undefined) return false;
    return left.bytes === right.bytes ? left.turn > right.turn : left.bytes < right.bytes;
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a] as ReadyStep;
    this.#heap[a] = this.#heap[b] as ReadyStep;
    this.#heap[b] = held;
  }
}
