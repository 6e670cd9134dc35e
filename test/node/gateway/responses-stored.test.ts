// Answers that go on from earlier ones, by the official client: by previous_response_id and by references to items.
import type { APIError } from 'openai';
import { describe, expect, it } from 'vitest';
import type { ChatRequest } from '../../../node/core/coordinator.ts';
import { Response, ResponseDeleted } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { type Chat, chatResult, ended, type StartInit, startGateway } from './support.ts';

const BASE = { model: 'chat', input: 'Hi' };
const TOOLS = [{ type: 'function' as const, name: 'weather', parameters: { type: 'object' }, strict: true }];
const CALL = { id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' };
const FORGOTTEN = { status: 400, code: 'previous_response_not_found', param: 'previous_response_id' };

/** Says how many messages it got. */
const counting: Chat = async ({ messages }, _options, { onDelta }) => {
  onDelta({ choice: 0, text: `answer to ${messages.filter(({ role }) => role !== 'system').length}` });
  return chatResult();
};

/** Calls a tool, with a word before it, and then says that it is done. */
const calling: Chat = async ({ messages }, _options, { onDelta }) => {
  if (messages.at(-1)?.role === 'tool') {
    onDelta({ choice: 0, text: 'Done.' });
    return chatResult();
  }
  onDelta({ choice: 0, text: 'Let me see.' });
  onDelta({ choice: 0, text: '', toolCall: CALL });
  onDelta({ choice: 0, text: '', toolCall: { ...CALL, id: 'call_2' } });
  return chatResult({ choices: [{ finish: 'tool_calls' }] });
};

async function start(chat: Chat = counting, options: StartInit = {}) {
  const seen: ChatRequest[] = [];
  const started = await startGateway({
    ...options,
    coordinator: {
      chat: (request, requestOptions, events) => {
        seen.push(request);
        return chat(request, requestOptions, events);
      },
    },
  });
  const said = (): readonly string[] | undefined =>
    seen.at(-1)?.messages.map(({ role, content }) => `${role}: ${content}`);
  return { ...started, seen, said };
}

const rejection = (promise: Promise<unknown>): Promise<APIError & { readonly error: Record<string, unknown> }> =>
  promise.then(
    () => Promise.reject(new Error('It should have been refused.')),
    (error) => error,
  );

describe('previous_response_id', () => {
  it('goes on from a conversation, but not with its instructions', async () => {
    const { openai, said } = await start();
    const first = await openai.responses.create({ ...BASE, instructions: 'Be brief.' });
    const second = await openai.responses.create({
      ...BASE,
      input: 'And?',
      instructions: 'Be long.',
      previous_response_id: first.id,
    });
    expect(second).toMatchObject({ previous_response_id: first.id, store: true });
    expect(said()).toEqual(['system: Be long.', 'user: Hi', 'assistant: answer to 1', 'user: And?']);
    await openai.responses.create({ ...BASE, input: 'So?', previous_response_id: second.id });
    expect(said()).toEqual(['user: Hi', 'assistant: answer to 1', 'user: And?', 'assistant: answer to 3', 'user: So?']);
  });

  it("brings calls before their tools' outputs, by either API of answers", async () => {
    const { openai, seen } = await start(calling);
    const outputs = ['call_1', 'call_2'].map((call_id) => ({
      type: 'function_call_output' as const,
      call_id,
      output: 'rain',
    }));
    const ask = { ...BASE, tools: TOOLS };
    const first = await openai.responses.stream(ask).finalResponse();
    expect(first).toMatchObject({ store: true });
    const goOn = { ...ask, input: outputs, previous_response_id: first.id };
    expect((await openai.responses.create(goOn)).output_text).toBe('Done.');
    expect((await openai.responses.stream(goOn).finalResponse()).output_text).toBe('Done.');
    for (const { messages } of seen.slice(1))
      expect(messages).toEqual([
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Let me see.', toolCalls: [CALL, { ...CALL, id: 'call_2' }] },
        { role: 'tool', content: 'rain', toolCallId: 'call_1' },
        { role: 'tool', content: 'rain', toolCallId: 'call_2' },
      ]);
  });

  it('may be gone on from more than once, also at the same time', async () => {
    const { openai, seen } = await start();
    const { id } = await openai.responses.create(BASE);
    const inputs = Array.from({ length: 20 }, (_, index) => `way ${index}`);
    const answers = await Promise.all(
      inputs.map((input) => openai.responses.create({ ...BASE, input, previous_response_id: id })),
    );
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(20);
    expect(
      seen
        .slice(1)
        .map(({ messages }) => messages.map(({ content }) => content).join(' > '))
        .sort(),
    ).toEqual(inputs.map((input) => `Hi > answer to 1 > ${input}`).sort());
    const [branch] = answers;
    await openai.responses.create({ ...BASE, previous_response_id: branch?.id ?? '' });
    expect(seen.at(-1)?.messages.map(({ content }) => content)).toEqual([
      'Hi',
      'answer to 1',
      'way 0',
      'answer to 3',
      'Hi',
    ]);
  });

  it('outlives the response that it went on from', async () => {
    const { openai, said } = await start();
    const first = await openai.responses.create(BASE);
    const second = await openai.responses.create({ ...BASE, input: 'And?', previous_response_id: first.id });
    await openai.responses.delete(first.id);
    await openai.responses.create({ ...BASE, input: 'So?', previous_response_id: second.id });
    expect(said()).toEqual(['user: Hi', 'assistant: answer to 1', 'user: And?', 'assistant: answer to 3', 'user: So?']);
  });

  it.each([false, true])(
    'is refused as OpenAI does where it is not known, with the way out: stream %s',
    async (stream) => {
      const { openai, seen } = await start();
      const error = await rejection(openai.responses.create({ ...BASE, stream, previous_response_id: 'resp_1' }));
      expect(error).toMatchObject({ ...FORGOTTEN, type: 'invalid_request_error' });
      expect(error.error).toMatchObject({
        weft_code: 'not_found',
        message: 'Previous response with id "resp_1" not found.',
        remedy: expect.stringContaining('"input"'),
      });
      expect(seen).toEqual([]);
    },
  );

  it('is forgotten at a restart, after its time, and where others took its place', async () => {
    const clock = new ManualClock();
    const first = await start(counting, { components: { clock }, limits: { storedResponsesMax: 1 } });
    const { id } = await first.openai.responses.create(BASE);
    const again = await start();
    expect(await rejection(again.openai.responses.create({ ...BASE, previous_response_id: id }))).toMatchObject(
      FORGOTTEN,
    );

    const next = await first.openai.responses.create(BASE);
    expect(await rejection(first.openai.responses.retrieve(id))).toMatchObject({ status: 404 });
    expect(await first.openai.responses.retrieve(next.id)).toMatchObject({ id: next.id });
    clock.advance(24 * 3_600_000);
    const late = first.openai.responses.create({ ...BASE, previous_response_id: next.id });
    expect(await rejection(late)).toMatchObject(FORGOTTEN);
  });

  it('ends at the most items that a conversation may have', async () => {
    const { openai } = await start();
    const input = new Array<{ role: 'user'; content: string }>(4_095).fill({ role: 'user', content: 'x' });
    const { id } = await openai.responses.create({ ...BASE, input });
    expect(await rejection(openai.responses.create({ ...BASE, previous_response_id: id }))).toMatchObject({
      status: 400,
      param: 'input',
    });
  });
});

describe('a reference to an item', () => {
  it('stands for the item, beside items that come whole', async () => {
    const { openai, seen } = await start(calling);
    const { output } = await openai.responses.create({ ...BASE, tools: TOOLS });
    const [text, one, two] = output.map(({ id = '' }) => ({ type: 'item_reference' as const, id }));
    if (text === undefined || one === undefined || two === undefined) throw new Error('The answer lacks items.');
    await openai.responses.create({
      ...BASE,
      tools: TOOLS,
      input: [
        { role: 'user', content: 'Hi' },
        text,
        one,
        two,
        { type: 'function_call_output', call_id: 'call_1', output: 'rain' },
        { type: 'function_call_output', call_id: 'call_2', output: 'sun' },
      ],
    });
    expect(seen[1]?.messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Let me see.', toolCalls: [CALL, { ...CALL, id: 'call_2' }] },
      { role: 'tool', content: 'rain', toolCallId: 'call_1' },
      { role: 'tool', content: 'sun', toolCallId: 'call_2' },
    ]);
  });

  it('is refused by its place where it is not known, and where it comes twice', async () => {
    const { openai } = await start();
    const { output } = await openai.responses.create(BASE);
    const reference = { type: 'item_reference' as const, id: output[0]?.id ?? '' };
    const unknown = { type: 'item_reference' as const, id: 'msg_1' };
    const error = await rejection(openai.responses.create({ ...BASE, input: [reference, unknown] }));
    expect(error).toMatchObject({ status: 404, param: 'input[1].id', type: 'invalid_request_error' });
    expect(error.error).toMatchObject({ weft_code: 'not_found', remedy: expect.stringContaining('"store": false') });
    // A body of 4,096 references to a long text would be a prompt that no bound on bodies holds.
    const twice = openai.responses.create({ ...BASE, input: [reference, reference] });
    expect(await rejection(twice)).toMatchObject({ status: 400, param: 'input[1].id' });
  });
});

describe('an answer', () => {
  it('is not kept where its request says so, in either form', async () => {
    const { openai } = await start();
    const whole = await openai.responses.create({ ...BASE, store: false });
    const streamed = await openai.responses.stream({ ...BASE, store: false }).finalResponse();
    for (const answer of [whole, streamed]) {
      const { id, store } = Response.parse(answer);
      expect(store).toBe(false);
      expect(await rejection(openai.responses.create({ ...BASE, previous_response_id: id }))).toMatchObject(FORGOTTEN);
      expect(await rejection(openai.responses.retrieve(id))).toMatchObject({ status: 404 });
    }
  });

  it('says that it is not kept where it is too large', async () => {
    const { openai } = await start(counting, { limits: { storedResponseBytesMax: 2_000 } });
    expect(await openai.responses.create(BASE)).toMatchObject({ store: true });
    const large = await openai.responses.create({ ...BASE, input: 'x'.repeat(2_000) });
    expect(large).toMatchObject({ store: false });
    expect(await rejection(openai.responses.retrieve(large.id))).toMatchObject({ status: 404 });
  });

  it('is not kept while it is written, nor when it fails', async () => {
    const { promise: lost, reject: fail } = Promise.withResolvers<never>();
    const { openai } = await start(async (_request, _options, { onDelta }) => {
      onDelta({ choice: 0, text: 'Hel' });
      return lost;
    });
    let id = '';
    let end: unknown;
    for await (const event of await openai.responses.create({ ...BASE, stream: true })) {
      end = event;
      if (event.type === 'response.created') id = event.response.id;
      if (event.type !== 'response.output_text.delta') continue;
      expect(await rejection(openai.responses.retrieve(id))).toMatchObject({ status: 404 });
      fail(new WeftError({ code: 'peer_lost', message: 'The peer went away.' }));
    }
    expect(end).toMatchObject({ type: 'response.failed', response: { id, store: false } });
    expect(await rejection(openai.responses.retrieve(id))).toMatchObject({ status: 404 });
  });

  it('is not kept when its client leaves', async () => {
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const { openai } = await start(async (_request, { signal }, { onDelta }) => {
      onDelta({ choice: 0, text: 'Hel' });
      return ended(signal).finally(leave);
    });
    let id = '';
    for await (const event of await openai.responses.create({ ...BASE, stream: true })) {
      if (event.type === 'response.created') id = event.response.id;
      if (event.type === 'response.output_text.delta') break;
    }
    await left;
    expect(id).toMatch(/^resp_/);
    expect(await rejection(openai.responses.retrieve(id))).toMatchObject({ status: 404 });
  });

  it('is kept where the tokens did not suffice', async () => {
    const { openai } = await start(async (_request, _options, { onDelta }) => {
      onDelta({ choice: 0, text: 'Hel' });
      return chatResult({ choices: [{ finish: 'length' }] });
    });
    const { id } = await openai.responses.create({ ...BASE, max_output_tokens: 1 });
    expect(await openai.responses.retrieve(id)).toMatchObject({ status: 'incomplete' });
  });

  it('is given again as it was, and forgotten when it is deleted', async () => {
    const { openai, call, url } = await start(calling);
    const answer = await openai.responses.create({ ...BASE, tools: TOOLS, metadata: { a: 'b' } });
    const again = await openai.responses.retrieve(answer.id);
    expect(Response.parse(again)).toEqual(Response.parse(answer));
    expect((await call(`/v1/responses/${answer.id}?stream=true`)).status).toBe(400);
    expect((await call(`/v1/responses/${answer.id}/input_items`)).status).toBe(404);
    expect((await fetch(`${url}/v1/responses/${answer.id}`)).status).toBe(401);

    const remove = openai.responses.delete(answer.id);
    expect(ResponseDeleted.parse(await (await remove.asResponse()).json())).toMatchObject({ id: answer.id });
    expect(await rejection(openai.responses.retrieve(answer.id))).toMatchObject({ status: 404, code: 'not_found' });
    expect(await rejection(openai.responses.delete(answer.id))).toMatchObject({ status: 404 });
    const [item] = answer.output;
    const input = [{ type: 'item_reference' as const, id: item?.id ?? '' }];
    expect(await rejection(openai.responses.create({ ...BASE, input }))).toMatchObject({ status: 404 });
  });
});
