import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNewer, type Load } from '../../protocol/capability.ts';
import { type Codec, loadFromMessage, loadToMessage, readMessage, writeMessage } from '../../protocol/codec.ts';
import { BATCH_POINTS_MAX } from '../../protocol/limits.ts';
import * as pb from '../../protocol/messages/weft_pb.js';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import { tensorOf } from '../../protocol/tensor.ts';
import { MESSAGES, METHODS } from '../fixtures/wire/values.ts';
import { runs } from '../support/property.ts';
import { parts, tensors } from './arbitraries.ts';

const { encode, generate, run, sync, readFile } = PEER_METHODS;
const error = (...codes: string[]): unknown =>
  expect.objectContaining({ name: 'WeftError', code: expect.stringMatching(`^(${codes.join('|')})$`) });
const bad = error('bad_request');
const model = { id: 'owner/name', digest: 'sha256:0' };
const TIMING = { queueMs: 0, loadMs: 0, computeMs: 5, prefillMs: 2 };
const ints = (name: string, ...values: number[]): NamedTensor =>
  tensorOf(name, 'int32', [values.length], Int32Array.from(values));

describe.each(METHODS)('%s', (name, method) => {
  const messages = MESSAGES[name];
  const rows: [string, Codec<unknown>, unknown][] = [
    ['request', method.request, messages.request],
    ['response', method.response, messages.response],
  ];
  if (messages.item !== undefined) rows.push(['item', method.item, messages.item]);

  it.each(rows)('round-trips its %s', (_what, codec, value) => {
    expect(codec.decode(codec.encode(value))).toMatchObject(value as object);
  });

  it.each(rows)('refuses bytes that are no %s', (_what, codec) => {
    const payload = new Uint8Array([0x0a, 0xff]);
    expect(() => codec.decode({ payload, tensors: [] })).toThrow(error('frame_invalid', 'tensor_invalid'));
  });

  it.each(rows)('reads a damaged %s as a value or a WeftError', (_what, codec, value) => {
    const parts = codec.encode(value);
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat({ max: 255 }),
        fc.boolean(),
        fc.subarray([...parts.tensors]),
        (at, byte, cut, kept) => {
          const payload = parts.payload.slice();
          if (payload.byteLength > 0) payload[at % payload.byteLength] = byte;
          try {
            codec.decode({
              payload: cut ? payload.subarray(0, at % (payload.byteLength + 1)) : payload,
              tensors: kept,
            });
          } catch (thrown) {
            expect(thrown).toEqual(error('bad_request', 'frame_invalid', 'tensor_invalid'));
          }
        },
      ),
      runs(100),
    );
  });
});

describe('run', () => {
  it('carries any tensors', () => {
    fc.assert(
      fc.property(tensors, (inputs) => {
        const request = { model, inputs, outputs: ['a'] };
        expect(run.request.decode(run.request.encode(request))).toEqual(request);
      }),
      runs(50),
    );
  });

  it('needs a model', () => {
    for (const message of [{}, { model: { digest: 'sha256:0' } }]) {
      const payload = writeMessage(pb.RunRequestSchema, message);
      expect(() => run.request.decode({ payload, tensors: [] })).toThrow(bad);
    }
  });

  it('carries any part of a graph', () => {
    fc.assert(
      fc.property(parts, (part) => {
        const request = { model, inputs: [], outputs: [], part };
        expect(run.request.decode(run.request.encode(request))).toEqual(request);
      }),
      runs(100),
    );
  });

  it('carries no part where there is none', () => {
    const request = { model, inputs: [], outputs: [] };
    expect(run.request.decode(run.request.encode(request))).not.toHaveProperty('part');
  });

  const input = { name: 'x', dataType: 1, ranked: true, dims: [{ kind: { case: 'size' as const, value: 4n } }] };
  const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `t${index}`);
  const hostile: [string, object][] = [
    ['gives nothing', { inputs: [input], outputs: [] }],
    ['gives thousands of tensors', { inputs: [input], outputs: many(5_000) }],
    ['takes thousands of tensors', { inputs: many(5_000).map((name) => ({ ...input, name })), outputs: ['y'] }],
    ['takes a tensor twice', { inputs: [input, input], outputs: ['y'] }],
    ['gives a tensor twice', { inputs: [input], outputs: ['y', 'y'] }],
    ['takes one without a name', { inputs: [{ ...input, name: '' }], outputs: ['y'] }],
    ['gives one of a long name', { inputs: [input], outputs: ['y'.repeat(513)] }],
    ['has long names together', { inputs: [input], outputs: many(300).map((name) => name.padEnd(512, 'y')) }],
    ['takes an element type that is not known', { inputs: [{ ...input, dataType: 99 }], outputs: ['y'] }],
    ['has a rank of 17', { inputs: [{ ...input, dims: Array(17).fill(input.dims[0]) }], outputs: ['y'] }],
    ['has a dimension that says nothing', { inputs: [{ ...input, dims: [{}] }], outputs: ['y'] }],
    [
      'has a dimension that no number holds',
      { inputs: [{ ...input, dims: [{ kind: { case: 'size', value: 2n ** 60n } }] }], outputs: ['y'] },
    ],
    [
      'has a dimension of a long name',
      { inputs: [{ ...input, dims: [{ kind: { case: 'name', value: 'd'.repeat(257) } }] }], outputs: ['y'] },
    ],
  ];
  it.each(hostile)('refuses a part that %s', (_what, part) => {
    const payload = writeMessage(pb.RunRequestSchema, { model, part });
    expect(() => run.request.decode({ payload, tensors: [] })).toThrow(error('bad_request', 'tensor_invalid'));
  });

  it('sends no part that nobody would take', () => {
    const part = { inputs: [], outputs: [] };
    expect(() => run.request.encode({ model, inputs: [], outputs: [], part })).toThrow(bad);
  });
});

describe('encode', () => {
  const decode = (message: object, ...carried: NamedTensor[]) =>
    encode.request.decode({ payload: writeMessage(pb.EncodeRequestSchema, message), tensors: carried });
  const valid = { model, pooling: 'cls', normalize: false };

  it('takes texts whose lengths sum to the ids', () => {
    expect(decode(valid, ints('ids', 1, 2, 3), ints('lengths', 1, 2))).toMatchObject({
      pooling: 'cls',
      normalize: false,
    });
  });

  it.each<[string, object, NamedTensor[]]>([
    ['no ids', valid, [ints('lengths', 1)]],
    ['no lengths', valid, [ints('ids', 1)]],
    ['ids of another type', valid, [tensorOf('ids', 'int64', [1], BigInt64Array.of(1n)), ints('lengths', 1)]],
    ['no texts', valid, [ints('ids'), ints('lengths')]],
    ['an empty text', valid, [ints('ids', 1), ints('lengths', 1, 0)]],
    ['a negative length that makes the sum right', valid, [ints('ids', 1), ints('lengths', 2, -1)]],
    ['lengths that sum to less', valid, [ints('ids', 1, 2), ints('lengths', 1)]],
    ['lengths that sum to more', valid, [ints('ids', 1), ints('lengths', 2)]],
    ['lengths that overflow', valid, [ints('ids', 1), ints('lengths', 0x7fff_ffff, 0x7fff_ffff, 3)]],
    ['a negative id', valid, [ints('ids', -1), ints('lengths', 1)]],
    ['another pooling', { ...valid, pooling: 'constructor' }, [ints('ids', 1), ints('lengths', 1)]],
    ['too few segments', valid, [ints('ids', 1, 2), ints('lengths', 1, 1), ints('first_lengths', 1)]],
    ['a segment longer than its text', valid, [ints('ids', 1), ints('lengths', 1), ints('first_lengths', 2)]],
    ['a negative segment', valid, [ints('ids', 1), ints('lengths', 1), ints('first_lengths', -1)]],
    ['no model', { ...valid, model: undefined }, [ints('ids', 1), ints('lengths', 1)]],
  ])('refuses %s', (_what, message, carried) => {
    expect(() => decode(message, ...carried)).toThrow(error('bad_request', 'tensor_invalid'));
  });

  it('carries the segments of pairs, where texts are pairs', () => {
    const texts = { model, ids: Int32Array.of(1, 2, 3), lengths: Int32Array.of(1, 2), normalize: false };
    const pairs = { ...texts, pooling: 'logits', firstLengths: Int32Array.of(0, 1) } as const;
    expect(encode.request.decode(encode.request.encode(pairs))).toEqual(pairs);
    expect(encode.request.decode(encode.request.encode({ ...texts, pooling: 'cls' }))).not.toHaveProperty(
      'firstLengths',
    );
  });

  it.each([[[6]], [[2, 3, 1]], [[6, 0]]])('refuses embeddings of shape %j', (dims) => {
    const data = new Uint8Array(dims.reduce((product, dim) => product * dim, 4));
    const carried: NamedTensor[] = [{ name: 'embeddings', type: 'float32', dims, data }];
    const payload = writeMessage(pb.EncodeResponseSchema, { node: 'n' });
    expect(() => encode.response.decode({ payload, tensors: carried })).toThrow(bad);
  });

  it('takes times that are no numbers as none', () => {
    const timing = { queueMs: Number.NaN, loadMs: -1, computeMs: Number.POSITIVE_INFINITY, prefillMs: 2 };
    const parts = encode.response.encode({ embeddings: Float32Array.of(1), dimensions: 1, node: 'n', timing });
    expect(encode.response.decode(parts).timing).toEqual({ queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 2 });
  });
});

describe('generate', () => {
  const sampling = { temperature: 1, topP: 1, topK: 0, seed: 0n };
  const valid = { model, promptLength: 2, maxNewTokens: 5, sampling };
  const decode = (message: object, ...carried: NamedTensor[]) =>
    generate.request.decode({ payload: writeMessage(pb.GenerateRequestSchema, message), tensors: carried });

  it('says how much of the prompt was kept, where something was', () => {
    const result = { finish: 'stop' as const, generated: 3, node: 'n', timing: TIMING };
    const { encode, decode } = generate.response;
    expect(decode(encode(result))).toEqual(result);
    expect(decode(encode({ ...result, cachedTokens: 64 }))).toEqual({ ...result, cachedTokens: 64 });
  });

  it('takes a request with nothing in it but what it must have', () => {
    expect(decode(valid, ints('ids', 1, 2))).toMatchObject({ promptLength: 2, stopIds: [] });
  });

  it('carries what a speech model listens to', () => {
    const features = tensorOf('features', 'float32', [1, 2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
    const request = { model, ids: Int32Array.of(7), promptLength: 1, maxNewTokens: 5, stopIds: [], sampling, features };
    expect(generate.request.decode(generate.request.encode(request))).toEqual(request);
  });

  it.each<[string, object, NamedTensor[]]>([
    ['no ids', valid, []],
    ['an empty prompt', { ...valid, promptLength: 0 }, [ints('ids', 1, 2)]],
    ['no tokens', valid, [ints('ids')]],
    ['a prompt longer than the ids', valid, [ints('ids', 1)]],
    ['a negative id', valid, [ints('ids', 1, -5)]],
    ['no sampling', { ...valid, sampling: undefined }, [ints('ids', 1, 2)]],
    ['no model', { ...valid, model: undefined }, [ints('ids', 1, 2)]],
    ['a negative temperature', { ...valid, sampling: { ...sampling, temperature: -1 } }, [ints('ids', 1, 2)]],
    ['a temperature that is no number', { ...valid, sampling: { ...sampling, temperature: NaN } }, [ints('ids', 1, 2)]],
    ['top_p 0', { ...valid, sampling: { ...sampling, topP: 0 } }, [ints('ids', 1, 2)]],
    ['top_p above 1', { ...valid, sampling: { ...sampling, topP: 1.01 } }, [ints('ids', 1, 2)]],
  ])('refuses %s', (_what, message, carried) => {
    expect(() => decode(message, ...carried)).toThrow(error('bad_request', 'tensor_invalid'));
  });

  it('refuses an end that it does not know', () => {
    for (const finish of ['', 'constructor', 'STOP']) {
      const payload = writeMessage(pb.GenerateResponseSchema, { finish });
      expect(() => generate.response.decode({ payload, tensors: [] })).toThrow(bad);
    }
  });
});

describe('sync', () => {
  const advertOf = (change: object): Uint8Array => {
    const whole = sync.request.encode(MESSAGES.sync.request as never);
    const message = readMessage(pb.SyncRequestSchema, whole.payload);
    if (message.advert !== undefined) Object.assign(message.advert, change);
    return writeMessage(pb.SyncRequestSchema, message);
  };
  const decode = (payload: Uint8Array) => sync.request.decode({ payload, tensors: [] });

  it.each([
    ['a node', { node: '' }],
    ['hardware', { hardware: undefined }],
    ['a count that keeps its digits', { incarnation: 2n ** 64n - 1n }],
    ['a sequence that keeps its digits', { sequence: 2n ** 53n }],
  ])('needs %s', (_what, change) => {
    expect(() => decode(advertOf(change))).toThrow(bad);
  });

  it('needs an advert', () => {
    expect(() => decode(new Uint8Array(0))).toThrow(bad);
  });

  it('leaves out what a later version may offer, and keeps the rest', () => {
    const { advert } = decode(advertOf({}));
    const message = readMessage(pb.SyncRequestSchema, advertOf({}));
    const offers = message.advert?.offers ?? [];
    const strange = [
      { ...offers[0], task: 'telepathy' },
      { ...offers[0], state: '__proto__' },
    ];
    const quantum = create(pb.DeviceSchema, { kind: 'quantum', name: 'q', memoryBytes: 1n });
    const devices = [quantum, ...(message.advert?.hardware?.devices ?? [])];
    const hardware = { ...message.advert?.hardware, devices };
    const changed = decode(advertOf({ offers: [...strange, ...offers], hardware }));
    expect(changed.advert.offers).toEqual(advert.offers);
    expect(changed.advert.hardware).toEqual(advert.hardware);
  });

  it('carries a batch curve, without points that measure nothing, and not beyond its bound', () => {
    const [offer] = readMessage(pb.SyncRequestSchema, advertOf({})).advert?.offers ?? [];
    const read = (batch: readonly object[]) =>
      decode(advertOf({ offers: [{ ...offer, profile: { ...offer?.profile, batch } }] })).advert.offers[0]?.profile
        .batch;
    const point = (size: number, ms: number) => create(pb.BatchPointSchema, { size, ms });
    const curve = [point(1, 11.5), point(8, 32.25)];
    expect(read(curve)).toEqual([
      { size: 1, ms: 11.5 },
      { size: 8, ms: 32.25 },
    ]);
    const nothing = [Number.NaN, Number.POSITIVE_INFINITY, -5, 0].map((ms) => point(2, ms));
    expect(read([...nothing, point(0, 3), ...curve])).toHaveLength(2);
    expect(read(nothing)).toBeUndefined();
    expect(read(new Array(1_000).fill(point(1, 1)))).toHaveLength(BATCH_POINTS_MAX);
    const { advert } = decode(advertOf({ offers: [{ ...offer, profile: { ...offer?.profile, batch: curve } }] }));
    const parts = sync.request.encode({ advert, statements: [], known: [] });
    expect(decode(parts.payload).advert).toEqual(advert);
  });
});

describe('readFile', () => {
  it('takes bytes only', () => {
    const { payload } = readFile.response.encode({ bytes: new Uint8Array(4), sizeBytes: 4 });
    const floats: NamedTensor = { name: 'bytes', type: 'float32', dims: [1], data: new Uint8Array(4) };
    expect(() => readFile.response.decode({ payload, tensors: [floats] })).toThrow(bad);
    expect(() => readFile.response.decode({ payload, tensors: [] })).toThrow(error('tensor_invalid'));
  });
});

describe('load', () => {
  const overTheWire = (load: Load): Load | undefined =>
    loadFromMessage(readMessage(pb.LoadSchema, writeMessage(pb.LoadSchema, loadToMessage(load))));

  it('can be written whatever was measured', () => {
    const number = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, -1, 1e300, Number.POSITIVE_INFINITY, 0.5));
    fc.assert(
      fc.property(number, number, number, number, (requestsInFlight, queuedMs, latencyMs, memoryFreeBytes) => {
        const load = overTheWire({ requestsInFlight, queuedMs, latencyMs, memoryFreeBytes });
        for (const value of Object.values(load ?? {})) expect(value >= 0 && Number.isFinite(value)).toBe(true);
      }),
      runs(200),
    );
    const load = { requestsInFlight: 3, queuedMs: 1.5, latencyMs: 0, memoryFreeBytes: 2 ** 40 };
    expect(overTheWire(load)).toEqual(load);
    expect(loadFromMessage(undefined)).toBeUndefined();
  });
});

describe('isNewer', () => {
  it('goes by incarnation first', () => {
    expect(isNewer({ incarnation: 2, sequence: 0 }, { incarnation: 1, sequence: 9 })).toBe(true);
    expect(isNewer({ incarnation: 1, sequence: 10 }, { incarnation: 1, sequence: 9 })).toBe(true);
    expect(isNewer({ incarnation: 1, sequence: 9 }, { incarnation: 1, sequence: 9 })).toBe(false);
    expect(isNewer({ incarnation: 1, sequence: 10 }, { incarnation: 2, sequence: 0 })).toBe(false);
  });
});
