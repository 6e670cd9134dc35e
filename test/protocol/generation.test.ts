// What a request for text says beside its text, on the wire: golden bytes, random values there and back, and everything
// that is out of bounds refused at either end.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenRun } from '../../protocol/codec.ts';
import { writeMessage } from '../../protocol/codec.ts';
import { encodeFrames } from '../../protocol/frame.ts';
import type { Constraint, GenerateRequest, Sampling } from '../../protocol/infer.ts';
import { CONSTRAINT_BYTES_MAX, HEADER_BYTES_MAX, SCHEMA_BYTES_MAX } from '../../protocol/limits.ts';
import * as pb from '../../protocol/messages/weft_pb.js';
import { PEER_METHODS } from '../../protocol/methods.ts';
import { tensorOf } from '../../protocol/tensor.ts';
import { runs } from '../support/property.ts';
import { hex } from './arbitraries.ts';

const { generate } = PEER_METHODS;
const bad = expect.objectContaining({ name: 'WeftError', code: 'bad_request' });
const unreadable = expect.objectContaining({
  name: 'WeftError',
  code: expect.stringMatching(/^(bad_request|frame_invalid)$/),
});
const model = { id: 'm', digest: 'd' };
const ids = Int32Array.of(5, 6);
const tensors = [tensorOf('ids', 'int32', [2], ids)];
const sampling: Sampling = { temperature: 1, topP: 1, topK: 0, seed: 0n };
const plain: GenerateRequest = { model, ids, promptLength: 2, maxNewTokens: 5, stopIds: [], sampling };
const tool = (name: string, schema = '{}'): { name: string; schema: string } => ({ name, schema });
const tools = (list: readonly { name: string; schema: string }[]): Constraint => ({
  kind: 'tools',
  tools: list,
  choice: 'auto',
  parallel: false,
});
/** A request's payload as a peer would write it that checks nothing. */
const byHand = (change: object): Uint8Array =>
  writeMessage(pb.GenerateRequestSchema, { model, promptLength: 2, sampling, ...change } as never);
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('golden bytes', () => {
  it.each<[string, string, GenerateRequest]>([
    [
      'every sampler, a JSON schema and log probabilities',
      // model { id "m", digest "d" } | prompt_length 2 | max_new_tokens 5
      // | sampling { temperature 1, top_p 1, min_p 0.5, repetition 2, presence 0.5, frequency -1, bias { 7: -100 }, { 8: 1 } }
      // | constraint { kind "json_schema", schema "{}" } | logprobs 1 + 3
      `0a 06 0a016d 120164  10 02  18 05
       2a 50 09 000000000000f03f 11 000000000000f03f 29 000000000000e03f 31 0000000000000040 39 000000000000e03f
             41 000000000000f0bf 4a 0b 08 07 11 00000000000059c0 4a 0b 08 08 11 000000000000f03f
       32 11 0a 0b 6a736f6e5f736368656d61 12 02 7b7d
       38 04`,
      {
        ...plain,
        sampling: {
          ...sampling,
          minP: 0.5,
          repetitionPenalty: 2,
          presencePenalty: 0.5,
          frequencyPenalty: -1,
          logitBias: [
            { id: 7, bias: -100 },
            { id: 8, bias: 1 },
          ],
        },
        constraint: { kind: 'json_schema', schema: '{}' },
        logprobs: 3,
      },
    ],
    [
      'tools, and log probabilities without alternatives',
      // … | sampling { temperature 1, top_p 1 } | constraint { kind "tools", tool { "f", "{}" }, choice "required", parallel }
      // | logprobs 1
      `0a 06 0a016d 120164  10 02  18 05
       2a 12 09 000000000000f03f 11 000000000000f03f
       32 1c 0a 05 746f6f6c73 1a 07 0a 01 66 12 02 7b7d 22 08 7265717569726564 28 01
       38 01`,
      {
        ...plain,
        constraint: { kind: 'tools', tools: [tool('f')], choice: 'required', parallel: true },
        logprobs: 0,
      },
    ],
  ])('of a request: %s', (_what, digits, request) => {
    const parts = generate.request.encode(request);
    expect(toHex(parts.payload)).toBe(toHex(hex(digits)));
    expect(generate.request.decode({ payload: hex(digits), tensors })).toEqual(request);
  });

  it.each<[string, string, TokenRun]>([
    ['without log probabilities', '08 05 12 02 03 04', { firstIndex: 5, ids: [3, 4] }],
    [
      'without alternatives',
      '08 05 12 01 03 1a 04 000000bf',
      { firstIndex: 5, ids: [3], logprobs: [{ logprob: -0.5, top: [] }] },
    ],
    [
      'with two of each token',
      // first_index 5 | ids 3, 300 | -0.5, -1 | 3, 9, 300, 3 | -0.5, -2, -1, -4
      `08 05 12 03 03ac02 1a 08 000000bf 000080bf
       22 05 0309ac0203 2a 10 000000bf 000000c0 000080bf 000080c0`,
      {
        firstIndex: 5,
        ids: [3, 300],
        logprobs: [
          {
            logprob: -0.5,
            top: [
              { id: 3, logprob: -0.5 },
              { id: 9, logprob: -2 },
            ],
          },
          {
            logprob: -1,
            top: [
              { id: 300, logprob: -1 },
              { id: 3, logprob: -4 },
            ],
          },
        ],
      },
    ],
  ])('of tokens %s', (_what, digits, run) => {
    expect(toHex(generate.item.encode(run).payload)).toBe(toHex(hex(digits)));
    expect(generate.item.decode({ payload: hex(digits), tensors: [] })).toEqual(run);
  });
});

describe('round trips', () => {
  const within = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });
  // What is off travels as absent: 0 is not among them, whatever its sign.
  const on = (min: number, max: number): fc.Arbitrary<number> => within(min, max).filter((value) => value !== 0);
  const samplings: fc.Arbitrary<Sampling> = fc.record(
    {
      temperature: within(0, 100),
      topP: within(0.01, 1),
      topK: fc.nat(0xffff_ffff),
      seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      minP: on(0, 1),
      repetitionPenalty: on(0.01, 100),
      presencePenalty: on(-2, 2),
      frequencyPenalty: on(-2, 2),
      logitBias: fc.uniqueArray(fc.record({ id: fc.nat(0xffff_ffff), bias: within(-100, 100) }), {
        minLength: 1,
        maxLength: 30,
        selector: ({ id }) => id,
      }),
    },
    { requiredKeys: ['temperature', 'topP', 'topK', 'seed'] },
  );
  const schema = fc.string({ unit: 'grapheme', minLength: 1 });
  const constraints: fc.Arbitrary<Constraint> = fc.oneof(
    fc.constant<Constraint>({ kind: 'json_object' }),
    fc.record({ kind: fc.constant('json_schema' as const), schema }),
    fc.record({
      kind: fc.constant('tools' as const),
      tools: fc.uniqueArray(fc.record({ name: fc.stringMatching(/^[a-zA-Z0-9_-]{1,64}$/), schema }), {
        minLength: 1,
        maxLength: 128,
        selector: ({ name }) => name,
      }),
      choice: fc.constantFrom('auto' as const, 'required' as const),
      parallel: fc.boolean(),
    }),
  );
  const extras = fc.record(
    {
      sampling: samplings,
      constraint: constraints,
      logprobs: fc.nat(20),
      expectedTokens: fc.integer({ min: 1, max: 0xffff_ffff }),
    },
    { requiredKeys: ['sampling'] },
  );

  it('give back every request', () => {
    fc.assert(
      fc.property(extras, (extra) => {
        const request = { ...plain, ...extra };
        expect(generate.request.decode(generate.request.encode(request))).toEqual(request);
      }),
      runs(200),
    );
  });

  it('give back all tokens with what was reported of them, as 32-bit numbers', () => {
    const logprob = fc.float({ max: 0, noNaN: true, noDefaultInfinity: true });
    const runsOf = fc.tuple(fc.nat(5), fc.nat(20)).chain(([count, tops]) => {
      const top = fc.array(fc.record({ id: fc.nat(0x7fff_ffff), logprob }), { minLength: tops, maxLength: tops });
      const list = { minLength: count + 1, maxLength: count + 1 };
      return fc.record({
        firstIndex: fc.nat(0xffff_ffff),
        ids: fc.array(fc.nat(0x7fff_ffff), list),
        logprobs: fc.array(fc.record({ logprob, top }), list),
      });
    });
    fc.assert(
      fc.property(runsOf, (run) => {
        expect(generate.item.decode(generate.item.encode(run))).toEqual(run);
      }),
      runs(200),
    );
  });

  it('take 0 and 1 for a repetition penalty that is off', () => {
    const repetitionOf = (repetitionPenalty: number): number => {
      const payload = byHand({ sampling: { ...sampling, repetitionPenalty } });
      return generate.request.decode({ payload, tensors }).sampling.repetitionPenalty ?? 1;
    };
    expect([0, 1, 1.5].map(repetitionOf)).toEqual([1, 1, 1.5]);
  });
});

/** Settings that no end may take. */
const REFUSED: readonly (readonly [string, Partial<GenerateRequest>])[] = [
  ...(
    [
      ['temperature', -1],
      ['temperature', Number.NaN],
      ['topP', 0],
      ['minP', -0.1],
      ['minP', 1.1],
      ['minP', Number.NaN],
      ['repetitionPenalty', -1],
      ['repetitionPenalty', 0.001],
      ['repetitionPenalty', 101],
      ['repetitionPenalty', Number.NaN],
      ['presencePenalty', -2.1],
      ['presencePenalty', Number.POSITIVE_INFINITY],
      ['frequencyPenalty', 2.1],
      ['frequencyPenalty', Number.NaN],
    ] as const
  ).map(([name, value]) => [`${name} ${value}`, { sampling: { ...sampling, [name]: value } }] as const),
  ...(
    [
      ['a bias above 100', [{ id: 1, bias: 100.5 }]],
      ['a bias below -100', [{ id: 1, bias: -101 }]],
      ['a bias that is no number', [{ id: 1, bias: Number.NaN }]],
      ['an infinite bias', [{ id: 1, bias: Number.NEGATIVE_INFINITY }]],
      ['1,025 biases', Array.from({ length: 1025 }, (_, id) => ({ id, bias: 1 }))],
      [
        'two biases of a token',
        [
          { id: 1, bias: 1 },
          { id: 1, bias: 2 },
        ],
      ],
    ] as const
  ).map(([what, logitBias]) => [what, { sampling: { ...sampling, logitBias } }] as const),
  ['a schema that is empty', { constraint: { kind: 'json_schema', schema: '' } }],
  ['a schema that is too long', { constraint: { kind: 'json_schema', schema: 'x'.repeat(SCHEMA_BYTES_MAX + 1) } }],
  ['a schema of too many bytes', { constraint: { kind: 'json_schema', schema: 'é'.repeat(SCHEMA_BYTES_MAX / 2 + 1) } }],
  ['no tools', { constraint: tools([]) }],
  ['129 tools', { constraint: tools(Array.from({ length: 129 }, (_, index) => tool(`t${index}`))) }],
  ['two tools of one name', { constraint: tools([tool('a'), tool('a')]) }],
  ['a tool without a schema', { constraint: tools([tool('a', '')]) }],
  ['a tool with a schema that is too long', { constraint: tools([tool('a', 'x'.repeat(SCHEMA_BYTES_MAX + 1))]) }],
  [
    'schemas that take too many bytes together',
    { constraint: tools(Array.from({ length: 9 }, (_, index) => tool(`t${index}`, 'x'.repeat(60_000)))) },
  ],
  ...['', 'x'.repeat(65), 'a b', 'a.b', 'a\n', 'é', '"'].map(
    (name) => [`a tool named ${JSON.stringify(name)}`, { constraint: tools([tool(name)]) }] as const,
  ),
  ['21 alternatives', { logprobs: 21 }],
  ['2^31 alternatives', { logprobs: 2 ** 31 }],
];

describe('a request is refused, by the sender and by the receiver, for', () => {
  it.each(REFUSED)('%s', (_what, change) => {
    const request = { ...plain, ...change };
    expect(() => generate.request.encode(request)).toThrow(bad);
    const payload = byHand({ ...change, logprobs: request.logprobs === undefined ? 0 : 1 + request.logprobs });
    expect(() => generate.request.decode({ payload, tensors })).toThrow(bad);
  });

  it.each<[string, Partial<GenerateRequest>]>([
    ['a negative number of alternatives', { logprobs: -1 }],
    ['half an alternative', { logprobs: 0.5 }],
    ['a negative token', { sampling: { ...sampling, logitBias: [{ id: -1, bias: 1 }] } }],
    ['half a token', { sampling: { ...sampling, logitBias: [{ id: 1.5, bias: 1 }] } }],
    ['a top-k of 33 bits', { sampling: { ...sampling, topK: 2 ** 32 } }],
    ['a seed of 65 bits', { sampling: { ...sampling, seed: 2n ** 64n } }],
  ])('%s, which no message can say', (_what, change) => {
    expect(() => generate.request.encode({ ...plain, ...change })).toThrow(bad);
  });

  it.each([
    ['no kind', {}],
    ['another kind', { kind: 'regex' }],
    ['a kind of prototypes', { kind: 'constructor' }],
    ['no choice', { kind: 'tools', tools: [tool('a')] }],
    ['another choice', { kind: 'tools', tools: [tool('a')], choice: 'none' }],
  ])('a constraint of %s', (_what, constraint) => {
    const payload = byHand({ constraint });
    expect(() => generate.request.decode({ payload, tensors })).toThrow(bad);
  });

  it('no size that may be sent: the largest fits its frame, and without the bound would not', () => {
    const largest = (count: number): Constraint =>
      tools(
        Array.from({ length: count }, (_, index) => tool(`t${index}`.padEnd(64, '_'), 'x'.repeat(SCHEMA_BYTES_MAX))),
      );
    const count = CONSTRAINT_BYTES_MAX / SCHEMA_BYTES_MAX;
    const biased = Array.from({ length: 1024 }, (_, id) => ({ id: 2 ** 31 + id, bias: -99.5 }));
    const request = { ...plain, sampling: { ...sampling, logitBias: biased }, constraint: largest(count) };
    const { payload } = generate.request.encode(request);
    const frames = (bytes: Uint8Array) =>
      encodeFrames(1, {
        case: 'call',
        value: {
          method: 12,
          version: 1,
          budgetMs: 1,
          requestId: 'r'.repeat(100),
          traceParent: '',
          payload: bytes,
          withinMs: 1,
          priority: 1,
        },
      });
    expect(frames(payload)).toHaveLength(1);
    const unbounded = byHand({ constraint: largest(HEADER_BYTES_MAX / SCHEMA_BYTES_MAX) });
    expect(() => frames(unbounded)).toThrow(unreadable);
  });
});

describe('tokens are refused with', () => {
  it.each<[string, object]>([
    ['fewer log probabilities than tokens', { ids: [1, 2], logprobs: [-1] }],
    ['more log probabilities than tokens', { ids: [1], logprobs: [-1, -1] }],
    ['log probabilities of no token', { ids: [], logprobs: [-1] }],
    ['alternatives without log probabilities', { ids: [1], topIds: [1], topLogprobs: [-1] }],
    ['alternatives of no token', { ids: [], topIds: [1], topLogprobs: [-1] }],
    ['alternatives without their log probabilities', { ids: [1], logprobs: [-1], topIds: [1] }],
    ['log probabilities without their alternatives', { ids: [1], logprobs: [-1], topLogprobs: [-1] }],
    ['alternatives for one of two', { ids: [1, 2], logprobs: [-1, -1], topIds: [1], topLogprobs: [-1] }],
    [
      '21 alternatives',
      { ids: [1], logprobs: [-1], topIds: Array(21).fill(1) as number[], topLogprobs: Array(21).fill(-1) as number[] },
    ],
    ['an id that no vocabulary has', { ids: [0x8000_0000] }],
    ['an alternative that no vocabulary has', { ids: [1], logprobs: [-1], topIds: [2 ** 32 - 1], topLogprobs: [-1] }],
    ['a probability above 1', { ids: [1], logprobs: [0.5] }],
    ['a log probability that is no number', { ids: [1], logprobs: [Number.NaN] }],
    ['a probability of none', { ids: [1], logprobs: [Number.NEGATIVE_INFINITY] }],
    ['an alternative that is no number', { ids: [1], logprobs: [-1], topIds: [1], topLogprobs: [Number.NaN] }],
  ])('%s', (_what, message) => {
    const payload = writeMessage(pb.GenerateItemSchema, message);
    expect(() => generate.item.decode({ payload, tensors: [] })).toThrow(bad);
  });

  it('lists that are not as long as each other, before they are sent', () => {
    const one = { logprob: -1, top: [] };
    const two = { logprob: -1, top: [{ id: 1, logprob: -1 }] };
    expect(() => generate.item.encode({ firstIndex: 0, ids: [1, 2], logprobs: [one] })).toThrow(bad);
    expect(() => generate.item.encode({ firstIndex: 0, ids: [1, 2], logprobs: [one, two] })).toThrow(bad);
  });

  it('a list that is longer than any may be, before it is built', () => {
    for (const field of [2, 3, 4, 5]) {
      const bytes = new Uint8Array(HEADER_BYTES_MAX);
      bytes.set([(field << 3) | 2, 0xfc, 0xff, 0x3f]);
      expect(() => generate.item.decode({ payload: bytes, tensors: [] })).toThrow(unreadable);
    }
  });
});
