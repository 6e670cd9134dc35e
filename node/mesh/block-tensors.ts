// Tensors that cross to a peer and back as blocks of eight bits, where the request allows it: packed where they leave, unpacked
// where they arrive, so that engines see floats only. Called by RemoteEngine and serveEngine.
import { blockBytes, fromBlocks, toBlocks } from '../../protocol/blocks.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { PackedTensor } from '../../protocol/infer.ts';
import { byteLength, type NamedTensor } from '../../protocol/tensor.ts';
import { BLOCKS_BYTES_MAX } from './limits.ts';

export interface Packed {
  readonly tensors: readonly NamedTensor[];
  readonly packed: readonly PackedTensor[];
}

/**
 * Tensors of another type, with values that no block has, and those that would hold up this thread cross as they are.
 * @param names of those that may be packed
 */
export function packTensors(tensors: readonly NamedTensor[], names: readonly string[]): Packed {
  const packed: PackedTensor[] = [];
  const crossing = tensors.map((tensor) => {
    const { name, type, dims, data } = tensor;
    if (!names.includes(name) || type !== 'float32' || data.byteLength > BLOCKS_BYTES_MAX) return tensor;
    const blocks = toBlocks(floatsOf(data));
    if (blocks === undefined || blocks.bytes.byteLength >= data.byteLength) return tensor;
    packed.push({ name, dims, error: blocks.error });
    return { name, type: 'uint8' as const, dims: [blocks.bytes.byteLength], data: blocks.bytes };
  });
  return { tensors: crossing, packed };
}

/** @throws WeftError `tensor_invalid` where one that is said to be packed is not, or has another size */
export function unpackTensors(
  tensors: readonly NamedTensor[],
  packed: readonly PackedTensor[],
): readonly NamedTensor[] {
  if (packed.length === 0) return tensors;
  const shapes = new Map(packed.map((one) => [one.name, one.dims]));
  const unpacked = tensors.map((tensor): NamedTensor => {
    const dims = shapes.get(tensor.name);
    if (dims === undefined || !shapes.delete(tensor.name)) return tensor;
    const { name, type, data } = tensor;
    const count = (byteLength('float32', dims, BLOCKS_BYTES_MAX) ?? 0) / Float32Array.BYTES_PER_ELEMENT;
    if (type !== 'uint8' || data.byteLength !== blockBytes(count)) throw invalid(name);
    return { name, type: 'float32', dims, data: new Uint8Array(fromBlocks(data, count).buffer) };
  });
  for (const name of shapes.keys()) throw invalid(name);
  return unpacked;
}

/** Bytes of a frame begin anywhere. */
function floatsOf(data: Uint8Array): Float32Array {
  const bytes = data.byteOffset % Float32Array.BYTES_PER_ELEMENT === 0 ? data : data.slice();
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
}

const invalid = (name: string): WeftError =>
  new WeftError({
    code: 'tensor_invalid',
    message: `"${name.slice(0, 200)}" does not come as the blocks that it is said to be.`,
  });
