// Requests on any graph that may share a run: whether the graph allows it, which requests fit together, and how many rows
// pay. One per model; what was learned of a graph (its rows are independent, or not) stays for as long as its provider does.
import type { Manifest } from '../../models/manifest.ts';
import type { RunRequest } from '../../protocol/infer.ts';
import { TENSOR_NAME_LENGTH_MAX, TENSORS_MAX } from '../../protocol/limits.ts';
import { byteLength } from '../../protocol/tensor.ts';
import type { BatchingStatus } from '../core/engine.ts';
import { keepNewest } from '../core/keep-newest.ts';
import {
  CALL_OVERHEAD_MS,
  CURVE_CELL_SAMPLES,
  ROWS_UNCLEAR_MAX,
  RUN_ANSWER_BYTES_MAX,
  RUN_BATCH_BYTES_MAX,
  RUN_BATCH_GAIN_MIN,
  RUN_BATCH_ROWS_MAX,
  RUN_SHAPES_MAX,
  RUN_SIZE_RETRY_AFTER,
  RUN_SIZE_SAMPLES_MIN,
} from './limits.ts';
import { median } from './profile.ts';
import { isPart } from './run-parts.ts';

/** What two real requests, run apart and together, have said of a graph. */
export type RowsVerdict =
  | { readonly rows: 'independent' }
  /** They say nothing: the same inputs, or answers that don't differ. */
  | { readonly rows: 'unclear' }
  | { readonly rows: 'dependent'; readonly reason: string };

/** A request as it could share a run. */
export interface Batchable {
  /** Requests of one shape fit together: same inputs and outputs, all dimensions alike but the first. */
  readonly shape: string;
  readonly rows: number;
  readonly bytes: number;
}

/** Room is left for the number of a part. */
const NAME_LENGTH_MAX = TENSOR_NAME_LENGTH_MAX - 8;

/** Element types that lie in bytes of their own, so that rows can be put behind one another. */
const WHOLE_BYTES: readonly string[] = [
  ...['float32', 'float64', 'float16', 'bfloat16', 'bool'],
  ...['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64'],
];

/**
 * Why the requests of a graph can't share runs, by what its manifest says; undefined when they may. That the first
 * dimension of all inputs and outputs has one name makes it likely that it counts rows, and proves nothing.
 */
export function whyNoRows({ inputs, outputs }: Pick<Manifest, 'inputs' | 'outputs'>): string | undefined {
  const axis = inputs[0]?.dims[0];
  for (const { name, type, dims } of [...inputs, ...outputs]) {
    const [first] = dims;
    if (typeof first !== 'string' || first === '?' || first === '*') {
      return `"${name}" has no first dimension that a run decides and that has a name.`;
    }
    if (first !== axis)
      return `The first dimension of "${name}" is "${first}", that of "${inputs[0]?.name}" "${axis}".`;
    if (!WHOLE_BYTES.includes(type)) return `"${name}" holds ${type}, of which rows are not put together.`;
    // A part that goes on with an input is marked by it.
    if (isPart(name) || name.length > NAME_LENGTH_MAX) return 'A name has a zero byte in it, or is too long.';
  }
  // A single dimension is more often samples or frames than rows.
  if (inputs.every(({ dims }) => dims.length < 2)) return 'Its inputs have no dimension but the first.';
  return undefined;
}

/** How a request could share a run; undefined when it must go alone. */
export function batchable(request: RunRequest): Batchable | undefined {
  const rows = request.inputs[0]?.dims[0];
  if (rows === undefined || rows < 1 || rows >= RUN_BATCH_ROWS_MAX) return undefined;
  let bytes = 0;
  const shape: string[] = [];
  for (const { name, type, dims } of request.inputs.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (dims[0] !== rows) return undefined;
    bytes += byteLength(type, dims) ?? Number.POSITIVE_INFINITY;
    shape.push(`${name} ${dims.slice(1).join(',')}`);
  }
  if (2 * bytes > RUN_BATCH_BYTES_MAX || 2 * request.inputs.length > TENSORS_MAX) return undefined;
  return { shape: [...request.outputs.toSorted(), '', ...shape].join('\0'), rows, bytes };
}

/** Times of runs of one shape, by size, and how many rows they say to put together. */
export class SizeCurve {
  /** By the power of two that holds the rows: milliseconds per row, the call included. */
  readonly #sizes = new Map<number, { recent: number[]; next: number }>();
  #runs = 0;
  #retryAt = RUN_SIZE_RETRY_AFTER;
  #answerBytesPerRow = 0;

  worked(rows: number, ms: number, answerBytes: number): void {
    const size = sizeOf(rows);
    const cell = this.#sizes.get(size) ?? { recent: [], next: 0 };
    this.#sizes.set(size, cell);
    cell.recent[cell.next] = (ms + CALL_OVERHEAD_MS) / rows;
    cell.next = (cell.next + 1) % CURVE_CELL_SAMPLES;
    this.#answerBytesPerRow = Math.max(this.#answerBytesPerRow, answerBytes / rows);
    this.#runs++;
    if (this.#runs < this.#retryAt) return;
    // What didn't pay under one load may under another: the smallest size that was given up is measured anew.
    const best = this.#best();
    this.#sizes.delete(2 * best);
    this.#retryAt = this.#runs + RUN_SIZE_RETRY_AFTER;
  }

  /**
   * The most rows that pay: as long as twice as many make a row cheaper, and at most one doubling into what was never
   * measured.
   */
  rowsMax(): number {
    const best = this.#best();
    const untried = (this.#sizes.get(2 * best)?.recent.length ?? 0) < RUN_SIZE_SAMPLES_MIN;
    const rows = untried && this.#sizes.has(best) ? 2 * best : best;
    const answers = this.#answerBytesPerRow > 0 ? RUN_ANSWER_BYTES_MAX / this.#answerBytesPerRow : rows;
    return Math.max(1, Math.min(RUN_BATCH_ROWS_MAX, rows, Math.floor(answers)));
  }

  /** Predicted milliseconds, from the nearest size that was measured; undefined before the first run. */
  predictMs(rows: number): number | undefined {
    let nearest: number | undefined;
    for (const size of this.#sizes.keys()) {
      if (nearest === undefined || distance(size, rows) < distance(nearest, rows)) nearest = size;
    }
    if (nearest === undefined) return undefined;
    return Math.max(0, median(this.#sizes.get(nearest)?.recent ?? []) * rows - CALL_OVERHEAD_MS);
  }

  /** The largest size up to which every doubling has paid. */
  #best(): number {
    let best = Math.min(...this.#sizes.keys());
    if (!Number.isFinite(best)) return 1;
    for (let next = 2 * best; next <= RUN_BATCH_ROWS_MAX; next *= 2) {
      const [now, doubled] = [this.#sizes.get(best)?.recent ?? [], this.#sizes.get(next)?.recent ?? []];
      if (doubled.length < RUN_SIZE_SAMPLES_MIN || median(doubled) > (1 - RUN_BATCH_GAIN_MIN) * median(now)) break;
      best = next;
    }
    return best;
  }
}

const sizeOf = (rows: number): number => 2 ** Math.ceil(Math.log2(rows));
const distance = (size: number, rows: number): number => Math.abs(Math.log2(size / rows));

/** What is known of the batches of one model's graph. */
export class RunBatching {
  readonly #never: string | undefined;
  readonly #curves = new Map<string, SizeCurve>();
  #provider = '';
  #verdict: 'unknown' | 'asked' | 'independent' | 'dependent' = 'unknown';
  #reason: string | undefined;
  #unclear = 0;

  constructor(manifest: Pick<Manifest, 'inputs' | 'outputs'>) {
    this.#never = whyNoRows(manifest);
  }

  /** The model has been loaded: another provider has other kernels, of which nothing is known. */
  loadedOn(provider: string): void {
    if (provider === this.#provider) return;
    this.#provider = provider;
    this.#verdict = 'unknown';
    this.#reason = undefined;
    this.#unclear = 0;
    this.#curves.clear();
  }

  get state(): BatchingStatus {
    if (this.#never !== undefined) return { batching: 'none', reason: this.#never };
    if (this.#verdict === 'independent') return { batching: 'rows', reason: undefined };
    return { batching: 'none', reason: this.#reason ?? 'No two requests have been compared yet.' };
  }

  /** `verify`: the next two that fit together are to be run apart and together. */
  get next(): 'alone' | 'verify' | 'together' {
    if (this.#never !== undefined) return 'alone';
    if (this.#verdict === 'unknown') return 'verify';
    return this.#verdict === 'independent' ? 'together' : 'alone';
  }

  /** Two requests are on their way to be compared. */
  asked(): void {
    this.#verdict = 'asked';
  }

  /** They have been, or could not be (`unclear`). */
  verified(verdict: RowsVerdict): void {
    if (this.#verdict !== 'asked') return;
    if (verdict.rows === 'dependent') this.#reason = verdict.reason;
    if (verdict.rows !== 'unclear') this.#verdict = verdict.rows;
    else if (++this.#unclear < ROWS_UNCLEAR_MAX) this.#verdict = 'unknown';
    else {
      this.#verdict = 'dependent';
      this.#reason = `${ROWS_UNCLEAR_MAX} comparisons of requests run apart and together said nothing.`;
    }
  }

  /** Something has shown that its rows are not independent after all. */
  broken(reason: string): void {
    this.#verdict = 'dependent';
    this.#reason = reason;
  }

  /** Times of one shape; of the shapes, those that were used last are kept. */
  curve(shape: string): SizeCurve {
    const curve = this.#curves.get(shape) ?? new SizeCurve();
    this.#curves.delete(shape);
    this.#curves.set(shape, curve);
    keepNewest(this.#curves, RUN_SHAPES_MAX);
    return curve;
  }
}
