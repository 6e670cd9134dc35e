import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WeftError } from '../../protocol/errors.ts';
import { readHeader, writeHeader } from '../../protocol/header.ts';
import {
  readEncodeRequest,
  readEncodeResponse,
  readGenerateItem,
  writeEncodeRequest,
  writeEncodeResponse,
  writeGenerateItem,
} from '../../protocol/hot-messages.ts';
import * as pb from '../../protocol/messages/weft_pb.js';
import { DataType } from '../../protocol/tensor.ts';
import { runs } from '../support/property.ts';
import { bareKind, callId, carryingKind, tensors } from './arbitraries.ts';

const finiteDouble = fc.double({ noNaN: true, min: 0 }).map((value) => (value === 0 ? 0 : value));
const timing = fc.record({
  queueMs: finiteDouble,
  loadMs: finiteDouble,
  computeMs: finiteDouble,
  prefillMs: finiteDouble,
});
const text = fc.string({ unit: 'binary', maxLength: 300 }).filter((value) => value.isWellFormed());
const model = fc.record({ id: text, digest: text });
const request = fc.record({ model, pooling: text, normalize: fc.boolean() });
const response = fc.record({ timing, node: text });
const uints = fc.array(fc.nat(0xffff_ffff), { maxLength: 300 });
const floats = fc.array(fc.float({ noNaN: true }), { maxLength: 300 });
const item = fc.oneof(
  fc.record({ firstIndex: fc.nat(0xffff_ffff), ids: uints }),
  // Reported are all lists of log probabilities or none.
  fc.record({
    firstIndex: fc.nat(0xffff_ffff),
    ids: uints,
    logprobs: floats.filter(({ length }) => length > 0),
    topIds: uints,
    topLogprobs: floats,
  }),
);

describe('messages written by hand', () => {
  it('are the bytes that the library writes: headers', () => {
    fc.assert(
      fc.property(callId, fc.oneof(carryingKind, bareKind), tensors, (id, kind, carried) => {
        const { bytes, end } = writeHeader(id, kind, carried, { before: 5, behind: 3 });
        const infos = carried.map(({ name, type, dims, data }) => ({
          name,
          dataType: DataType[type],
          dims: dims.map(BigInt),
          byteLength: BigInt(data.byteLength),
        }));
        const expected = toBinary(
          pb.HeaderSchema,
          create(pb.HeaderSchema, { callId: id, kind: kind as never, tensors: infos }),
        );
        expect(Buffer.from(bytes.subarray(5, end)).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
      }),
      runs(500),
    );
  });

  it('are the bytes that the library writes: payloads', () => {
    fc.assert(
      fc.property(request, response, item, (asked, answered, tokens) => {
        expect(writeEncodeRequest(asked)).toEqual(
          toBinary(pb.EncodeRequestSchema, create(pb.EncodeRequestSchema, asked)),
        );
        expect(writeEncodeResponse(answered)).toEqual(
          toBinary(pb.EncodeResponseSchema, create(pb.EncodeResponseSchema, answered)),
        );
        expect(writeGenerateItem(tokens)).toEqual(
          toBinary(pb.GenerateItemSchema, create(pb.GenerateItemSchema, tokens)),
        );
        expect(readEncodeRequest(writeEncodeRequest(asked))).toEqual(asked);
        expect(readEncodeResponse(writeEncodeResponse(answered))).toEqual(answered);
        expect(readGenerateItem(writeGenerateItem(tokens))).toEqual(tokens);
      }),
      runs(300),
    );
  });

  it('are refused, or read as the library reads them, when bytes are changed', () => {
    fc.assert(
      fc.property(
        callId,
        fc.oneof(carryingKind, bareKind),
        tensors,
        fc.nat(),
        fc.nat(255),
        (id, kind, carried, at, byte) => {
          const { bytes, end } = writeHeader(id, kind, carried, { before: 0, behind: 0 });
          const changed = bytes.slice(0, end);
          changed[at % end] = byte;
          let mine: ReturnType<typeof readHeader> | undefined;
          try {
            mine = readHeader(changed);
          } catch (error) {
            expect(error).toBeInstanceOf(WeftError);
            return;
          }
          // Stricter than the library it may be, never more lenient.
          const theirs = fromBinary(pb.HeaderSchema, changed);
          expect(mine.callId).toBe(theirs.callId);
          expect(mine.tensors.map(({ name }) => name)).toEqual(theirs.tensors.map(({ name }) => name));
        },
      ),
      runs(1_000),
    );
  });

  it('are cut off nowhere without being refused or shorter', () => {
    const { bytes, end } = writeHeader(7, { case: 'cancel', value: { reason: 'bye' } }, [], { before: 0, behind: 0 });
    for (let length = 1; length < end; length++) {
      try {
        expect(readHeader(bytes.subarray(0, length)).kind).toEqual({ case: undefined });
      } catch (error) {
        expect(error).toMatchObject({ code: 'frame_invalid' });
      }
    }
  });

  it('take minus zero for a value of its own, and no kind for a message that is none', () => {
    const load = { requestsInFlight: 0, queuedMs: -0, latencyMs: 0, memoryFreeBytes: 0n };
    const { bytes, end } = writeHeader(1, { case: 'ack', value: { load } }, [], { before: 0, behind: 0 });
    const ack = readHeader(bytes.subarray(0, end)).kind;
    expect(ack.case === 'ack' && Object.is(ack.value.load?.queuedMs, -0)).toBe(true);
    expect(() => readHeader(new Uint8Array([0x40, 0x01]))).toThrow(WeftError);
  });

  it('read a list of numbers packed or one by one', () => {
    expect(readGenerateItem(new Uint8Array([0x10, 1, 0x10, 2]))).toEqual({ firstIndex: 0, ids: [1, 2] });
    expect(readGenerateItem(new Uint8Array([0x12, 2, 1, 2]))).toEqual({ firstIndex: 0, ids: [1, 2] });
    const half = [0, 0, 0, 0x3f];
    for (const bytes of [
      [0x1d, ...half, 0x1d, ...half],
      [0x1a, 8, ...half, ...half],
    ]) {
      expect(readGenerateItem(new Uint8Array(bytes)).logprobs).toEqual([0.5, 0.5]);
    }
    // Seven bytes are no two floats.
    expect(() => readGenerateItem(new Uint8Array([0x1a, 7, ...half, 0, 0, 0]))).toThrow(WeftError);
  });

  it('leave a trace out that is longer than one may be, in whichever direction, and pass the call on', () => {
    const call = {
      method: 1,
      version: 1,
      budgetMs: 0,
      requestId: 'r',
      payload: new Uint8Array(0),
      withinMs: 0,
      priority: 0,
    };
    const traceOf = (bytes: Uint8Array): string | undefined => {
      const { kind } = readHeader(bytes);
      return kind.case === 'call' ? kind.value.traceParent : undefined;
    };
    for (const [length, kept] of [
      [64, 64],
      [65, 0],
      [100_000, 0],
    ] as const) {
      const value = { ...call, traceParent: 'x'.repeat(length) };
      const { bytes, end } = writeHeader(1, { case: 'call', value }, [], { before: 0, behind: 0 });
      expect(end).toBeLessThan(128);
      expect(traceOf(bytes.subarray(0, end))).toHaveLength(kept);
      const theirs = create(pb.HeaderSchema, { callId: 1, kind: { case: 'call', value } });
      expect(traceOf(toBinary(pb.HeaderSchema, theirs))).toHaveLength(kept);
      // The library's own reader would hand it on as it is.
      const { kind } = fromBinary(pb.HeaderSchema, toBinary(pb.HeaderSchema, theirs));
      expect(kind.case === 'call' && kind.value.traceParent).toHaveLength(length);
    }
    // A header of an earlier version has none.
    const before = create(pb.HeaderSchema, { callId: 1, kind: { case: 'call', value: call } });
    expect(traceOf(toBinary(pb.HeaderSchema, before))).toBe('');
  });
});
