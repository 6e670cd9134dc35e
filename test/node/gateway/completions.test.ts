// Legacy completions, by the official client: prompts of every kind, and log probabilities in the form of their time.
import { describe, expect, it } from 'vitest';
import type { AnswerEvents, AnswerResult, CompletionRequest, TokenReport } from '../../../node/core/coordinator.ts';
import { Completion } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { CHAT_MODEL, chatResult, OTHER, startGateway } from './support.ts';

const BASE = { model: 'chat', prompt: 'Once' };

type Complete = (request: CompletionRequest, events: AnswerEvents) => AnswerResult;

async function start(complete: Complete) {
  const seen: CompletionRequest[] = [];
  const started = await startGateway({
    coordinator: {
      complete: async (request, _options, events) => {
        seen.push(request);
        events.onPlaced?.(OTHER, CHAT_MODEL);
        return complete(request, events);
      },
    },
  });
  return { ...started, seen };
}

/** Says " upon" to every prompt, as often as is asked for. */
const upon: Complete = ({ prompts, n = 1 }, { onDelta }) => {
  const choices = Array.from({ length: prompts.length * n }, (_, choice) => {
    onDelta({ choice, text: ' upon' });
    onDelta({ choice, text: ` ${choice}` });
    return { finish: choice % 2 === 0 ? ('length' as const) : ('stop' as const) };
  });
  return chatResult({ choices });
};

const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];

const report = (token: string, bytes: readonly number[], ...top: readonly string[]): TokenReport => ({
  token,
  bytes,
  logprob: -0.5,
  top: top.map((one, index) => ({ token: one, bytes: bytesOf(one), logprob: -index })),
});

/** Two tokens of which neither holds the whole character, and one behind them. */
const reports = [
  report('é', bytesOf('é'), 'é', '__proto__'),
  report('bytes:\\xf0\\x9f', bytesOf('😀').slice(0, 2)),
  report('bytes:\\x98\\x80', bytesOf('😀').slice(2)),
  report('!', bytesOf('!'), '!'),
];
const reporting: Complete = (_request, { onDelta }) => {
  onDelta({ choice: 0, text: 'é', logprobs: reports.slice(0, 2) });
  onDelta({ choice: 0, text: '😀!', logprobs: reports.slice(2) });
  return chatResult();
};

describe('completions', () => {
  it('answer whole, with usage and who ran it', async () => {
    const { openai, seen } = await start(upon);
    const { data, response } = await openai.completions.create(BASE).withResponse();
    const { id, choices, usage, weft, object } = Completion.parse(data);
    expect(id).toMatch(/^cmpl-[0-9a-z]{24}$/);
    expect(object).toBe('text_completion');
    expect(choices).toEqual([{ index: 0, text: ' upon 0', logprobs: null, finish_reason: 'length' }]);
    expect(usage).toEqual({
      prompt_tokens: 7,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens: 3,
      total_tokens: 10,
    });
    expect(weft?.nodes).toEqual([OTHER]);
    expect(response.headers.get('x-weft-node')).toBe(OTHER);
    // OpenAI's default of 16 tokens.
    expect(seen).toEqual([{ model: 'chat', prompts: ['Once'], maxTokens: 16, temperature: 1, topP: 1, stop: [] }]);
  });

  it('pass on every setting', async () => {
    const { openai, seen } = await start(upon);
    await openai.completions.create({
      ...BASE,
      max_tokens: 5,
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 1,
      frequency_penalty: -1,
      logit_bias: { '3': 4 },
      seed: -1,
      stop: 'END',
      n: 2,
      best_of: 2,
      logprobs: 0,
      echo: false,
      suffix: null,
      user: 'me',
      ...{ top_k: 4, min_p: 0.1, repetition_penalty: 1.5 },
    });
    expect(seen[0]).toEqual({
      model: 'chat',
      prompts: ['Once'],
      maxTokens: 5,
      temperature: 0.5,
      topP: 0.9,
      topK: 4,
      minP: 0.1,
      repetitionPenalty: 1.5,
      presencePenalty: 1,
      frequencyPenalty: -1,
      logitBias: [{ id: 3, bias: 4 }],
      seed: (1n << 64n) - 1n,
      stop: ['END'],
      n: 2,
      logprobs: 0,
    });
  });

  it('take texts and token ids, one or many', async () => {
    const { openai, seen } = await start(upon);
    const texts = await openai.completions.create({ ...BASE, prompt: ['a', ''], n: 2 });
    expect(texts.choices.map(({ index, text }) => [index, text])).toEqual(
      [0, 1, 2, 3].map((at) => [at, ` upon ${at}`]),
    );
    await openai.completions.create({ ...BASE, prompt: [1, 2] });
    await openai.completions.create({ ...BASE, prompt: [[1], [2, 3]] });
    expect(seen.map(({ prompts }) => prompts)).toEqual([
      ['a', ''],
      [Int32Array.of(1, 2)],
      [Int32Array.of(1), Int32Array.of(2, 3)],
    ]);
  });

  it('are streamed, choice by choice, with usage and an end', async () => {
    const { openai, call } = await start(upon);
    const request = { ...BASE, n: 2, stream: true as const, stream_options: { include_usage: true } };
    const chunks: Completion[] = [];
    for await (const chunk of await openai.completions.create(request)) chunks.push(Completion.parse(chunk));
    expect(chunks.map(({ choices: [choice] }) => [choice?.index, choice?.text, choice?.finish_reason])).toEqual([
      [0, ' upon', null],
      [0, ' 0', null],
      [1, ' upon', null],
      [1, ' 1', null],
      [0, '', 'length'],
      [1, '', 'stop'],
      [undefined, undefined, undefined],
    ]);
    expect(chunks.map(({ usage }) => usage?.total_tokens)).toEqual([...new Array(6).fill(undefined), 10]);
    expect(chunks.map(({ weft }) => weft !== undefined)).toEqual([false, false, false, false, false, true, false]);
    expect(await (await call('/v1/completions', request)).text()).toMatch(/data: \[DONE\]\n\n$/);
  });

  it('report log probabilities in four lists', async () => {
    const { openai } = await start(reporting);
    const { choices } = await openai.completions.create({ ...BASE, logprobs: 2 });
    const logprobs = choices[0]?.logprobs;
    expect(logprobs?.tokens).toEqual(reports.map(({ token }) => token));
    expect(logprobs?.token_logprobs).toEqual([-0.5, -0.5, -0.5, -0.5]);
    expect(logprobs?.top_logprobs?.map((top) => Object.entries(top))).toEqual([
      [
        ['é', 0],
        ['__proto__', -1],
      ],
      [],
      [],
      [['!', 0]],
    ]);
    // In characters: the second half of the emoji begins where the first one does.
    expect(logprobs?.text_offset).toEqual([0, 1, 1, 2]);
  });

  it('report the same in a stream', async () => {
    const { openai } = await start(reporting);
    const offsets: number[] = [];
    for await (const { choices } of await openai.completions.create({ ...BASE, logprobs: 2, stream: true }))
      offsets.push(...(choices[0]?.logprobs?.text_offset ?? []));
    expect(offsets).toEqual([0, 1, 1, 2]);
  });

  it.each([
    ['echo', { echo: true }],
    ['suffix', { suffix: 'end' }],
    ['best_of', { best_of: 3 }],
  ])('are refused by the name of %s', async (param, more) => {
    const { call } = await start(upon);
    const response = await call('/v1/completions', { ...BASE, ...more });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param, weft_code: 'unsupported' } });
  });

  it('end with an error event when they fail on the way', async () => {
    const { call } = await start((_request, { onDelta }) => {
      onDelta({ choice: 0, text: 'x' });
      throw new WeftError({ code: 'peer_lost', message: 'The peer went away.' });
    });
    const text = await (await call('/v1/completions', { ...BASE, stream: true })).text();
    expect(text).toMatch(/"weft_code":"peer_lost"[^\n]*\n\n$/);
  });
});
