// Inputs on which a graph is measured when no request has brought any: of the size that such models usually get, and
// smaller ones in case the graph refuses those. Pure.
import type { Manifest } from '../../../models/manifest.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { byteLength, type DataTypeName, type NamedTensor } from '../../../protocol/tensor.ts';
import type { SampleInput } from '../../core/engine.ts';
import { SAMPLE_BYTES_MAX, SHAPES_BYTES_MAX } from './limits.ts';

type Port = Manifest['inputs'][number];

/** Sizes of what a run decides. */
interface Sizes {
  readonly tokens: number;
  /** Of sound: floats in a row. */
  readonly samples: number;
  readonly height: number;
  readonly width: number;
  /** Of what nothing is known. */
  readonly other: number;
}

/** A paragraph and a photograph; a line of text in a picture; a window of sound; the least that anything is. */
const USUAL: readonly Sizes[] = [
  { tokens: 128, samples: 1600, height: 224, width: 224, other: 1600 },
  { tokens: 128, samples: 512, height: 48, width: 320, other: 64 },
  { tokens: 16, samples: 16_000, height: 64, width: 64, other: 128 },
  { tokens: 16, samples: 16, height: 32, width: 32, other: 16 },
  { tokens: 1, samples: 1, height: 32, width: 32, other: 1 },
];

/** Sets of one tensor for each input, the likeliest size first; empty where the manifest says too little of an input. */
export function sampleInputs({ inputs, contextLength }: Pick<Manifest, 'inputs' | 'contextLength'>): NamedTensor[][] {
  if (inputs.length === 0) return [];
  const sets: NamedTensor[][] = [];
  const seen = new Set<string>();
  for (const usual of USUAL) {
    const tokens = contextLength > 0 ? Math.min(usual.tokens, contextLength) : usual.tokens;
    const shapes = inputs.map((port) => shapeOf(port, { ...usual, tokens }));
    const key = JSON.stringify(shapes);
    if (seen.has(key)) continue;
    seen.add(key);
    const set = inputs.flatMap((port, index) => made(port, shapes[index]) ?? []);
    const bytes = set.reduce((sum, { data }) => sum + data.byteLength, 0);
    if (set.length === inputs.length && bytes <= SAMPLE_BYTES_MAX) sets.push(set);
  }
  return sets;
}

/**
 * Tensors for those that are a shape only.
 * @throws WeftError `unsupported` for a type of which nothing can be made up, `tensor_invalid` for a shape that can't be, and
 *   for shapes that are too large together
 */
export function completed(inputs: readonly SampleInput[]): NamedTensor[] {
  let left = SHAPES_BYTES_MAX;
  return inputs.map(({ name, type, dims, data }) => {
    if (data !== undefined) return { name, type, dims, data };
    const bytes = byteLength(type, dims, left);
    const made = bytes === undefined ? undefined : filled(type, bytes);
    if (bytes === undefined || made === undefined) {
      throw new WeftError({ code: 'unsupported', message: `No ${type} can be made up for "${name}".` });
    }
    left -= bytes;
    return { name, type, dims, data: made };
  });
}

/** Undefined where the rank is not known. */
function shapeOf({ type, dims }: Port, sizes: Sizes): number[] | undefined {
  if (dims.includes('*')) return undefined;
  const isPicture = type.startsWith('float') && dims.length === 4 && dims.some((dim) => dim === 1 || dim === 3);
  const channelsLast = isPicture && (dims[3] === 1 || dims[3] === 3);
  const isSound = type.startsWith('float') && dims.length <= 2;
  const named = isSound ? { ...sizes, tokens: sizes.samples } : sizes;
  return dims.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    const size = sizeNamed(dim, named);
    if (size !== undefined) return size;
    if (axis === 0) return 1;
    if (!isPicture) return sizes.other;
    return axis === (channelsLast ? 1 : 2) ? sizes.height : sizes.width;
  });
}

/** What the name of a dimension says; names of sums (`past_sequence_length + sequence_length`) are sums. */
function sizeNamed(name: string, sizes: Sizes): number | undefined {
  if (name.includes('+')) {
    return name.split('+').reduce((sum, part) => sum + (sizeNamed(part.trim(), sizes) ?? 1), 0);
  }
  if (/^\d{1,6}$/.test(name)) return Number(name);
  if (/batch/i.test(name)) return 1;
  if (/past/i.test(name)) return 0;
  if (/seq|token|length|total/i.test(name)) return sizes.tokens;
  if (/height/i.test(name)) return sizes.height;
  return /width/i.test(name) ? sizes.width : undefined;
}

function made({ name, type, dims: port }: Port, dims: readonly number[] | undefined): NamedTensor | undefined {
  if (dims === undefined || dims.length !== port.length) return undefined;
  const bytes = byteLength(type as DataTypeName, dims, Number.MAX_SAFE_INTEGER);
  if (bytes === undefined || bytes > SAMPLE_BYTES_MAX) return undefined;
  const data = filled(type as DataTypeName, bytes);
  return data === undefined ? undefined : { name, type: type as DataTypeName, dims, data };
}

/** Floats between 0 and 1 that repeat after a while, ones for whole numbers: ids, lengths and masks all have them. */
function filled(type: DataTypeName, bytes: number): Uint8Array | undefined {
  const view = (values: NodeJS.TypedArray): Uint8Array => new Uint8Array(values.buffer);
  switch (type) {
    case 'float32':
      return view(Float32Array.from({ length: bytes / 4 }, (_, index) => wave(index)));
    case 'float64':
      return view(Float64Array.from({ length: bytes / 8 }, (_, index) => wave(index)));
    case 'float16':
      return view(new Uint16Array(bytes / 2).fill(HALF_FLOAT16));
    case 'int64':
    case 'uint64':
      return view(new BigUint64Array(bytes / 8).fill(1n));
    case 'int32':
    case 'uint32':
      return view(new Uint32Array(bytes / 4).fill(1));
    case 'int16':
    case 'uint16':
      return view(new Uint16Array(bytes / 2).fill(1));
    case 'int8':
    case 'uint8':
    case 'bool':
      return new Uint8Array(bytes).fill(1);
    default:
      return undefined;
  }
}

/** One half, as float16 has it. */
const HALF_FLOAT16 = 0x3800;

/** Neither smooth nor the same everywhere, and the same at every call. */
const wave = (index: number): number => ((index * 7919) % 1021) / 1021;
