// The inputs of a graph as a form: which dimensions a person chooses, how each input is filled, and the request that comes of it. Pure.
import type { InferRequest } from '../../../../protocol/api/control/infer.ts';
import type { DataTypeName } from '../../../../protocol/tensor.ts';
import { type Fill, filled, isNumeric } from './elements.ts';
import { FILL_ELEMENTS_MAX, REQUEST_BYTES_MAX } from './limits.ts';

/** An input or output of a graph, as the node tells it. */
export interface Port {
  readonly name: string;
  readonly type: DataTypeName;
  /** A number, or the name of a dimension that each request chooses. */
  readonly dims: readonly (number | string)[];
}

/** Where an input's elements come from. */
export type Source =
  | { readonly from: 'fill'; readonly fill: Fill; readonly value: string }
  | { readonly from: 'json'; readonly json: string }
  /** A file is wanted, and none was read yet. */
  | { readonly from: 'no-file' }
  | {
      readonly from: 'file';
      readonly name: string;
      readonly type: DataTypeName;
      readonly dims: readonly number[];
      readonly data: Uint8Array;
    };

export type RequestInput = InferRequest['inputs'][number];

/** A sentence about one input that can't be sent as it is. */
export class InputProblem extends Error {
  readonly input: string;

  constructor(input: string, message: string) {
    super(message);
    this.input = input;
  }
}

/** Names of dimensions that a request chooses, in order, each once. */
export const openDims = (ports: readonly Port[]): readonly string[] => [
  ...new Set(ports.flatMap(({ dims }) => dims.filter((dim) => typeof dim === 'string'))),
];

/** What a dimension is usually tried with: one row, nothing before it, a few elements. */
export function usualDim(name: string): number {
  if (/past/i.test(name) && !/total|\+/.test(name)) return 0;
  if (/batch|^n$/i.test(name)) return 1;
  return /seq|len|time|tok|total/i.test(name) ? 8 : 1;
}

/** What an input is usually tried with. */
export function usualSource({ name, type }: Port): Source {
  if (!isNumeric(type)) return { from: 'json', json: type === 'string' ? '["text"]' : '[]' };
  if (type === 'bool' || /mask/i.test(name)) return { from: 'fill', fill: 'constant', value: '1' };
  if (/ids$/i.test(name) && !/type|position/i.test(name)) return { from: 'fill', fill: 'random', value: '1000' };
  if (/position/i.test(name)) return { from: 'fill', fill: 'ramp', value: '0' };
  return type.includes('float')
    ? { from: 'fill', fill: 'random', value: '1' }
    : { from: 'fill', fill: 'constant', value: '0' };
}

export const shapeOf = ({ dims }: Port, open: Readonly<Record<string, number>>): readonly number[] =>
  dims.map((dim) => (typeof dim === 'number' ? dim : (open[dim] ?? usualDim(dim))));

/** Seed of what is drawn by lot: the same request gives the same answer. */
const SEED = 7;

/** @throws InputProblem */
export function inputsOf(
  ports: readonly Port[],
  sources: Readonly<Record<string, Source>>,
  open: Readonly<Record<string, number>>,
): RequestInput[] {
  let bytes = 0;
  const take = (port: Port, more: number): void => {
    bytes += more;
    if (bytes <= REQUEST_BYTES_MAX) return;
    throw new InputProblem(port.name, 'Together the inputs are larger than one request holds (16 MiB as base64).');
  };
  return ports.map((port, at) => {
    const source = sources[port.name] ?? usualSource(port);
    if (source.from === 'file') take(port, source.data.byteLength);
    const input = inputOf(port, source, shapeOf(port, open), at);
    if (source.from === 'fill' && typeof input.data === 'string') take(port, (input.data.length * 3) / 4);
    return input;
  });
}

function inputOf({ name, type }: Port, source: Source, shape: readonly number[], at: number): RequestInput {
  if (source.from === 'no-file') throw new InputProblem(name, 'Choose a .npy file.');
  if (source.from === 'file') {
    if (source.type !== type)
      throw new InputProblem(name, `The file holds ${source.type}, and the input takes ${type}.`);
    return { name, dtype: type, shape: [...source.dims], data: toBase64(source.data) };
  }
  if (source.from === 'json') {
    let data: unknown;
    try {
      data = JSON.parse(source.json);
    } catch {
      throw new InputProblem(name, 'That is no JSON: write the elements as nested arrays.');
    }
    if (!Array.isArray(data)) throw new InputProblem(name, 'An array of elements is needed, such as [[1, 2, 3]].');
    return { name, dtype: type, shape: nestingOf(data), data };
  }
  const value = Number(source.value);
  if (source.value.trim() === '' || !Number.isFinite(value)) throw new InputProblem(name, 'A number is needed here.');
  const count = shape.reduce((product, dim) => product * dim, 1);
  if (count > FILL_ELEMENTS_MAX) throw new InputProblem(name, `${count} elements are too many to fill: take a file.`);
  return { name, dtype: type, shape: [...shape], data: toBase64(filled(type, count, source.fill, value, SEED + at)) };
}

/** The shape that nested arrays have; the node checks that all rows agree. */
export function nestingOf(data: unknown): number[] {
  return Array.isArray(data) ? [data.length, ...(data.length === 0 ? [] : nestingOf(data[0]))] : [];
}

/** In pieces: a call takes so many arguments only. */
export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 32_768) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 32_768));
  }
  return btoa(binary);
}

export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
