// The chat in a browser: against a real node with its bundled model, and against a recorded one for what a real one seldom does.
import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import type { Conversation, ConversationMessage, ModelsAnswer } from '../../protocol/api/control.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { SELF } from '../support/recorded-answers.ts';
import { RecordedFailure, startRecordedNode } from '../support/recorded-node.ts';

const answers = (page: Page) => page.getByRole('article', { name: 'Answer' });
const questions = (page: Page) => page.getByRole('article', { name: 'You' });
const field = (page: Page) => page.getByRole('textbox', { name: 'Message', exact: true });
const listed = (page: Page) => page.getByRole('navigation', { name: 'Conversations' });

/** Waits until the last answer has so many characters. */
const hasWritten = async (page: Page, characters: number): Promise<void> => {
  const length = async (): Promise<number> => ((await answers(page).last().textContent()) ?? '').length;
  await expect.poll(length, { timeout: 60_000 }).toBeGreaterThan(characters);
};

describeWithBrowser('the chat of a real node', () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon();
  });

  const control = async <T>(path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${daemon.url}/api/v1/${path}`, {
      headers: { authorization: `Bearer ${daemon.key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    expect(response.ok, `${path}: ${response.status}`).toBe(true);
    return (await response.json()) as T;
  };

  test('an answer streams, is stopped, asked for again, edited, and survives a reload in its middle', async () => {
    const opened = await openPage({ daemon, path: '/chat' });
    const { page } = opened;
    await expectAccessible(page);
    await field(page).fill('Write a very long story about a weaver. Begin with her childhood.');
    await field(page).press('Enter');
    await page.waitForURL(/#\/chat\/conv_/);
    expect(await field(page).inputValue()).toBe('');
    await hasWritten(page, 40);

    // Reloaded in the middle, it goes on from there.
    await page.reload();
    await hasWritten(page, 80);
    await field(page).waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('Stopped here.').waitFor();
    const first = (await answers(page).textContent()) ?? '';

    await answers(page).getByRole('button', { name: 'Answer again' }).click();
    await page.getByRole('button', { name: 'Stop', exact: true }).waitFor();
    await hasWritten(page, 40);
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await answers(page).getByText('2/2').waitFor();
    await answers(page).getByRole('button', { name: 'Branch before' }).click();
    await answers(page).getByText('1/2').waitFor();
    expect(((await answers(page).textContent()) ?? '').slice(0, 40)).toBe(first.slice(0, 40));

    // The arrow up in an empty field edits the last question: it becomes another branch.
    await field(page).press('ArrowUp');
    const edit = page.getByRole('textbox', { name: 'Edit the message' });
    expect(await edit.inputValue()).toContain('weaver');
    await edit.fill('');
    expect(await edit.inputValue()).toBe('');
    await edit.fill('Say hello.');
    await edit.press('Enter');
    await questions(page).getByText('2/2').waitFor();
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.getByRole('button', { name: 'Stop', exact: true }).waitFor({ state: 'detached' });
    await questions(page).getByRole('button', { name: 'Branch before' }).click();
    await questions(page).getByText('weaver').waitFor();

    const id = page.url().split('/').at(-1) ?? '';
    const { messages } = await control<Conversation>(`conversations/${id}`);
    expect(messages.map(({ role }) => role).sort()).toEqual(['assistant', 'assistant', 'assistant', 'user', 'user']);
    await opened.close();
  });

  test('says which node answered and why, and keeps to the settings', async () => {
    const opened = await openPage({ daemon, path: '/chat' });
    const { page } = opened;
    await page.getByRole('button', { name: 'Prompt and settings' }).click();
    await page.getByLabel('System prompt').fill('You answer in one word.');
    await page.getByLabel('Tokens of an answer at most').fill('6');
    await page.getByRole('switch', { name: 'Set Temperature' }).click();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Save' }).click();
    await field(page).fill('What is woven?');
    await page.getByRole('button', { name: 'Send' }).click();
    // It may end sooner by itself: the answer is drawn by lot.
    await answers(page)
      .getByText(/^[1-6] tokens?$/)
      .waitFor();
    await answers(page).getByText('this node').waitFor();
    await answers(page).getByRole('button', { name: 'Why here?' }).click();
    await answers(page).getByText('This node was to be the soonest').waitFor();
    expect(await answers(page).getByRole('link', { name: 'See the whole trace' }).getAttribute('href')).toMatch(/req_/);
    const id = page.url().split('/').at(-1) ?? '';
    const kept = await control<Conversation>(`conversations/${id}`);
    expect(kept).toMatchObject({ system: 'You answer in one word.', settings: { maxTokens: 6, temperature: 0.7 } });
    await expectAccessible(page);

    // Another window sees it grow, and go.
    const other = await openPage({ daemon, path: `/chat/${id}`, width: 360, theme: 'dark', expected: [/404/] });
    await questions(other.page).getByText('What is woven?').waitFor();
    await field(page).fill('And what is spun?');
    await field(page).press('Enter');
    await questions(other.page).getByText('And what is spun?').waitFor();
    await expectNoSidewaysScroll(other.page);
    await answers(page).nth(1).getByText('tokens/s').waitFor();

    await listed(page)
      .getByRole('button', { name: /What can be done with/ })
      .first()
      .click();
    await page.getByRole('menuitem', { name: 'Rename' }).click();
    await page.getByLabel('Title').fill('Spinning and weaving');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { level: 1, name: 'Spinning and weaving' }).waitFor();

    // On the narrow one the list is a drawer.
    await other.page.getByRole('button', { name: 'Conversations' }).click();
    await other.page.getByRole('dialog').getByRole('link', { name: 'Spinning and weaving' }).waitFor();
    await expectAccessible(other.page);
    await other.page.keyboard.press('Escape');

    await listed(page)
      .getByRole('button', { name: /What can be done with/ })
      .first()
      .click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('heading', { level: 1, name: 'New conversation' }).waitFor();
    await other.page.getByText('This conversation is not here any more').waitFor();
    await Promise.all([opened.close(), other.close()]);
  });

  test('hostile words are harmless; conversations are found, exported and read in', async () => {
    const opened = await openPage({ daemon, path: '/chat' });
    const { page } = opened;
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).origin));
    await page.locator('input[type=file]').setInputFiles({
      name: 'hostile.json',
      mimeType: 'application/json',
      buffer: Buffer.from(JSON.stringify(HOSTILE)),
    });
    await page.getByRole('heading', { level: 1, name: /<b>Shuttle<\/b>/ }).waitFor();
    await answers(page).getByText('click me').waitFor();
    const dangerous = ':is(script, img, iframe, [onclick], a[href^="javascript" i])';
    const found = await page.evaluate<{ pwned: boolean; dangerous: number; text: string }>(`({
      pwned: 'pwned' in globalThis,
      dangerous: document.querySelectorAll('article ${dangerous.replaceAll("'", '"')}').length,
      text: document.querySelector('main').textContent,
    })`);
    expect(found).toMatchObject({ pwned: false, dangerous: 0 });
    expect(found.text).not.toMatch(/[\u202A-\u202E\u2066-\u2069]/);
    expect(
      await answers(page)
        .getByRole('link')
        .evaluateAll((links) => links.map((link) => link.getAttribute('rel'))),
    ).toEqual(['noreferrer noopener', 'noreferrer noopener']);
    await answers(page).getByRole('button', { name: 'Copy the code' }).waitFor();
    expect(new Set(asked)).toEqual(new Set([daemon.url]));
    await expectAccessible(page);

    await page.getByRole('searchbox').fill('bobbin');
    await listed(page)
      .getByText(/bobbin/)
      .first()
      .waitFor();
    expect(await listed(page).getByRole('link').count()).toBe(1);
    await page.getByRole('searchbox').fill('nowherewordatall');
    await page.getByText('No conversation has these words.').waitFor();
    await page.getByRole('searchbox').press('Escape');
    await listed(page)
      .getByRole('button', { name: /Shuttle/ })
      .click();
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: 'Export as Markdown' }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe('b-Shuttle-b-evil.md');
    expect(await readFile(await file.path(), 'utf8')).toContain('bobbin');
    await opened.close();
  });
});

const HOSTILE = {
  format: 'weft-conversation',
  version: 1,
  conversation: {
    title: '<b>Shuttle</b> \u202Eevil',
    model: null,
    system: '',
    settings: {},
    leaf: '2',
    createdAtMs: 1_700_000_000_000,
    updatedAtMs: 1_700_000_000_000,
    messages: [
      {
        id: '1',
        parent: null,
        role: 'user',
        content: '<img src=x onerror="globalThis.pwned=1"> bobbin',
        state: 'done',
        createdAtMs: 1_700_000_000_000,
      },
      {
        id: '2',
        parent: '1',
        role: 'assistant',
        content: [
          '<script>globalThis.pwned = 1</script>',
          '<iframe src="https://example.org"></iframe>',
          '[click me](javascript:globalThis.pwned=1) and [web](https://example.org)',
          '![picture](https://example.org/track.png)',
          'safe\u202Etxt.exe',
          '```js\nconst a = 1;\n```',
        ].join('\n\n'),
        state: 'done',
        createdAtMs: 1_700_000_000_000,
        nodes: [{ node: 'k51x', name: 'node\u202Eeman' }],
      },
    ],
  },
};

describeWithBrowser('the chat of a recorded node', () => {
  const MODELS: ModelsAnswer = {
    models: [
      {
        id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
        aliases: ['smollm2'],
        task: 'text-generation',
        contextLength: 8_192,
        dimensions: 0,
        sizeBytes: 108_606_884,
        nodes: [{ node: SELF, name: 'workbench', state: 'disk', self: true }],
      },
    ],
  };
  const message = (
    init: Partial<ConversationMessage> & Pick<ConversationMessage, 'id' | 'role'>,
  ): ConversationMessage => ({
    parent: null,
    content: '',
    state: 'done',
    createdAtMs: 1_795_000_000_000,
    ...init,
  });
  const conversation = (messages: ConversationMessage[]): Conversation => ({
    id: 'conv_a',
    title: 'A conversation',
    model: null,
    system: '',
    settings: {},
    messages,
    leaf: messages.at(-1)?.id ?? null,
    createdAtMs: 1_795_000_000_000,
    updatedAtMs: 1_795_000_000_000,
  });
  const QUESTION = message({ id: 'q', role: 'user', content: 'How?' });
  const STREAM = 'GET /api/v1/conversations/conv_a/messages/a/stream';
  const base = { 'GET /api/v1/models': MODELS, 'GET /api/v1/conversations': { conversations: [], more: false } };

  test('a stream that breaks is joined again behind what has come', async () => {
    const answer = message({ id: 'a', role: 'assistant', parent: 'q', state: 'streaming', content: 'The ' });
    const froms: string[] = [];
    const streams: ServerResponse[] = [];
    const joined: (() => void)[] = [];
    const nextJoin = () => new Promise<void>((resolve) => joined.push(resolve));
    const first = nextJoin();
    const second = nextJoin();
    await using node = await startRecordedNode({
      answers: {
        ...base,
        'GET /api/v1/conversations/conv_a': conversation([QUESTION, answer]),
        [STREAM]: ({ url, response }: { url: URL; response: ServerResponse }) => {
          froms.push(url.searchParams.get('from') ?? '');
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          streams.push(response);
          joined.shift()?.();
        },
      },
    });
    const opened = await openPage({ daemon: node, path: '/chat/conv_a', expected: [/ERR_/] });
    const { page } = opened;
    await first;
    const piece = (at: number, text: string) => `event: delta\ndata: ${JSON.stringify({ at, text })}\n\n`;
    streams[0]?.write(piece(4, 'warp '));
    await answers(page).getByText('The warp').waitFor();
    streams[0]?.destroy();
    await second;
    expect(froms).toEqual(['4', '9']);
    const done = { ...answer, content: 'The warp and the weft.', state: 'done' };
    streams[1]?.write(piece(9, 'and the weft.'));
    streams[1]?.end(`event: done\ndata: ${JSON.stringify(done)}\n\n`);
    await answers(page).getByText('The warp and the weft.').waitFor();
    await answers(page).getByRole('button', { name: 'Answer again' }).waitFor();
    await opened.close();
  });

  test('a failed send keeps the draft and says what to do; a failed answer can be tried again', async () => {
    const failed = message({
      id: 'a',
      role: 'assistant',
      parent: 'q',
      state: 'failed',
      error: { code: 'no_capable_node', message: 'No node has room for it.', remedy: 'Choose a smaller model.' },
    });
    await using node = await startRecordedNode({
      answers: {
        ...base,
        'GET /api/v1/conversations/conv_a': conversation([QUESTION, failed]),
        'POST /api/v1/conversations/conv_a/messages': new RecordedFailure(
          507,
          'disk_full',
          'The disk is full.',
          'Free some.',
        ),
        'POST /api/v1/conversations/conv_a/messages/a/regenerate': {
          answer: message({ id: 'a2', role: 'assistant', parent: 'q', content: 'By hand.' }),
        },
      },
    });
    const opened = await openPage({ daemon: node, path: '/chat/conv_a', expected: [/507/] });
    const { page } = opened;
    await answers(page).getByText('Choose a smaller model.').waitFor();
    await expectAccessible(page);
    await field(page).fill('My draft');
    await field(page).press('Enter');
    await page.getByText('Free some.').waitFor();
    expect(await field(page).inputValue()).toBe('My draft');
    // And it survives another view.
    await page.getByRole('link', { name: 'Try it' }).click();
    await page.getByRole('tab', { name: 'Tensors' }).waitFor();
    await page.goBack();
    expect(await field(page).inputValue()).toBe('My draft');
    await answers(page).getByRole('button', { name: 'Try again' }).click();
    await answers(page).getByText('By hand.').waitFor();
    await opened.close();
  });

  test('a long answer: the reader may scroll up while it grows, and finds the way back to its end', async () => {
    const answer = message({ id: 'a', role: 'assistant', parent: 'q', state: 'streaming' });
    let stream: ServerResponse | undefined;
    let opened = (): void => undefined;
    const isOpen = new Promise<void>((resolve) => {
      opened = resolve;
    });
    await using node = await startRecordedNode({
      answers: {
        ...base,
        'GET /api/v1/conversations/conv_a': conversation([QUESTION, answer]),
        [STREAM]: ({ response }: { response: ServerResponse }) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          stream = response;
          opened();
        },
      },
    });
    const { page, close } = await openPage({ daemon: node, path: '/chat/conv_a' });
    await isOpen;
    let at = 0;
    const write = (text: string): void => {
      stream?.write(`event: delta\ndata: ${JSON.stringify({ at, text })}\n\n`);
      at += text.length;
    };
    for (let line = 0; line < 200; line += 1) write(`Paragraph ${line} of a long answer that goes on and on.\n\n`);
    const area = page.getByRole('region', { name: 'Messages' });
    const left = () => area.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
    await answers(page).getByText('Paragraph 199').waitFor();
    await expect.poll(left).toBeLessThan(2);
    await area.hover();
    await page.mouse.wheel(0, -3_000);
    await page.getByRole('button', { name: 'To the end' }).waitFor();
    const before = await area.evaluate((element) => element.scrollTop);
    for (let line = 200; line < 260; line += 1) write(`Paragraph ${line} of a long answer that goes on and on.\n\n`);
    await answers(page).getByText('Paragraph 259').waitFor({ state: 'attached' });
    expect(await area.evaluate((element) => element.scrollTop)).toBe(before);
    await page.getByRole('button', { name: 'To the end' }).click();
    await expect.poll(left).toBeLessThan(2);
    await close();
  });

  test('of a long conversation the newest messages are shown; older ones come as one scrolls up, and nothing moves', async () => {
    const LAST = 1_999;
    const messages = Array.from({ length: LAST + 1 }, (_, at) =>
      message({
        id: at === LAST ? 'a' : `m${at}`,
        role: at % 2 === 0 ? 'user' : 'assistant',
        parent: at === 0 ? null : `m${at - 1}`,
        content: at === LAST ? '' : `Message ${at}.\n\n${'It has some words. '.repeat(at % 40)}`,
        ...(at === LAST ? { state: 'streaming' as const } : {}),
      }),
    );
    const stream = Promise.withResolvers<ServerResponse>();
    await using node = await startRecordedNode({
      answers: {
        ...base,
        'GET /api/v1/conversations/conv_a': conversation(messages),
        [STREAM]: ({ response }: { response: ServerResponse }) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          stream.resolve(response);
        },
      },
    });
    const { page, close } = await openPage({ daemon: node, path: '/chat/conv_a' });
    const all = page.getByRole('article');
    const area = page.getByRole('region', { name: 'Messages' });
    const left = () => area.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
    const written = await stream.promise;
    await questions(page).getByText('Message 1998.').waitFor();
    expect(await all.count()).toBe(60);

    // What is written at the end stays in sight.
    let at = 0;
    const write = (text: string): void => {
      written.write(`event: delta\ndata: ${JSON.stringify({ at, text })}\n\n`);
      at += text.length;
    };
    for (let line = 0; line < 60; line += 1) write(`Paragraph ${line} of the newest answer.\n\n`);
    await answers(page).getByText('Paragraph 59').waitFor();
    await expect.poll(left).toBeLessThan(2);
    expect(await all.count()).toBe(60);

    // Up to the very top of what is there, where browsers don't hold the place by themselves; then near it, where some do.
    const topOf = (start: string, scrollTo?: number): Promise<number> =>
      area.evaluate(
        (element, [text, top]) => {
          if (top !== undefined) element.scrollTop = top;
          const read = [...element.querySelectorAll('article')].find(({ textContent }) =>
            textContent?.startsWith(text),
          );
          return read?.getBoundingClientRect().top ?? Number.NaN;
        },
        [start, scrollTo] as const,
      );
    for (const [read, top, oldest] of [
      ['Message 1940.', 0, 'Message 1880.'],
      ['Message 1880.', 700, 'Message 1820.'],
    ] as const) {
      const before = await topOf(read, top);
      await questions(page).getByText(oldest).waitFor({ state: 'attached' });
      expect(Math.abs((await topOf(read)) - before), `pixels that ${read} moved`).toBeLessThan(2);
    }
    expect(await all.count()).toBe(180);
    await expectAccessible(page);

    // Another paragraph moves nothing for who reads up here; the way back leaves the older ones out again.
    const held = await area.evaluate((element) => element.scrollTop);
    write('And one more.');
    await answers(page).getByText('And one more.').waitFor({ state: 'attached' });
    expect(await area.evaluate((element) => element.scrollTop)).toBe(held);
    await page.getByRole('button', { name: 'To the end' }).click();
    await expect.poll(() => all.count()).toBe(60);
    await expect.poll(left).toBeLessThan(2);
    await answers(page).getByText('And one more.').waitFor();
    await close();
  });

  test('without a model that writes text it says so, and where to find one', async () => {
    await using node = await startRecordedNode({ answers: { ...base, 'GET /api/v1/models': { models: [] } } });
    const opened = await openPage({ daemon: node, path: '/chat', width: 360 });
    await opened.page.getByText('No model of this mesh writes text').waitFor();
    expect(await field(opened.page).isDisabled()).toBe(true);
    await expectAccessible(opened.page);
    await expectNoSidewaysScroll(opened.page);
    await opened.close();
  });
});
