// Patterns → deterministic automata, so that a grammar made of one never has to try two ways at once: the grammar library
// takes some ambiguous rules for loops. Used by json-schema.ts, and by the grammar part of the runner.
import { AUTOMATON_STATES_MAX } from '../limits.ts';
import { ALL_BEYOND_ASCII, intersectPoints, PatternRefusal, unitePoints } from './json-points.ts';
import type { Automaton, AutomatonEdge, AutomatonState, CodePoints, Pattern } from './json-shape.ts';

/**
 * The same language, deterministic and with few states. Sets beyond ASCII that can't be written (json-points.ts) lose
 * what they have beyond it.
 * @param statesMax bound for what is built on the way
 * @throws PatternRefusal when it takes too many states, or nothing is left
 */
export function automatonOf(pattern: Pattern, statesMax: number = AUTOMATON_STATES_MAX): Automaton {
  const network = new Network(statesMax);
  const end = network.add();
  const start = network.write(pattern, end);
  const automaton = smallest(pruned(determined(network, start, end, statesMax)));
  if (automaton[0] === undefined) throw new PatternRefusal('allows no text');
  return automaton;
}

/** States with edges over sets, and edges that are free. Built from the end to the beginning. */
class Network {
  readonly edges: { readonly points: CodePoints; readonly to: number }[][] = [];
  readonly free: number[][] = [];
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  add(): number {
    if (this.edges.length >= this.#max) throw new PatternRefusal('is too large');
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
    return [...reached].sort((a, b) => a - b);
  }
}

/** The subset construction (Rabin & Scott, 1959), over ranges of code points. */
function determined(network: Network, start: number, end: number, statesMax: number): AutomatonState[] {
  const numbers = new Map<string, number>();
  const sets: number[][] = [];
  const numberOf = (set: number[]): number => {
    const key = set.join();
    const known = numbers.get(key);
    if (known !== undefined) return known;
    if (sets.length >= statesMax) throw new PatternRefusal('is too large');
    numbers.set(key, sets.length);
    return sets.push(set) - 1;
  };
  numberOf(network.closure([start]));
  const states: AutomatonState[] = [];
  for (let at = 0; at < sets.length; at++) {
    const set = sets[at] as number[];
    const edges = set.flatMap((state) => network.edges[state] ?? []);
    const targets = new Map<number, [number, number][]>();
    for (const [from, to, reached] of intervals(edges)) {
      const target = numberOf(network.closure(reached));
      const ranges = targets.get(target) ?? [];
      ranges.push([from, to]);
      targets.set(target, ranges);
    }
    const written = [...targets].map(([to, points]) => ({ to, points: writableBeyond(unitePoints(points)) }));
    states.push({ accepts: set.includes(end), edges: written.filter(({ points }) => points.length > 0) });
  }
  return states;
}

/** The ranges within which the same edges lead on, and where they lead. */
function intervals(
  edges: readonly { readonly points: CodePoints; readonly to: number }[],
): (readonly [number, number, Set<number>])[] {
  const bounds = new Set<number>();
  for (const { points } of edges) for (const [from, to] of points) bounds.add(from).add(to + 1);
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

function writableBeyond(points: CodePoints): CodePoints {
  const beyond = intersectPoints(points, BEYOND_ASCII);
  const all = JSON.stringify(beyond) === JSON.stringify(ALL_BEYOND_ASCII);
  const count = beyond.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  return all || count <= NAMED_MAX ? points : intersectPoints(points, ASCII);
}

/** Without states from which there is no end. */
function pruned(states: readonly AutomatonState[]): AutomatonState[] {
  const ends = new Set<number>(states.flatMap(({ accepts }, index) => (accepts ? [index] : [])));
  for (let before = -1; before < ends.size; ) {
    before = ends.size;
    for (const [index, { edges }] of states.entries()) if (edges.some(({ to }) => ends.has(to))) ends.add(index);
  }
  return renumbered(
    states.map(({ accepts, edges }) => ({ accepts, edges: edges.filter(({ to }) => ends.has(to)) })),
    ends.has(0),
  );
}

/** States that can't be told apart become one (Moore, 1956). */
function smallest(states: readonly AutomatonState[]): AutomatonState[] {
  let classes = states.map(({ accepts }) => Number(accepts));
  for (let count = 0; ; ) {
    const numbers = new Map<string, number>();
    const next = states.map(({ edges }, index) => {
      const signature = `${classes[index]} ${JSON.stringify(grouped(edges, (to) => classes[to] as number))}`;
      const number = numbers.get(signature) ?? numbers.size;
      numbers.set(signature, number);
      return number;
    });
    classes = next;
    if (numbers.size === count) break;
    count = numbers.size;
  }
  const first = new Map<number, number>();
  for (const [index, number] of classes.entries()) if (!first.has(number)) first.set(number, index);
  const merged = states.map(({ accepts, edges }) => ({
    accepts,
    edges: grouped(edges, (to) => first.get(classes[to] as number) as number),
  }));
  return renumbered(merged, states.length > 0);
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
