// What a batch takes, learned from the batches that were run: milliseconds of so many rows, padded to so many tokens. One
// per model; the former of batches asks it whether padding or another run is cheaper, the window how long a run goes on.
import type { BatchPoint } from '../../protocol/capability.ts';
import { keepNewest } from '../core/keep-newest.ts';
import { lengthClass } from './length-class.ts';
import { CURVE_CELL_SAMPLES, CURVE_CELLS_MAX } from './limits.ts';
import { median } from './profile.ts';

/** Milliseconds = fixed + perToken · rows · width + perPair · rows · width²: a run, its texts, their attention. */
export interface BatchCost {
  readonly fixed: number;
  readonly perToken: number;
  readonly perPair: number;
}

/** Before anything is measured: only the proportions matter. A run costs as much as 8 tokens, as MiniLM's does. */
export const UNMEASURED_COST: BatchCost = { fixed: 8, perToken: 1, perPair: 1 / 512 };

/** Predicted milliseconds of a batch. */
export function batchMs({ fixed, perToken, perPair }: BatchCost, rows: number, width: number): number {
  return fixed + rows * width * (perToken + perPair * width);
}

interface Cell {
  readonly rows: number;
  readonly width: number;
  readonly recent: number[];
  next: number;
}

const REFIT_EVERY = 8;
/** Of a shape that was never seen, beside one that was: enough that the fit never runs away where nothing is measured. */
const PRIOR_WEIGHT = 0.005;
const PRIOR_SHAPES = [
  [1, 16],
  [8, 16],
  [1, 128],
  [2, 256],
] as const;

/** Learns the cost of batches. Medians per shape, so that a disturbed run moves little; recent ones, so that it follows. */
export class BatchCurve {
  readonly #cells = new Map<string, Cell>();
  #samples = 0;
  #cost: BatchCost | undefined;

  /** Batches that were measured. */
  get samples(): number {
    return this.#samples;
  }

  /** A batch came back. @param ms its time in the runtime */
  worked(rows: number, width: number, ms: number): void {
    const shape = [rows, lengthClass(width)] as const;
    const key = shape.join('×');
    const cell = this.#cells.get(key) ?? { rows, width: shape[1], recent: [], next: 0 };
    // Behind all others: what has not been seen for the longest time goes first.
    this.#cells.delete(key);
    this.#cells.set(key, cell);
    cell.recent[cell.next] = (ms * rows * cell.width) / (rows * width);
    cell.next = (cell.next + 1) % CURVE_CELL_SAMPLES;
    keepNewest(this.#cells, CURVE_CELLS_MAX);
    this.#samples++;
    if (this.#samples <= REFIT_EVERY || this.#samples % REFIT_EVERY === 0) this.#cost = undefined;
  }

  /** The fitted cost; {@link UNMEASURED_COST} before the first batch. */
  get cost(): BatchCost {
    this.#cost ??= this.#fit();
    return this.#cost;
  }

  /** Predicted milliseconds; undefined before the first batch. */
  predictMs(rows: number, width: number): number | undefined {
    return this.#samples === 0 ? undefined : batchMs(this.cost, rows, width);
  }

  /** The curve for people, and for the mesh: what 1, 2, 4, … rows of this width take. Empty before the first batch. */
  points(width: number, rowsMax: number): BatchPoint[] {
    if (this.#samples === 0) return [];
    const points: BatchPoint[] = [];
    for (let size = 1; size <= rowsMax; size *= 2) points.push({ size, ms: batchMs(this.cost, size, width) });
    return points;
  }

  #fit(): BatchCost {
    const seen = [...this.#cells.values()].map(({ rows, width, recent }) => ({
      rows,
      width,
      ms: Math.max(median(recent), Number.MIN_VALUE),
      weight: Math.min(1, recent.length / 3),
    }));
    if (seen.length === 0) return UNMEASURED_COST;
    const scale = median(seen.map(({ rows, width, ms }) => ms / batchMs(UNMEASURED_COST, rows, width)));
    const guessed = PRIOR_SHAPES.map(([rows, width]) => {
      return { rows, width, ms: scale * batchMs(UNMEASURED_COST, rows, width), weight: PRIOR_WEIGHT };
    });
    return fitCost([...seen, ...guessed]);
  }
}

interface Measured {
  readonly rows: number;
  readonly width: number;
  readonly ms: number;
  readonly weight: number;
}

/** Least squares of the relative error, over coefficients that are not negative: the best of the seven sets of them. */
export function fitCost(samples: readonly Measured[]): BatchCost {
  const normal = [
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ];
  const right = [0, 0, 0];
  for (const { rows, width, ms, weight } of samples) {
    const features = [1 / ms, (rows * width) / ms, (rows * width * width) / ms];
    for (const [i, a] of features.entries()) {
      right[i] = at(right, i) + weight * a;
      for (const [j, b] of features.entries()) (normal[i] as number[])[j] = at(normal[i], j) + weight * a * b;
    }
  }
  let best: readonly number[] = [0, 0, 0];
  let leastError = 0;
  for (const used of SUBSETS) {
    const solved = solve(used.map((i) => [...used.map((j) => at(normal[i], j)), at(right, i)]));
    if (!solved.every((value) => value >= 0 && Number.isFinite(value))) continue;
    // Up to a constant: what the coefficients of a least-squares solution leave is −rᵀx.
    const error = -used.reduce((sum, i, index) => sum + at(right, i) * at(solved, index), 0);
    if (error >= leastError) continue;
    leastError = error;
    best = [0, 1, 2].map((i) => solved[used.indexOf(i)] ?? 0);
  }
  return { fixed: at(best, 0), perToken: at(best, 1), perPair: at(best, 2) };
}

const SUBSETS: readonly (readonly number[])[] = [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]];

const at = (values: readonly number[] | undefined, index: number): number => values?.[index] ?? 0;

/** Gauss–Jordan over rows of an augmented matrix; what has no one solution gives NaN or infinity. */
function solve(rows: number[][]): number[] {
  for (const [pivot, row] of rows.entries()) {
    const scaled = row.map((value) => value / at(row, pivot));
    rows[pivot] = scaled;
    for (const [other, target] of rows.entries()) {
      const factor = at(target, pivot);
      if (other !== pivot) rows[other] = target.map((value, column) => value - factor * at(scaled, column));
    }
  }
  return rows.map((row) => at(row, rows.length));
}
