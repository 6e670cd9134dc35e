// NumPy's .npy files as tensors and back, as far as their elements are numbers (format versions 1 to 3,
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). Files come from anywhere: sizes are checked first. Pure.
import { byteLength, type DataTypeName, type Tensor } from '../../../../protocol/tensor.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

/** The data begins at a multiple of this, as NumPy writes it. */
const ALIGNMENT = 64;

/** A plain array's header has about 100. */
const HEADER_BYTES_MAX = 65_536;

/** NumPy's names without their byte order. */
const TYPES: Readonly<Record<string, DataTypeName>> = {
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

/** NumPy has a name for its elements. */
export const isNpyType = (type: DataTypeName): boolean => Object.values(TYPES).includes(type);

/**
 * @returns a tensor on the file's own bytes
 * @throws RangeError with a sentence for anything but a whole array in C order of little-endian numbers
 */
export function readNpy(bytes: Uint8Array): Tensor {
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) throw new RangeError('The file is no .npy file.');
  const wide = (bytes[6] ?? 0) > 1;
  const start = wide ? 12 : 10;
  if (bytes.byteLength < start) throw new RangeError("The file ends within its array's header.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  if (length > HEADER_BYTES_MAX || start + length > bytes.byteLength) {
    throw new RangeError("The file ends within its array's header.");
  }
  const header = new TextDecoder('latin1').decode(bytes.subarray(start, start + length));
  const [, order = '', name = ''] = /'descr'\s*:\s*'([<>=|])([a-zA-Z]\d{1,3})'/.exec(header) ?? [];
  const [, fortran = ''] = /'fortran_order'\s*:\s*(True|False)/.exec(header) ?? [];
  const [, shape] = /'shape'\s*:\s*\(([0-9L,\s]{0,512})\)/.exec(header) ?? [];
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (type === undefined || shape === undefined || fortran === '') {
    throw new RangeError('The file holds no plain array of numbers: save one with numpy.save.');
  }
  if (order === '>') throw new RangeError('The array is big-endian: save it in little-endian order.');
  const dims = shape
    .split(',')
    .map((part) => part.trim().replace(/L$/, ''))
    .filter((part) => part !== '')
    .map(Number);
  if (fortran === 'True' && dims.filter((dim) => dim !== 1).length > 1) {
    throw new RangeError('The array is stored in Fortran order: save numpy.ascontiguousarray(array).');
  }
  const data = bytes.subarray(start + length);
  if (data.byteLength !== byteLength(type, dims)) {
    throw new RangeError(
      `An array of [${dims.join(', ')}] ${type} is not what the file holds: ${data.byteLength} bytes.`,
    );
  }
  return { type, dims, data };
}

/** A .npy file (version 1.0). @throws RangeError for a type that NumPy doesn't have */
export function writeNpy({ type, dims, data }: Tensor): Uint8Array<ArrayBuffer> {
  const name = Object.entries(TYPES).find(([, known]) => known === type)?.[0];
  if (name === undefined) throw new RangeError(`NumPy has no type for ${type}.`);
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ');
  const header = `{'descr': '${/^[biu]1$/.test(name) ? '|' : '<'}${name}', 'fortran_order': False, 'shape': (${shape}), }`;
  const start = MAGIC.length + 4;
  const dataAt = Math.ceil((start + header.length + 1) / ALIGNMENT) * ALIGNMENT;
  const file = new Uint8Array(dataAt + data.byteLength);
  file.set([...MAGIC, 1, 0]);
  new DataView(file.buffer).setUint16(8, dataAt - start, true);
  file.set(new TextEncoder().encode(`${header.padEnd(dataAt - start - 1)}\n`), start);
  file.set(data, dataAt);
  return file;
}
