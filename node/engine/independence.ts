// Whether a graph treats the rows of its first axis each by itself: two requests' answers, from a run of their own each and
// from one that they shared, are compared. Pure; asked once per loaded model, before its requests share runs.
import { elements, type NamedTensor } from '../../protocol/tensor.ts';
import { ROWS_TOLERANCE } from './limits.ts';
import type { RowsVerdict } from './run-batching.ts';

/**
 * @param apart the outputs of each request by itself
 * @param together the outputs of both in one run, split again by {@link splitOutputs}; undefined where the rows of an
 *   output were not those of the inputs
 */
export function judgeRows(
  apart: readonly (readonly NamedTensor[])[],
  together: readonly (readonly NamedTensor[])[] | undefined,
): RowsVerdict {
  if (together === undefined) return { rows: 'dependent', reason: 'An output has not as many rows as the inputs.' };
  for (const [request, outputs] of apart.entries()) {
    for (const output of outputs) {
      const shared = together[request]?.find(({ name }) => name === output.name);
      if (shared === undefined || shared.dims.join() !== output.dims.join()) {
        return { rows: 'dependent', reason: `"${output.name}" has another shape when requests share a run.` };
      }
      const off = difference(output, shared);
      if (off > ROWS_TOLERANCE) {
        const share = Number.isFinite(off) ? `by ${(100 * off).toPrecision(2)} % of its largest value` : 'in kind';
        return { rows: 'dependent', reason: `"${output.name}" differs ${share} when requests share a run.` };
      }
    }
  }
  // Answers that are alike whatever went in would hide that one request's rows reached the other's.
  const [first = [], second = []] = apart;
  const telling = first.some((output) => {
    const other = second.find(({ name }) => name === output.name);
    return (
      other !== undefined && (other.dims.join() !== output.dims.join() || difference(output, other) > ROWS_TOLERANCE)
    );
  });
  return telling ? { rows: 'independent' } : { rows: 'unclear' };
}

/**
 * The answer to several requests, as views of it, by how many rows each had.
 * @returns undefined when an output has not as many rows as they have together
 */
export function splitOutputs(outputs: readonly NamedTensor[], rows: readonly number[]): NamedTensor[][] | undefined {
  const total = rows.reduce((sum, count) => sum + count, 0);
  if (outputs.some(({ dims, data }) => dims[0] !== total || data.byteLength % total !== 0)) return undefined;
  let from = 0;
  return rows.map((count) => {
    const to = from + count;
    const parts = outputs.map(({ name, type, dims, data }) => {
      const rowBytes = data.byteLength / total;
      return { name, type, dims: [count, ...dims.slice(1)], data: data.subarray(from * rowBytes, to * rowBytes) };
    });
    from = to;
    return parts;
  });
}

/** Largest difference as a share of the largest value; infinite where integers, or what is not a number, differ. */
function difference(a: NamedTensor, b: NamedTensor): number {
  const read = READERS[a.type];
  if (read === undefined) return Buffer.compare(a.data, b.data) === 0 ? 0 : Number.POSITIVE_INFINITY;
  const [left, right] = [elements(a), elements(b)];
  let largest = 0;
  let off = 0;
  for (let index = 0; index < left.length; index++) {
    const [x, y] = [read(left[index] as number), read(right[index] as number)];
    // Two that are not a number are alike, and so are two infinities of one sign.
    if (Object.is(x, y) || x === y) continue;
    off = Math.max(off, Math.abs(x - y));
    if (!Number.isFinite(off)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, Math.abs(x), Math.abs(y));
  }
  if (off === 0) return 0;
  for (const value of left) largest = Math.max(largest, finite(Math.abs(read(value as number))));
  return off / largest;
}

const finite = (value: number): number => (Number.isFinite(value) ? value : 0);
const same = (value: number): number => value;

/** From an element to its value, for the types that are compared by tolerance. */
const READERS: Partial<Record<NamedTensor['type'], (element: number) => number>> = {
  float32: same,
  float64: same,
  float16: halfValue,
  bfloat16: (bits) => {
    words[0] = bits << 16;
    return singles[0] as number;
  },
};

const words = new Uint32Array(1);
const singles = new Float32Array(words.buffer);

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
