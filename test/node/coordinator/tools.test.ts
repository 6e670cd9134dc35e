import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TextGenerationTask } from '../../../models/tasks/text-generation.ts';
import { TOOLS_CHARS_MAX } from '../../../node/coordinator/limits.ts';
import { rulesOf } from '../../../node/coordinator/rules.ts';
import type { ChatRequest, ToolSpec } from '../../../node/core/coordinator.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { TOOLS_MAX } from '../../../protocol/limits.ts';
import { bundledStore, fakeCoordinator, type Generate, generating, recordingEvents, smollm2 } from './fakes.ts';

const EOS = 2;
let store: Awaited<ReturnType<typeof bundledStore>>;
let task: TextGenerationTask;
beforeAll(async () => {
  store = await bundledStore();
  task = await smollm2(store);
});
afterAll(() => store[Symbol.asyncDispose]());

const WEATHER: ToolSpec = {
  name: 'weather',
  description: 'Tells the weather.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const NOW: ToolSpec = { name: 'now', parameters: {} };
const tools = [WEATHER, NOW];
const question: ChatRequest = {
  model: 'smollm2',
  messages: [{ role: 'user', content: 'Rain in Paris?' }],
  temperature: 0,
  topP: 1,
  stop: [],
};
const CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>';

/** Tools whose schemas are as long together as a request may have them, and a little longer. */
const bulky = (count: number): ToolSpec[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `t${index}`,
    parameters: { description: 'x'.repeat(TOOLS_CHARS_MAX / count) },
  }));

async function chat(answer: string, changes: Partial<ChatRequest> = {}) {
  const requests: GenerateRequest[] = [];
  const generate: Generate = (request, options, onTokens) => {
    requests.push(request);
    return generating([...task.encode(answer), EOS])(request, options, onTokens);
  };
  const { coordinator } = fakeCoordinator({ store, generate });
  const recorded = recordingEvents();
  const options = { signal: new AbortController().signal, requestId: 'req' };
  const result = await coordinator.chat({ ...question, ...changes }, options, recorded.events);
  return { result, recorded, request: requests[0], finish: result.choices[0]?.finish };
}

describe('a chat with tools', () => {
  it('tells the model of them and holds it to their schemas', async () => {
    const { request } = await chat('No.', { tools });
    expect(request?.ids).toEqual(task.encode(task.renderChat(question.messages, tools)));
    expect(request?.constraint).toEqual({
      kind: 'tools',
      tools: [
        { name: 'weather', schema: JSON.stringify(WEATHER.parameters) },
        { name: 'now', schema: '{"type":"object"}' },
      ],
      choice: 'auto',
      parallel: true,
    });
  });

  it('gives each call whole, with an id of its own, and the text around it', async () => {
    const { recorded, finish } = await chat(`Let me see.\n${CALL}\n${CALL}\n`, { tools });
    expect(recorded.text()).toBe('Let me see.\n');
    const calls = recorded.calls();
    expect(calls.map(({ name, arguments: json }) => [name, json])).toEqual([
      ['weather', '{"city": "Paris"}'],
      ['weather', '{"city": "Paris"}'],
    ]);
    for (const { id } of calls) expect(id).toMatch(/^call_[A-Za-z0-9]{24}$/);
    expect(calls[0]?.id).not.toBe(calls[1]?.id);
    expect(recorded.deltas.filter(({ toolCall }) => toolCall !== undefined).every(({ text }) => text === '')).toBe(
      true,
    );
    expect(finish).toBe('tool_calls');
  });

  it('answers with text where the model calls none', async () => {
    const { recorded, finish } = await chat('I think <tool_cat is no tag.', { tools });
    expect([recorded.text(), recorded.calls(), finish]).toEqual(['I think <tool_cat is no tag.', [], 'stop']);
  });

  it('gives a call that max_tokens cuts as the text that it is', async () => {
    const whole = task.encode(CALL).length;
    const { recorded, finish } = await chat(CALL, { tools, maxTokens: whole - 2 });
    expect(recorded.calls()).toEqual([]);
    expect(CALL.startsWith(recorded.text()) && recorded.text().length > 40).toBe(true);
    expect(finish).toBe('length');
    const second = await chat(`${CALL}${CALL}`, { tools, maxTokens: whole + 4 });
    expect([second.recorded.calls().length, second.finish]).toEqual([1, 'length']);
  });

  it('gives what an executor makes up as text', async () => {
    const lie = '<tool_call>{"name": "delete_all", "arguments": {}}</tool_call>';
    const { recorded, finish } = await chat(lie, { tools });
    expect([recorded.text(), recorded.calls(), finish]).toEqual([lie, [], 'stop']);
  });

  it('whose choice is "none" knows nothing of them', async () => {
    const { request, recorded, finish } = await chat(CALL, { tools, toolChoice: 'none' });
    expect(request?.constraint).toBeUndefined();
    expect(request?.ids).toEqual(task.encode(task.renderChat(question.messages)));
    expect([recorded.text(), finish]).toEqual([CALL, 'stop']);
  });

  it('must call one where that is asked for: any, or the one that is named', async () => {
    const any = await chat(CALL, { tools, toolChoice: 'required', parallelToolCalls: false });
    expect(any.request?.constraint).toMatchObject({ choice: 'required', parallel: false, tools: [{}, {}] });
    const named = await chat(CALL, { tools, toolChoice: { name: 'now' } });
    expect(named.request?.constraint).toMatchObject({ choice: 'required', tools: [{ name: 'now' }] });
    expect(named.request?.ids).toEqual(any.request?.ids);
  });

  it('goes on with calls and results of earlier turns', async () => {
    const messages: ChatRequest['messages'] = [
      ...question.messages,
      { role: 'assistant', content: '', toolCalls: [{ id: 'c', name: 'weather', arguments: '{"city": "Paris"}' }] },
      { role: 'tool', content: 'Rain.', toolCallId: 'c' },
    ];
    const { request } = await chat('Yes.', { messages, tools });
    expect(request?.ids).toEqual(task.encode(task.renderChat(messages, tools)));
  });

  it.each<[Partial<ChatRequest>, string]>([
    [{ tools: [{ ...NOW, name: 'a b' }] }, 'tools[0].function.name'],
    [{ tools: [NOW, NOW] }, 'tools[1].function.name'],
    [{ tools: [NOW, { ...NOW, name: 'x', parameters: { type: 'string' } }] }, 'tools[1].function.parameters'],
    [{ tools: [{ ...NOW, parameters: { properties: { a: { type: 'no type' } } } }] }, 'tools[0].function.parameters'],
    [{ tools: Array.from({ length: TOOLS_MAX + 1 }, (_, index) => ({ ...NOW, name: `t${index}` })) }, 'tools'],
    [{ tools: bulky(8) }, 'tools'],
    [{ toolChoice: 'required' }, 'tool_choice'],
    [{ tools, toolChoice: { name: 'other' } }, 'tool_choice'],
  ])('that asks for the impossible is refused by name: %o', async (changes, param) => {
    await expect(chat('', changes)).rejects.toMatchObject({
      code: 'bad_request',
      facts: { param: expect.stringContaining(param) },
    });
  });
});

describe('schemas of many tools', () => {
  it('are bounded together: each alone is small enough to be taken', async () => {
    const { signal } = new AbortController();
    for (const tool of bulky(8)) expect((await rulesOf({ ...question, tools: [tool] }, signal)).tools).toEqual([tool]);
    await expect(rulesOf({ ...question, tools: bulky(8) }, signal)).rejects.toMatchObject({ code: 'bad_request' });
  });
});

describe('a chat with a format', () => {
  const schema = { type: 'object', properties: { rain: { type: 'boolean' } }, required: ['rain'] };

  it('holds the model to it', async () => {
    const object = await chat('{}', { format: { kind: 'json_object' } });
    expect(object.request?.constraint).toEqual({ kind: 'json_object' });
    const shaped = await chat('{"rain":true}', { format: { kind: 'json_schema', name: 'answer', schema } });
    expect(shaped.request?.constraint).toEqual({ kind: 'json_schema', schema: JSON.stringify(schema) });
    expect(shaped.recorded.text()).toBe('{"rain":true}');
    expect((await chat('x', { format: { kind: 'text' } })).request?.constraint).toBeUndefined();
  });

  it('is refused where the schema cannot be kept, before anything is placed', async () => {
    const asked = chat('', { format: { kind: 'json_schema', name: 'x', schema: { type: 'nothing' } } });
    await expect(asked).rejects.toMatchObject({
      code: 'bad_request',
      facts: { param: expect.stringContaining('response_format.json_schema.schema') },
    });
  });

  it('is refused beside tools that may be called, and only then', async () => {
    const format = { kind: 'json_object' } as const;
    await expect(chat('', { format, tools })).rejects.toMatchObject({
      code: 'unsupported',
      facts: { param: 'response_format' },
    });
    expect((await chat('{}', { format, tools, toolChoice: 'none' })).request?.constraint).toEqual(format);
    expect((await chat(CALL, { format, tools, toolChoice: 'required' })).request?.constraint?.kind).toBe('tools');
  });
});
