// Inputs of float16 as the runtime takes them. Called before every run.
import type { Tensor } from 'onnxruntime-node';

/**
 * The binding of 1.30 reads float16 from a Uint16Array; the library around it makes a Float16Array of that wherever there
 * is such a type, and the binding then finds nothing ("not enough space: expected 8, got 0"). The same bits, put back.
 */
export function asBits(tensor: Tensor): Tensor {
  if (tensor.type !== 'float16' || tensor.data instanceof Uint16Array) return tensor;
  const { buffer, byteOffset, length } = tensor.data as unknown as Uint16Array<ArrayBuffer>;
  return Object.assign(tensor, { cpuData: new Uint16Array(buffer, byteOffset, length) });
}
