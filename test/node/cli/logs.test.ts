// `weft logs`, against a fake daemon whose event stream a test writes.
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { formatLogLine, type LogLine } from '../../../node/cli/log-lines.ts';
import { runProgram } from '../../../node/cli/program.ts';
import { removeDaemonRecord } from '../../../node/config/daemon-record.ts';
import { until } from '../../support/wait.ts';
import { drivesTerminal, HOSTILE, type Routes, runCommand as run } from './command-support.ts';
import { fakeDaemon, homeOf, openEvents, recordedContext, type SentEvents, sendJson } from './fake-daemon.ts';

const AT = Date.UTC(2026, 0, 2, 9, 15, 2);
const line = (message: string, level: LogLine['level'] = 'warn', fields: LogLine['fields'] = {}): LogLine => ({
  atMs: AT,
  level,
  message,
  fields,
});

describe('weft logs', () => {
  it('prints the last lines for people', async () => {
    const lines = [
      line('a peer went away', 'warn', { node: 'n2', ms: 12, error: { message: 'gone' } }),
      line('started', 'info'),
    ];
    const { context } = await run(['logs'], { 'GET /api/v1/logs': { lines } });
    expect(context.out()).toBe(
      '2026-01-02 09:15:02  warn   a peer went away  node=n2  ms=12  error=gone\n2026-01-02 09:15:02  info   started\n',
    );
  });

  it('leaves the date out of lines of today', () => {
    expect(formatLogLine(line('x'), AT + 1_000)).toBe('09:15:02  warn   x');
  });

  it('asks for a level and a number of lines, and prints objects with --json', async () => {
    const { context, requests } = await run(['logs', '--level', 'error', '-n', '5', '--json'], {
      'GET /api/v1/logs?level=error&limit=5': { lines: [line('x', 'error'), line('y', 'error')] },
    });
    expect(requests).toContain('GET /api/v1/logs?level=error&limit=5');
    expect(
      context
        .out()
        .trimEnd()
        .split('\n')
        .map((text) => JSON.parse(text).message),
    ).toEqual(['x', 'y']);
  });

  it.each(['0', '-1', '2001', 'x', '1.5'])('refuses %s lines', async (count) => {
    const context = recordedContext();
    await expect(runProgram(['logs', `-n=${count}`], context, '0.0.0')).rejects.toMatchObject({
      code: 'commander.invalidArgument',
    });
  });

  it('shows what drives a terminal as text, wherever it stands in a line', async () => {
    const lines = [line(HOSTILE, 'warn', { name: HOSTILE, [HOSTILE]: 1, nested: { message: HOSTILE } })];
    const { context } = await run(['logs'], { 'GET /api/v1/logs': { lines } });
    expect(context.out().split('\n').length).toBe(2);
    expect(drivesTerminal(context.out())).toBe(false);
    expect(context.out()).toContain('evil');
  });
});

describe('weft logs --node', () => {
  const members = {
    members: [
      { node: '12D3KooWaaaaaa1111', name: 'desk', role: 'admin' },
      { node: '12D3KooWbbbbbb2222', name: 'cellar', role: 'member' },
      { node: '12D3KooWcccccc2222', name: 'cellar', role: 'member' },
    ],
  };

  it.each(['desk', '12D3KooWaaaaaa1111', '…aaaa1111', 'aaaa1111'])(
    'prints those of the node that is called %s',
    async (node) => {
      const { context } = await run(['logs', '--node', node, '-n', '5'], {
        'GET /api/v1/members': members,
        'GET /api/v1/nodes/12D3KooWaaaaaa1111/logs?limit=5': { lines: [line('over there')] },
      });
      expect(context.out()).toContain('over there');
    },
  );

  it.each([
    ['attic', /No member of the mesh is "attic"/],
    ['cellar', /Several members could be "cellar": cellar \(.*\), cellar/],
    ['1', /No member/],
  ])('says what there is where %s is none or several', async (node, message) => {
    await expect(run(['logs', '--node', node], { 'GET /api/v1/members': members })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringMatching(message),
    });
  });

  it('goes on with those that follow there', async () => {
    let send: SentEvents | undefined;
    const began = Promise.withResolvers<void>();
    await using daemon = await fakeDaemon({
      'GET /api/v1/members': members,
      'GET /api/v1/nodes/12D3KooWaaaaaa1111/logs': { lines: [line('before')] },
      'GET /api/v1/nodes/12D3KooWaaaaaa1111/events?types=log': (_body, response) => {
        send = openEvents(response);
        began.resolve();
      },
    });
    await using home = await homeOf(daemon.url);
    const context = recordedContext();
    const done = runProgram(['logs', '-f', '--node', 'desk', '--home', home.folder], context, '0.0.0');
    await began.promise;
    send?.send('log', line('as it happens'));
    await until('the line', () => context.out().includes('as it happens'));
    expect(context.out()).toMatch(/before[\s\S]*as it happens/);
    context.abort();
    await done.catch(() => undefined);
  });
});

describe('weft logs -f', () => {
  /** A followed log: what the daemon sends is the test's. */
  async function followed(routes: Routes, args: readonly string[] = []) {
    const streams: SentEvents[] = [];
    const asked: (string | undefined)[] = [];
    const opened: (() => void)[] = [];
    const daemon = await fakeDaemon({
      'GET /api/v1/events?types=log': (_body, response, request) => {
        asked.push(request.headers['last-event-id'] as string | undefined);
        streams.push(openEvents(response));
        opened.shift()?.();
      },
      ...routes,
    });
    const home = await homeOf(daemon.url);
    const context = recordedContext();
    const done = runProgram(['logs', '-f', ...args, '--home', home.folder], context, '0.0.0');
    done.catch(() => undefined);
    return {
      context,
      done,
      daemon,
      home,
      asked,
      /** The stream with this number, from 0. */
      stream: async (at: number): Promise<SentEvents> => {
        while (streams.length <= at) await new Promise<void>((resolve) => opened.push(resolve));
        return streams[at] as SentEvents;
      },
      async [Symbol.asyncDispose]() {
        context.abort();
        await done.catch(() => undefined);
        await daemon[Symbol.asyncDispose]();
        await home[Symbol.asyncDispose]();
      },
    };
  }

  it('goes on with lines as they come, none twice and none missed', async () => {
    const both = line('while it began');
    await using log = await followed({
      // Between the stream's begin and this answer a line came: it stands in both.
      'GET /api/v1/logs': async (_body, response) => {
        (await log.stream(0)).send('log', both);
        response.end(JSON.stringify({ lines: [line('old'), both] }));
      },
    });
    await log.context.printed('while it began');
    (await log.stream(0)).send('log', both);
    await log.context.printed('while it began', 2);
    (await log.stream(0)).send('log', line('new'));
    await log.context.printed('new');
    expect(log.context.out().match(/old|while it began|new/g)).toEqual([
      'old',
      'while it began',
      'while it began',
      'new',
    ]);
  });

  it('leaves out lines below the level', async () => {
    await using log = await followed({ 'GET /api/v1/logs?level=warn': { lines: [] } }, ['--level', 'warn']);
    const stream = await log.stream(0);
    stream.send('log', line('too quiet', 'info'));
    stream.send('log', line('loud', 'error'));
    await log.context.printed('loud');
    expect(log.context.out()).not.toContain('too quiet');
  });

  it('goes on behind the last line when the connection was lost', async () => {
    await using log = await followed({ 'GET /api/v1/logs': { lines: [line('old')] } });
    const first = await log.stream(0);
    first.send('log', line('one'), 41);
    await log.context.printed('one');
    first.end();
    const second = await log.stream(1);
    second.send('log', line('two'), 42);
    await log.context.printed('two');
    expect(log.asked).toEqual([undefined, '41']);
    expect(log.context.out().match(/old|one|two/g)).toEqual(['old', 'one', 'two']);
  });

  it('shows what a daemon said that was started again before anything had happened', async () => {
    let lines = [line('of the first run')];
    await using log = await followed({ 'GET /api/v1/logs': (_body, response) => sendJson(response, { lines }) });
    await log.context.printed('of the first run');
    lines = [...lines, line('of the second run'), { ...line('later'), atMs: AT + 1 }];
    (await log.stream(0)).end();
    await log.context.printed('later');
    (await log.stream(1)).send('log', { ...line('later'), atMs: AT + 1 });
    (await log.stream(1)).send('log', line('new'));
    await log.context.printed('new');
    expect(log.context.out().match(/of the \w+ run|later|new/g)).toEqual([
      'of the first run',
      'of the second run',
      'later',
      'new',
    ]);
  });

  it('shows what is left of the lines that were missed', async () => {
    let lines = [line('before')];
    await using log = await followed({ 'GET /api/v1/logs': (_body, response) => sendJson(response, { lines }) });
    (await log.stream(0)).send('log', { ...line('seen'), atMs: AT + 1 }, 41);
    await log.context.printed('seen');
    lines = [...lines, { ...line('seen'), atMs: AT + 1 }, { ...line('missed'), atMs: AT + 2 }];
    (await log.stream(0)).end();
    (await log.stream(1)).send('reset', {});
    await log.context.printed('missed');
    expect(log.context.err()).toContain('Some lines were missed here.');
    expect(log.context.out().match(/before|seen|missed/g)).toEqual(['before', 'seen', 'missed']);
  });

  it('says where lines are missing', async () => {
    await using log = await followed({ 'GET /api/v1/logs': { lines: [] } });
    const stream = await log.stream(0);
    stream.send('reset', {});
    stream.send('log', line('after'));
    await log.context.printed('after');
    expect(log.context.err()).toContain('Some lines were missed here.');
  });

  it('ends when the daemon stays away', { timeout: 20_000 }, async () => {
    await using log = await followed({ 'GET /api/v1/logs': { lines: [] } });
    const stream = await log.stream(0);
    await removeDaemonRecord(log.home.folder);
    stream.end();
    await expect(log.done).rejects.toMatchObject({ code: 'daemon_not_running' });
  });

  it('ends at Ctrl-C', async () => {
    await using log = await followed({ 'GET /api/v1/logs': { lines: [line('old')] } });
    await log.context.printed('old');
    log.context.abort();
    await expect(log.done).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('refuses events that are not JSON', async () => {
    const failed = run(['logs', '-f'], {
      'GET /api/v1/logs': { lines: [] },
      'GET /api/v1/events?types=log': (_body: unknown, response: ServerResponse) =>
        void response.writeHead(200).end('data: {broken\n\n'),
    });
    await expect(failed).rejects.toMatchObject({ code: 'frame_invalid' });
  });
});
