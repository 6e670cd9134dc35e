// The control API's part about conversations, over conversations that are kept for real.
import { describe, expect, expectTypeOf, it } from 'vitest';
import type * as port from '../../../node/core/conversations.ts';
import {
  AnswerPiece,
  Conversation,
  type ConversationMessage,
  ConversationsAnswer,
  MESSAGE_LENGTH_MAX,
  MESSAGES_MAX,
  RegenerateAnswer,
  SendAnswer,
} from '../../../protocol/api/control.ts';
import { ErrorBody } from '../../../protocol/api/openai.ts';
import { until } from '../../support/wait.ts';
import { lastOf, openConversations } from '../memory/conversations/support.ts';
import type { StartInit } from './support.ts';
import { KEY, startGateway } from './support.ts';

const BASE = '/api/v1/conversations';

/** What is left of a value after JSON: arrays lose `readonly`, undefined fields go. */
type Json<T> = T extends readonly (infer Element)[]
  ? Json<Element>[]
  : T extends object
    ? { -readonly [Key in keyof T]: Json<T[Key]> }
    : T;

async function start(init: StartInit = {}) {
  const kept = openConversations();
  const gateway = await startGateway({ ...init, components: { conversations: kept.conversations } });
  const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(gateway.url + path, {
      method,
      headers: {
        authorization: `Bearer ${KEY}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const created = async (body: object = {}): Promise<Conversation> =>
    Conversation.parse(await (await send('POST', BASE, body)).json());
  /** Begins an answer. */
  const asked = async (id: string, body: object = { content: 'Hello' }, headers: Record<string, string> = {}) => {
    const answer = await send('POST', `${BASE}/${id}/messages`, body, headers);
    return { ...SendAnswer.parse(await answer.json()), requestId: answer.headers.get('x-request-id') };
  };
  return { ...kept, ...gateway, send, created, asked };
}

/** Events of a stream that has ended. */
function eventsOf(text: string): { readonly id: string | undefined; readonly event: string; readonly data: unknown }[] {
  return text
    .split('\n\n')
    .map((block) => Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s, 2))))
    .filter(({ data }) => data !== undefined)
    .map(({ id, event, data }) => ({ id, event, data: JSON.parse(data) }));
}

describe('conversations over HTTP', () => {
  it('have the shapes of the port', () => {
    expectTypeOf<Json<port.Conversation>>().toExtend<Conversation>();
    expectTypeOf<Json<port.ConversationSummary>>().toExtend<ConversationsAnswer['conversations'][number]>();
    expectTypeOf<Json<port.Message>>().toExtend<ConversationMessage>();
    expectTypeOf<Json<port.AnswerPiece>>().toExtend<AnswerPiece>();
  });

  it('are begun, listed, read, changed and deleted', async () => {
    const { send, created } = await start();
    const { id, ...head } = await created({ system: 'Be brief.', settings: { topP: 0.5 }, model: 'chat' });
    expect(head).toMatchObject({ title: '', model: 'chat', system: 'Be brief.', settings: { topP: 0.5 }, leaf: null });
    await created();
    const list = ConversationsAnswer.parse(await (await send('GET', `${BASE}?limit=1`)).json());
    expect(list).toMatchObject({ conversations: [{ messages: 0 }], more: true });
    const rest = await (await send('GET', `${BASE}?limit=1&before=${list.conversations[0]?.id}`)).json();
    expect(rest).toMatchObject({ conversations: [{ id }], more: false });
    const changed = await send('PATCH', `${BASE}/${id}`, { title: 'Zoo', model: null, system: '' });
    expect(Conversation.parse(await changed.json())).toMatchObject({ id, title: 'Zoo', model: null, system: '' });
    expect(await (await send('GET', `${BASE}/${id}`)).json()).toMatchObject({ title: 'Zoo' });
    expect(await (await send('GET', `${BASE}?search=zoo`)).json()).toMatchObject({ conversations: [{ id }] });
    expect(await (await send('DELETE', `${BASE}/${id}`)).json()).toEqual({ id, deleted: true });
    const gone = await send('GET', `${BASE}/${id}`);
    expect(gone.status).toBe(404);
    expect(ErrorBody.parse(await gone.json()).error).toMatchObject({ weft_code: 'not_found' });
  });

  it.each([
    ['POST', '', { title: 'x'.repeat(300) }],
    ['POST', '', { more: 1 }],
    ['POST', '', { settings: { temperature: 3 } }],
    ['POST', '', { settings: { topP: 0 } }],
    ['POST', '', { settings: { maxTokens: 0.5 } }],
    ['POST', '', { settings: { seed: 2 ** 60 } }],
    ['POST', '', { model: '' }],
    ['PATCH', '/ID', { leaf: null }],
    ['PATCH', '/ID', { id: 'x' }],
    ['POST', '/ID/messages', {}],
    ['POST', '/ID/messages', { content: ' \n' }],
    ['POST', '/ID/messages', { content: 'x'.repeat(MESSAGE_LENGTH_MAX + 1) }],
    ['POST', '/ID/messages', { content: 'x', role: 'system' }],
    ['GET', '?limit=0', undefined],
    ['GET', '?limit=1000', undefined],
    ['GET', `?search=${'x'.repeat(300)}`, undefined],
    ['GET', '/ID/export?format=exe', undefined],
  ])('refuse %s %s %j', async (method, path, body) => {
    const { send, created } = await start();
    const { id } = await created();
    const answer = await send(method, BASE + path.replace('ID', id), body);
    expect(answer.status).toBe(400);
    expect(ErrorBody.parse(await answer.json()).error.weft_code).toBe('bad_request');
  });
});

describe('an answer over HTTP', () => {
  it('carries the id of the request that asked for it, and its headers', async () => {
    const { created, asked, coordinator, traced } = await start();
    const { id } = await created();
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const { answer, requestId } = await asked(
      id,
      { content: 'Hello', model: 'chat' },
      { traceparent, 'x-weft-deadline-ms': '60000', 'x-weft-priority': 'batch', 'x-weft-raw': 'local' },
    );
    expect(answer).toMatchObject({ requestId, state: 'streaming', model: 'chat' });
    expect(traced[0]).toMatchObject({ requestId, traceParent: traceparent });
    const { options } = lastOf(coordinator);
    expect(options).toMatchObject({ requestId, priority: 'batch', rawLocal: true });
    expect(options.leftMs?.()).toBe(60_000);
  });

  it('is streamed from where a client left it, and ends with the message', async () => {
    const { created, asked, coordinator, send } = await start();
    const { id } = await created();
    const { answer } = await asked(id);
    const path = `${BASE}/${id}/messages/${answer.id}/stream`;
    lastOf(coordinator).say('One');
    const reading = send('GET', `${path}?from=1`);
    const stream = await reading;
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
    lastOf(coordinator).say(' two');
    lastOf(coordinator).done();
    const events = eventsOf(await stream.text());
    const last = events.pop();
    expect(events.map(({ data }) => AnswerPiece.parse(data).text).join('')).toBe('ne two');
    expect(events.at(-1)).toMatchObject({ id: '7', event: 'delta' });
    expect(last).toMatchObject({ event: 'done', data: { id: answer.id, content: 'One two', state: 'done' } });
    const again = eventsOf(await (await send('GET', path, undefined, { 'last-event-id': '4' })).text());
    expect(again[0]?.data).toEqual({ at: 4, text: 'two' });
    expect(again[1]?.data).toEqual(last?.data);
    expect((await send('HEAD', path)).status).toBe(200);
  });

  it('goes on without the client that asked and the one that read', async () => {
    const { created, asked, coordinator, send, url, gateway } = await start();
    const { id } = await created();
    const { answer } = await asked(id);
    const path = `${BASE}/${id}/messages/${answer.id}/stream`;
    const client = new AbortController();
    const headers = { authorization: `Bearer ${KEY}` };
    const stream = await fetch(url + path, { headers, signal: client.signal });
    client.abort();
    await expect(stream.text()).rejects.toThrow();
    await until('the reader to be gone', () => gateway.requestsInFlight === 0);
    expect(lastOf(coordinator).options.signal.aborted).toBe(false);
    lastOf(coordinator).say('Whole');
    lastOf(coordinator).done();
    expect(eventsOf(await (await send('GET', path)).text())).toHaveLength(2);
  });

  it('shows that it is alive while nothing comes', async () => {
    const { created, asked, send } = await start({ limits: { watcherKeepAliveMs: 20 } });
    const { id } = await created();
    const { answer } = await asked(id);
    const stream = await send('GET', `${BASE}/${id}/messages/${answer.id}/stream`);
    const reader = stream.body?.getReader();
    let text = '';
    while (text.length < 16) text += Buffer.from((await reader?.read())?.value ?? []).toString();
    expect(text).toMatch(/^(id: 0\n\n){2}/);
    await reader?.cancel();
  });

  it('comes whole when it is as long as may be, to a client that reads late', async () => {
    const { created, asked, coordinator, send } = await start();
    const { id } = await created();
    const { answer } = await asked(id);
    const stream = await send('GET', `${BASE}/${id}/messages/${answer.id}/stream`);
    // Six bytes each in JSON: three times what a stream may buffer.
    const text = '\u0001'.repeat(MESSAGE_LENGTH_MAX);
    lastOf(coordinator).say(text);
    lastOf(coordinator).done();
    const events = eventsOf(await stream.text());
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { content: text } });
    expect(
      events.flatMap(({ event, data }) => (event === 'delta' ? [AnswerPiece.parse(data).text] : [])).join(''),
    ).toBe(text);
  });

  it('would be cut off if it were written as other streams are', async () => {
    const { created, asked, coordinator, send } = await start({ limits: { answerEventBytesMax: 1 << 20 } });
    const { id } = await created();
    const { answer } = await asked(id);
    const stream = await send('GET', `${BASE}/${id}/messages/${answer.id}/stream`);
    lastOf(coordinator).say('\u0001'.repeat(MESSAGE_LENGTH_MAX));
    lastOf(coordinator).done();
    await expect(stream.text()).rejects.toThrow();
  });

  it('is stopped and begun again', async () => {
    const { created, asked, coordinator, send } = await start();
    const { id } = await created();
    const { user, answer } = await asked(id);
    lastOf(coordinator).say('Half');
    const path = `${BASE}/${id}/messages/${answer.id}`;
    const stopped = RegenerateAnswer.parse(await (await send('POST', `${path}/stop`, {})).json());
    expect(stopped.answer).toMatchObject({ id: answer.id, state: 'stopped', content: 'Half' });
    const again = RegenerateAnswer.parse(await (await send('POST', `${path}/regenerate`, { model: 'chat' })).json());
    expect(again.answer).toMatchObject({ parent: user.id, state: 'streaming', model: 'chat' });
    expect((await send('POST', `${BASE}/${id}/messages/msg_x/stop`, {})).status).toBe(404);
    expect((await send('GET', `${BASE}/${id}/messages/msg_x/stream`)).status).toBe(404);
  });

  it('tells a reader of the end of the node, who finds it stopped', async () => {
    const { created, asked, coordinator, send, gateway, conversations } = await start();
    const { id } = await created();
    const { answer } = await asked(id);
    const stream = await send('GET', `${BASE}/${id}/messages/${answer.id}/stream`);
    const text = stream.text();
    lastOf(coordinator).say('Half');
    await Promise.all([gateway.stop(), text.catch(() => undefined)]);
    await conversations.close();
    expect(lastOf(coordinator).options.signal.reason).toMatchObject({ code: 'stopping' });
  });
});

describe('a conversation as a file', () => {
  it('can be read in again, with all its branches', async () => {
    const { created, asked, coordinator, send } = await start();
    const { id } = await created({ title: 'A "zoo"\\ & <b>', system: 'Be brief.', settings: { seed: 3 } });
    const { answer } = await asked(id);
    lastOf(coordinator).say('Hi.');
    lastOf(coordinator).done();
    await (await send('GET', `${BASE}/${id}/messages/${answer.id}/stream`)).text();
    await send('POST', `${BASE}/${id}/messages/${answer.id}/regenerate`, {});
    const file = await send('GET', `${BASE}/${id}/export`);
    expect(file.headers.get('content-disposition')).toBe('attachment; filename="A-zoo-b.json"');
    const read = await send('POST', `${BASE}/import`, await file.json());
    expect(read.status).toBe(200);
    const copy = Conversation.parse(await read.json());
    const original = Conversation.parse(await (await send('GET', `${BASE}/${id}`)).json());
    const said = ({ messages }: Conversation) => messages.map(({ role, content, usage }) => ({ role, content, usage }));
    expect(copy).toMatchObject({ title: original.title, system: 'Be brief.', settings: { seed: 3 } });
    expect(said(copy)).toEqual(said(original));
    expect(copy.messages.map(({ state }) => state)).toEqual(['done', 'done', 'stopped']);
    expect(copy.id).not.toBe(id);
  });

  it('is read by people as the branch that is shown', async () => {
    const { created, asked, coordinator, send } = await start();
    const { id } = await created({ system: 'Be brief.' });
    const first = await asked(id, { content: 'Hello' });
    lastOf(coordinator).say('Half');
    await send('POST', `${BASE}/${id}/messages/${first.answer.id}/stop`, {});
    await asked(id, { content: 'Elsewhere', parent: null });
    await send('PATCH', `${BASE}/${id}`, { leaf: first.answer.id });
    const file = await send('GET', `${BASE}/${id}/export?format=markdown`);
    expect(file.headers.get('content-type')).toBe('text/markdown; charset=utf-8');
    expect(file.headers.get('content-disposition')).toBe('attachment; filename="Hello.md"');
    expect(await file.text()).toBe(
      '# Hello\n\nBegun 2026-11-22 00:00 UTC.\n\n## System\n\nBe brief.\n\n## User\n\nHello\n\n' +
        '## Assistant (owner/chat-model)\n\nHalf\n\n*Stopped here.*\n',
    );
  });

  const message = { id: 'u', parent: null, role: 'user', content: 'Hi', state: 'done', createdAtMs: 1 };
  const conversation = {
    title: '',
    model: null,
    system: '',
    settings: {},
    leaf: null,
    createdAtMs: 1,
    updatedAtMs: 1,
    messages: [message],
  };
  const file = { format: 'weft-conversation', version: 1, conversation };

  it('may say more than this version knows', async () => {
    const { send } = await start();
    const more = { ...file, by: 'x', conversation: { ...conversation, more: 1, messages: [{ ...message, more: 1 }] } };
    expect((await send('POST', `${BASE}/import`, more)).status).toBe(200);
  });

  it.each<[string, object]>([
    ['another format', { ...file, format: 'other' }],
    ['a newer version', { ...file, version: 2 }],
    ['no conversation', { ...file, conversation: null }],
    ['an unknown role', { ...file, conversation: { ...conversation, messages: [{ ...message, role: 'system' }] } }],
    ['an unknown state', { ...file, conversation: { ...conversation, messages: [{ ...message, state: 'odd' }] } }],
    ['a time before 1970', { ...file, conversation: { ...conversation, createdAtMs: -1 } }],
    [
      'a text that is too long',
      {
        ...file,
        conversation: { ...conversation, messages: [{ ...message, content: 'x'.repeat(MESSAGE_LENGTH_MAX + 1) }] },
      },
    ],
    [
      'too many messages',
      {
        ...file,
        conversation: { ...conversation, messages: Array.from({ length: MESSAGES_MAX + 1 }, () => message) },
      },
    ],
    [
      'a circle',
      {
        ...file,
        conversation: {
          ...conversation,
          messages: [
            { ...message, parent: 'a' },
            { ...message, id: 'a', parent: 'u', role: 'assistant' },
          ],
        },
      },
    ],
    ['settings that are none', { ...file, conversation: { ...conversation, settings: { temperature: 'hot' } } }],
  ])('is refused with %s', async (_what, body) => {
    const { send } = await start();
    expect((await send('POST', `${BASE}/import`, body)).status).toBe(400);
    expect(await (await send('GET', BASE)).json()).toEqual({ conversations: [], more: false });
  });
});
