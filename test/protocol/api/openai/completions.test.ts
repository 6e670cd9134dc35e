// What of OpenAI's legacy completions is taken, and that a refusal names its parameter.
import { describe, expect, it } from 'vitest';
import { CompletionRequest } from '../../../../protocol/api/openai.ts';
import { issueOf } from './issues.ts';

const COMPLETION = { model: 'm', prompt: 'x' };

describe('a completion request', () => {
  it('may have a text, texts, token ids, or arrays of them', () => {
    const promptOf = (prompt: unknown) => CompletionRequest.parse({ ...COMPLETION, prompt }).prompt;
    expect(promptOf('')).toEqual(['']);
    expect(promptOf(['a', 'b'])).toEqual(['a', 'b']);
    expect(promptOf([1, 2])).toEqual([Int32Array.of(1, 2)]);
    expect(promptOf([[1], [2, 3]])).toEqual([Int32Array.of(1), Int32Array.of(2, 3)]);
  });

  it.each<[string, object]>([
    ['parameters that ask for nothing', { echo: false, suffix: null, best_of: 1, logprobs: null, user: 'u' }],
    ['as many bests as answers', { n: 4, best_of: 4 }],
    ['log probabilities', { logprobs: 5 }],
    ['a stream with usage', { stream: true, stream_options: { include_usage: true } }],
  ])('may have %s', (_what, more) => {
    expect(issueOf(CompletionRequest, { ...COMPLETION, ...more })).toBeUndefined();
  });

  it.each<[string, object]>([
    ['prompt', { prompt: undefined }],
    ['prompt', { prompt: null }],
    ['prompt', { prompt: [] }],
    ['prompt', { prompt: new Array(65).fill('x') }],
    ['prompt.0', { prompt: [[]] }],
    ['prompt.1', { prompt: ['x', 5] }],
    ['prompt.1', { prompt: [5, 'x'] }],
    ['prompt.0.1', { prompt: [[5, -5]] }],
    ['echo unsupported', { echo: true }],
    ['suffix unsupported', { suffix: 'end' }],
    ['best_of unsupported', { best_of: 2 }],
    ['best_of unsupported', { n: 2, best_of: 3 }],
    ['n', { n: 17 }],
    ['n', { n: 3, prompt: new Array(64).fill('x') }],
    ['logprobs', { logprobs: 6 }],
    ['logprobs', { logprobs: true }],
    ['max_tokens', { max_tokens: 0 }],
    ['stream_options', { stream_options: {} }],
    ['messages', { messages: [] }],
  ])('is refused by the name of %s: %j', (param, more) => {
    expect(issueOf(CompletionRequest, { ...COMPLETION, ...more })).toBe(param);
  });
});
