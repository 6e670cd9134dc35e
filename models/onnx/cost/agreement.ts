// Whether parts of a graph, run one after the other, give what the whole gives. Pure.
import { elements, type NamedTensor } from '../../../protocol/tensor.ts';
import type { GraphProto, NodeProto } from '../messages/onnx_pb.js';
import { innerGraphs } from '../subgraphs.ts';
import { float16 } from '../tensors.ts';

export interface Tolerance {
  /** Of the largest value of the whole's output. */
  readonly relative: number;
  readonly absolute: number;
  /** Instead of both, where the graph rounds: of the Euclidean length of the whole's output. @default it doesn't round */
  readonly rounded?: number;
}

/**
 * Whether the graph rounds floats to whole numbers and goes on with them: then what is computed in another order may be
 * rounded otherwise, which is no mistake.
 */
export function rounds(graph: GraphProto): boolean {
  return graph.node.some((node) => roundsHere(node) || innerGraphs(node).some(rounds));
}

const roundsHere = ({ opType }: NodeProto): boolean =>
  opType === 'QuantizeLinear' ||
  opType.startsWith('DynamicQuantize') ||
  opType === 'MatMulNBits' ||
  opType.startsWith('QLinear') ||
  opType.startsWith('QAttention');

/**
 * What differs between two sets of outputs of the same names, in a few words; undefined where they agree. Whole numbers, truth
 * values and texts must be equal, floats within the tolerance.
 */
export function disagreement(
  expected: readonly NamedTensor[],
  actual: ReadonlyMap<string, NamedTensor>,
  tolerance: Tolerance,
): string | undefined {
  for (const whole of expected) {
    const part = actual.get(whole.name);
    if (part === undefined) return `${whole.name} is missing`;
    if (part.type !== whole.type || part.dims.join() !== whole.dims.join()) return `${whole.name} has another shape`;
    const isFloat = whole.type === 'float32' || whole.type === 'float64' || whole.type === 'float16';
    const agrees = isFloat
      ? isNear(floats(whole), floats(part), tolerance)
      : Buffer.compare(whole.data, part.data) === 0;
    if (!agrees) return `${whole.name} has other values`;
  }
  return undefined;
}

function isNear(whole: ArrayLike<number>, part: ArrayLike<number>, tolerance: Tolerance): boolean {
  let largest = 0;
  let furthest = 0;
  let length = 0;
  let distance = 0;
  for (let index = 0; index < whole.length; index++) {
    const a = whole[index] as number;
    const b = part[index] as number;
    // Infinities and what is no number must be the same in both.
    if (!Number.isFinite(a) || !Number.isFinite(b)) {
      if (!Object.is(a, b)) return false;
      continue;
    }
    const off = Math.abs(a - b);
    largest = Math.max(largest, Math.abs(a));
    furthest = Math.max(furthest, off);
    length += a * a;
    distance += off * off;
  }
  const { relative, absolute, rounded } = tolerance;
  if (furthest <= relative * largest + absolute) return true;
  return rounded !== undefined && Math.sqrt(distance) <= rounded * Math.sqrt(length);
}

function floats(tensor: NamedTensor): ArrayLike<number> {
  const values = elements(tensor);
  return tensor.type === 'float16' ? Float64Array.from(values as Uint16Array, float16) : (values as Float32Array);
}
