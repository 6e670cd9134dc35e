// Sets of code points, and which of them answers are made of. Used by the readers of patterns, and by whoever writes
// grammars.
import type { CodePoints } from './json-shape.ts';

/** Why a regular expression can't be used: in words for the one who wrote it. */
export class PatternRefusal extends Error {
  override readonly name = 'PatternRefusal';
}

const LAST = 0x10ffff;

/**
 * Everything beyond ASCII that is ever written. Line and paragraph separators are not: with them, `.` could not be. Half
 * a surrogate pair is no character.
 */
export const ALL_BEYOND_ASCII: CodePoints = [
  [0x80, 0x2027],
  [0x202a, 0xd7ff],
  [0xe000, LAST],
];
/** Control characters only where they have an escape of one letter. */
const WRITTEN: CodePoints = [[0x08, 0x0a], [0x0c, 0x0d], [0x20, 0x7f], ...ALL_BEYOND_ASCII];

/** What of a set is written in answers. @throws PatternRefusal when nothing is left */
export function writtenPoints(points: CodePoints): CodePoints {
  const written = intersectPoints(points, WRITTEN);
  if (written.length === 0) throw new PatternRefusal('has a class of characters that are never written');
  return written;
}

/** Ranges in order, without overlap. */
export function unitePoints(points: CodePoints): CodePoints {
  const result: [number, number][] = [];
  for (const [from, to] of [...points].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

/** Everything that is not in the set. */
export function outsidePoints(points: CodePoints): CodePoints {
  const result: [number, number][] = [];
  let next = 0;
  for (const [from, to] of unitePoints(points)) {
    if (from > next) result.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST) result.push([next, LAST]);
  return result;
}

/** What is in both, in order. */
export function intersectPoints(a: CodePoints, b: CodePoints): CodePoints {
  const result: [number, number][] = [];
  for (const [from, to] of unitePoints(a)) {
    for (const [low, high] of unitePoints(b)) {
      if (Math.max(from, low) <= Math.min(to, high)) result.push([Math.max(from, low), Math.min(to, high)]);
    }
  }
  return result;
}
