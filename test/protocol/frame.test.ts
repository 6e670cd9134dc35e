import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeFrames,
  FRAME_MAGIC,
  FRAME_PREFIX_BYTES,
  FRAME_VERSION,
  type FrameHeader,
  FrameReader,
  type HeaderKind,
  TensorAssembler,
  type TensorInfo,
} from '../../protocol/frame.ts';
import { readHeader } from '../../protocol/header.ts';
import {
  FRAME_BODY_BYTES_MAX,
  HEADER_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  TENSOR_NAME_LENGTH_MAX,
  TENSORS_MAX,
} from '../../protocol/limits.ts';
import { HeaderSchema, type TensorInfo as TensorInfoMessage } from '../../protocol/messages/weft_pb.js';
import { checkTensor, DataType, type NamedTensor, packStrings } from '../../protocol/tensor.ts';
import { runs } from '../support/property.ts';
import { bareKind, callId, carryingKind, cutBytes, cuts, hex, joined, tensor, tensors } from './arbitraries.ts';

/** What a reader made of some bytes. */
interface Seen {
  readonly headers: FrameHeader[];
  readonly bodies: Uint8Array[];
  readonly reader: FrameReader;
}

function read(chunks: Iterable<Uint8Array>): Seen {
  const headers: FrameHeader[] = [];
  const bodies: Uint8Array[] = [];
  const reader = new FrameReader({
    header: (header) => {
      headers.push(header);
      bodies.push(new Uint8Array(0));
    },
    body: (piece) => bodies.push(joined([bodies.pop() ?? new Uint8Array(0), piece])),
  });
  for (const chunk of chunks) reader.push(chunk);
  return { headers, bodies, reader };
}

const bytesOf = (id: number, kind: HeaderKind, carried?: readonly NamedTensor[]): Uint8Array =>
  joined(encodeFrames(id, kind, carried).flat());
const cancel = (reason: string): HeaderKind => ({ case: 'cancel', value: { reason } }) as HeaderKind;
const item = { case: 'item', value: { sequence: 0, payload: new Uint8Array(0) } } as HeaderKind;
/** What a reader makes of a header that declares this tensor. */
function info(init: Partial<Omit<TensorInfoMessage, '$typeName'>>): TensorInfo {
  const tensor = { name: 'x', dataType: DataType.uint8, dims: [4n], byteLength: 4n, ...init };
  const header = readHeader(toBinary(HeaderSchema, create(HeaderSchema, { callId: 1, tensors: [tensor] })));
  return header.tensors[0] as TensorInfo;
}
const withCode = (code: string): unknown => expect.objectContaining({ name: 'WeftError', code });

/** A frame by hand: this prefix, header and body. */
function frame(init: { header?: Uint8Array; bodyBytes?: number; magic?: number; version?: number; reserved?: number }) {
  const header = init.header ?? toBinary(HeaderSchema, create(HeaderSchema, { callId: 1, kind: cancel('') }));
  const prefix = new DataView(new ArrayBuffer(FRAME_PREFIX_BYTES));
  prefix.setUint8(0, init.magic ?? FRAME_MAGIC);
  prefix.setUint8(1, init.version ?? FRAME_VERSION);
  prefix.setUint16(2, init.reserved ?? 0, true);
  prefix.setUint32(4, header.byteLength, true);
  prefix.setUint32(8, init.bodyBytes ?? 0, true);
  return joined([new Uint8Array(prefix.buffer), header]);
}

describe('golden bytes', () => {
  it.each<[string, string, number, HeaderKind, NamedTensor[]]>([
    [
      'a cancellation',
      // magic, version, reserved, header length, body length | call_id 7 | cancel { reason "bye" }
      '57 01 0000 09000000 00000000  08 07  3a 05 0a 03 62 79 65',
      7,
      cancel('bye'),
      [],
    ],
    [
      'a call with a tensor, padded to 8',
      // call_id 300 | call { method 11, version 1, budget 1000, request "r", payload 0102 }
      // | tensor { name "t", float32, dims [1, 3], 12 bytes } | 1, 2, 3 | padding
      `57 01 0000 20000000 10000000
       08 ac02  12 0e 08 0b 10 01 18 e807 22 01 72 2a 02 0102
       4a 0b 0a 01 74 10 01 1a 02 0103 20 0c
       0000803f 00000040 00004040 00000000`,
      300,
      {
        case: 'call',
        value: {
          method: 11,
          version: 1,
          budgetMs: 1000,
          requestId: 'r',
          traceParent: '',
          payload: new Uint8Array([1, 2]),
          withinMs: 0,
          priority: 0,
        },
      } as HeaderKind,
      [{ name: 't', type: 'float32', dims: [1, 3], data: new Uint8Array(new Float32Array([1, 2, 3]).buffer) }],
    ],
    [
      'a call that is traced',
      // call_id 1 | call { method 12, version 1, request "r", trace "00-a" }
      `57 01 0000 11000000 00000000
       08 01  12 0d 08 0c 10 01 22 01 72 32 04 30302d61`,
      1,
      {
        case: 'call',
        value: {
          method: 12,
          version: 1,
          budgetMs: 0,
          requestId: 'r',
          traceParent: '00-a',
          payload: new Uint8Array(0),
          withinMs: 0,
          priority: 0,
        },
      },
      [],
    ],
    [
      'a call of the batch class with a condition',
      // call_id 1 | call { method 12, version 1, request "r", within 300, priority 1 }
      `57 01 0000 10000000 00000000
       08 01  12 0c 08 0c 10 01 22 01 72 38 ac02 40 01`,
      1,
      {
        case: 'call',
        value: {
          method: 12,
          version: 1,
          budgetMs: 0,
          requestId: 'r',
          traceParent: '',
          payload: new Uint8Array(0),
          withinMs: 300,
          priority: 1,
        },
      },
      [],
    ],
  ])('%s', (_what, digits, id, kind, carried) => {
    const golden = hex(digits);
    expect(Buffer.from(bytesOf(id, kind, carried)).toString('hex')).toBe(Buffer.from(golden).toString('hex'));
    const { headers, reader } = read([golden]);
    expect(headers).toHaveLength(1);
    expect(headers[0]?.callId).toBe(id);
    expect(headers[0]?.kind.case).toBe(kind.case);
    expect(reader.atFrameBoundary).toBe(true);
  });
});

describe('round trips', () => {
  it('of any messages, in chunks of any size', () => {
    const message = fc.oneof(
      fc.tuple(callId, carryingKind, tensors),
      fc.tuple(callId, bareKind, fc.constant<NamedTensor[]>([])),
    );
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), cuts, (messages, lengths) => {
        const bytes = joined(messages.map(([id, kind, carried]) => bytesOf(id, kind, carried)));
        const { headers, bodies, reader } = read(cutBytes(bytes, lengths));
        expect(reader.atFrameBoundary).toBe(true);
        expect(headers).toHaveLength(messages.length);
        for (const [index, [id, kind, carried]] of messages.entries()) {
          const header = headers[index];
          expect(header?.callId).toBe(id);
          expect(header?.kind).toMatchObject(kind);
          const assembler = new TensorAssembler(header?.tensors ?? []);
          assembler.write(bodies[index] ?? new Uint8Array(0));
          expect(assembler.finish()).toEqual(carried);
        }
      }),
      runs(300),
    );
  });

  it('of tensors that take several frames', () => {
    const big = new Uint8Array(2 * FRAME_BODY_BYTES_MAX + 5);
    for (let index = 0; index < big.byteLength; index++) big[index] = index % 251;
    const carried: NamedTensor[] = [
      { name: 'small', type: 'uint8', dims: [3], data: new Uint8Array([1, 2, 3]) },
      { name: 'big', type: 'uint8', dims: [big.byteLength], data: big },
      { name: 'empty', type: 'float32', dims: [0, 4], data: new Uint8Array(0) },
    ];
    const frames = encodeFrames(9, item, carried);
    expect(frames).toHaveLength(3);
    for (const pieces of frames) {
      expect(joined(pieces).byteLength).toBeLessThanOrEqual(FRAME_PREFIX_BYTES + 200 + FRAME_BODY_BYTES_MAX);
    }
    // The large one is not copied.
    expect(frames.flat().some((piece) => piece.buffer === big.buffer)).toBe(true);
    const { headers, bodies } = read(cutBytes(joined(frames.flat()), [65_537]));
    expect(headers.map((header) => header.kind.case)).toEqual(['item', 'more', 'more']);
    expect(headers.every((header) => header.callId === 9)).toBe(true);
    const assembler = new TensorAssembler(headers[0]?.tensors ?? []);
    for (const body of bodies) assembler.write(body);
    expect(assembler.finish().map(({ data }) => Buffer.compare(data, data))).toEqual([0, 0, 0]);
    expect(Buffer.compare(assembler.finish()[1]?.data ?? new Uint8Array(0), big)).toBe(0);
  });

  it('gives tensors whose bytes are aligned, whatever came before them', () => {
    fc.assert(
      fc.property(tensors, (carried) => {
        const { headers, bodies } = read([bytesOf(1, item, carried)]);
        const assembler = new TensorAssembler(headers[0]?.tensors ?? []);
        assembler.write(bodies[0] ?? new Uint8Array(0));
        for (const { data } of assembler.finish()) expect(data.byteOffset % 8).toBe(0);
      }),
      runs(100),
    );
  });
});

describe('encodeFrames refuses', () => {
  it.each<[string, NamedTensor[]]>([
    ['bytes that do not fit the shape', [{ name: 'x', type: 'float32', dims: [2], data: new Uint8Array(7) }]],
    [
      'more than a message may hold',
      [1, 2].map((n) => {
        const data = new Uint8Array(MESSAGE_BYTES_MAX / 2 + 1);
        return { name: `${n}`, type: 'uint8', dims: [data.byteLength], data };
      }),
    ],
  ])('%s', (_what, carried) => {
    expect(() => encodeFrames(1, item, carried)).toThrow(withCode('tensor_invalid'));
  });

  it('more than a method allows', () => {
    const carried: NamedTensor[] = [{ name: 'x', type: 'uint8', dims: [9], data: new Uint8Array(9) }];
    encodeFrames(1, item, carried, 16);
    expect(() => encodeFrames(1, item, carried, 15)).toThrow(withCode('tensor_invalid'));
  });

  it('too many tensors and a header that is too large', () => {
    const many = Array.from({ length: TENSORS_MAX + 1 }, (_, n): NamedTensor => {
      return { name: `${n}`, type: 'uint8', dims: [0], data: new Uint8Array(0) };
    });
    expect(() => encodeFrames(1, item, many)).toThrow(withCode('frame_invalid'));
    encodeFrames(1, item, many.slice(1));
    expect(() => encodeFrames(1, cancel('x'.repeat(HEADER_BYTES_MAX)))).toThrow(withCode('frame_invalid'));
  });
});

describe('FrameReader', () => {
  it.each([
    ['another protocol', new TextEncoder().encode('GET / HTTP/1.1\r\n')],
    ['a wrong magic', frame({ magic: 0x58 })],
    ['a later layout', frame({ version: 2 })],
    ['layout 0', frame({ version: 0 })],
    ['a reserved bit', frame({ reserved: 0x8000 })],
    ['a header that is too long', frame({ header: new Uint8Array(HEADER_BYTES_MAX + 1) }).subarray(0, 12)],
    ['a header of 2^32 − 1 bytes', hex('57 01 0000 ffffffff 00000000')],
    ['a body that is too long', frame({ bodyBytes: FRAME_BODY_BYTES_MAX + 1 })],
    ['a body of 2^32 − 1 bytes', frame({ bodyBytes: 0xffff_ffff })],
    ['a varint without end', frame({ header: hex('08 ffffffffffffffffffffffffffff') })],
    ['a truncated header', frame({ header: hex('08 07 3a 05 0a 03 62') })],
    ['a submessage longer than the header', frame({ header: hex('3a ffffff7f') })],
    ['a tag of field 0', frame({ header: hex('00 00') })],
    ['a wire type that does not exist', frame({ header: hex('0f') })],
    ['text that is not UTF-8', frame({ header: hex('08 07 3a 04 0a 02 c328') })],
    ['groups nested without end', frame({ header: new Uint8Array(100_000).fill(0x7b) })],
    [
      'half a million empty tensors',
      frame({ header: new Uint8Array(HEADER_BYTES_MAX).map((_, i) => (i % 2 ? 0 : 0x4a)) }),
    ],
    ['a million dimensions', frame({ header: joined([hex('4a 84803c 1a 80803c'), new Uint8Array(983_040)]) })],
  ])('refuses %s, also in pieces, quickly, and for good', (_what, bytes) => {
    const began = performance.now();
    expect(() => read([bytes])).toThrow(withCode('frame_invalid'));
    expect(performance.now() - began).toBeLessThan(1_000);
    const { reader } = read([]);
    const pushAll = (): void => {
      for (const chunk of cutBytes(bytes, [Math.ceil(bytes.byteLength / 4096)])) reader.push(chunk);
    };
    expect(pushAll).toThrow(withCode('frame_invalid'));
    expect(() => reader.push(bytesOf(1, cancel('')))).toThrow(withCode('frame_invalid'));
  });

  it('refuses a kind that it does not know only where it is used', () => {
    // Field 15 of a later version: the header can be read, and its kind is nothing.
    const { headers } = read([frame({ header: hex('08 07 7a 02 0a 00') })]);
    expect(headers[0]?.kind.case).toBeUndefined();
  });

  it('passes over fields of a later version', () => {
    const { headers } = read([frame({ header: hex('08 07 3a 07 0a 03 627965 7801 f8ff0101') })]);
    expect(headers[0]?.kind).toMatchObject({ case: 'cancel', value: { reason: 'bye' } });
  });

  it('knows where a frame ends', () => {
    const bytes = bytesOf(1, item, [{ name: 'x', type: 'uint8', dims: [8], data: new Uint8Array(8) }]);
    for (let length = 0; length <= bytes.byteLength; length++) {
      const { reader } = read([bytes.subarray(0, length)]);
      expect(reader.atFrameBoundary).toBe(length === 0 || length === bytes.byteLength);
    }
  });

  it('takes a large header in tiny pieces in linear time', () => {
    const bytes = bytesOf(1, cancel('x'.repeat(HEADER_BYTES_MAX - 64)));
    const took = (chunks: number): number => {
      const began = performance.now();
      const { headers } = read(cutBytes(bytes, [Math.ceil(bytes.byteLength / chunks)]));
      expect(headers).toHaveLength(1);
      return performance.now() - began;
    };
    // Copying all that came at each push would move 50 GB here.
    expect(took(100_000)).toBeLessThan(5_000);
  });

  it('copies nothing of a body', () => {
    const carried: NamedTensor[] = [{ name: 'x', type: 'uint8', dims: [8], data: new Uint8Array(8).fill(7) }];
    const bytes = bytesOf(1, item, carried);
    const buffers: ArrayBufferLike[] = [];
    const reader = new FrameReader({ header: () => undefined, body: (piece) => buffers.push(piece.buffer) });
    reader.push(bytes);
    expect(buffers).toEqual([bytes.buffer]);
  });

  it('keeps what it holds back when the chunk is a Buffer that is used again', () => {
    const bytes = bytesOf(5, cancel('later'));
    const { headers, reader } = read([]);
    const chunk = Buffer.from(bytes.subarray(0, 15));
    reader.push(chunk);
    chunk.fill(0xff);
    reader.push(bytes.subarray(15));
    expect(headers[0]?.kind).toMatchObject({ value: { reason: 'later' } });
  });

  it('passes on what its sink throws, and is broken then', () => {
    const reader = new FrameReader({
      header: () => {
        throw new TypeError('a defect');
      },
      body: () => undefined,
    });
    expect(() => reader.push(bytesOf(1, cancel('')))).toThrow(withCode('internal'));
    expect(() => reader.push(bytesOf(1, cancel('')))).toThrow(withCode('internal'));
  });
});

describe('TensorAssembler', () => {
  it.each<[string, string, Partial<Omit<TensorInfoMessage, '$typeName'>>]>([
    ['fewer bytes than the shape needs', 'tensor_invalid', { byteLength: 3n }],
    ['more bytes than the shape needs', 'tensor_invalid', { byteLength: 5n }],
    ['an element type that does not exist', 'tensor_invalid', { dataType: 99 }],
    ['no element type', 'tensor_invalid', { dataType: 0 }],
    ['a dimension of 2^64 − 1', 'tensor_invalid', { dims: [2n ** 64n - 1n], byteLength: 2n ** 64n - 1n }],
    ['a dimension that rounds to the right one', 'tensor_invalid', { dims: [2n ** 53n + 1n], byteLength: 4n }],
    ['2^31 elements', 'tensor_invalid', { dims: [2n ** 31n], byteLength: 2n ** 31n }],
    ['2^31 elements that say 4 bytes', 'tensor_invalid', { dims: [2n ** 31n] }],
    ['an overflow that wraps to 4', 'tensor_invalid', { dims: [2n ** 32n, 2n ** 32n, 4n] }],
    ['a rank of 17', 'tensor_invalid', { dims: new Array<bigint>(17).fill(1n), byteLength: 1n }],
    ['2^31 strings', 'tensor_invalid', { dataType: DataType.string, dims: [2n ** 31n], byteLength: 64n }],
    ['2^40 bytes of strings', 'tensor_invalid', { dataType: DataType.string, byteLength: 2n ** 40n }],
    ['a name that is too long', 'frame_invalid', { name: 'n'.repeat(TENSOR_NAME_LENGTH_MAX + 1) }],
  ])('refuses %s before it takes memory', (_what, code, init) => {
    const before = process.memoryUsage().arrayBuffers;
    const began = performance.now();
    expect(() => new TensorAssembler([info(init)])).toThrow(withCode(code));
    expect(performance.now() - began).toBeLessThan(500);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  it('refuses more than the method allows, in one tensor or in all', () => {
    new TensorAssembler([info({}), info({ name: 'y' })], 16);
    expect(() => new TensorAssembler([info({}), info({ name: 'y' })], 15)).toThrow(withCode('tensor_invalid'));
    expect(() => new TensorAssembler([info({})], 3)).toThrow(withCode('tensor_invalid'));
    expect(() => new TensorAssembler([info({})], 0)).toThrow(withCode('tensor_invalid'));
  });

  it('refuses too many tensors and two of one name', () => {
    const many = Array.from({ length: TENSORS_MAX + 1 }, (_, n) => info({ name: `${n}`, dims: [0n], byteLength: 0n }));
    expect(() => new TensorAssembler(many)).toThrow(withCode('frame_invalid'));
    expect(() => new TensorAssembler([info({}), info({})])).toThrow(withCode('frame_invalid'));
  });

  it('takes names of prototype members as names', () => {
    const names = ['__proto__', 'constructor', 'toString', ''];
    const assembler = new TensorAssembler(names.map((name) => info({ name })));
    assembler.write(new Uint8Array(32));
    expect(assembler.finish().map(({ name }) => name)).toEqual(names);
  });

  it('takes memory only when the first byte comes', () => {
    const before = process.memoryUsage().arrayBuffers;
    const assembler = new TensorAssembler([info({ dims: [200n << 20n], byteLength: 200n << 20n })]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
    expect(assembler.missing).toBe(200 << 20);
  });

  it('refuses bytes beyond the declared ones, and an end before them', () => {
    const assembler = new TensorAssembler([info({})]);
    assembler.write(new Uint8Array(5));
    expect(assembler.missing).toBe(3);
    expect(() => assembler.finish()).toThrow(withCode('frame_invalid'));
    expect(() => assembler.write(new Uint8Array(4))).toThrow(withCode('frame_invalid'));
    assembler.write(new Uint8Array(3));
    expect(assembler.finish()).toHaveLength(1);
  });

  it('counts on after it was told to discard', () => {
    const assembler = new TensorAssembler([info({})]);
    assembler.write(new Uint8Array(2));
    assembler.discard();
    assembler.write(new Uint8Array(6));
    expect(assembler.missing).toBe(0);
    expect(() => assembler.write(new Uint8Array(1))).toThrow(withCode('frame_invalid'));
    expect(() => assembler.finish()).toThrow('discarded');
  });

  it('looks into strings before it hands them out', () => {
    const data = packStrings(['ab']);
    const declared = info({ dataType: DataType.string, dims: [1n], byteLength: BigInt(data.byteLength) });
    const assembler = new TensorAssembler([declared]);
    data[0] = 3;
    assembler.write(joined([data, new Uint8Array(8 - data.byteLength)]));
    expect(() => assembler.finish()).toThrow(withCode('tensor_invalid'));
  });
});

describe('damaged bytes', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.constantFrom('flip', 'drop', 'insert', 'cut'), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 6,
  });

  function damaged(bytes: Uint8Array, changes: readonly (readonly [number, string, number])[]): Uint8Array {
    let result = bytes;
    for (const [position, how, value] of changes) {
      const at = result.byteLength === 0 ? 0 : position % result.byteLength;
      if (how === 'flip') result = result.map((byte, index) => (index === at ? byte ^ (value || 1) : byte));
      else if (how === 'drop') result = joined([result.subarray(0, at), result.subarray(at + 1)]);
      else if (how === 'insert')
        result = joined([result.subarray(0, at), new Uint8Array([value]), result.subarray(at)]);
      else result = result.subarray(0, at);
    }
    return result;
  }

  it('give a WeftError or valid tensors, and never memory beyond the cap', () => {
    const cap = 64 << 10;
    const before = process.memoryUsage().arrayBuffers;
    let largest = 0;
    fc.assert(
      fc.property(fc.oneof(carryingKind, bareKind), tensors, damage, cuts, (kind, carried, changes, lengths) => {
        const bytes = damaged(joined([bytesOf(1, kind, carried), bytesOf(2, item, [])]), changes);
        try {
          const assemblers: TensorAssembler[] = [];
          const reader = new FrameReader({
            header: (header) => assemblers.push(new TensorAssembler(header.tensors, cap)),
            body: (piece) => assemblers.at(-1)?.write(piece),
          });
          for (const chunk of cutBytes(bytes, lengths)) reader.push(chunk);
          for (const assembler of assemblers) {
            largest = Math.max(largest, assembler.missing);
            if (assembler.missing === 0) for (const whole of assembler.finish()) checkTensor(whole);
          }
        } catch (error) {
          expect(error).toMatchObject({ name: 'WeftError' });
          expect(error).not.toMatchObject({ code: 'internal' });
        }
      }),
      runs(1_000),
    );
    expect(largest).toBeLessThanOrEqual(cap);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(256 << 20);
  });

  it('of any kind are read without anything but a WeftError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (noise, framed) => {
        try {
          read([framed ? frame({ header: noise, bodyBytes: noise[0] ?? 0 }) : noise]);
        } catch (error) {
          expect(error).toMatchObject({ name: 'WeftError', code: 'frame_invalid' });
        }
      }),
      runs(1_000),
    );
  });

  it('are none: any tensor survives its own round trip', () => {
    fc.assert(
      fc.property(tensor, (one) => {
        const { headers, bodies } = read([bytesOf(1, item, [one])]);
        const assembler = new TensorAssembler(headers[0]?.tensors ?? []);
        assembler.write(bodies[0] ?? new Uint8Array(0));
        expect(assembler.finish()).toEqual([one]);
      }),
      runs(200),
    );
  });
});
