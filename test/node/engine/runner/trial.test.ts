import { describe, expect, it } from 'vitest';
import { trialFeeds } from '../../../../node/engine/runner/trial.ts';
import { minilm, smollm } from './manifests.ts';

const shapes = (feeds: ReturnType<typeof trialFeeds>) =>
  Object.fromEntries(Object.entries(feeds ?? {}).map(([name, { type, dims }]) => [name, [type, ...dims]]));

const input = (type: string, dims: readonly (number | string)[]) => ({
  inputs: [{ name: 'x', type, dims: [...dims] }],
});

describe('made-up inputs', () => {
  it('are one token for a text encoder', async () => {
    expect(shapes(trialFeeds(await minilm()))).toEqual({
      input_ids: ['int64', 1, 1],
      attention_mask: ['int64', 1, 1],
      token_type_ids: ['int64', 1, 1],
    });
  });

  it('are one token behind an empty past for a text generator', async () => {
    const found = shapes(trialFeeds(await smollm()));
    expect(found).toMatchObject({
      input_ids: ['int64', 1, 1],
      attention_mask: ['int64', 1, 1],
      'past_key_values.0.key': ['float32', 1, 3, 0, 64],
      'past_key_values.29.value': ['float32', 1, 3, 0, 64],
    });
  });

  it.each([
    ['float16', [2]],
    ['float32', ['batch', 3, 'height', 'width']],
    ['int64', ['past_sequence_length + 1']],
    ['bool', [1]],
    ['int32', []],
  ])('can be %s of %j', (type, dims) => {
    const x = trialFeeds(input(type, dims))?.x;
    expect(x?.type).toBe(type);
    expect(x?.dims).toHaveLength(dims.length);
  });

  it('are not made where the manifest does not say enough, or it would take too much', () => {
    expect(trialFeeds({ inputs: [] })).toBeUndefined();
    expect(trialFeeds(input('float32', ['*']))).toBeUndefined();
    expect(trialFeeds(input('string', [1]))).toBeUndefined();
    expect(trialFeeds(input('float32', [4_096, 4_096]))).toBeUndefined();
    expect(trialFeeds(input('float32', [2 ** 30, 2 ** 30, 2 ** 30]))).toBeUndefined();
  });
});
