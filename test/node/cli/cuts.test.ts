// `weft show --cuts`, `weft plan --cut` and `weft trace` of a cut, on the program's own command line, against a fake daemon; and
// the picture.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cutPointsOf, shortName } from '../../../node/cli/cut-points.ts';
import { cutsSvg, spread } from '../../../node/cli/cuts-svg.ts';
import type { ConsideredCut, CutsAnswer, PlanAnswer, RequestAnswer } from '../../../protocol/api/control.ts';
import { writeNpy } from '../../../protocol/npy.ts';
import { runs } from '../../support/property.ts';
import { TABLE } from '../dispatch/cut-world.ts';
import { drivesTerminal, HOSTILE, type Routes, runCommand } from './command-support.ts';
import { recordedContext, sendJson } from './fake-daemon.ts';

const ANSWER = JSON.parse(JSON.stringify(TABLE)) as CutsAnswer;
const PRICE = { queueMs: 0, loadMs: 0, upMs: 2, computeMs: 40, downMs: 3, totalMs: 45 };
const HERE = { ...PRICE, upMs: 0, downMs: 0, totalMs: 40 };

const CUT: ConsideredCut = {
  chosen: 'cut',
  nodes: ['n1', 'n2'],
  parts: [
    { node: 'n1', from: 0, to: 1, price: HERE, up: [], down: [] },
    { node: 'n2', from: 1, to: 4, price: PRICE, up: [{ name: 'a', bytes: 2_000 }], down: [{ name: 'y', bytes: 4 }] },
  ],
  totalMs: 85,
  lostBy: [
    { what: 'whole', nodes: ['n1'], totalMs: 60, byMs: -25 },
    { what: 'whole', nodes: ['n2'], totalMs: 90, byMs: 5 },
  ],
  rejected: [{ node: 'n2', reason: 'raw: local keeps "x" here' }],
  table: { segments: 4, wholeMs: 400, shapes: 'x', device: 'cpu', measuredAtMs: 0 },
};

const PLAN: PlanAnswer = {
  model: 'org/graph',
  work: 'run',
  inputTokens: 0,
  requests: 1,
  plan: { kind: 'local', node: 'n1', price: HERE, others: [], rejected: [] },
  explanation: [],
  cut: CUT,
};

const span = (name: RequestAnswer['spans'][number]['name'], node: string, startMs: number, durationMs: number) => ({
  name,
  node,
  startMs,
  durationMs,
});

const TRACE: RequestAnswer = {
  requestId: 'req_1',
  traceId: 'ab',
  name: 'POST /api/v1/infer',
  model: 'org/graph',
  startedAtMs: 0,
  durationMs: 99,
  status: 'ok',
  spans: [
    span('queue', 'n1', 0, 1),
    span('compute', 'n1', 1, 44),
    { ...span('up', 'n2', 45, 2), tensors: [{ name: 'a', bytes: 2_000 }] },
    span('queue', 'n2', 47, 1),
    span('compute', 'n2', 48, 38),
    span('down', 'n2', 86, 4),
  ],
  plans: [
    {
      kind: 'cut',
      parts: CUT.parts.map(({ node, from, to, price }) => ({ node, from, to, price })),
      price: PRICE,
      others: [],
      rejected: [],
    },
  ],
  failures: [],
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-cuts-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(args: readonly string[], routes: Routes = {}, context = recordedContext()) {
  const headers: { readonly path: string | undefined; readonly cut: unknown; readonly raw: unknown }[] = [];
  const noted = (body: object) => (_body: unknown, response: ServerResponse, request: IncomingMessage) => {
    headers.push({ path: request.url, cut: request.headers['x-weft-cut'], raw: request.headers['x-weft-raw'] });
    sendJson(response, body, { 'x-request-id': 'req_1' });
  };
  const infer = { model: 'org/graph', outputs: [], timing: {}, nodes: ['n1', 'n2'], plan: {} };
  await runCommand(
    args,
    {
      'GET /api/v1/cuts': noted(ANSWER),
      'GET /api/v1/models': { models: [] },
      'GET /api/v1/models/graph': { id: 'org/graph', inputs: [{ name: 'x', type: 'float32', dims: [1] }], outputs: [] },
      'POST /api/v1/plan': noted(PLAN),
      'POST /api/v1/infer': noted(infer),
      'GET /api/v1/requests/req_1': TRACE,
      ...routes,
    },
    context,
  );
  return { context, headers };
}

describe('weft show --cuts', () => {
  it('lists each cut point with what crosses, and with both of its sides', async () => {
    const { context, headers } = await run(['show', 'graph', '--cuts', '--again']);
    expect(headers[0]?.path).toBe('/api/v1/cuts?model=graph&again=true');
    const [one, two, three] = context
      .out()
      .split('\n')
      .filter((line) => /^ +\d/.test(line));
    expect(one).toMatch(/1 +10.0 % +12 B +41 ms +361 ms +10.0 MB +30.0 MB +m \(input\), a, s$/);
    expect(two).toMatch(/2 +40.0 % .+ m \(input\), s, b$/);
    expect(three).toMatch(/3 +70.0 % +4 B .+ c$/);
  });

  it('says of a graph that can not be cut why that is', async () => {
    const whole = { ...ANSWER, segments: [ANSWER.segments[0]], tensors: [], reason: 'It has one node.' };
    const { context } = await run(['show', 'graph', '--cuts'], { 'GET /api/v1/cuts': whole });
    expect(context.out()).toMatch(/can't be cut, and runs whole\.\nIt has one node\./);
    expect(context.out()).not.toContain('DEPTH');
  });

  it('draws them into a file, and adds them to the JSON', async () => {
    const file = join(folder, 'cuts.svg');
    const { context } = await run(['show', 'graph', '--cuts', '--json', '--svg', file]);
    expect(JSON.parse(context.out())).toMatchObject({
      wholeMs: 400,
      cuts: [{ number: 1 }, { number: 2 }, { number: 3 }],
    });
    expect(await readFile(file, 'utf8')).toBe(cutsSvg(ANSWER));
  });

  it.each([
    [['--svg', 'x.svg'], /go with --cuts/],
    [['--again'], /go with --cuts/],
    [['--cuts', '--profile'], /two pages/],
  ])('refuses %j', async (options, message) => {
    await expect(run(['show', 'graph', ...options])).rejects.toThrow(message);
  });

  it('lets no name drive a terminal', async () => {
    const tensors = ANSWER.tensors.map((tensor) => ({ ...tensor, name: `${HOSTILE}${tensor.name}` }));
    const hostile = { ...ANSWER, tensors, reason: HOSTILE, shapes: HOSTILE, device: HOSTILE };
    const { context } = await run(['show', 'graph', '--cuts'], { 'GET /api/v1/cuts': hostile });
    expect(drivesTerminal(context.out())).toBe(false);
    expect(drivesTerminal(cutsSvg(hostile))).toBe(false);
  });
});

describe('weft plan --cut', () => {
  it('says which parts there would be, and by how much each other plan lost', async () => {
    const { context, headers } = await run(['plan', 'graph', '-s', 'x=1', '--cut', '1', '--raw', 'local:x']);
    expect(headers).toEqual([{ path: '/api/v1/plan', cut: '1', raw: 'local:x' }]);
    const text = context.out();
    expect(text).toContain('Cut into 2 parts, 85 ms in all:\n');
    expect(text).toMatch(/ 1 {2}laptop \(here\) +0 +40 ms/);
    expect(text).toMatch(/ 2 {2}server +1–3 +45 ms .+2\.0 kB: a +4 B: y/);
    expect(text).toContain('whole on laptop (here): 60 ms, would be sooner by 25 ms, and is not what was asked for\n');
    expect(text).toContain('whole on server: 90 ms, loses by 5.00 ms\n');
    expect(text).toContain('not whole on server: raw: local keeps "x" here\n');
  });

  it('runs it, and shows each part beside its prediction', async () => {
    const file = join(folder, 'x.npy');
    await writeFile(file, writeNpy({ type: 'float32', dims: [1], data: new Uint8Array(4) }));
    const { context, headers } = await run(['plan', 'graph', '-i', `x=@${file}`, '--cut', 'auto', '--run']);
    expect(headers.map(({ path, cut }) => [path, cut])).toEqual([
      ['/api/v1/plan', 'auto'],
      ['/api/v1/infer', 'auto'],
    ]);
    const text = context.out();
    expect(text).toMatch(/ran in 99 ms · req_1/);
    expect(text).toMatch(
      /1 {2}laptop \(here\) +0 +predicted +40 ms .+\n +measured +45 ms +1\.00 ms +0 ms +0 ms +44 ms/,
    );
    expect(text).toMatch(
      /2 {2}server +1–3 +predicted +45 ms .+\n +measured +45 ms +1\.00 ms +0 ms +2\.00 ms +38 ms +4\.00 ms/,
    );
    expect(text).toContain('left for server: a (2.0 kB)\n');
  });

  it('says why nothing keeps to the rule, and runs nothing', async () => {
    const refused = {
      ...CUT,
      chosen: 'whole',
      nodes: [],
      parts: [],
      lostBy: [],
      refused: 'raw: local; not whole on n2: x',
    };
    const { totalMs: _never, ...cut } = refused;
    const file = join(folder, 'y.npy');
    await writeFile(file, writeNpy({ type: 'float32', dims: [1], data: new Uint8Array(4) }));
    const routes = { 'POST /api/v1/plan': { ...PLAN, cut } };
    const context = recordedContext();
    const args = ['plan', 'graph', '-i', `x=@${file}`, '--raw', 'local', '--run'];
    await expect(run(args, routes, context)).rejects.toThrow(/It was not run/);
    expect(context.out()).toContain('Refused: raw: local; not whole on server: x\n');
  });

  it.each([
    [['--run', '-s', 'x=1'], /--run goes with --cut or --raw/],
    [['--run', '--cut', 'auto', '-s', 'x=1'], /needs the tensors themselves/],
    [['--cut', '1,,2', '-s', 'x=1'], /cut points by commas/],
    [['--raw', 'remote', '-s', 'x=1'], /Write local/],
  ])('refuses %j', async (options, message) => {
    await expect(run(['plan', 'graph', ...options])).rejects.toThrow(message);
  });
});

describe('weft trace', () => {
  it('shows the parts of a cut, and what left for them', async () => {
    const { context } = await run(['trace', 'req_1']);
    expect(context.out()).toContain('left for server: a (2.0 kB)\n');
    expect(context.out()).toMatch(/part 2, segments 1–3: server/);
    expect(context.out()).toMatch(/\nparts\nPART {2}NODE[\s\S]+predicted[\s\S]+measured/);
  });
});

describe('the picture', () => {
  it('is well-formed, whatever tensors are called, and names what crosses', () => {
    const names = ['<script>', '"quoted" & more', ']]>', '\u202e\ud800'];
    const tensors = ANSWER.tensors.map((tensor, at) => ({ ...tensor, name: `${tensor.name}${names[at % 4]}` }));
    const svg = cutsSvg({ ...ANSWER, tensors });
    expect(svg).not.toContain('<script>');
    expect(svg).toContain('&lt;script&gt;');
    const open: string[] = [];
    for (const [, end, name = '', rest = ''] of svg.matchAll(
      /<(\/?)([a-z]+)((?:\s+[a-zA-Z][\w-]*="[^"<]*")*\s*\/?)>/g,
    )) {
      if (end === '/') expect(open.pop()).toBe(name);
      else if (!rest.endsWith('/')) open.push(name);
    }
    expect(open).toEqual([]);
    expect(svg.replace(/<(\/?)([a-z]+)((?:\s+[a-zA-Z][\w-]*="[^"<]*")*\s*\/?)>/g, '')).not.toMatch(/[<]/);
    expect(svg).toContain('cut point 1, behind 10 % of the computing');
  });

  it('keeps names apart from each other, in their order, within its edges', () => {
    const places = fc.array(fc.double({ min: 0, max: 1_000, noNaN: true }), { maxLength: 80 });
    fc.assert(
      fc.property(places, (wanted) => {
        const sorted = wanted.toSorted((a, b) => a - b);
        const placed = spread(sorted, 13, { from: 0, to: 1_000 });
        const gap = Math.min(13, 1_000 / Math.max(1, sorted.length - 1));
        placed.forEach((place, at) => {
          expect(place).toBeGreaterThanOrEqual(-1e-6);
          expect(place).toBeLessThanOrEqual(1_000 + 1e-6);
          if (at > 0) expect(place - (placed[at - 1] as number)).toBeGreaterThanOrEqual(gap - 1e-6);
        });
        expect(placed.length).toBe(sorted.length);
      }),
      runs(300),
    );
  });

  it('leaves names where they are that do not touch', () => {
    expect(spread([10, 100, 200], 13, { from: 0, to: 300 })).toEqual([10, 100, 200]);
    expect(spread([], 13, { from: 0, to: 300 })).toEqual([]);
    expect(spread([50], 13, { from: 0, to: 300 })).toEqual([50]);
  });

  it('shortens names in the middle', () => {
    expect(shortName('abcdefghij', 10)).toBe('abcdefghij');
    expect(shortName('abcdefghijk', 7)).toBe('ab…hijk');
    expect([...shortName('𝒳'.repeat(20), 8)]).toHaveLength(8);
  });
});

describe('cut points', () => {
  it('count weights that both sides use on both', () => {
    const shared = [{ bytes: 5e6, segments: [0, 3] }];
    const [first] = cutPointsOf({ ...ANSWER, shared });
    expect(first).toMatchObject({ beforeWeightBytes: 15e6, behindWeightBytes: 35e6 });
  });
});
