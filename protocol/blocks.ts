// Floats as whole numbers of eight bits in blocks of 32, each with one scale: 34 bytes instead of 128. The layout of ggml's
// Q8_0, but for the scale, which is a bfloat16: rounded up, it holds any finite block. Used for tensors between the parts of a
// graph, where somebody asked for it.

export const BLOCK_VALUES = 32;
/** Two of the scale, little-endian, and one for each value. */
export const BLOCK_BYTES = 2 + BLOCK_VALUES;

/** Largest whole number of a block. */
const MOST = 127;

/** Bytes of so many floats in blocks; the last block is filled up with zeros. */
export const blockBytes = (values: number): number => Math.ceil(values / BLOCK_VALUES) * BLOCK_BYTES;

export interface Blocks {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What is lost: Euclidean length of the difference over that of the values; 0 for values that are all 0. */
  readonly error: number;
}

/** @returns undefined where a value is not finite: such tensors have no blocks */
export function toBlocks(values: Float32Array): Blocks | undefined {
  const bytes = new Uint8Array(blockBytes(values.length));
  const whole = new Int8Array(bytes.buffer);
  const scale = new Float32Array(1);
  const bits = new Uint32Array(scale.buffer);
  let lost = 0;
  let all = 0;
  for (let from = 0, at = 0; from < values.length; from += BLOCK_VALUES, at += BLOCK_BYTES) {
    const to = Math.min(values.length, from + BLOCK_VALUES);
    let most = 0;
    for (let index = from; index < to; index++) {
      const size = Math.abs(values[index] as number);
      // Not a number is no larger than anything.
      if (!(size < Number.POSITIVE_INFINITY)) return undefined;
      if (size > most) most = size;
    }
    scale[0] = most / MOST;
    const upper = ((bits[0] as number) + 0xffff) >>> 16;
    bits[0] = upper << 16;
    const step = scale[0] as number;
    // Of blocks so small that they have no scale nothing is left.
    const perStep = step === 0 || 1 / step === Number.POSITIVE_INFINITY ? 0 : 1 / step;
    bytes[at] = upper & 0xff;
    bytes[at + 1] = upper >>> 8;
    for (let index = from; index < to; index++) {
      const value = values[index] as number;
      const rounded = Math.trunc(value * perStep + (value < 0 ? -0.5 : 0.5));
      whole[at + 2 + index - from] = rounded;
      const difference = value - rounded * step;
      lost += difference * difference;
      all += value * value;
    }
  }
  return { bytes, error: all === 0 ? 0 : Math.sqrt(lost / all) };
}

/** @param bytes as many as `blockBytes(count)` @param count of the values */
export function fromBlocks(bytes: Uint8Array, count: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  const whole = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const scale = new Float32Array(1);
  const bits = new Uint32Array(scale.buffer);
  for (let from = 0, at = 0; from < count; from += BLOCK_VALUES, at += BLOCK_BYTES) {
    bits[0] = (((bytes[at + 1] as number) << 8) | (bytes[at] as number)) << 16;
    const step = scale[0] as number;
    const to = Math.min(count, from + BLOCK_VALUES);
    for (let index = from; index < to; index++) values[index] = (whole[at + 2 + index - from] as number) * step;
  }
  return values;
}
