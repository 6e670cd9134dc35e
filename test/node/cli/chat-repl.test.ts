import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chatLoop } from '../../../node/cli/chat-repl.ts';
import { Client } from '../../../node/cli/client.ts';
import { LineHistory } from '../../../node/cli/line-history.ts';
import { fakeDaemon, KEY, recordedContext, refuse, sendChat } from './fake-daemon.ts';

type Route = (body: { messages: { role: string; content: string }[] }, response: ServerResponse) => void;

/** A chat at a terminal against a daemon that answers by `route`; `asked` gets the messages of each request. */
async function open(route: Route, system?: string) {
  const asked: object[][] = [];
  const bodies: object[] = [];
  const problems: string[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'weft-chat-'));
  const historyFile = join(folder, 'chat-history');
  const daemon = await fakeDaemon({
    'POST /v1/chat/completions': (body, response) => {
      const request = body as Parameters<Route>[0];
      asked.push(request.messages);
      bodies.push(request);
      route(request, response);
    },
  });
  const context = recordedContext({ tty: true });
  const client = new Client({ url: daemon.url, key: KEY });
  const done = chatLoop({
    connect: async () => client,
    model: 'smollm2',
    settings: {},
    system,
    context,
    summary: async (reading) => `[${reading.completionTokens} tokens]`,
    describe: async () => 'Name  smollm2',
    history: await LineHistory.open({ path: historyFile, onProblem: (error) => problems.push(error.message) }),
  });
  return {
    asked,
    bodies,
    problems,
    context,
    historyFile,
    done,
    type: (text: string) => void context.stdin.write(text),
    [Symbol.asyncDispose]: async () => {
      context.stdin.end();
      await done;
      await daemon[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const echo: Route = ({ messages }, response) => sendChat(response, ['You said ', messages.at(-1)?.content ?? '', '.']);
const said = (role: string, content: string) => ({ role, content });

describe('chatLoop', () => {
  it('answers line by line, and remembers what was said', async () => {
    await using chat = await open(echo, 'Be brief.');
    chat.type('one\n');
    await chat.context.printed('You said one.');
    chat.type('two\n');
    await chat.context.printed('You said two.');
    expect(chat.asked).toEqual([
      [said('system', 'Be brief.'), said('user', 'one')],
      [said('system', 'Be brief.'), said('user', 'one'), said('assistant', 'You said one.'), said('user', 'two')],
    ]);
    chat.type('/bye\n');
    await chat.done;
    expect(chat.context.err()).toContain('[4 tokens]');
  });

  it('takes several lines between """', async () => {
    await using chat = await open(echo);
    chat.type('"""first\n\nsecond"""\n');
    await chat.context.printed('second.');
    chat.type('"""one line"""\n');
    await chat.context.printed('one line.');
    expect(chat.asked.map((messages) => messages.at(-1))).toEqual([
      said('user', 'first\n\nsecond'),
      said('user', 'one line'),
    ]);
  });

  it('forgets at /clear, but not the instructions', async () => {
    await using chat = await open(echo, 'Be brief.');
    chat.type('one\n');
    await chat.context.printed('You said one.');
    chat.type('/clear\ntwo\n');
    await chat.context.printed('You said two.');
    expect(chat.asked[1]).toEqual([said('system', 'Be brief.'), said('user', 'two')]);
  });

  it('stops the answer at Ctrl-C and goes on with the chat', async () => {
    const cancelled = Promise.withResolvers<void>();
    await using chat = await open(({ messages }, response) => {
      if (messages.length > 1) return sendChat(response, ['Again.']);
      response.on('close', cancelled.resolve);
      response.write('data: {"choices":[{"delta":{"content":"Once upon"}}]}\n\n');
    });
    chat.type('a story\n');
    await chat.context.printed('Once upon');
    chat.type('\u{3}');
    await cancelled.promise;
    chat.type('go on\n');
    await chat.context.printed('Again.');
    expect(chat.asked[1]).toEqual([said('user', 'a story'), said('assistant', 'Once upon'), said('user', 'go on')]);
  });

  it('prints why an answer failed, forgets the question, and goes on', async () => {
    let failing = true;
    await using chat = await open((request, response) => {
      if (!failing) return echo(request, response);
      failing = false;
      refuse(response, 503, 'no_capable_node', 'Nobody offers it.');
    });
    chat.type('one\ntwo\n');
    await chat.context.printed('You said two.');
    expect(chat.context.err()).toContain('weft: Nobody offers it.\n  do:  Remedy of no_capable_node.');
    expect(chat.asked[1]).toEqual([said('user', 'two')]);
  });

  it('asks lines that come during an answer one after the other', async () => {
    await using chat = await open(echo);
    chat.type('one\ntwo\nthree\n');
    await chat.context.printed('You said three.');
    expect(chat.asked.map((messages) => messages.length)).toEqual([1, 3, 5]);
  });

  it('shows escape sequences of a model as text', async () => {
    await using chat = await open((_request, response) => sendChat(response, ['\u{1b}]0;owned\u{7}']));
    chat.type('one\n');
    await chat.context.printed('�]0;owned�');
  });

  it('says what there is at an unknown command, and asks nobody', async () => {
    await using chat = await open(echo);
    chat.type('/claer\n');
    await chat.context.printed('There is no /claer. Did you mean /clear?');
    expect(chat.asked).toEqual([]);
  });

  it('ends when the process is asked to', async () => {
    await using chat = await open(echo);
    chat.context.abort();
    await chat.done;
  });

  it('leaves at the second Ctrl-C in a row at the prompt, and not at the first', async () => {
    await using chat = await open(echo);
    chat.type('\u{3}');
    await chat.context.printed('Ctrl-C once more leaves');
    chat.type('one\n');
    await chat.context.printed('You said one.');
    await chat.context.printed('You said one.\n\u{1b}[1G\u{1b}[0J>>> ');
    chat.type('\u{3}');
    await chat.context.printed('Ctrl-C once more leaves', 2);
    chat.type('\u{3}');
    await chat.done;
    expect(chat.asked.length).toBe(1);
  });

  it('empties a begun line at Ctrl-C, and does not count it', async () => {
    await using chat = await open(echo);
    chat.type('half a question');
    chat.type('\u{3}');
    chat.type('one\n');
    await chat.context.printed('You said one.');
    expect(chat.asked).toEqual([[said('user', 'one')]]);
    expect(chat.context.out()).not.toContain('once more');
  });

  it('changes what the next answers are asked with at /set, and shows it', async () => {
    await using chat = await open(echo, 'Be brief.');
    chat.type('/set parameter temperature 0.7\n/set seed 7\n/set parameter stop "a b" "\\n"\n/set format json\n');
    chat.type('/set system "Be long."\none\n');
    await chat.context.printed('You said one.');
    expect(chat.bodies[0]).toMatchObject({
      temperature: 0.7,
      seed: 7,
      stop: ['a b', '\n'],
      response_format: { type: 'json_object' },
      messages: [said('system', 'Be long.'), said('user', 'one')],
    });
    chat.type('/set temperature default\n/set noformat\n/show\n');
    await chat.context.printed('system  "Be long."');
    expect(chat.context.out()).toContain('Name  smollm2');
    expect(chat.context.out()).toMatch(/^seed +7$/m);
    expect(chat.context.out()).toMatch(/^stop +"a b" "\\n"$/m);
    expect(chat.context.out()).not.toMatch(/^temperature/m);
  });

  it('takes instructions of several lines, and takes them back', async () => {
    await using chat = await open(echo, 'Be brief.');
    chat.type('/set system """Be\nlong."""\none\n');
    await chat.context.printed('You said one.');
    chat.type('/clear\n/set system\ntwo\n');
    await chat.context.printed('You said two.');
    expect(chat.asked).toEqual([[said('system', 'Be\nlong.'), said('user', 'one')], [said('user', 'two')]]);
  });

  it('says why a setting can not be, and goes on', async () => {
    await using chat = await open(echo);
    chat.type(
      '/set parameter temprature 1\n/set parameter seed 1.5\n/set num_ctx 5\n/set format @/no/such.json\none\n',
    );
    await chat.context.printed('You said one.');
    expect(chat.context.out()).toContain('Did you mean temperature?');
    expect(chat.context.out()).toContain('seed takes a whole number');
    expect(chat.context.out()).toContain("num_ctx can't be set for a chat");
    expect(chat.context.err()).toContain("can't be read as JSON");
  });

  it('prints no line about an answer after /set quiet', async () => {
    await using chat = await open(echo);
    chat.type('/set quiet\none\n/set verbose\n');
    await chat.context.printed('You said one.');
    chat.type('two\n');
    await chat.context.printed('You said two.');
    chat.type('/bye\n');
    await chat.done;
    expect(chat.context.err().match(/tokens\]/g)?.length).toBe(1);
  });

  it('keeps the lines for the next chat, for their owner only, until /set history off', async () => {
    await using chat = await open(echo);
    chat.type('one\n\none\ntwo\n/set history off\nsecret\n');
    await chat.context.printed('You said secret.');
    chat.type('/bye\n');
    await chat.done;
    expect(await readFile(chat.historyFile, 'utf8')).toBe('one\ntwo\n/set history off\n');
    expect((await stat(chat.historyFile)).mode & 0o777).toBe(0o600);
  });

  it('offers the lines of the last chat with the arrow keys, and none of their control characters', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-chat-'));
    const path = join(folder, 'chat-history');
    try {
      await writeFile(path, 'first\nan \u{1b}[31mold\u{7} one\n');
      const { lines } = await LineHistory.open({ path, onProblem: () => undefined });
      expect(lines).toEqual(['an  [31mold  one', 'first']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
