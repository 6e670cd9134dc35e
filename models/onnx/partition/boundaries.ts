// Which places between the steps of an order are worth a cut: those that no other place close by beats. Called by
// planCuts.
import { CUT_SEGMENTS_MAX } from '../../../protocol/cut-table.ts';

/** A place between two steps. */
export interface Boundary {
  /** Steps before it. */
  readonly after: number;
  /** Shares of the whole graph's time and weights that lie before it: both rise from place to place. */
  readonly time: number;
  readonly weights: number;
  /** That cross it. */
  readonly bytes: number;
}

/** Within this share of the graph's time and weights, a place with more bytes between two with fewer is none to cut at. */
const NEAR = 0.05;
/** As far as this, one with twice the bytes is none. */
const WIDE = 0.2;
/** Closer than this, two places are one. */
const SAME = 0.015;

/**
 * The places that are left, in order. A place stays unless places on both sides of it, near enough that hardly any work or
 * weight lies between, have no more bytes than it, or places farther away have half as many. Of a plateau one place of each
 * stretch that differs in work or weights stays.
 */
export function undominated(boundaries: readonly Boundary[]): readonly Boundary[] {
  const near = leastAround(boundaries, NEAR);
  const wide = leastAround(boundaries, WIDE);
  const minima = boundaries.filter(({ bytes }, index) => {
    const [before, behind] = near[index] as Sides;
    const beaten = before <= bytes && behind <= bytes && Math.min(before, behind) < bytes;
    return !beaten && Math.max(...(wide[index] as Sides)) > bytes / 2;
  });
  return thinned(merged(minima));
}

/** Fewest bytes before and behind a place; Infinity where there is no other. */
type Sides = readonly [before: number, behind: number];

function leastAround(boundaries: readonly Boundary[], reach: number): Sides[] {
  const before = leastBefore(boundaries, reach);
  const behind = leastBefore([...boundaries].reverse(), reach).reverse();
  return before.map((bytes, index) => [bytes, behind[index] as number]);
}

function leastBefore(boundaries: readonly Boundary[], reach: number): number[] {
  const window: Boundary[] = [];
  let start = 0;
  return boundaries.map((boundary) => {
    while (start < window.length && distance(window[start] as Boundary, boundary) > reach) start++;
    const least = start < window.length ? (window[start] as Boundary).bytes : Number.POSITIVE_INFINITY;
    // Kept with rising bytes: what has more than a later place is never the least again.
    while (window.length > start && (window.at(-1) as Boundary).bytes >= boundary.bytes) window.pop();
    window.push(boundary);
    return least;
  });
}

/** One of each group of places that are as good as one: that with the fewest bytes, else the first. */
function merged(boundaries: readonly Boundary[]): Boundary[] {
  const result: Boundary[] = [];
  let start: Boundary | undefined;
  for (const boundary of boundaries) {
    const last = result.at(-1);
    if (start === undefined || last === undefined || distance(start, boundary) > SAME) {
      result.push(boundary);
      start = boundary;
    } else if (boundary.bytes < last.bytes) {
      result[result.length - 1] = boundary;
    }
  }
  return result;
}

/** At most as many as a table has room for: the shortest segment is joined to a neighbour, over its costlier end. */
function thinned(boundaries: Boundary[]): readonly Boundary[] {
  const START = { after: 0, time: 0, weights: 0, bytes: 0 };
  const END = { after: Number.POSITIVE_INFINITY, time: 1, weights: 1, bytes: 0 };
  const left = [...boundaries];
  while (left.length >= CUT_SEGMENTS_MAX) {
    const ends = [START, ...left, END];
    let shortest = 0;
    let length = Number.POSITIVE_INFINITY;
    for (let index = 0; index + 1 < ends.length; index++) {
      const other = distance(ends[index] as Boundary, ends[index + 1] as Boundary);
      if (other < length) [shortest, length] = [index, other];
    }
    // The first segment has no cut before it, the last none behind it.
    const [before, behind] = [left[shortest - 1], left[shortest]];
    left.splice(
      behind === undefined || (before !== undefined && before.bytes > behind.bytes) ? shortest - 1 : shortest,
      1,
    );
  }
  return left;
}

const distance = (a: Boundary, b: Boundary): number =>
  Math.max(Math.abs(a.time - b.time), Math.abs(a.weights - b.weights));
