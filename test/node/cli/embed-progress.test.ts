// How far a batch of texts is: what `weft embed` shows of it, and how it is put together from the daemon's events.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { batchWindow } from '../../../node/cli/batch-view.ts';
import { BatchTally } from '../../../node/cli/watch-batch.ts';
import type { RequestChange } from '../../../protocol/api/control.ts';
import { drivesTerminal, HOSTILE, runCommand } from './command-support.ts';
import { openEvents, recordedContext, type SentEvents, sendJson } from './fake-daemon.ts';

const nameOf = (node: string): string => ({ n1: 'laptop (here)', n2: 'server' })[node] ?? node;

const progress = (requestId: string, done: number, doneByNode?: Record<string, number>): RequestChange => ({
  requestId,
  phase: 'progress',
  name: 'POST /v1/embeddings',
  done,
  total: 64,
  ...(doneByNode !== undefined && { doneByNode }),
});

describe('the window of a batch', () => {
  const texts = (columns: number, byNode: ReadonlyMap<string, number> | undefined) =>
    batchWindow({ done: 48, total: 64, nodes: ['n2', 'n1'], byNode }, { columns, nameOf }).map(({ text }) => text);

  it('has a bar, and what each node has done', () => {
    const byNode = new Map([
      ['n1', 8],
      ['n2', 40],
    ]);
    expect(texts(70, byNode)).toEqual([
      `${'█'.repeat(30)}${'░'.repeat(10)}   75 %  48 of 64 texts`,
      '  server         40',
      '  laptop (here)   8',
    ]);
  });

  it('names the nodes where it is not known who did what, and fits a narrow window', () => {
    expect(texts(70, undefined).slice(1)).toEqual(['  on server, laptop (here)']);
    expect(texts(70, new Map()).slice(1)).toEqual(['  on server, laptop (here)']);
    expect(texts(8, undefined)).toEqual(['75 %', '  on se…']);
  });

  it('counts the nodes of a large mesh, and lets no name drive the terminal', () => {
    const byNode = new Map(Array.from({ length: 9 }, (_, at) => [`${HOSTILE}${at}`, at + 1]));
    const lines = texts(60, byNode);
    expect(lines.at(-1)).toBe('  … 4 more');
    expect(lines.some((line) => drivesTerminal(line))).toBe(false);
  });
});

describe('the tally of a batch', () => {
  it('adds requests up, and forgets what comes late', () => {
    const tally = new BatchTally(128);
    expect(tally.take({ ...progress('r1', 0), phase: 'placed', nodes: ['n1', 'n2'] })).toBe(false);
    expect(tally.take(progress('r1', 16, { n1: 10, n2: 6 }))).toBe(true);
    expect(tally.state).toEqual({
      done: 16,
      total: 128,
      nodes: ['n1', 'n2'],
      byNode: new Map([
        ['n1', 10],
        ['n2', 6],
      ]),
    });
    tally.take(progress('r1', 64, { n1: 40, n2: 24 }));
    tally.answered('r1', 64);
    expect(tally.take(progress('r1', 64, { n1: 40, n2: 24 }))).toBe(false);
    tally.take(progress('r2', 8, { n2: 8 }));
    expect(tally.state).toMatchObject({ done: 72, byNode: new Map([...[['n1', 40] as const], ['n2', 32]]) });
  });

  it('gives no counts where they are not of everything that is done', () => {
    const tally = new BatchTally(128);
    tally.take(progress('r1', 16));
    expect(tally.state.byNode).toBeUndefined();
    tally.take(progress('r1', 20, { n1: 20 }));
    tally.answered('r1', 64);
    tally.take(progress('r2', 8, { n2: 8 }));
    expect(tally.state).toMatchObject({ done: 72, byNode: undefined });
  });
});

describe('weft embed of many texts', () => {
  const lines = Array.from({ length: 40 }, (_, at) => `text ${at}`);

  /** A daemon that has done half of it when the test says so, and all of it when that is seen. */
  function spreading() {
    const events = Promise.withResolvers<SentEvents>();
    const asked = Promise.withResolvers<{ readonly traceId: string; readonly answer: () => void }>();
    const routes = {
      'GET /api/v1/events': (_body: unknown, response: ServerResponse) => events.resolve(openEvents(response)),
      'POST /v1/embeddings': (body: unknown, response: ServerResponse, { headers }: IncomingMessage) => {
        const { input } = body as { readonly input: readonly string[] };
        const answer = (): void =>
          sendJson(response, {
            model: 'org/minilm',
            data: input.map(() => ({ embedding: [1] })),
            usage: { prompt_tokens: input.length },
            weft: { nodes: ['n1', 'n2'] },
          });
        const traceId = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(String(headers.traceparent))?.[1] ?? '';
        asked.resolve({ traceId, answer });
        if (traceId === '') answer();
      },
    };
    return { routes, events: events.promise, asked: asked.promise };
  }

  it('shows a bar at a terminal, of its own requests alone, and leaves nothing of it behind', async () => {
    const fake = spreading();
    const context = recordedContext();
    Object.assign(context.stderr, { isTTY: true, columns: 70 });
    const done = runCommand(['embed', 'minilm', ...lines], fake.routes, context);
    const { traceId, answer } = await fake.asked;
    const events = await fake.events;
    const other = { ...progress('r9', 7), traceId: 'f'.repeat(32) };
    events.send('request', other);
    events.send('request', { ...progress('r1', 20, { n1: 5, n2: 15 }), traceId });
    while (!context.err().includes('server')) await new Promise((next) => setImmediate(next));
    answer();
    await done;
    expect(context.err()).toContain('50 %  20 of 40 texts');
    expect(context.err()).toContain('laptop (here)   5');
    expect(context.err()).not.toContain('7 of');
    const [, behind] = context.err().split(/\p{Cc}\[2A\r\p{Cc}\[J/u);
    expect(behind).toMatch(/^[^█]*laptop \(here\), then server · 40 tokens · [^█]*\n$/);
    expect(context.out().split('\n').length).toBe(41);
  });

  it.each([
    ['where stderr is no terminal', lines, false],
    ['with --json', [...lines, '--json'], true],
    ['for a few texts', lines.slice(0, 4), true],
  ])('follows no events %s', async (_when, args, isTTY) => {
    const fake = spreading();
    const context = recordedContext();
    Object.assign(context.stderr, { isTTY });
    const { requests } = await runCommand(['embed', 'minilm', ...args], fake.routes, context);
    expect(requests.some((request) => request.startsWith('GET /api/v1/events'))).toBe(false);
    expect(context.err()).not.toContain('█');
  });

  it('works all the same where the daemon lets nobody watch', async () => {
    const fake = spreading();
    const { 'GET /api/v1/events': _events, ...routes } = fake.routes;
    const context = recordedContext();
    Object.assign(context.stderr, { isTTY: true });
    const done = runCommand(['embed', 'minilm', ...lines], routes, context);
    (await fake.asked).answer();
    await done;
    expect(context.err()).not.toContain('█');
  });
});
