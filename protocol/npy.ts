// NumPy's .npy files (format versions 1 to 3, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html) as
// tensors and back. Files come from anywhere: sizes are checked before anything is allocated. For `weft infer`, and the pages.
import { WeftError } from './errors.ts';
import { MESSAGE_BYTES_MAX } from './limits.ts';
import { byteLength, type DataTypeName, elementCount, packStrings, type Tensor, unpackStrings } from './tensor.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

/** NumPy's own headers are 118 bytes; rank 16 with the longest numbers needs under 500. */
const NPY_HEADER_BYTES_MAX = 65_536;

/** Texts of one tensor: each is an object in memory. */
const NPY_STRINGS_MAX = 1_000_000;

/** The data begins at a multiple of this, as NumPy writes it. */
const ALIGNMENT = 64;

/** NumPy's names without their byte order. Types of ONNX that are not here have none. */
const DTYPES: Readonly<Record<string, DataTypeName>> = {
  b1: 'bool',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  c8: 'complex64',
  c16: 'complex128',
};

const NAMES: Readonly<Partial<Record<DataTypeName, string>>> = Object.fromEntries(
  Object.entries(DTYPES).map(([name, type]) => [type, name]),
);

interface Header {
  /** As it stands: `<f4`. */
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly dims: readonly number[];
}

/** NumPy has a name for its elements, which are numbers or truth values. */
export const isNpyType = (type: DataTypeName): boolean => NAMES[type] !== undefined;

/** True for bytes that begin as a .npy file does. */
export function isNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, at) => bytes[at] === byte);
}

/**
 * The tensor of a .npy file, its data not copied where it holds numbers.
 * @throws WeftError `tensor_invalid` for anything but a whole array in C order of little-endian numbers, truth values or text
 */
export function readNpy(bytes: Uint8Array): Tensor {
  const { header, dataAt } = readHeader(bytes);
  const { descr, fortranOrder, dims } = header;
  const data = bytes.subarray(dataAt);
  // With one axis that is longer than 1 both orders are the same.
  if (fortranOrder && dims.filter((dim) => dim !== 1).length > 1) {
    throw invalid(
      'The array is stored in Fortran order.',
      'Save it with numpy.save(path, numpy.ascontiguousarray(array)).',
    );
  }
  const [, order = '', kind = '', size = ''] = /^([<>=|])([a-zA-Z])(\d{1,9})$/.exec(descr) ?? [];
  if (order === '>')
    throw invalid('The array is big-endian.', "Save it with array.astype(array.dtype.newbyteorder('<')).");
  if (kind === 'U' || kind === 'S') return { type: 'string', dims, data: readTexts(data, dims, kind, Number(size)) };
  const type = Object.hasOwn(DTYPES, `${kind}${size}`) ? DTYPES[`${kind}${size}`] : undefined;
  if (type === undefined) {
    throw invalid(
      `The array's type ${JSON.stringify(descr)} is none that a model takes.`,
      'Convert it with array.astype(…).',
    );
  }
  const expected = byteLength(type, dims) ?? 0;
  if (data.byteLength !== expected) {
    throw invalid(
      `An array of [${dims.join(', ')}] ${type} has ${expected} bytes, and the file holds ${data.byteLength}.`,
    );
  }
  return { type, dims, data };
}

/**
 * A .npy file (version 1.0).
 * @throws WeftError `tensor_invalid` for a type that NumPy doesn't have
 */
export function writeNpy({ type, dims, data }: Tensor): Uint8Array<ArrayBuffer> {
  if (type === 'string') {
    const texts = unpackStrings(data, elementCount(dims)).map((text) => [...text]);
    const length = texts.reduce((most, text) => Math.max(most, text.length), 0);
    return assemble(`<U${length}`, dims, writeTexts(texts, length));
  }
  const name = NAMES[type];
  if (name === undefined) {
    throw invalid(`NumPy has no type for ${type}.`, 'Write the output to a .json file, or leave the file out.');
  }
  return assemble(`${name.endsWith('1') ? '|' : '<'}${name}`, dims, data);
}

function assemble(descr: string, dims: readonly number[], data: Uint8Array): Uint8Array<ArrayBuffer> {
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ');
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`;
  const start = MAGIC.length + 4;
  const dataAt = Math.ceil((start + dict.length + 1) / ALIGNMENT) * ALIGNMENT;
  const file = new Uint8Array(dataAt + data.byteLength);
  file.set([...MAGIC, 1, 0]);
  new DataView(file.buffer).setUint16(MAGIC.length + 2, dataAt - start, true);
  file.set(new TextEncoder().encode(`${dict.padEnd(dataAt - start - 1)}\n`), start);
  file.set(data, dataAt);
  return file;
}

function readHeader(bytes: Uint8Array): { header: Header; dataAt: number } {
  if (!isNpy(bytes)) throw invalid('The file is no .npy file.');
  const [major = 0] = bytes.subarray(MAGIC.length);
  if (major < 1 || major > 3) throw invalid(`Version ${major} of the .npy format is not known.`);
  const lengthBytes = major === 1 ? 2 : 4;
  const start = MAGIC.length + 2 + lengthBytes;
  if (bytes.byteLength < start) throw invalid("The file ends within its array's header.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, start);
  const length = major === 1 ? view.getUint16(start - 2, true) : view.getUint32(start - 4, true);
  if (length > NPY_HEADER_BYTES_MAX) throw invalid(`A header of ${length} bytes is longer than any array needs.`);
  const dataAt = start + length;
  if (dataAt > bytes.byteLength) throw invalid("The file ends within its array's header.");
  const text = new TextDecoder(major === 3 ? 'utf-8' : 'latin1').decode(bytes.subarray(start, dataAt));
  return { header: parseDict(text), dataAt };
}

/** The three entries of the header's Python dictionary, in any order. Each step is one regular expression at one place. */
function parseDict(text: string): Header {
  const found = new Map<string, string>();
  const entry =
    /\s*'(descr|fortran_order|shape)'\s*:\s*('[^'\\]{0,32}'|True|False|\([0-9L,\s]{0,512}\))\s*(?:,|(?=\}))/y;
  const open = /^\s*\{/.exec(text);
  entry.lastIndex = open?.[0].length ?? text.length;
  for (let match = entry.exec(text); match !== null; match = entry.exec(text)) {
    const [whole, key = '', value = ''] = match;
    if (found.has(key)) throw badHeader();
    found.set(key, value);
    entry.lastIndex = match.index + whole.length;
    if (/^\s*\}\s*$/.test(text.slice(entry.lastIndex))) return headerOf(found);
  }
  throw badHeader();
}

function headerOf(found: ReadonlyMap<string, string>): Header {
  const descr = found.get('descr');
  const order = found.get('fortran_order');
  const shape = found.get('shape');
  if (found.size !== 3 || !descr?.startsWith("'") || !shape?.startsWith('(') || !/^(True|False)$/.test(order ?? '')) {
    throw badHeader();
  }
  const parts = shape.slice(1, -1).trim().replace(/,$/, '').split(',');
  const dims = parts.length === 1 && parts[0] === '' ? [] : parts.map(dimension);
  elementCount(dims);
  return { descr: descr.slice(1, -1), fortranOrder: order === 'True', dims };
}

function dimension(text: string): number {
  const [, digits] = /^\s*(\d{1,16})L?\s*$/.exec(text) ?? [];
  if (digits === undefined) throw badHeader();
  return Number(digits);
}

/** Texts of one length in code points (U, UTF-32) or bytes (S), filled up with zeros. */
function readTexts(data: Uint8Array, dims: readonly number[], kind: 'U' | 'S', length: number): Uint8Array {
  const count = elementCount(dims);
  const size = length * (kind === 'U' ? 4 : 1);
  if (count > NPY_STRINGS_MAX) throw invalid(`${count} texts are more than one request can hold.`);
  if (data.byteLength !== count * size) {
    throw invalid(`${count} texts of ${size} bytes each were to follow, and the file holds ${data.byteLength} bytes.`);
  }
  const texts = Array.from({ length: count }, (_, at) => {
    const bytes = data.subarray(at * size, (at + 1) * size);
    return withoutPadding(kind === 'U' ? fromUtf32(bytes) : fromBytes(bytes));
  });
  return packStrings(texts);
}

function withoutPadding(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end -= 1;
  return text.slice(0, end);
}

function fromUtf32(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += 4) {
    const point = view.getUint32(at, true);
    if (point > 0x10ffff) throw invalid('A text holds something that is no character.');
    text += String.fromCodePoint(point);
  }
  return text;
}

function fromBytes(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('A text of bytes is not UTF-8.');
  }
}

function writeTexts(texts: readonly (readonly string[])[], length: number): Uint8Array {
  const bytes = texts.length * length * 4;
  // One long text among many would make all of them as long.
  if (bytes > MESSAGE_BYTES_MAX)
    throw invalid('The texts differ too much in length for a .npy file.', 'Write a .json file.');
  const data = new Uint8Array(bytes);
  const view = new DataView(data.buffer);
  texts.forEach((text, row) => {
    text.forEach((character, at) => {
      view.setUint32((row * length + at) * 4, character.codePointAt(0) ?? 0, true);
    });
  });
  return data;
}

const badHeader = () =>
  invalid(
    'The header of the file is not that of a plain array.',
    'Save one array with numpy.save, without named fields.',
  );

function invalid(message: string, remedy?: string): WeftError {
  return new WeftError({ code: 'tensor_invalid', message, remedy: remedy ?? 'Save the array again with numpy.save.' });
}
