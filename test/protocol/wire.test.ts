import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageCodec, readMessage, writeMessage } from '../../protocol/codec.ts';
import { HEADER_BYTES_MAX, MESSAGE_ELEMENTS_MAX } from '../../protocol/limits.ts';
import {
  AdvertSchema,
  ErrorSchema,
  GenerateItemSchema,
  HeaderSchema,
  JoinProveResponseSchema,
  SyncRequestSchema,
} from '../../protocol/messages/weft_pb.js';
import { runs } from '../support/property.ts';
import { hex } from './arbitraries.ts';

const invalid = expect.objectContaining({ name: 'WeftError', code: 'frame_invalid' });

/** A mebibyte of one empty field after the other. */
function emptyFields(field: number): Uint8Array {
  return new Uint8Array(HEADER_BYTES_MAX).map((_, index) => (index % 2 === 0 ? (field << 3) | 2 : 0));
}

describe('readMessage', () => {
  it('reads what writeMessage wrote', () => {
    const bytes = writeMessage(GenerateItemSchema, { firstIndex: 5, ids: [1, 2, 300] });
    expect(readMessage(GenerateItemSchema, bytes)).toMatchObject({ firstIndex: 5, ids: [1, 2, 300] });
  });

  it.each([
    ['submessages in a header', HeaderSchema, 9],
    ['adverts in a sync', SyncRequestSchema, 3],
    ['statements in a sync', SyncRequestSchema, 2],
    ['statements in a welcome', JoinProveResponseSchema, 1],
    ['offers in an advert', AdvertSchema, 8],
    ['facts of an error', ErrorSchema, 4],
    ['repetitions of one string', ErrorSchema, 2],
  ] as const)('refuses half a million empty %s before it builds one', (_what, schema, field) => {
    const began = performance.now();
    expect(() => readMessage(schema, emptyFields(field))).toThrow(invalid);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it('passes over half a million fields that it does not know', () => {
    const began = performance.now();
    expect(readMessage(ErrorSchema, emptyFields(15)).$unknown).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it('would else build them all', () => {
    expect(fromBinary(HeaderSchema, emptyFields(9)).tensors).toHaveLength(HEADER_BYTES_MAX / 2);
  });

  it('refuses a mebibyte of packed numbers, alone or nested', () => {
    const packed = new Uint8Array(HEADER_BYTES_MAX);
    packed.set(hex('12 fcff3f'));
    expect(fromBinary(GenerateItemSchema, packed).ids).toHaveLength(HEADER_BYTES_MAX - 4);
    expect(() => readMessage(GenerateItemSchema, packed)).toThrow(invalid);
    const nested = new Uint8Array(HEADER_BYTES_MAX);
    nested.set(hex('4a fcff3f 1a f8ff3f'));
    expect(() => readMessage(HeaderSchema, nested)).toThrow(invalid);
  });

  it('takes large messages of few elements, and the most elements that are allowed', () => {
    const long = writeMessage(ErrorSchema, { message: 'x'.repeat(1_000_000) });
    expect(readMessage(ErrorSchema, long).message).toHaveLength(1_000_000);
    const statements = Array.from({ length: MESSAGE_ELEMENTS_MAX }, () => new Uint8Array(8));
    const many = writeMessage(JoinProveResponseSchema, { statements });
    expect(readMessage(JoinProveResponseSchema, many).statements).toHaveLength(MESSAGE_ELEMENTS_MAX);
    const more = writeMessage(JoinProveResponseSchema, { statements: [...statements, new Uint8Array(8)] });
    expect(() => readMessage(JoinProveResponseSchema, more)).toThrow(invalid);
  });

  it('takes a mebibyte of the smallest adverts that a mesh has', () => {
    const offer = {
      model: { id: 'owner/model-name', digest: `sha256:${'0'.repeat(64)}` },
      task: 'tensor',
      state: 'disk',
      contextLength: 512,
      sizeBytes: 23_400_000n,
      profile: {},
      aliases: ['short', 'other'],
    };
    const advert = {
      node: 'n'.repeat(52),
      name: 'n',
      addresses: ['a'],
      hardware: {},
      offers: new Array(28).fill(offer),
    };
    const bytes = writeMessage(SyncRequestSchema, { advert, known: new Array(256).fill(advert) });
    expect(bytes.byteLength).toBeGreaterThan(0.9 * HEADER_BYTES_MAX);
    expect(readMessage(SyncRequestSchema, bytes).known).toHaveLength(256);
  });

  it('refuses lengths that lead beyond the end, in messages above the bound too', () => {
    for (const length of [16, 100_000]) {
      const bytes = new Uint8Array(length);
      bytes.set(hex('4a ffffff7f'));
      expect(() => readMessage(HeaderSchema, bytes)).toThrow(invalid);
    }
  });

  it('keeps __proto__ and its like as keys', () => {
    const facts = Object.fromEntries([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['toString', 'c'],
    ]);
    const read = readMessage(ErrorSchema, toBinary(ErrorSchema, create(ErrorSchema, { facts })));
    expect(Object.entries(read.facts)).toEqual(Object.entries(facts));
    expect(({} as Record<string, unknown>).a).toBeUndefined();
    expect(Object.getPrototypeOf(read.facts)).toBe(Object.prototype);
  });

  it('gives a message or frame_invalid for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        for (const schema of [HeaderSchema, SyncRequestSchema, ErrorSchema]) {
          try {
            readMessage(schema, noise);
          } catch (error) {
            expect(error).toEqual(invalid);
          }
        }
      }),
      runs(500),
    );
  });
});

describe('messageCodec', () => {
  it('gives back what went in', () => {
    const codec = messageCodec(GenerateItemSchema);
    const parts = codec.encode({ firstIndex: 2, ids: [7], logprobs: [-0.5], topIds: [], topLogprobs: [] });
    expect(parts.tensors).toEqual([]);
    expect(codec.decode(parts)).toMatchObject({ firstIndex: 2, ids: [7], logprobs: [-0.5] });
  });
});
