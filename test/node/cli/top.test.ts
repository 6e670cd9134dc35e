// `weft top`: what it shows, and what it does to the terminal, against a fake daemon.
import type { ServerResponse } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../node/cli/program.ts';
import { textWidth } from '../../../node/cli/text-width.ts';
import { type TopSnapshot, topLines, topWindow } from '../../../node/cli/top-view.ts';
import { runs } from '../../support/property.ts';
import { drivesTerminal, GONE, HOSTILE, PEER, runCommand as run, STATUS } from './command-support.ts';
import { fakeDaemon, homeOf, openEvents, recordedContext, sendJson } from './fake-daemon.ts';

const request = (over: Partial<TopSnapshot['requests'][number]> = {}): TopSnapshot['requests'][number] => ({
  requestId: 'req_0123456789abcdef01234567',
  traceId: '0'.repeat(32),
  name: 'POST /v1/chat/completions',
  model: 'org/chat',
  startedAtMs: 0,
  durationMs: 1_234,
  status: 'ok',
  completionTokens: 24,
  nodes: ['n2'],
  predictedMs: 1_100,
  failures: 0,
  ...over,
});

const snapshot = {
  atMs: Date.UTC(2026, 0, 2, 9, 15, 2),
  status: STATUS,
  peers: [PEER, GONE],
  models: [{ id: 'org/a', state: 'loaded', provider: 'cpu', residentBytes: 1, requestsInFlight: 0 }],
  requests: [
    request({ status: 'error', code: 'peer_lost', requestId: 'req_bbbbbbbbbbbb', caller: 'n2' }),
    request({ status: 'running', requestId: 'req_aaaaaaaaaaaa', nodes: ['n2', 'n1'], failures: 1 }),
    request({ requestId: 'req_cccccccccccc', name: 'POST /api/v1/infer' }),
  ],
  transfers: [],
} as unknown as TopSnapshot;

const routes = {
  'GET /api/v1/peers': { peers: snapshot.peers },
  'GET /api/v1/ps': { models: snapshot.models },
  'GET /api/v1/requests': { requests: snapshot.requests },
  'GET /api/v1/transfers': { transfers: snapshot.transfers },
};

describe('topLines', () => {
  it('says how fast this node decodes while it does', () => {
    const [model] = snapshot.models;
    const busy = { ...model, generation: { tokensPerS: 98.4 } } as unknown as TopSnapshot['models'][number];
    expect(topLines({ ...snapshot, models: [busy, busy] })[0]).toContain(' · 1 running · 197 tok/s here · up');
  });

  it('has one line for what is on its way here', () => {
    const coming = { id: 'pull-1', kind: 'pull', model: 'org/large', phase: 'fetching', chosen: [], sources: [] };
    const half = { ...coming, totalBytes: 100, doneBytes: 50, hereBytes: 0, bytesPerSecond: 2_000_000 } as const;
    const transfers = [half, { ...half, model: HOSTILE }] as unknown as TopSnapshot['transfers'];
    const line = topLines({ ...snapshot, transfers })[1] ?? '';
    expect(line).toMatch(/^coming: org\/large 50 %, 2\.0 MB\/s · /);
    expect(drivesTerminal(line)).toBe(false);
    expect(topWindow({ ...snapshot, transfers }, { columns: 30, rows: 24 })[2]).toBe('coming: org/large 50 %, 2.0 M…');
  });

  it('says of a node that it takes no work', () => {
    const peers = [{ ...PEER, offers: [], withheld: 'paused' }] as unknown as TopSnapshot['peers'];
    expect(topLines({ ...snapshot, peers })[4]).toMatch(/^server +connected, paused +2 /);
  });

  it('shows nodes, and running requests before others', () => {
    expect(topLines(snapshot)).toEqual([
      '09:15:02 · weft 0.1.0 · laptop · 2 of 3 nodes · 1 running · up 1 m 15 s',
      '',
      'NODE    STATE      RUNNING   QUEUE    FREE      RTT    GOODPUT  LOADED',
      'laptop  here             0   20 ms  2.5 GB        -          -  org/a',
      'server  connected        2  340 ms  4.0 GB  0.42 ms  93.0 MB/s  chat',
      'old     gone             -       -       -        -          -  chat',
      '',
      'REQUEST   WHAT              MODEL     FROM    NODE                   STATUS              TIME  PREDICTED  TOKENS',
      'aaaaaaaa  chat/completions  org/chat  -       server, laptop (here)  running (lost 1×)  1.2 s      1.1 s      24',
      'bbbbbbbb  chat/completions  org/chat  server  server                 peer_lost          1.2 s      1.1 s      24',
      'cccccccc  infer             org/chat  -       server                 ok                 1.2 s      1.1 s      24',
    ]);
  });
});

describe('topWindow', () => {
  it('says how much is left out where the window is small', () => {
    const peers = Array.from({ length: 50 }, (_, at) => ({ ...PEER, node: `p${at}`, name: `node-${at}` }));
    const requests = Array.from({ length: 50 }, () => request());
    const lines = topWindow({ ...snapshot, peers, requests } as unknown as TopSnapshot, { columns: 60, rows: 20 });
    expect(lines.length).toBe(20);
    expect(lines.filter((line) => /^… \d+ more$/.test(line))).toEqual(['… 45 more', '… 44 more']);
    expect(lines[1]).toBe('q leaves');
  });

  it('says why it is an old reading', () => {
    expect(topWindow(snapshot, { columns: 80, rows: 24 }, 'No daemon answers.')[1]).toBe('No daemon answers.');
  });

  it('fits every window, whatever the names are', () => {
    const name = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.constant(HOSTILE));
    const peers = fc.array(
      name.map((text) => ({ ...PEER, name: text })),
      { maxLength: 40 },
    );
    const requests = fc.array(
      name.map((text) => request({ name: text, model: text, nodes: [text] })),
      { maxLength: 40 },
    );
    const size = fc.record({ columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 60 }) });
    fc.assert(
      fc.property(peers, requests, size, (somePeers, someRequests, window) => {
        const reading = { ...snapshot, peers: somePeers, requests: someRequests } as unknown as TopSnapshot;
        const lines = topWindow(reading, window, HOSTILE);
        expect(lines.length).toBeLessThanOrEqual(window.rows);
        for (const line of lines) {
          expect(textWidth(line)).toBeLessThanOrEqual(window.columns);
          expect(drivesTerminal(line)).toBe(false);
        }
      }),
      runs(100),
    );
  });
});

describe('weft top without a terminal', () => {
  it('prints one reading with --once', async () => {
    const { context } = await run(['top', '--once'], routes);
    expect(context.out().split('\n').slice(1)).toEqual([...topLines(snapshot).slice(1), '']);
  });

  it('prints the same by the names of the control API with --json', async () => {
    const { context } = await run(['top', '--once', '--json'], routes);
    const { atMs, ...rest } = JSON.parse(context.out());
    expect(atMs).toEqual(expect.any(Number));
    expect(rest).toEqual(JSON.parse(JSON.stringify({ ...snapshot, atMs: undefined })));
  });

  it('prints one reading after the other, without a single escape sequence, until Ctrl-C', async () => {
    const context = recordedContext();
    const done = run(['top'], routes, context);
    await context.printed('NODE ', 2);
    context.abort();
    await done;
    expect(drivesTerminal(context.out())).toBe(false);
  });

  it('ends with an error when the daemon goes away', async () => {
    let readings = 0;
    const failed = run(['top', '--json'], {
      ...routes,
      'GET /api/v1/peers': (_body: unknown, response: ServerResponse) => {
        readings += 1;
        if (readings === 1) sendJson(response, { peers: [] });
        else response.destroy();
      },
    });
    await expect(failed).rejects.toMatchObject({ code: 'daemon_not_running' });
  });
});

const ENTER = '\u{1b}[?1049h\u{1b}[?25l';
const LEAVE = '\u{1b}[?25h\u{1b}[?1049l';

describe('weft top at a terminal', () => {
  /** A terminal that notes down its mode, over a daemon that may be told to fail. */
  async function opened() {
    const state = { failing: false, raw: [] as boolean[] };
    const watching = Promise.withResolvers<string | undefined>();
    const daemon = await fakeDaemon({
      'GET /api/v1/status': STATUS,
      ...routes,
      'GET /api/v1/requests': (_body: unknown, response: ServerResponse) =>
        state.failing ? void response.destroy() : sendJson(response, { requests: snapshot.requests }),
      'GET /api/v1/events': (_body, response, request) => {
        openEvents(response);
        watching.resolve(request.url);
      },
    });
    const home = await homeOf(daemon.url);
    const context = recordedContext({ tty: true });
    Object.assign(context.stdin, { isRaw: false, setRawMode: (raw: boolean) => state.raw.push(raw) });
    Object.assign(context.stdout, { columns: 60, rows: 12 });
    const done = runProgram(['top', '--home', home.folder], context, '0.0.0');
    return {
      state,
      context,
      done,
      watching: watching.promise,
      async [Symbol.asyncDispose]() {
        context.abort();
        await done.catch(() => undefined);
        await daemon[Symbol.asyncDispose]();
        await home[Symbol.asyncDispose]();
      },
    };
  }

  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\u{3}'],
    ['Ctrl-D', '\u{4}'],
  ])('leaves at %s, and gives the terminal back as it was', async (_name, key) => {
    await using top = await opened();
    await top.context.printed('q leaves');
    top.context.stdin.write(key);
    await top.done;
    expect(top.context.out().startsWith(ENTER)).toBe(true);
    expect(top.context.out().endsWith(LEAVE)).toBe(true);
    expect(top.state.raw).toEqual([true, false]);
    expect(top.context.stdout.listenerCount('resize')).toBe(0);
  });

  it('gives the terminal back when the process is asked to end', async () => {
    await using top = await opened();
    await top.context.printed('q leaves');
    top.context.abort();
    await top.done;
    expect(top.context.out().endsWith(LEAVE)).toBe(true);
    expect(top.state.raw).toEqual([true, false]);
  });

  it('draws lines that fit the window, and anew when it changes', async () => {
    await using top = await opened();
    await top.context.printed('q leaves');
    Object.assign(top.context.stdout, { columns: 20 });
    top.context.stdout.emit('resize');
    await top.context.printed('q leaves', 2);
    const frames = top.context.out().slice(ENTER.length).split('\u{1b}[H').slice(1);
    const widths = frames.map((frame) =>
      Math.max(...frame.split('\r\n').map((line) => line.replaceAll('\u{1b}[K', '').length)),
    );
    expect(widths[0]).toBeLessThanOrEqual(60);
    expect(widths[0]).toBeGreaterThan(20);
    expect(widths[1]).toBeLessThanOrEqual(20);
  });

  it('watches what happens beside its readings', async () => {
    await using top = await opened();
    expect(await top.watching).toBe('/api/v1/events?types=node,model,request');
  });

  it('keeps the last reading while the daemon is away, says so, and goes on when it is back', async () => {
    await using top = await opened();
    await top.context.printed('q leaves');
    top.state.failing = true;
    await top.context.printed('Trying again');
    expect(top.context.out().split('\u{1b}[H').at(-1)).toContain('laptop');
    const before = top.context.out().split('q leaves').length;
    top.state.failing = false;
    await top.context.printed('q leaves', before);
  });

  it('prints plain lines where the terminal can do nothing else', async () => {
    const context = recordedContext({ tty: true, env: { TERM: 'dumb' } });
    const done = run(['top'], routes, context);
    await context.printed('NODE ');
    context.abort();
    await done;
    expect(context.out()).not.toContain('\u{1b}');
  });
});
