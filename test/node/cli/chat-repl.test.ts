import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { chatLoop } from '../../../node/cli/chat-repl.ts';
import { Client } from '../../../node/cli/client.ts';
import { fakeDaemon, KEY, recordedContext, refuse, sendChat } from './fake-daemon.ts';

type Route = (body: { messages: { role: string; content: string }[] }, response: ServerResponse) => void;

/** A chat at a terminal against a daemon that answers by `route`; `asked` gets the messages of each request. */
async function open(route: Route, system?: string) {
  const asked: object[][] = [];
  const daemon = await fakeDaemon({
    'POST /v1/chat/completions': (body, response) => {
      const request = body as Parameters<Route>[0];
      asked.push(request.messages);
      route(request, response);
    },
  });
  const context = recordedContext({ tty: true });
  const client = new Client({ url: daemon.url, key: KEY });
  const done = chatLoop({
    client,
    model: 'smollm2',
    settings: {},
    system,
    context,
    summary: async (reading) => `[${reading.completionTokens} tokens]`,
  });
  return {
    asked,
    context,
    done,
    type: (text: string) => void context.stdin.write(text),
    [Symbol.asyncDispose]: async () => {
      context.stdin.end();
      await done;
      await daemon[Symbol.asyncDispose]();
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
    chat.type('/quit\n');
    await chat.context.printed('There is no /quit.');
    expect(chat.asked).toEqual([]);
  });

  it('ends when the process is asked to', async () => {
    await using chat = await open(echo);
    chat.context.abort();
    await chat.done;
  });
});
