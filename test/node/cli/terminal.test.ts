// The commands that take the keyboard over, as programs at a real terminal.
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { GONE, MEMBERS, PEER, STATUS } from './command-support.ts';
import { fakeDaemon, homeOf, moveTo, openEvents, sendChat } from './fake-daemon.ts';
import { hasPseudoTerminal, type Terminal, weftAtTerminal } from './pseudo-terminal.ts';

interface Asked {
  readonly messages: readonly { readonly content: string }[];
}

/** A model as the control API lists it. */
const listing = (id: string, task: string) => ({
  id: `org/${id}`,
  aliases: [id],
  task,
  contextLength: 0,
  dimensions: 0,
  sizeBytes: 1,
  nodes: [],
});

/** A pull that runs already. */
const TRANSFER = {
  id: 'pull-1',
  kind: 'pull',
  model: 'org/large',
  phase: 'fetching',
  chosen: ['onnx/model.onnx: the only one.'],
  totalBytes: 1_000_000_000,
  doneBytes: 250_000_000,
  hereBytes: 0,
  bytesPerSecond: 80_000_000,
  etaSeconds: 9,
  sources: [{ kind: 'peer', name: 'n2', bytes: 250_000_000, bytesPerSecond: 80_000_000, state: 'active' }],
};

/** Chats, never finishing an answer to "forever"; and all that `weft top` reads. */
async function daemonAtTerminal() {
  const cancelled = Promise.withResolvers<void>();
  const daemon = await fakeDaemon({
    'GET /api/v1/status': STATUS,
    'GET /api/v1/members': MEMBERS,
    'GET /api/v1/peers': { peers: [PEER, GONE] },
    'GET /api/v1/ps': { models: [] },
    'GET /api/v1/requests': { requests: [] },
    'GET /api/v1/transfers': { transfers: [TRANSFER] },
    'POST /api/v1/models/pull': (_body: unknown, response: ServerResponse) =>
      void response.on('close', cancelled.resolve),
    'GET /api/v1/events': (_body: unknown, response: ServerResponse) => void openEvents(response),
    'GET /api/v1/models': { models: [listing('m', 'text-generation'), listing('e', 'feature-extraction')] },
    'GET /api/v1/models/m': { id: 'org/m', sizeBytes: 5 },
    'POST /api/v1/models/remove': { id: 'org/m', freedBytes: 5 },
    'POST /v1/chat/completions': (body: unknown, response: ServerResponse) => {
      const question = (body as Asked).messages.at(-1)?.content ?? '';
      if (question !== 'forever') return sendChat(response, ['You said ', question, '.'], ['n2']);
      response.on('close', cancelled.resolve);
      response.write('data: {"choices":[{"delta":{"content":"Once upon"}}]}\n\n');
    },
  });
  const home = await homeOf(daemon.url);
  const terminals: Terminal[] = [];
  const start = (env: Readonly<Record<string, string>>, args: readonly string[]): Terminal => {
    const terminal = weftAtTerminal([...args, '--home', home.folder], env);
    terminals.push(terminal);
    return terminal;
  };
  return {
    cancelled: cancelled.promise,
    requests: daemon.requests,
    weft: (...args: string[]) => start({}, args),
    weftWith: (env: Readonly<Record<string, string>>, ...args: string[]) => start(env, args),
    home: home.folder,
    async [Symbol.asyncDispose]() {
      for (const terminal of terminals) terminal.terminate();
      await Promise.all(terminals.map(({ ended }) => ended));
      await daemon[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

describe.skipIf(!hasPseudoTerminal)('at a terminal', () => {
  it('weft run chats, says who answered, and gives the terminal back', async () => {
    await using daemon = await daemonAtTerminal();
    const chat = daemon.weft('run', 'm');
    await chat.shows('>>> ');
    chat.type('hello\r');
    await chat.shows('You said hello.');
    await chat.shows('server · first token');
    chat.type('/bye\r');
    expect(await chat.ended).toEqual({ code: 0, restored: true });
  });

  it('weft run stops the answer at Ctrl-C, and leaves at two of them at the prompt', async () => {
    await using daemon = await daemonAtTerminal();
    const chat = daemon.weft('run', 'm');
    await chat.shows('>>> ');
    chat.type('forever\r');
    await chat.shows('Once upon');
    chat.type('\u{3}');
    await daemon.cancelled;
    chat.type('again\r');
    await chat.shows('server · first token');
    await chat.shows('[0J>>> ', 3);
    chat.type('\u{3}');
    await chat.shows('Ctrl-C once more leaves');
    chat.type('\u{3}');
    expect(await chat.ended).toEqual({ code: 0, restored: true });
  });

  it('weft run recalls the lines of the last chat', async () => {
    await using daemon = await daemonAtTerminal();
    const first = daemon.weft('run', 'm');
    await first.shows('>>> ');
    first.type('from before\r');
    await first.shows('You said from before.');
    first.type('\u{4}');
    await first.ended;
    const second = daemon.weft('run', 'm');
    await second.shows('>>> ');
    second.type('\u{1b}[A\r');
    await second.shows('You said from before.');
    second.type('/bye\r');
    await second.ended;
  });

  it.each([
    ['nothing', 'offers a model "nothing"', 6],
    ['e', 'org/e does not chat: it is for embeddings.', 2],
  ])('weft run does not let anybody chat with %s', async (model, message, code) => {
    await using daemon = await daemonAtTerminal();
    const chat = daemon.weft('run', model);
    expect(await chat.ended).toEqual({ code, restored: true });
    expect(chat.screen()).toContain(message);
    expect(chat.screen()).not.toContain('>>> ');
  });

  it('weft run goes on with a daemon that was started again at another address', async () => {
    await using daemon = await daemonAtTerminal();
    const chat = daemon.weft('run', 'm');
    await chat.shows('>>> ');
    await using later = await fakeDaemon({
      'GET /api/v1/status': STATUS,
      'GET /api/v1/members': MEMBERS,
      'POST /v1/chat/completions': (_body: unknown, response: ServerResponse) => sendChat(response, ['Later.'], ['n2']),
    });
    await moveTo(daemon.home, later.url);
    chat.type('hello\r');
    await chat.shows('Later.');
    await chat.shows('server · first token');
    chat.type('/bye\r');
    expect(await chat.ended).toEqual({ code: 0, restored: true });
  });

  it.each([
    ['in colour', {}],
    ['without colour', { NO_COLOR: '1' }],
  ])('weft pull shows %s how far it is, and ends at Ctrl-C with how to go on', async (_how, env) => {
    await using daemon = await daemonAtTerminal();
    const pull = daemon.weftWith(env, 'pull', 'org/large');
    await pull.shows('80.0 MB/s, 250 MB so far');
    expect(pull.screen()).toContain('onnx/model.onnx: the only one.');
    expect(pull.screen()).toMatch(/█+░+ {3}25 % {2}250 MB of 1\.0 GB {2}80\.0 MB\/s {2}9 s left/);
    expect(pull.screen().includes('\u{1b}[2m')).toBe(!('NO_COLOR' in env));
    pull.type('\u{3}');
    await daemon.cancelled;
    expect(await pull.ended).toEqual({ code: 130, restored: true });
    expect(pull.screen()).toContain('250 MB of 1.0 GB have come, and are kept: `weft pull org/large` goes on');
  });

  it('weft top draws on a screen of its own, and gives the old one back at q', async () => {
    await using daemon = await daemonAtTerminal();
    const top = daemon.weft('top');
    await top.shows('laptop');
    expect(top.screen()).toContain('\u{1b}[?1049h');
    top.type('q');
    expect(await top.ended).toEqual({ code: 0, restored: true });
    expect(top.screen()).toMatch(/\[\?25h.{0,3}\[\?1049l$/s);
  });

  it('weft top gives it back when it is killed as well', async () => {
    await using daemon = await daemonAtTerminal();
    const top = daemon.weft('top');
    await top.shows('laptop');
    top.terminate();
    expect(await top.ended).toMatchObject({ restored: true });
    expect(top.screen()).toMatch(/\[\?25h.{0,3}\[\?1049l$/s);
  });

  it('weft rm asks, and takes Ctrl-C for a no', async () => {
    await using daemon = await daemonAtTerminal();
    const rm = daemon.weft('rm', 'm');
    await rm.shows('Delete org/m (5 B)? [y/N]');
    rm.type('\u{3}');
    expect(await rm.ended).toEqual({ code: 0, restored: true });
    expect(daemon.requests).not.toContain('POST /api/v1/models/remove');
  });

  it.each([
    [{}, true],
    [{ NO_COLOR: '1' }, false],
  ])('colour is left out with NO_COLOR (%j)', async (env, coloured) => {
    await using daemon = await daemonAtTerminal();
    const answer = weftAtTerminal(['run', 'm', 'hello', '--home', daemon.home], env);
    expect(await answer.ended).toEqual({ code: 0, restored: true });
    expect(answer.screen()).toContain('server · first token');
    expect(answer.screen().includes('\u{1b}[2m')).toBe(coloured);
  });
});
