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
const item = fc.record({ firstIndex: fc.nat(0xffff_ffff), ids: fc.array(fc.nat(0xffff_ffff), { maxLength: 300 }) });

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
  });
});
