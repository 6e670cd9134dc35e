// Makes up inputs for a graph from what its manifest lists, to see whether a provider can run it at all. Pure.
import { Tensor } from 'onnxruntime-node';
import type { Manifest } from '../../../models/manifest.ts';
import { TRIAL_ELEMENTS_MAX } from '../devices/limits.ts';
import { asBits } from './half-bits.ts';

type Port = Manifest['inputs'][number];

/** One half, as float16 has it. */
const HALF_FLOAT16 = 0x3800;

/** Side of a picture whose size a run decides: less doesn't pass through the usual stack of convolutions. */
const SIDE = 32;

/**
 * One tensor for each input: one sequence of one token with an empty past, ones for whole numbers, halves for floats.
 * Undefined where the manifest lists none, doesn't say enough, or it would take more than TRIAL_ELEMENTS_MAX elements.
 */
export function trialFeeds(manifest: Pick<Manifest, 'inputs'>): Record<string, Tensor> | undefined {
  if (manifest.inputs.length === 0) return undefined;
  const feeds: Record<string, Tensor> = {};
  let left = TRIAL_ELEMENTS_MAX;
  for (const { name, type, dims } of manifest.inputs) {
    if (dims.includes('*')) return undefined;
    const sizes = dims.map((dim) => (typeof dim === 'number' ? dim : sizeOf(dim)));
    const count = sizes.reduce((product, size) => product * size, 1);
    left -= count;
    if (left < 0) return undefined;
    const data = filled(type, count);
    if (data === undefined) return undefined;
    feeds[name] = asBits(new Tensor(type as 'float32', data as Float32Array, sizes));
  }
  return feeds;
}

/** What a named dimension is in the trial; names of sums (`past_sequence_length + 1`) are sums. */
function sizeOf(name: string): number {
  if (name.includes('+')) return name.split('+').reduce((sum, part) => sum + sizeOf(part.trim()), 0);
  if (/^\d{1,6}$/.test(name)) return Number(name);
  if (/total/i.test(name)) return 1;
  if (/past/i.test(name)) return 0;
  return /height|width/i.test(name) ? SIDE : 1;
}

function filled(type: Port['type'], count: number): Tensor['data'] | undefined {
  if (type === 'float32') return new Float32Array(count).fill(0.5);
  if (type === 'float64') return new Float64Array(count).fill(0.5);
  if (type === 'float16') return new Uint16Array(count).fill(HALF_FLOAT16);
  if (type === 'int64') return new BigInt64Array(count).fill(1n);
  if (type === 'int32') return new Int32Array(count).fill(1);
  if (type === 'uint8' || type === 'bool') return new Uint8Array(count).fill(1);
  if (type === 'int8') return new Int8Array(count).fill(1);
  return undefined;
}
