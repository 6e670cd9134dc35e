// Conversations that are kept, answered and continued.
import { describe, expect, it } from 'vitest';
import type { AnswerPiece, Message } from '../../../../node/core/conversations.ts';
import { ANSWERS_MAX, SAVE_MS } from '../../../../node/memory/conversations/limits.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import { CHAT_MODEL, EMBED_MODEL, OTHER } from '../../gateway/support.ts';
import { ended, lastOf, OPTIONS, openConversations } from './support.ts';

const signal = new AbortController().signal;

describe('an answer', () => {
  it('is asked for with the branch above it, the system prompt and the settings', async () => {
    const { conversations, coordinator, said } = openConversations();
    const { id } = conversations.create({
      system: 'Be brief.',
      model: 'chat',
      settings: { temperature: 0.5, topP: 0.9, maxTokens: 20, seed: -1 },
    });
    await said('Hello', 'Hi.', id);
    conversations.send(id, { content: 'More' }, { ...OPTIONS, priority: 'batch', rawLocal: true });
    const { request, options } = lastOf(coordinator);
    expect(request).toEqual({
      model: 'chat',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hi.' },
        { role: 'user', content: 'More' },
      ],
      temperature: 0.5,
      topP: 0.9,
      maxTokens: 20,
      seed: 2n ** 64n - 1n,
      stop: [],
    });
    expect(options).toMatchObject({ requestId: 'req_test', priority: 'batch', rawLocal: true });
  });

  it('keeps what came, who wrote it, how fast, and its trace', async () => {
    const { conversations, said, traced, published } = openConversations();
    const { id, user, answer } = await said('Hello', 'Hi.');
    const kept = conversations.get(id);
    expect(kept).toMatchObject({ title: 'Hello', leaf: answer.id, model: null });
    expect(kept.messages).toEqual([
      user,
      {
        ...answer,
        content: 'Hi.',
        state: 'done',
        model: CHAT_MODEL,
        nodes: [{ node: OTHER, name: 'attic' }],
        usage: { promptTokens: 7, completionTokens: 3 },
        ttftMs: 12.35,
        tokensPerSecond: 75.5,
      },
    ]);
    expect(answer).toMatchObject({ parent: user.id, state: 'streaming', content: '', requestId: 'req_test' });
    expect(traced).toEqual([
      { requestId: 'req_test', name: 'POST /api/v1/conversations/:id/messages' },
      { status: 'ok' },
    ]);
    expect(published).toEqual([
      ['conversation', { id, change: 'created' }],
      ['conversation', { id, change: 'changed' }],
      ['conversation', { id, change: 'changed' }],
    ]);
  });

  it('goes on when nobody reads, and is on disk a moment later', () => {
    const { conversations, coordinator, clock, folder } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    lastOf(coordinator).say('One');
    lastOf(coordinator).say(' two');
    const other = openConversations({ folder }).conversations;
    // Another process takes it for one of a process that is gone.
    const onDisk = (): Message | undefined => other.get(id).messages.find((message) => message.id === answer.id);
    expect(onDisk()?.content).toBe('');
    clock.advance(SAVE_MS);
    expect(onDisk()?.content).toBe('One two');
    expect(conversations.get(id).messages[1]).toMatchObject({ state: 'streaming', content: 'One two' });
  });

  it('is written once for all that comes within a moment', () => {
    const { conversations, coordinator, clock } = openConversations();
    conversations.send(conversations.create({}).id, { content: 'Hello' }, OPTIONS);
    const before = clock.waiting;
    for (let piece = 0; piece < 100; piece += 1) lastOf(coordinator).say('x');
    expect(clock.waiting).toBe(before + 1);
  });

  it('keeps an error as it was, with what had come', async () => {
    const { conversations, coordinator, traced } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    lastOf(coordinator).say('Half');
    lastOf(coordinator).fail(new WeftError({ code: 'peer_lost', message: 'The peer is gone.', remedy: 'Wait.' }));
    expect(await ended(conversations, id, answer.id)).toMatchObject({
      state: 'failed',
      content: 'Half',
      error: { code: 'peer_lost', message: 'The peer is gone.', remedy: 'Wait.' },
      nodes: [{ node: OTHER, name: 'attic' }],
    });
    expect(traced.at(-1)).toEqual({ status: 'error', code: 'peer_lost' });
  });

  it('names so many nodes and so much of an error, that a file of it can be read in again', async () => {
    const { conversations, coordinator } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    for (let at = 0; at < 100; at += 1) lastOf(coordinator).events.onPlaced?.(`node ${at}`, CHAT_MODEL);
    lastOf(coordinator).fail(new WeftError({ code: 'peer_lost', message: 'x'.repeat(5_000) }));
    const failed = (await ended(conversations, id, answer.id)) as Message;
    expect(failed.nodes).toHaveLength(64);
    expect(failed.nodes?.at(-1)).toEqual({ node: 'node 99', name: 'node 99' });
    expect(failed.error?.message).toHaveLength(1_000);
  });

  it('says nothing of what failed inside', async () => {
    const { conversations, coordinator, log } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    lastOf(coordinator).fail(new Error('secret path'));
    const message = await ended(conversations, id, answer.id);
    expect(message).toMatchObject({ state: 'failed', error: { code: 'internal' } });
    expect(JSON.stringify(message)).not.toContain('secret');
    expect(log.lines).toContainEqual(expect.objectContaining({ level: 'error' }));
  });

  it('is stopped, and keeps what had come', async () => {
    const { conversations, coordinator, traced } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    lastOf(coordinator).say('Half');
    const stopped = await conversations.stop(id, answer.id);
    expect(stopped).toMatchObject({ state: 'stopped', content: 'Half' });
    expect(stopped).not.toHaveProperty('error');
    expect(lastOf(coordinator).options.signal.aborted).toBe(true);
    lastOf(coordinator).say(' too late');
    expect(conversations.get(id).messages[1]).toEqual(stopped);
    expect(await conversations.stop(id, answer.id)).toEqual(stopped);
    expect(traced.at(-1)).toEqual({ status: 'cancelled', code: 'cancelled' });
  });

  it('ends past its deadline, and at the end of the node', async () => {
    const { conversations, coordinator, clock } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, { ...OPTIONS, deadlineMs: 500 });
    expect(lastOf(coordinator).options.leftMs?.()).toBe(500);
    clock.advance(500);
    expect(await ended(conversations, id, answer.id)).toMatchObject({
      state: 'failed',
      error: { code: 'deadline_exceeded' },
    });
  });

  it('that runs when the node ends is kept as stopped', async () => {
    const { conversations, coordinator, folder } = openConversations();
    const { id } = conversations.create({});
    conversations.send(id, { content: 'Hello' }, OPTIONS);
    lastOf(coordinator).say('Half');
    await conversations.close();
    const again = openConversations({ folder }).conversations;
    expect(again.get(id).messages[1]).toMatchObject({ state: 'stopped', content: 'Half' });
    expect(() => conversations.get(id)).toThrow(expect.objectContaining({ code: 'stopping' }));
  });

  it('that ran when the process was killed is stopped at the next start, and can be found', () => {
    const { conversations, coordinator, clock, folder } = openConversations();
    const { id } = conversations.create({});
    conversations.send(id, { content: 'Hello' }, OPTIONS);
    lastOf(coordinator).say('Half a zebra');
    clock.advance(SAVE_MS);
    const again = openConversations({ folder });
    expect(again.conversations.get(id).messages[1]).toMatchObject({ state: 'stopped', content: 'Half a zebra' });
    expect(again.conversations.list({ search: 'zebra', limit: 9 }).conversations).toHaveLength(1);
    expect(again.log.lines).toContainEqual(expect.objectContaining({ fields: { count: 1 } }));
  });

  it('is by the model that is asked for, by that of the conversation, or by any that writes text', () => {
    const { conversations, coordinator } = openConversations();
    const { id } = conversations.create({});
    const models = (): (string | null)[] => [lastOf(coordinator).request.model, conversations.get(id).model];
    conversations.send(id, { content: 'Hello' }, OPTIONS);
    expect(models()).toEqual([CHAT_MODEL, null]);
    conversations.send(id, { content: 'Hello', parent: null, model: EMBED_MODEL }, OPTIONS);
    expect(models()).toEqual([EMBED_MODEL, EMBED_MODEL]);
    conversations.send(id, { content: 'Hello', parent: null }, OPTIONS);
    expect(models()).toEqual([EMBED_MODEL, EMBED_MODEL]);
  });

  it('is refused where no model writes text, and nothing is kept', () => {
    const { conversations, coordinator } = openConversations();
    const { id } = conversations.create({});
    coordinator.models = () => [];
    expect(() => conversations.send(id, { content: 'Hello' }, OPTIONS)).toThrow(
      expect.objectContaining({ code: 'model_not_found' }),
    );
    expect(conversations.get(id).messages).toEqual([]);
  });

  it('is refused past so many at a time', () => {
    const { conversations } = openConversations();
    const { id } = conversations.create({});
    for (let at = 0; at < ANSWERS_MAX; at += 1) {
      conversations.send(id, { content: 'Hello', parent: null }, OPTIONS);
    }
    expect(() => conversations.send(id, { content: 'Hello', parent: null }, OPTIONS)).toThrow(
      expect.objectContaining({ code: 'overloaded' }),
    );
  });
});

describe('a reader', () => {
  const isPiece = (read: AnswerPiece | Message): read is AnswerPiece => 'at' in read;

  it('gets what has come, what comes, and the message, from where it left', async () => {
    const { conversations, coordinator } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    lastOf(coordinator).say('One');
    const reader = conversations.follow(id, answer.id, { from: 1, signal })[Symbol.asyncIterator]();
    expect((await reader.next()).value).toEqual({ at: 1, text: 'ne' });
    const next = reader.next();
    lastOf(coordinator).say(' two');
    expect((await next).value).toEqual({ at: 3, text: ' two' });
    lastOf(coordinator).done();
    expect((await reader.next()).value).toMatchObject({ state: 'done', content: 'One two' });
    expect(await reader.next()).toMatchObject({ done: true });
  });

  it('that is slow gets in one piece what came meanwhile, and long texts in several', async () => {
    const { conversations, coordinator } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    const reader = conversations.follow(id, answer.id, { from: 0, signal })[Symbol.asyncIterator]();
    for (let piece = 0; piece < 100; piece += 1) lastOf(coordinator).say('ab');
    expect((await reader.next()).value).toEqual({ at: 0, text: 'ab'.repeat(100) });
    lastOf(coordinator).say('c'.repeat(100_000));
    lastOf(coordinator).done();
    await ended(conversations, id, answer.id);
    const all = await Array.fromAsync(conversations.follow(id, answer.id, { from: 0, signal }));
    const pieces = all.filter(isPiece);
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.map(({ text }) => text).join('')).toBe('ab'.repeat(100) + 'c'.repeat(100_000));
  });

  it('hears nothing more once it is gone, and the answer goes on', async () => {
    const { conversations, coordinator } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    const gone = new AbortController();
    const reader = conversations.follow(id, answer.id, { from: 0, signal: gone.signal })[Symbol.asyncIterator]();
    const next = reader.next();
    gone.abort(new WeftError({ code: 'cancelled', message: 'The client went away.' }));
    await expect(next).rejects.toMatchObject({ code: 'cancelled' });
    lastOf(coordinator).say('On');
    lastOf(coordinator).done();
    expect(await ended(conversations, id, answer.id)).toMatchObject({ state: 'done', content: 'On' });
  });
});

describe('a conversation', () => {
  it('branches where a message is edited or answered again', async () => {
    const { conversations, coordinator, said } = openConversations();
    const { id, user, answer } = await said('Hello', 'Hi.');
    const again = conversations.regenerate(id, answer.id, {}, OPTIONS);
    expect(again).toMatchObject({ parent: user.id, role: 'assistant' });
    expect(conversations.get(id).leaf).toBe(again.id);
    const edited = conversations.send(id, { content: 'Hey', parent: null }, OPTIONS);
    expect(lastOf(coordinator).request.messages).toEqual([{ role: 'user', content: 'Hey' }]);
    expect(conversations.get(id)).toMatchObject({ leaf: edited.answer.id, title: 'Hello' });
    expect(conversations.get(id).messages.map(({ parent }) => parent)).toEqual([
      null,
      user.id,
      user.id,
      null,
      edited.user.id,
    ]);
    expect(conversations.change(id, { leaf: answer.id }).leaf).toBe(answer.id);
    const third = conversations.regenerate(id, user.id, {}, OPTIONS);
    expect(third.parent).toBe(user.id);
  });

  it('takes two messages at once from two windows, as siblings', async () => {
    const { conversations, coordinator, said } = openConversations();
    const { id, answer } = await said('Hello', 'Hi.');
    const first = conversations.send(id, { content: 'Left', parent: answer.id }, OPTIONS);
    const second = conversations.send(id, { content: 'Right', parent: answer.id }, OPTIONS);
    for (const [index, { say, done }] of coordinator.asked.slice(1).entries()) {
      say(`Answer ${index}`);
      done();
    }
    expect(await ended(conversations, id, first.answer.id)).toMatchObject({ content: 'Answer 0', state: 'done' });
    expect(await ended(conversations, id, second.answer.id)).toMatchObject({ content: 'Answer 1', state: 'done' });
    expect(first.user.parent).toBe(second.user.parent);
  });

  it('is not gone on with behind an answer that is still written, or behind a user', () => {
    const { conversations } = openConversations();
    const { id } = conversations.create({});
    const { user, answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    for (const parent of [user.id, answer.id, undefined]) {
      expect(() => conversations.send(id, { content: 'More', parent }, OPTIONS)).toThrow(
        expect.objectContaining({ code: 'bad_request', facts: { param: 'parent' } }),
      );
    }
    expect(conversations.get(id).messages).toHaveLength(2);
  });

  it('joins what stands side by side where an answer has no text', async () => {
    const { conversations, coordinator } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    await conversations.stop(id, answer.id);
    conversations.send(id, { content: 'Still there?' }, OPTIONS);
    expect(lastOf(coordinator).request.messages).toEqual([{ role: 'user', content: 'Hello\n\nStill there?' }]);
  });

  it('is changed in part, and keeps the title that it was given', async () => {
    const { conversations, said } = openConversations();
    const { id } = conversations.create({ title: ' Zoo\n\u202eplan ' });
    await said('Hello', 'Hi.', id);
    expect(conversations.get(id).title).toBe('Zoo plan');
    const changed = conversations.change(id, { title: 'Zoo', settings: { seed: 4 } });
    expect(changed).toMatchObject({ title: 'Zoo', settings: { seed: 4 }, model: null, system: '' });
    expect(changed.messages).toHaveLength(2);
    expect(() => conversations.change(id, { leaf: 'msg_other' })).toThrow(
      expect.objectContaining({ code: 'not_found' }),
    );
  });

  it('that is deleted while it is answered ends the answer, and is gone', async () => {
    const { conversations, coordinator, published, folder } = openConversations();
    const { id } = conversations.create({});
    const { answer } = conversations.send(id, { content: 'Hello' }, OPTIONS);
    const reader = conversations.follow(id, answer.id, { from: 0, signal })[Symbol.asyncIterator]();
    lastOf(coordinator).say('Half');
    await reader.next();
    conversations.delete(id);
    expect(lastOf(coordinator).options.signal.aborted).toBe(true);
    expect((await reader.next()).value).toMatchObject({ state: 'stopped' });
    expect(published.at(-1)).toEqual(['conversation', { id, change: 'deleted' }]);
    const gone = expect.objectContaining({ code: 'not_found' });
    expect(() => conversations.get(id)).toThrow(gone);
    expect(() => conversations.delete(id)).toThrow(gone);
    expect(openConversations({ folder }).conversations.list({ limit: 9 }).conversations).toEqual([]);
  });

  it('is refused past so many', () => {
    const { conversations } = openConversations({ conversationsMax: 2 });
    const { id } = conversations.create({});
    conversations.create({});
    expect(() => conversations.create({})).toThrow(expect.objectContaining({ code: 'quota_exceeded' }));
    conversations.delete(id);
    conversations.create({});
  });

  it('keeps every character', async () => {
    const { said, folder } = openConversations();
    const text = 'a\u0000b\u202e\ud83d\ude00\n\t"\\\'; DROP TABLE message; --';
    const { id } = await said(text, text);
    const { messages } = openConversations({ folder }).conversations.get(id);
    expect(messages.map(({ content }) => content)).toEqual([text, text]);
  });

  it('has an end', async () => {
    const { conversations, said } = openConversations();
    const { id } = await said('a'.repeat(500_000), 'Hi.');
    for (let more = 0; more < 2; more += 1) await said('a'.repeat(500_000), 'Hi.', id);
    expect(() => conversations.send(id, { content: 'a'.repeat(500_000) }, OPTIONS)).toThrow(
      expect.objectContaining({ code: 'bad_request', remedy: 'Begin a new conversation.' }),
    );
  });

  it('is read by nobody under an id of another', async () => {
    const { conversations, said } = openConversations();
    const first = await said('Hello', 'Hi.');
    const { id } = conversations.create({});
    const gone = expect.objectContaining({ code: 'not_found' });
    expect(() => conversations.follow(id, first.answer.id, { from: 0, signal })).toThrow(gone);
    await expect(conversations.stop(id, first.answer.id)).rejects.toEqual(gone);
    expect(() => conversations.regenerate(id, first.answer.id, {}, OPTIONS)).toThrow(gone);
    expect(() => conversations.send(id, { content: 'x', parent: first.answer.id }, OPTIONS)).toThrow(gone);
  });
});

describe('the list', () => {
  it('has first what was said last, page by page, whatever the clock says', async () => {
    const { conversations, clock, said } = openConversations();
    const ids: string[] = [];
    for (let at = 0; at < 5; at += 1) {
      ids.push((await said(`Number ${at}`, 'Yes.')).id);
      clock.advance(-1_000);
    }
    await said('Once more', 'Yes.', ids[1]);
    const [a, b, c, d, e] = ids;
    const titles = (before?: string) => {
      const { conversations: listed, more } = conversations.list({ limit: 2, before });
      return [...listed.map(({ id }) => id), more];
    };
    expect(titles()).toEqual([b, e, true]);
    expect(titles(e)).toEqual([d, c, true]);
    expect(titles(c)).toEqual([a, false]);
    expect(titles('conv_gone')).toEqual([false]);
    expect(conversations.list({ limit: 1 }).conversations[0]).toMatchObject({ title: 'Number 1', messages: 4 });
    expect(conversations.list({ limit: 1 }).conversations[0]).not.toHaveProperty('snippet');
  });

  it('finds words and their beginnings in messages and titles, and says where', async () => {
    const { conversations, said } = openConversations();
    const paris = await said('What is the capital?', 'The café of Zürich is in Paris.');
    const tokyo = await said('東京の天気は?', '晴れです。');
    conversations.change(paris.id, { title: 'Geography' });
    const find = (search: string) =>
      conversations.list({ search, limit: 9 }).conversations.map(({ id, snippet }) => [id, snippet]);
    expect(find('pari')).toEqual([[paris.id, 'The café of Zürich is in Paris.']]);
    expect(find('zurich CAFE')).toEqual([[paris.id, expect.any(String)]]);
    expect(find('geogr')).toEqual([[paris.id, undefined]]);
    expect(find('天気')).toEqual([[tokyo.id, '東京の天気は?']]);
    expect(find('capital zurich')).toEqual([]);
    expect(find('"pari* OR tokyo')).toEqual([]);
    expect(find('?!')).toEqual([]);
    expect(find('  ')).toHaveLength(2);
  });

  it('does not find what was deleted, nor what is not there any more in a title', async () => {
    const { conversations, said } = openConversations();
    const { id } = await said('Zebra', 'Yes.');
    conversations.change(id, { title: 'Horse' });
    expect(conversations.list({ search: 'horse', limit: 9 }).conversations).toHaveLength(1);
    conversations.delete(id);
    // The next one takes the numbers of the rows that are free again.
    const next = await said('Lion', 'Roar.');
    for (const search of ['zebra', 'horse', 'yes']) {
      expect(conversations.list({ search, limit: 9 }).conversations).toEqual([]);
    }
    expect(conversations.list({ search: 'roar', limit: 9 }).conversations).toMatchObject([{ id: next.id }]);
  });
});
