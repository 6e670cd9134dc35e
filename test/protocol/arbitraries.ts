// Random tensors, headers and cuts, for the tests of what crosses a process.
import fc from 'fast-check';
import type { HeaderKind } from '../../protocol/frame.ts';
import type { GraphPart } from '../../protocol/part.ts';
import { byteLength, DataType, type DataTypeName, type NamedTensor, packStrings } from '../../protocol/tensor.ts';

const TYPES = Object.keys(DataType) as DataTypeName[];

/** A shape of at most 4096 elements. */
const dims = fc
  .array(fc.integer({ min: 0, max: 9 }), { maxLength: 5 })
  .filter((shape) => shape.reduce((product, dim) => product * dim, 1) <= 4096);

/** A valid tensor of any type, with random bytes. */
export const tensor: fc.Arbitrary<NamedTensor> = fc
  .tuple(fc.string({ maxLength: 40 }), fc.constantFrom(...TYPES), dims)
  .chain(([name, type, shape]) => {
    const bytes = byteLength(type, shape);
    const data =
      bytes === undefined
        ? fc
            .array(fc.string({ unit: 'grapheme', maxLength: 12 }), {
              minLength: shape.reduce((product, dim) => product * dim, 1),
              maxLength: shape.reduce((product, dim) => product * dim, 1),
            })
            .map(packStrings)
        : fc.uint8Array({ minLength: bytes, maxLength: bytes });
    return data.map((content) => ({ name, type, dims: shape, data: content }));
  });

/** Tensors of one message. */
export const tensors = fc.uniqueArray(tensor, { maxLength: 5, selector: ({ name }) => name });

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });

/** A part of some graph. */
export const parts: fc.Arbitrary<GraphPart> = fc.record({
  inputs: fc.uniqueArray(
    fc.record(
      {
        name,
        type: fc.constantFrom(...TYPES),
        dims: fc.array(fc.oneof(fc.maxSafeNat(), fc.string({ maxLength: 20 })), { maxLength: 6 }),
      },
      { requiredKeys: ['name', 'type'] },
    ),
    { maxLength: 8, selector: (input) => input.name },
  ),
  outputs: fc.uniqueArray(name, { minLength: 1, maxLength: 8 }),
});

const uint32 = fc.nat({ max: 0xffff_ffff });
const payload = fc.uint8Array({ maxLength: 200 });
const load = fc.record({
  requestsInFlight: uint32,
  queuedMs: fc.double({ noNaN: true }),
  latencyMs: fc.double({ noNaN: true }),
  memoryFreeBytes: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});

/** The header of a message that may carry tensors. */
export const carryingKind: fc.Arbitrary<HeaderKind> = fc.oneof(
  fc.record({
    case: fc.constant('call'),
    value: fc.record({
      method: uint32,
      version: uint32,
      budgetMs: uint32,
      requestId: fc.string(),
      traceParent: fc.string({ unit: 'grapheme', maxLength: 30 }).filter(({ length }) => length <= 64),
      payload,
      withinMs: uint32,
      priority: uint32,
    }),
  }),
  fc.record({ case: fc.constant('item'), value: fc.record({ sequence: uint32, payload }) }),
  fc.record({ case: fc.constant('end'), value: fc.record({ payload, load }, { requiredKeys: ['payload'] }) }),
) as fc.Arbitrary<HeaderKind>;

/** The header of a message that never does. */
export const bareKind: fc.Arbitrary<HeaderKind> = fc.oneof(
  fc.record({ case: fc.constant('ack'), value: fc.record({ load }, { requiredKeys: [] }) }),
  fc.record({
    case: fc.constant('fault'),
    value: fc.record(
      {
        error: fc.record({
          code: fc.string(),
          message: fc.string(),
          remedy: fc.string(),
          facts: fc.dictionary(fc.string(), fc.string(), { maxKeys: 5 }),
        }),
        load,
      },
      { requiredKeys: ['error'] },
    ),
  }),
  fc.record({ case: fc.constant('cancel'), value: fc.record({ reason: fc.string() }) }),
) as fc.Arbitrary<HeaderKind>;

export const callId = fc.integer({ min: 1, max: 0xffff_ffff });

/** Lengths of the chunks in which bytes arrive; they repeat until all is there. */
export const cuts = fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 8 });

/** The bytes in chunks of these lengths, each with memory of its own. */
export function* cutBytes(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let offset = 0, index = 0; offset < bytes.byteLength; index++) {
    const length = lengths[index % lengths.length] ?? 1;
    yield bytes.slice(offset, offset + length);
    offset += length;
  }
}

/** All pieces, one after the other. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.byteLength;
  }
  return whole;
}

/** Bytes from hex digits; spaces and line breaks are for the reader. */
export function hex(digits: string): Uint8Array {
  return new Uint8Array(Buffer.from(digits.replaceAll(/\s/g, ''), 'hex'));
}
