// What is refused before it reaches a runner.
import { beforeAll, describe, expect, it } from 'vitest';
import type { Manifest } from '../../../models/manifest.ts';
import { checkEncode, checkGenerate, checkRun } from '../../../node/engine/validate.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { type NamedTensor, tensorOf } from '../../../protocol/tensor.ts';
import { encodeRequest, generateRequest } from '../../compliance/engine-requests.ts';
import { minilm, smollm } from './support.ts';

let encoder: Manifest;
let generator: Manifest;
beforeAll(async () => {
  encoder = (await minilm()).manifest;
  generator = (await smollm()).manifest;
});
const model = { id: 'a/b', digest: '' };
const code = (expected: string): unknown => expect.objectContaining({ code: expected });

describe('checkEncode', () => {
  it('takes texts up to the positions of the graph', () => {
    checkEncode(encodeRequest(model, [Array(512).fill(5), [5]]), encoder);
    const long = encodeRequest(model, [[5], Array(513).fill(5)]);
    expect(() => checkEncode(long, encoder)).toThrow(code('context_too_long'));
  });

  it('refuses lengths that do not fit the ids', () => {
    const request = encodeRequest(model, [[5, 6, 7]]);
    for (const lengths of [[], [2], [4], [0, 3], [-1, 4]]) {
      expect(() => checkEncode({ ...request, lengths: Int32Array.from(lengths) }, encoder)).toThrow(
        code('bad_request'),
      );
    }
    expect(() => checkEncode(encodeRequest(model, [[-1]]), encoder)).toThrow(code('bad_request'));
    expect(() => checkEncode(encodeRequest(model, Array(16_385).fill([5])), encoder)).toThrow(code('bad_request'));
  });
});

describe('checkGenerate', () => {
  const check =
    (prompt: readonly number[], overrides: Partial<GenerateRequest> = {}) =>
    () =>
      checkGenerate(generateRequest(model, prompt, overrides), generator);

  it('leaves room for one token behind the prompt, and lets a full stream be resumed', () => {
    check(Array(8_191).fill(5))();
    expect(check(Array(8_192).fill(5))).toThrow(code('context_too_long'));
    check(Array(8_192).fill(5), { promptLength: 100 })();
    expect(check(Array(8_193).fill(5), { promptLength: 100 })).toThrow(code('context_too_long'));
  });

  it('refuses ids outside the vocabulary, and settings out of range', () => {
    const sampling = { temperature: 1, topP: 1, topK: 0, seed: 0n };
    for (const bad of [
      check([49_152]),
      check([-1]),
      check([]),
      check([5], { promptLength: 2 }),
      check([5], { promptLength: 0 }),
      check([5], { maxNewTokens: -1 }),
      check([5], { maxNewTokens: 1.5 }),
      check([5], { stopIds: Array(257).fill(1) }),
      check([5], { sampling: { ...sampling, temperature: Number.NaN } }),
      check([5], { sampling: { ...sampling, topP: 0 } }),
      check([5], { sampling: { ...sampling, topK: -1 } }),
      check([5], { sampling: { ...sampling, seed: 2n ** 64n } }),
      check([5], { sampling: { ...sampling, minP: 1.5 } }),
      check([5], { sampling: { ...sampling, repetitionPenalty: 0 } }),
      check([5], { sampling: { ...sampling, presencePenalty: 3 } }),
      check([5], { sampling: { ...sampling, frequencyPenalty: Number.NaN } }),
      check([5], { logprobs: 21 }),
      check([5], { constraint: { kind: 'json_schema', schema: '' } }),
    ]) {
      expect(bad).toThrow(code('bad_request'));
    }
  });
});

describe('a logit bias', () => {
  const bias =
    (...ids: readonly number[]) =>
    () =>
      checkGenerate(
        generateRequest(model, [5], {
          sampling: { temperature: 1, topP: 1, topK: 0, seed: 0n, logitBias: ids.map((id) => ({ id, bias: -100 })) },
        }),
        generator,
      );

  it('is for tokens of the vocabulary only, and the refusal names the field', () => {
    bias(0, 49_151)();
    for (const id of [49_152, 2 ** 32 - 1, 2 ** 32 + 5, -1, 0.5]) {
      expect(bias(0, id)).toThrow(expect.objectContaining({ code: 'bad_request', facts: { param: 'logitBias' } }));
    }
    expect(bias(5, 5)).toThrow(code('bad_request'));
  });
});

describe('checkRun', () => {
  const tensor = (name: string, dims: readonly number[] = [1, 4]): NamedTensor =>
    tensorOf(name, 'int64', dims, new BigInt64Array(dims.reduce((a, b) => a * b, 1)));
  const good = (): NamedTensor[] => ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => tensor(name));
  const check =
    (inputs: readonly NamedTensor[], outputs: readonly string[] = []) =>
    () =>
      checkRun({ model, inputs, outputs }, encoder);

  it('takes the tensors that the manifest lists', () => {
    check(good())();
    check(good(), ['last_hidden_state'])();
  });

  it('refuses missing, unknown, doubled, mistyped and misshapen ones before the runtime sees them', () => {
    const [ids, mask, types] = good() as [NamedTensor, NamedTensor, NamedTensor];
    for (const inputs of [
      [ids, mask],
      [ids, mask, types, tensor('other')],
      [ids, ids, mask, types],
      [{ ...ids, type: 'int32' as const }, mask, types],
      [tensor('input_ids', [4]), mask, types],
      [{ ...ids, dims: [1, 5] }, mask, types],
      [{ ...ids, dims: [1, 2 ** 31] }, mask, types],
      [{ ...ids, dims: [-1, 4] }, mask, types],
    ]) {
      expect(check(inputs)).toThrow(code('tensor_invalid'));
    }
    expect(check(good(), ['nope'])).toThrow(code('bad_request'));
    expect(check(good(), ['last_hidden_state', 'last_hidden_state'])).toThrow(code('bad_request'));
  });

  it('holds fixed dimensions to their size', () => {
    const fixed: Manifest = { ...encoder, inputs: [{ name: 'x', type: 'int64', dims: [1, 'n', 3] }] };
    const run = (dims: number[]) => () => checkRun({ model, inputs: [tensor('x', dims)], outputs: [] }, fixed);
    run([1, 9, 3])();
    expect(run([1, 9, 4])).toThrow(code('tensor_invalid'));
  });

  it('takes any shape where the graph does not say one', () => {
    const any: Manifest = { ...encoder, inputs: [{ name: 'x', type: 'int64', dims: ['*'] }] };
    for (const dims of [[], [4], [2, 3, 1]]) checkRun({ model, inputs: [tensor('x', dims)], outputs: [] }, any);
  });
});
