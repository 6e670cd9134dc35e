// What of OpenAI's embeddings is taken, and that a refusal names its parameter.
import { describe, expect, it } from 'vitest';
import { EmbeddingRequest } from '../../../../protocol/api/openai.ts';
import { issueOf } from './issues.ts';

describe('an embedding request', () => {
  const EMBED = { model: 'm', input: 'x' };

  it('may have a string, or up to 2,048 of them', () => {
    expect(EmbeddingRequest.parse(EMBED).input).toEqual(['x']);
    expect(EmbeddingRequest.parse({ ...EMBED, input: new Array(2_048).fill('x') }).input).toHaveLength(2_048);
    expect(
      issueOf(EmbeddingRequest, { ...EMBED, encoding_format: 'base64', user: 'me', dimensions: null }),
    ).toBeUndefined();
  });

  it('may have token ids, one text of them or many', () => {
    expect(EmbeddingRequest.parse({ ...EMBED, input: [1, 2] }).input).toEqual([Int32Array.of(1, 2)]);
    const { input } = EmbeddingRequest.parse({ ...EMBED, input: [[0], [2 ** 31 - 1, 5], 'x'], dimensions: 64 });
    expect(input).toEqual([Int32Array.of(0), Int32Array.of(2 ** 31 - 1, 5), 'x']);
  });

  it.each<[string, object]>([
    ['input', { input: undefined }],
    ['input', { input: '' }],
    ['input', { input: [] }],
    ['input', { input: {} }],
    ['input', { input: new Array(2_049).fill('x') }],
    ['input.1', { input: ['x', ''] }],
    ['input.1', { input: ['x', 7] }],
    ['input.0', { input: [[]] }],
    ['input.1', { input: [1, 'x'] }],
    ['input.1', { input: [1, -1] }],
    ['input.0', { input: [1.5] }],
    ['input.1.0', { input: ['x', [2 ** 31]] }],
    ['dimensions', { dimensions: 0 }],
    ['dimensions', { dimensions: 1.5 }],
    ['dimensions', { dimensions: '128' }],
    ['encoding_format', { encoding_format: 'int8' }],
    ['truncate', { truncate: true }],
  ])('is refused by the name of %s: %j', (param, more) => {
    expect(issueOf(EmbeddingRequest, { ...EMBED, ...more })).toBe(param);
  });
});
