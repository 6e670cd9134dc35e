// `weft bench`, on the program's own command line, against a fake daemon.
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { quantile } from '../../../node/cli/bench.ts';
import { type Routes, runCommand } from './command-support.ts';
import { recordedContext, refuse, sendChat, sendJson } from './fake-daemon.ts';

const model = (id: string, alias: string, task: string) => ({
  id,
  aliases: [alias],
  task,
  contextLength: 512,
  dimensions: 3,
  sizeBytes: 1,
  nodes: [],
});
const MODELS = [
  model('org/chat', 'chat', 'text-generation'),
  model('org/chat2', 'chat2', 'text-generation'),
  model('org/embed', 'embed', 'feature-extraction'),
  model('org/graph', 'graph', 'tensor'),
];

/** Counts requests under way, and the most there were. */
function counting() {
  const state = { now: 0, most: 0, all: 0, models: new Set<unknown>(), inputs: new Set<unknown>() };
  const enter = (body: unknown) => {
    const { model, input, messages } = body as { model: string; input?: string; messages?: { content: string }[] };
    state.models.add(model);
    state.inputs.add(input ?? messages?.[0]?.content);
    state.all += 1;
    state.now += 1;
    state.most = Math.max(state.most, state.now);
  };
  const routes: Routes = {
    'GET /api/v1/models': { models: MODELS },
    'POST /v1/chat/completions': (body, response) => {
      enter(body);
      setImmediate(() => {
        state.now -= 1;
        sendChat(response, ['a ', 'b ', 'c'], ['n2']);
      });
    },
    'POST /v1/embeddings': (body, response) => {
      enter(body);
      setImmediate(() => {
        state.now -= 1;
        sendJson(response, { data: [], weft: { nodes: ['n1'] } });
      });
    },
  };
  return { state, routes };
}

describe('weft bench', () => {
  it('measures the first chat and the first embedding model, one and eight requests at a time', async () => {
    const { state, routes } = counting();
    const { context } = await runCommand(['bench', '--seconds', '0.01'], routes);
    const lines = context.out().split('\n');
    expect(lines[0]).toBe('org/chat');
    expect(lines[1]).toMatch(/^IN FLIGHT +FIRST TOKEN +TOKENS\/S EACH +TOKENS\/S IN ALL +ANSWERS +FAILED$/);
    expect(lines[2]).toMatch(/^ +1 .* 2 +0$/);
    expect(lines[3]).toMatch(/^ +8 .* 16 +0$/);
    expect(lines[5]).toBe('org/embed');
    expect(context.err()).toContain('answered by server, then laptop (here)');
    expect(state.most).toBeGreaterThan(1);
    expect([...state.models]).toEqual(['org/chat', 'org/embed']);
  });

  it('measures the model that is named, and prints one object with --json', async () => {
    const { state, routes } = counting();
    const { context } = await runCommand(['bench', 'EMBED', '--json', '--seconds', '0.01'], routes);
    const { embeddings, chat } = JSON.parse(context.out());
    expect(chat).toBeUndefined();
    expect(embeddings).toMatchObject({
      model: 'org/embed',
      runs: [
        { in_flight: 1, failed: 0, nodes: ['n1'] },
        { in_flight: 8, failed: 0 },
      ],
    });
    for (const run of embeddings.runs) {
      expect(run.answers).toBeGreaterThan(0);
      expect(run.embeddings_per_second).toBeGreaterThan(0);
      expect(run.p95_ms).toBeGreaterThanOrEqual(run.p50_ms);
    }
    expect(state.inputs.size).toBeGreaterThan(1);
  });

  it('counts refusals, and goes on', async () => {
    const { routes } = counting();
    let refused = 0;
    const { context } = await runCommand(['bench', 'chat', '--json'], {
      ...routes,
      'POST /v1/chat/completions': (_body: unknown, response: ServerResponse) => {
        refused += 1;
        if (refused % 2 === 0) refuse(response, 429, 'overloaded', 'Too much.');
        else sendChat(response, ['a ', 'b'], ['n1']);
      },
    });
    const { chat } = JSON.parse(context.out());
    expect(chat.runs.map((run: { failed: number }) => run.failed)).toEqual([1, 8]);
  });

  it('says why when nothing is answered', async () => {
    const failed = runCommand(['bench', 'embed'], {
      'GET /api/v1/models': { models: MODELS },
      'POST /v1/embeddings': (_body: unknown, response: ServerResponse) =>
        refuse(response, 429, 'overloaded', 'Too much.'),
    });
    await expect(failed).rejects.toMatchObject({ code: 'overloaded' });
  });

  it('ends at Ctrl-C', async () => {
    const context = recordedContext();
    const failed = runCommand(
      ['bench', 'embed'],
      { 'GET /api/v1/models': { models: MODELS }, 'POST /v1/embeddings': () => context.abort() },
      context,
    );
    await expect(failed).rejects.toMatchObject({ code: 'cancelled' });
  });

  it.each([
    ['nope', 'model_not_found'],
    ['graph', 'unsupported'],
  ])('refuses %s', async (name, code) => {
    await expect(runCommand(['bench', name], { 'GET /api/v1/models': { models: MODELS } })).rejects.toMatchObject({
      code,
    });
  });

  it('says so when there is nothing to measure', async () => {
    await expect(runCommand(['bench'], { 'GET /api/v1/models': { models: [] } })).rejects.toMatchObject({
      code: 'no_capable_node',
    });
  });
});

describe('quantile', () => {
  it.each([
    [[], 0.5, undefined],
    [[7], 0.95, 7],
    [[3, 1, 2], 0.5, 2],
    [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.95, 10],
  ])('of %j at %d is %s', (values, share, value) => expect(quantile(values, share)).toBe(value));
});
