// Reading a claim: what a measurement says of work of any size, behind any context, in any company. Pure; called by the
// profile, which corrects it by what real requests show.
import type { BatchPoint } from '../../protocol/capability.ts';
import type { DecodePoint } from '../core/profile.ts';
import { RESIDUAL_MAX, RESIDUAL_MIN, RESIDUAL_SAMPLES_MIN } from './limits.ts';

/** The context at which a single figure is told, where there is room for one only. */
export const TYPICAL_CONTEXT = 256;

/**
 * Milliseconds per token behind this context: on the line between the measured points, and on along it beyond them, but
 * never below the fastest of them. 0 where nothing was measured.
 */
export function decodeAt(points: readonly DecodePoint[], context: number): number {
  const at = points.map(({ context: x, ms }) => ({ x, y: ms })).sort((a, b) => a.x - b.x);
  const least = at.reduce((min, { y }) => Math.min(min, y), Number.POSITIVE_INFINITY);
  return at.length === 0 ? 0 : Math.max(least, along(at, context));
}

/** How much longer a step takes that so many sequences share; 1 where nothing was measured. */
export function stepRatio(points: readonly BatchPoint[], size: number): number {
  const at = points.map(({ size: x, ms }) => ({ x, y: ms })).sort((a, b) => a.x - b.x);
  const alone = at.find(({ x }) => x === 1)?.y ?? 0;
  return alone === 0 ? 1 : Math.max(1, along(at, Math.max(1, size)) / alone);
}

/**
 * What a claim is multiplied with: the median of real times over claimed ones. Bounded, and 1 while there are too few of
 * them, so that a few disturbed answers say nothing.
 */
export function residual(ratios: readonly number[], median: (values: readonly number[]) => number): number {
  if (ratios.length < RESIDUAL_SAMPLES_MIN) return 1;
  return Math.min(RESIDUAL_MAX, Math.max(RESIDUAL_MIN, median(ratios)));
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The piecewise line through points in order of x; flat on the left of them, on along the last piece on the right. */
function along(points: readonly Point[], x: number): number {
  const [first] = points;
  if (first === undefined) return 0;
  if (x <= first.x) return first.y;
  const right = points.findIndex((point, index) => index > 0 && x <= point.x);
  const b = points.at(right);
  const a = right === -1 ? points.at(-2) : points[right - 1];
  if (a === undefined || b === undefined || a.x === b.x) return b?.y ?? first.y;
  return a.y + ((x - a.x) / (b.x - a.x)) * (b.y - a.y);
}
