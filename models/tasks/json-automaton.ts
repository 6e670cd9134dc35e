// Patterns → deterministic automata, so that a grammar made of one never has to try two ways at once: the grammar library
// takes some ambiguous rules for loops. Used by json-schema.ts, and by the grammar part of the runner.
import { ALL_BEYOND_ASCII, intersectPoints, PatternRefusal, unitePoints } from './json-points.ts';
import type { Automaton, AutomatonEdge, AutomatonState, CodePoints, Pattern } from './json-shape.ts';

/** How much may still be done, in steps of about a microsecond; shared by all patterns of a schema. */
export interface Budget {
  steps: number;
}

/**
 * The same language, deterministic and with few states. Sets beyond ASCII that can't be written (json-points.ts) lose
 * what they have beyond it.
 * @throws PatternRefusal when the budget is used up, or nothing is left
 */
export function automatonOf(pattern: Pattern, budget: Budget): Automaton {
  const network = new Network(budget);
  const end = network.add();
  const start = network.write(pattern, end);
  // Sets are looked at once those that lead on alike are one.
  const automaton = smaller(pruned(written(smaller(pruned(determined(network, start, end, budget))))));
  if (automaton[0] === undefined) throw new PatternRefusal('allows no text');
  return automaton;
}

function spend(budget: Budget, steps: number): void {
  budget.steps -= steps;
  if (budget.steps < 0) throw new PatternRefusal('is too large, or one of too many');
}

/** States with edges over sets, and edges that are free. Built from the end to the beginning. */
class Network {
  readonly edges: { readonly points: CodePoints; readonly to: number }[][] = [];
  readonly free: number[][] = [];
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  add(): number {
    spend(this.#budget, 1);
    this.edges.push([]);
    this.free.push([]);
    return this.edges.length - 1;
  }

  /** @returns where to begin, to be at `to` behind the pattern */
  write(pattern: Pattern, to: number): number {
    switch (pattern.kind) {
      case 'set': {
        const state = this.add();
        this.edges[state]?.push({ points: pattern.points, to });
        return state;
      }
      case 'sequence':
        return pattern.parts.reduceRight((next, part) => this.write(part, next), to);
      case 'choice': {
        const state = this.add();
        for (const option of pattern.options) this.free[state]?.push(this.write(option, to));
        return state;
      }
      case 'repeat':
        return this.#repeat(pattern.part, pattern.min, pattern.max, to);
    }
  }

  #repeat(part: Pattern, min: number, max: number | undefined, to: number): number {
    let state = to;
    if (max === undefined) {
      state = this.add();
      this.free[state]?.push(to, this.write(part, state));
    } else {
      for (let count = min; count < max; count++) {
        const more = this.add();
        this.free[more]?.push(to, this.write(part, state));
        state = more;
      }
    }
    for (let count = 0; count < min; count++) state = this.write(part, state);
    return state;
  }

  /** Everything that is reached for free. */
  closure(states: Iterable<number>): number[] {
    const reached = new Set(states);
    for (const state of reached) for (const next of this.free[state] ?? []) reached.add(next);
    spend(this.#budget, reached.size);
    return [...reached].sort((a, b) => a - b);
  }
}

/** The subset construction (Rabin & Scott, 1959), over ranges of code points. */
function determined(network: Network, start: number, end: number, budget: Budget): AutomatonState[] {
  const numbers = new Map<string, number>();
  const sets: number[][] = [];
  const numberOf = (set: number[]): number => {
    const key = set.join();
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, sets.length);
    return sets.push(set) - 1;
  };
  numberOf(network.closure([start]));
  const states: AutomatonState[] = [];
  for (let at = 0; at < sets.length; at++) {
    const set = sets[at] as number[];
    const edges = set.flatMap((state) => network.edges[state] ?? []);
    const targets = new Map<number, [number, number][]>();
    for (const [from, to, reached] of intervals(edges, budget)) {
      const target = numberOf(network.closure(reached));
      const ranges = targets.get(target) ?? [];
      ranges.push([from, to]);
      targets.set(target, ranges);
    }
    const joined = [...targets].map(([to, points]) => ({ to, points: unitePoints(points) }));
    states.push({ accepts: set.includes(end), edges: joined });
  }
  return states;
}

/** The ranges within which the same edges lead on, and where they lead. */
function intervals(
  edges: readonly { readonly points: CodePoints; readonly to: number }[],
  budget: Budget,
): (readonly [number, number, Set<number>])[] {
  const bounds = new Set<number>();
  for (const { points } of edges) for (const [from, to] of points) bounds.add(from).add(to + 1);
  spend(budget, 1 + (bounds.size * edges.length) / 4);
  const sorted = [...bounds].sort((a, b) => a - b);
  const result: [number, number, Set<number>][] = [];
  for (const [index, from] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next === undefined) break;
    const reached = new Set(
      edges.filter(({ points }) => points.some(([low, high]) => low <= from && from <= high)).map(({ to }) => to),
    );
    if (reached.size > 0) result.push([from, next - 1, reached]);
  }
  return result;
}

const BEYOND_ASCII: CodePoints = [[0x80, 0x10ffff]];
const ASCII: CodePoints = [[0, 0x7f]];
/** Characters beyond ASCII that are written one by one. */
const NAMED_MAX = 512;

/** With sets of which each can be written. */
function written(states: readonly AutomatonState[]): AutomatonState[] {
  return states.map(({ accepts, edges }) => ({
    accepts,
    edges: edges
      .map(({ points, to }) => ({ points: writableBeyond(points), to }))
      .filter(({ points }) => points.length > 0),
  }));
}

function writableBeyond(points: CodePoints): CodePoints {
  const beyond = intersectPoints(points, BEYOND_ASCII);
  const all = JSON.stringify(beyond) === JSON.stringify(ALL_BEYOND_ASCII);
  const count = beyond.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  return all || count <= NAMED_MAX ? points : intersectPoints(points, ASCII);
}

/** Without states from which there is no end. */
function pruned(states: readonly AutomatonState[]): AutomatonState[] {
  const before: number[][] = states.map(() => []);
  for (const [index, { edges }] of states.entries()) for (const { to } of edges) before[to]?.push(index);
  const ends = new Set<number>(states.flatMap(({ accepts }, index) => (accepts ? [index] : [])));
  for (const state of ends) for (const index of before[state] ?? []) ends.add(index);
  return renumbered(
    states.map(({ accepts, edges }) => ({ accepts, edges: edges.filter(({ to }) => ends.has(to)) })),
    ends.has(0),
  );
}

/**
 * States that lead on alike become one, from the ends to the beginning: all that could, but for those within larger loops.
 */
function smaller(states: readonly AutomatonState[]): AutomatonState[] {
  const same = states.map((_, index) => index);
  const known = new Map<string, number>();
  for (const index of backwards(states)) {
    const { accepts, edges } = states[index] as AutomatonState;
    // A loop to itself is not to the state that it is, but to whichever it becomes.
    const ahead = grouped(edges, (to) => (to === index ? -1 : (same[to] as number)));
    const signature = `${accepts} ${JSON.stringify(ahead)}`;
    same[index] = known.get(signature) ?? index;
    known.set(signature, same[index] as number);
  }
  const merged = states.map(({ accepts, edges }) => ({ accepts, edges: grouped(edges, (to) => same[to] as number) }));
  return renumbered(merged, states.length > 0);
}

/** Each state behind those that it leads to, as far as there are no loops. */
function backwards(states: readonly AutomatonState[]): number[] {
  const order: number[] = [];
  const met = new Set<number>();
  const open: { readonly state: number; next: number }[] = [];
  for (const start of states.keys()) {
    if (!met.has(start)) open.push({ state: start, next: 0 });
    met.add(start);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const edge = states[top.state]?.edges[top.next++];
      if (edge === undefined) {
        order.push(top.state);
        open.pop();
      } else if (!met.has(edge.to)) {
        met.add(edge.to);
        open.push({ state: edge.to, next: 0 });
      }
    }
  }
  return order;
}

/** One edge for each target, in a fixed order. */
function grouped(edges: readonly AutomatonEdge[], targetOf: (to: number) => number): AutomatonEdge[] {
  const targets = new Map<number, CodePoints>();
  for (const { points, to } of edges) {
    const target = targetOf(to);
    targets.set(target, unitePoints([...(targets.get(target) ?? []), ...points]));
  }
  return [...targets].sort(([a], [b]) => a - b).map(([to, points]) => ({ to, points }));
}

/** Only what is reached, in the order of reaching. */
function renumbered(states: readonly AutomatonState[], any: boolean): AutomatonState[] {
  if (!any) return [];
  const numbers = new Map<number, number>([[0, 0]]);
  for (const index of numbers.keys()) {
    for (const { to } of states[index]?.edges ?? []) if (!numbers.has(to)) numbers.set(to, numbers.size);
  }
  return [...numbers.keys()].map((index) => {
    const { accepts, edges } = states[index] as AutomatonState;
    return { accepts, edges: edges.map(({ points, to }) => ({ points, to: numbers.get(to) as number })) };
  });
}

/** Whether a text is in the language. */
export function matches(automaton: Automaton, text: string): boolean {
  let state: AutomatonState | undefined = automaton[0];
  for (const character of text) {
    const point = character.codePointAt(0) as number;
    const edge: AutomatonEdge | undefined = state?.edges.find(({ points }) =>
      points.some(([from, to]) => from <= point && point <= to),
    );
    state = edge === undefined ? undefined : automaton[edge.to];
  }
  return state?.accepts === true;
}
