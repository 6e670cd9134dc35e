// What "Try it" makes of answers and requests: similarities, tokens with their probabilities, and code to copy.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { nearestPairs, similarities, textsOf } from '../../../../../desktop/ui/views/try/similarity.ts';
import { snippetsOf } from '../../../../../desktop/ui/views/try/snippets.ts';
import { probability, tokensOf, visibleToken } from '../../../../../desktop/ui/views/try/tokens.ts';

test('similarities are cosines of all pairs, and the nearest come first', () => {
  const matrix = similarities([
    [1, 0],
    [2, 0],
    [0, 3],
    [0, 0],
  ]);
  expect(matrix).toEqual([
    [1, 1, 0, 0],
    [1, 1, 0, 0],
    [0, 0, 1, 0],
    [0, 0, 0, 0],
  ]);
  expect(nearestPairs(matrix, 2)[0]).toEqual({ first: 0, second: 1, similarity: 1 });
  expect(nearestPairs(matrix, 2)).toHaveLength(2);
  expect(textsOf(' a \n\n b\n')).toEqual(['a', 'b']);
});

test('tokens of both forms of the API', () => {
  const chat = tokensOf({
    content: [{ token: ' hi', logprob: Math.log(0.5), top_logprobs: [{ token: ' hi', logprob: Math.log(0.5) }] }],
  });
  const completion = tokensOf({
    tokens: [' hi'],
    token_logprobs: [Math.log(0.5)],
    top_logprobs: [{ ' ho': Math.log(0.2), ' hi': Math.log(0.5) }],
  });
  expect(chat[0]?.text).toBe(' hi');
  expect(completion[0]?.others.map(({ text }) => text)).toEqual([' hi', ' ho']);
  expect(probability(completion[0]?.logprob ?? 0)).toBeCloseTo(0.5);
  expect(tokensOf(null)).toEqual([]);
  expect(['a b', '\n', ''].map(visibleToken)).toEqual(['a␣b', '⏎', '∅']);
});

describe('the request as code', () => {
  const request = {
    baseUrl: 'http://127.0.0.1:9338',
    path: '/v1/chat/completions',
    body: { model: 'm', messages: [{ role: 'user', content: `it's "$HOME" \`id\` \\n` }], logprobs: true },
  };

  test('a shell passes the body on as it is', () => {
    const curl = snippetsOf(request)[0]?.code ?? '';
    const { stdout } = spawnSync('sh', ['-c', `curl() { printf '%s\\0' "$@"; }\n${curl}`], {
      encoding: 'utf8',
      env: { WEFT_API_KEY: 'k' },
    });
    const words = stdout.split('\0');
    expect(JSON.parse(words[words.indexOf('-d') + 1] ?? '')).toEqual(request.body);
    expect(words).toContain('authorization: Bearer k');
  });

  test('Python takes its own words, and OpenAI’s client where it knows the endpoint', () => {
    const [, python] = snippetsOf(request);
    expect(python?.code).toContain('base_url="http://127.0.0.1:9338/v1"');
    expect(python?.code).toContain('logprobs=True,');
    const [, infer] = snippetsOf({ ...request, path: '/api/v1/infer', headers: { 'x-weft-cut': 'never' } });
    expect(infer?.code).toContain('requests.post(');
    expect(infer?.code).toContain('"x-weft-cut": "never"');
  });

  test('JavaScript can be read by its engine, and none of them has a key', () => {
    const [, , javascript] = snippetsOf({ ...request, headers: { 'x-weft-raw': 'local' } });
    const AsyncFunction = (async () => undefined).constructor as new (code: string) => unknown;
    expect(() => new AsyncFunction(javascript?.code ?? '')).not.toThrow();
    for (const { code } of snippetsOf(request)) expect(code).toContain('WEFT_API_KEY');
  });
});
