// The demonstration's own judgement, against an edge whose answers break one promise after the other.
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { Client } from '../../../../node/cli/client.ts';
import { EDGE, WORKERS } from '../../../../node/cli/demo/cast.ts';
import { PIECES_BEFORE_LOSS } from '../../../../node/cli/demo/limits.ts';
import type { DemoMesh, Machine } from '../../../../node/cli/demo/mesh.ts';
import { reasons, requestTable, toJson } from '../../../../node/cli/demo/report.ts';
import { type DemoResult, playScenario } from '../../../../node/cli/demo/scenario.ts';
import { systemClock } from '../../../../node/core/clock.ts';
import type { Plan } from '../../../../protocol/plan.ts';
import { type FakeDaemon, fakeDaemon, KEY, sendJson } from '../fake-daemon.ts';

const WORDS = Array.from({ length: PIECES_BEFORE_LOSS + 4 }, (_, at) => ` word${at}`);

interface Behaviour {
  /** Of the stream whose node is killed; by default those of the undisturbed one. */
  readonly words?: readonly string[];
  readonly nodes?: readonly string[];
  readonly embedNode?: string;
  /** Ends the stream without its last event. */
  readonly cut?: true;
  readonly traces?: true;
}

let edge: FakeDaemon | undefined;
afterEach(() => edge?.[Symbol.asyncDispose]());

const PRICE = { queueMs: 0, loadMs: 0, upMs: 1, computeMs: 10, downMs: 1, totalMs: 12 };
const PLAN: Plan = {
  kind: 'remote',
  node: 'node-nas',
  price: PRICE,
  others: [{ node: 'node-cloud', price: { ...PRICE, upMs: 20, totalMs: 31 }, samples: 3 }],
  rejected: [
    { node: 'node-tower', reason: 'does not offer it' },
    { node: 'node-studio', reason: 'does not offer it' },
    { node: 'node-laptop', reason: 'is gone' },
  ],
};

/** A mesh whose edge behaves like this, the killed machines noted down. */
async function meshOf(behaviour: Behaviour): Promise<DemoMesh & { readonly killed: string[] }> {
  const killed: string[] = [];
  let streams = 0;
  const chat = (body: { stream?: boolean }, response: ServerResponse): void => {
    if (body.stream !== true) {
      sendJson(response, { weft: { nodes: ['node-tower'] } });
      return;
    }
    streams += 1;
    const disturbed = streams === 2;
    const words = (disturbed ? behaviour.words : undefined) ?? WORDS;
    const nodes = disturbed ? (behaviour.nodes ?? ['node-tower', 'node-studio']) : ['node-tower'];
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-weft-node': 'node-tower' });
    const send = (chunk: object) => response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    for (const content of words) send({ choices: [{ delta: { content } }] });
    send({ choices: [{ delta: {} }], weft: { nodes } });
    send({ choices: [], usage: { completion_tokens: words.length } });
    response.end(behaviour.cut && disturbed ? '' : 'data: [DONE]\n\n');
  };
  const trace = {
    status: 'ok',
    plans: [PLAN],
    spans: [{ name: 'compute', node: 'node-nas', startMs: 1, durationMs: 9 }],
  };
  edge = await fakeDaemon({
    'POST /v1/embeddings': (_body, response) =>
      sendJson(
        response,
        { weft: { nodes: [behaviour.embedNode ?? 'node-nas'], plan: { predicted_ms: 5 } } },
        {
          'x-request-id': 'req_1',
        },
      ),
    'POST /v1/chat/completions': (body, response) => chat(body as { stream?: boolean }, response),
    ...(behaviour.traces ? { 'GET /api/v1/requests/req_1': trace } : {}),
  });
  const client = new Client({ url: edge.url, key: KEY });
  const machine = (role: Machine['role']): Machine => ({
    role,
    daemon: {
      name: role.name,
      home: '',
      url: edge?.url ?? '',
      pid: 1,
      node: `node-${role.name}`,
      client,
      kill: async () => void killed.push(role.name),
      [Symbol.asyncDispose]: async () => undefined,
    },
  });
  return {
    edge: machine(EDGE),
    workers: WORKERS.map(machine),
    nameOf: (node) => node.replace('node-', ''),
    killed,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function play(mesh: DemoMesh): Promise<{ readonly result: DemoResult; readonly shown: string }> {
  let shown = '';
  const result = await playScenario(
    { mesh, clock: systemClock },
    {
      signal: new AbortController().signal,
      say: () => undefined,
      show: (text) => {
        shown += text;
      },
    },
  );
  return { result, shown };
}

describe('the demonstration', () => {
  it('kills the node that began the answer, in the middle of it, and finds nothing lost', async () => {
    const mesh = await meshOf({});
    const { result, shown } = await play(mesh);
    expect(mesh.killed).toEqual(['tower']);
    expect(result.recovery).toMatchObject({
      killed: 'tower',
      continuedBy: 'studio',
      tokens: WORDS.length,
      sameText: true,
    });
    expect(shown).toBe(
      `${WORDS.slice(0, PIECES_BEFORE_LOSS).join('')} [tower killed] ${WORDS.slice(PIECES_BEFORE_LOSS).join('')}\n`,
    );
    expect(toJson(mesh, result, 1_234.5)).toMatchObject({
      ok: true,
      total_ms: 1_235,
      recovery: { killed: 'tower', continued_by: 'studio', same_text: true },
    });
  });

  it.each<[string, Behaviour, RegExp]>([
    ['a token is lost', { words: WORDS.slice(0, -1) }, /16 tokens were expected, and 15 came/],
    ['a token comes twice', { words: [...WORDS.slice(1), ...WORDS.slice(-1)] }, /not the same/],
    ['nobody goes on', { nodes: ['node-tower'] }, /nobody went on for tower/],
    ['another node had begun', { nodes: ['node-studio', 'node-tower'] }, /not the one that began/],
    ['the edge works itself', { embedNode: 'node-laptop' }, /ran on laptop, which offers nothing/],
    ['the answer breaks off', { cut: true }, /broke off/],
  ])('says so when %s', async (_what, behaviour, message) => {
    await expect(play(await meshOf(behaviour))).rejects.toThrow(message);
  });

  it('shows what ran where, why, and how long each part took', async () => {
    const mesh = await meshOf({ traces: true });
    const { result } = await play(mesh);
    const [embedding] = result.requests;
    if (embedding === undefined) throw new Error('There is no first request.');
    const [titles, row] = requestTable(mesh, [embedding]).split('\n');
    expect(titles).toMatch(/^REQUEST +RAN ON .*COMPUTE +DOWN +TOTAL +PREDICTED$/);
    expect(row).toMatch(/^embed 1 text +nas +.*9\.00 ms +- .*12 ms$/);
    expect(reasons(mesh, [embedding])).toBe(
      'embed 1 text\n' +
        '  on nas: 12.0 ms = up 1.0 ms + compute 10.0 ms + down 1.0 ms\n' +
        '  not cloud: 19.0 ms slower, 31.0 ms = up 20.0 ms + compute 10.0 ms + down 1.0 ms\n' +
        '  not tower, studio: does not offer it\n' +
        '  not laptop: is gone\n',
    );
    const batches = result.requests.filter(({ what }) => what.startsWith('batch'));
    expect(batches.length).toBeGreaterThan(2);
    expect(reasons(mesh, batches).match(/^batch \d/gm)).toEqual(['batch 1', 'batch 2']);
  });

  it('makes do with what answers say where the node keeps no traces', async () => {
    const mesh = await meshOf({});
    const { result } = await play(mesh);
    expect(requestTable(mesh, result.requests.slice(0, 1))).toMatch(/embed 1 text +nas .*5\.00 ms\n$/);
    expect(reasons(mesh, result.requests)).toBe('');
  });
});
