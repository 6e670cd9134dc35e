// Conversations of a real daemon with the bundled model: what is said is on its disk, whatever becomes of page and process.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AnswerPiece,
  Conversation,
  ConversationMessage,
  ConversationsAnswer,
  RegenerateAnswer,
  RequestAnswer,
  SendAnswer,
} from '../../protocol/api/control.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const BASE = '/api/v1/conversations';
const LONG = 'Write a very long story about a robot who learns to paint the sea.';

/** One daemon's conversations, as a page asks for them. */
function pageOf(daemon: Daemon) {
  const send = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(daemon.url + BASE + path, {
      method,
      headers: {
        authorization: `Bearer ${daemon.key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.headers.get('content-type')?.startsWith('application/json') ? answer.json() : answer.text();
  };
  return {
    send,
    create: async (body: object) => Conversation.parse(await send('POST', '', body)),
    get: async (id: string) => Conversation.parse(await send('GET', `/${id}`)),
    find: async (search: string) =>
      ConversationsAnswer.parse(await send('GET', `?search=${encodeURIComponent(search)}`)).conversations,
    ask: async (id: string, body: object) => SendAnswer.parse(await send('POST', `/${id}/messages`, body)),
    again: async (id: string, message: string) =>
      RegenerateAnswer.parse(await send('POST', `/${id}/messages/${message}/regenerate`, {})).answer,
    stop: async (id: string, message: string) =>
      RegenerateAnswer.parse(await send('POST', `/${id}/messages/${message}/stop`, {})).answer,
    /** Reads an answer piece by piece; `onPiece` may end the reading by returning false. */
    async read(id: string, message: string, onPiece: (text: string) => boolean = () => true) {
      const stream = await fetch(`${daemon.url}${BASE}/${id}/messages/${message}/stream`, {
        headers: { authorization: `Bearer ${daemon.key}` },
      });
      const decoder = new TextDecoder();
      let rest = '';
      let text = '';
      for await (const chunk of stream.body as ReadableStream<Uint8Array>) {
        const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          const [, event, json] = /event: (\w+)\ndata: (.*)$/s.exec(block) ?? [];
          if (json === undefined) continue;
          if (event === 'done') return { text, message: ConversationMessage.parse(JSON.parse(json)) };
          const piece = AnswerPiece.parse(JSON.parse(json));
          expect(piece.at).toBe(text.length);
          text += piece.text;
          if (!onPiece(text)) return { text, message: undefined };
        }
      }
      return { text, message: undefined };
    },
  };
}

describe('conversations of a node', () => {
  let daemon: Daemon;
  let page: ReturnType<typeof pageOf>;
  beforeAll(async () => {
    daemon = await startDaemon();
    page = pageOf(daemon);
  });
  afterAll(() => daemon.stop());

  it('are answered, streamed, and say who answered and how', async () => {
    const { id } = await page.create({ system: 'Be brief.', settings: { temperature: 0, maxTokens: 40 } });
    const { answer } = await page.ask(id, { content: 'What is the capital of France?' });
    const { text, message } = await page.read(id, answer.id);
    expect(text).toContain('Paris');
    expect(message).toMatchObject({
      content: text,
      state: 'done',
      nodes: [{ node: daemon.node, name: daemon.name }],
      usage: { completionTokens: expect.any(Number) },
      ttftMs: expect.any(Number),
      tokensPerSecond: expect.any(Number),
    });
    const traced = await fetch(`${daemon.url}/api/v1/requests/${message?.requestId}`, {
      headers: { authorization: `Bearer ${daemon.key}` },
    });
    expect(RequestAnswer.parse(await traced.json())).toMatchObject({ status: 'ok', model: message?.model });
    const kept = await page.get(id);
    expect(kept).toMatchObject({ title: 'What is the capital of France?', leaf: answer.id });
    expect(kept.messages[1]).toEqual(message);
  });

  it('go on when the page goes away, and stop when they are told to', async () => {
    const { id } = await page.create({ settings: { temperature: 0, maxTokens: 2_000 } });
    const { answer } = await page.ask(id, { content: LONG });
    const left = await page.read(id, answer.id, (text) => text.length < 40);
    await until('more of the answer', async () => {
      const { messages } = await page.get(id);
      return (messages[1]?.content.length ?? 0) > left.text.length + 40;
    });
    const stopped = await page.stop(id, answer.id);
    expect(stopped).toMatchObject({ state: 'stopped', content: expect.stringContaining(left.text) });
    expect((await page.get(id)).messages[1]).toEqual(stopped);
    expect((await page.read(id, answer.id)).message).toEqual(stopped);
  });

  it('branch, are found, and are the same again from a file', async () => {
    const { id } = await page.create({ settings: { temperature: 1, seed: 7, maxTokens: 16 } });
    const first = await page.ask(id, { content: 'Say something about zebras.' });
    await page.read(id, first.answer.id);
    const second = await page.again(id, first.answer.id);
    await page.read(id, second.id);
    const edited = await page.ask(id, { content: 'Say something about giraffes.', parent: null });
    await page.read(id, edited.answer.id);
    const kept = await page.get(id);
    expect(kept.leaf).toBe(edited.answer.id);
    expect(kept.messages.map(({ parent }) => parent)).toEqual([
      null,
      first.user.id,
      first.user.id,
      null,
      edited.user.id,
    ]);
    expect(await page.find('giraff')).toMatchObject([{ id, snippet: expect.stringMatching(/giraffe/i) }]);
    const markdown = await page.send('GET', `/${id}/export?format=markdown`);
    expect(markdown).toContain('giraffes');
    expect(markdown).not.toContain('## User\n\nSay something about zebras.');
    const copy = Conversation.parse(await page.send('POST', '/import', await page.send('GET', `/${id}/export`)));
    expect(copy.messages.map(({ content }) => content)).toEqual(kept.messages.map(({ content }) => content));
    await page.send('DELETE', `/${id}`);
    expect((await page.find('giraff')).map((one) => one.id)).toEqual([copy.id]);
  });

  it('take two messages at once, and say what failed', async () => {
    const { id } = await page.create({ settings: { temperature: 0, maxTokens: 8 } });
    const sent = await Promise.all([
      page.ask(id, { content: 'Say yes.', parent: null }),
      page.ask(id, { content: 'Say no.', parent: null }),
      page.ask(id, { content: 'Say what?', parent: null, model: 'nobody/has-this' }),
    ]);
    const read = await Promise.all(sent.map(({ answer }) => page.read(id, answer.id)));
    expect(read.map(({ message }) => message?.state)).toEqual(['done', 'done', 'failed']);
    expect(read[2]?.message?.error).toMatchObject({ code: 'model_not_found', remedy: expect.any(String) });
    expect((await page.get(id)).messages).toHaveLength(6);
  });
});

it('survive kill -9 in the middle of an answer: what had come is there, marked stopped', async () => {
  const killed = await startDaemon();
  const before = pageOf(killed);
  const { id } = await before.create({ settings: { temperature: 0, maxTokens: 2_000 } });
  const told = await before.create({ title: 'Told before' });
  const { user, answer } = await before.ask(id, { content: LONG });
  const seen = await before.read(id, answer.id, (text) => text.length < 200);
  // Whatever came within the last moment may be lost with the process, and no more.
  const file = new DatabaseSync(join(killed.home, 'conversations.sqlite'), { readOnly: true });
  const content = file.prepare('SELECT content FROM message WHERE id = ?');
  await until('what was seen to be written', () => String(content.get(answer.id)?.content).startsWith(seen.text));
  file.close();
  killed.kill('SIGKILL');
  const daemon = await startDaemon({ home: killed.home });
  try {
    const page = pageOf(daemon);
    const { messages, leaf, title } = await page.get(id);
    expect(messages[0]).toEqual(user);
    expect(messages[1]).toMatchObject({ id: answer.id, state: 'stopped', model: expect.any(String) });
    expect(messages[1]?.content.startsWith(seen.text)).toBe(true);
    expect({ leaf, title }).toEqual({ leaf: answer.id, title: expect.stringMatching(/^Write a very long story/) });
    expect(await page.find('robot')).toMatchObject([{ id }]);
    expect(await page.get(told.id)).toEqual(told);
    const on = await page.ask(id, { content: 'Go on.' });
    await page.read(id, on.answer.id, () => false);
    expect((await page.stop(id, on.answer.id)).parent).toBe(on.user.id);
    const files = (await readdir(daemon.home)).filter((name) => name.startsWith('conversations'));
    expect(files).toContain('conversations.sqlite');
    expect(files.join()).not.toContain('damaged');
    if (process.platform !== 'win32') {
      const modes = await Promise.all(files.map(async (name) => (await stat(join(daemon.home, name))).mode & 0o777));
      expect(new Set(modes)).toEqual(new Set([0o600]));
    }
  } finally {
    await daemon.stop();
  }
});
