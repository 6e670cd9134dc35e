// Tensors as JSON holds them: base64 of their bytes, or their elements. Used by POST /api/v1/infer. What comes is checked
// against its shape before anything of that size is allocated.
import type { InferRequest } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import {
  byteLength,
  checkTensor,
  type DataTypeName,
  elementCount,
  type NamedTensor,
  packStrings,
  type Tensor,
  unpackStrings,
} from '../../protocol/tensor.ts';
import { ELEMENT_FORMS } from './element-forms.ts';

type InputTensor = InferRequest['inputs'][number];

/** An element in JSON: a string where a number would not be exact. */
export type JsonElement = number | string | boolean;

/** Numbers that JSON has no digits for. */
const NOT_FINITE = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/** Longest decimal number of 64 bits, with its sign. */
const INTEGER = /^-?\d{1,20}$/;

/** True when the type can be written as JSON elements. */
export function hasJsonForm(type: DataTypeName): boolean {
  return type === 'string' || type === 'bool' || ELEMENT_FORMS[type] !== undefined;
}

/**
 * Reads an input.
 * @param param where it stands in the body, such as `inputs[0]`, for the error
 * @throws WeftError `tensor_invalid` when data and shape disagree, or an element is none of its type
 */
export function readTensor(input: InputTensor, param: string): NamedTensor {
  const { name, dtype: type, shape: dims, data } = input;
  try {
    const bytes = type !== 'string' && typeof data === 'string' ? fromBase64(data) : fromElements(type, dims, data);
    const tensor = { name, type, dims, data: bytes };
    checkTensor(tensor);
    if (type === 'bool' && bytes.some((byte) => byte > 1)) throw invalid('A bool is neither 0 nor 1.');
    return tensor;
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    const { code, message, remedy } = error;
    throw new WeftError({ code, message: `"${param}": ${message}`, remedy, facts: { param } }, { cause: error });
  }
}

function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  // Whatever is no base64 is skipped in decoding, and then bytes are missing.
  if (text.length % 4 !== 0 || bytes.byteLength !== (text.length / 4) * 3 - padding) {
    throw invalid('The data is neither an array nor base64.');
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fromElements(type: DataTypeName, dims: readonly number[], data: InputTensor['data']): Uint8Array {
  if (!hasJsonForm(type)) throw invalid(`Elements of ${type} have no form in JSON.`, 'Send them as base64.');
  const form = ELEMENT_FORMS[type];
  const count = elementCount(dims) * (form?.perElement ?? 1);
  const shape = form?.perElement === 2 ? [...dims, 2] : dims;
  const flat = flattened(data, shape, count);
  if (type === 'string') return packStrings(flat.map((value) => string(value)));
  const bytes = new Uint8Array(byteLength(type, dims) ?? 0);
  if (type === 'bool') {
    for (const [index, value] of flat.entries()) bytes[index] = boolean(value);
    return bytes;
  }
  const view = new DataView(bytes.buffer);
  for (const [index, value] of flat.entries()) {
    if (form?.min !== undefined && form.max !== undefined) {
      form.write(view, index, integer(value, type, form.min, form.max));
      continue;
    }
    const number = float(value);
    form?.write(view, index, number);
    if (Number.isFinite(number) && !Number.isFinite(form?.read(view, index))) {
      throw invalid(`${number} is out of the range of ${type}.`);
    }
  }
  return bytes;
}

/** The elements of one array of them, or of arrays nested as the shape says; a scalar may stand for itself. */
function flattened(data: InputTensor['data'], shape: readonly number[], count: number): readonly unknown[] {
  const mismatch = (found: number): WeftError =>
    invalid(`A shape of [${shape.join(', ')}] has ${count} elements, but ${found} came.`);
  if (!Array.isArray(data)) {
    if (shape.length > 0) throw mismatch(1);
    return [data];
  }
  if (!data.some(Array.isArray)) {
    if (data.length !== count) throw mismatch(data.length);
    return data;
  }
  const flat: unknown[] = [];
  const visit = (value: unknown, depth: number): void => {
    if (depth === shape.length) {
      flat.push(value);
    } else if (Array.isArray(value) && value.length === shape[depth]) {
      for (const inner of value) visit(inner, depth + 1);
    } else {
      throw invalid(`The arrays are not nested as a shape of [${shape.join(', ')}] says.`);
    }
  };
  visit(data, 0);
  return flat;
}

function string(value: unknown): string {
  if (typeof value === 'string') return value;
  throw invalid('An element is no string.');
}

function boolean(value: unknown): 0 | 1 {
  if (value === true || value === 1) return 1;
  if (value === false || value === 0) return 0;
  throw invalid('An element is neither true nor false.');
}

function integer(value: unknown, type: DataTypeName, min: bigint, max: bigint): bigint {
  if (typeof value === 'number' ? !Number.isSafeInteger(value) : typeof value !== 'string' || !INTEGER.test(value)) {
    const remedy = 'Send integers beyond 2^53 as strings, or the tensor as base64.';
    throw invalid(`An element is no whole number that JSON holds exactly.`, remedy);
  }
  const number = BigInt(value as number | string);
  if (number < min || number > max) throw invalid(`${number} is out of the range of ${type}.`);
  return number;
}

function float(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  const special = typeof value === 'string' ? NOT_FINITE.get(value) : undefined;
  if (special !== undefined) return special;
  throw invalid('An element is no number.');
}

/** The elements of a tensor whose type {@link hasJsonForm}, from one to another, in row-major order. */
export function* writeElements(tensor: Tensor): Generator<JsonElement> {
  const { type, dims, data } = tensor;
  const count = elementCount(dims);
  if (type === 'string') {
    yield* unpackStrings(data, count);
    return;
  }
  if (type === 'bool') {
    for (const byte of data) yield byte !== 0;
    return;
  }
  const form = ELEMENT_FORMS[type];
  if (form === undefined) return;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let index = 0; index < count * form.perElement; index += 1) yield jsonNumber(form.read(view, index));
}

function jsonNumber(value: number | bigint): JsonElement {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function invalid(message: string, remedy = 'Send as many elements, or bytes in base64, as the shape has.'): WeftError {
  return new WeftError({ code: 'tensor_invalid', message, remedy });
}
