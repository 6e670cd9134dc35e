// One graph over two real daemons: cut where a person says, with raw inputs that stay, and with a second daemon that dies or
// stops in the middle of its part.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TensorProto_DataType as DataType } from '../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../models/onnx/model-file.ts';
import { valueInfo } from '../../models/onnx/tensors.ts';
import type { CutsAnswer, PlanAnswer, PsAnswer, RequestAnswer, RequestsAnswer } from '../../protocol/api/control.ts';
import { readNpy, writeNpy } from '../../protocol/npy.ts';
import { get, weft } from '../support/asked.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, pair, startDaemon } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { GraphBuilder } from '../support/graph-builder.ts';
import { mobilenet } from '../support/mobilenet.ts';
import { SeededRandom } from '../support/seeded.ts';
import { SilentProxy } from '../support/silent-proxy.ts';
import { until } from '../support/wait.ts';

const PIXELS = 96;
/** Of the graph that takes its time: rows and columns of each of its products. */
const SIDE = 640;
const PRODUCTS = 12;

let folder: string;
let edge: Daemon;
let worker: Daemon;
/** The only way between the two: the edge is not dialled. */
let link: SilentProxy;
const UNREACHABLE = '/ip4/127.0.0.1/tcp/9';

/** A product after the other, so that a part lasts long enough to be lost in. */
function slowGraph(): Uint8Array {
  const random = new SeededRandom(5);
  const graph = new GraphBuilder();
  const weight = (): string => {
    const values = Float32Array.from({ length: SIDE * SIDE }, () => (random.next() - 0.5) / 8);
    return graph.floats([SIDE, SIDE], values);
  };
  let value = 'x';
  for (let index = 0; index < PRODUCTS; index++) value = graph.op('Tanh', [graph.op('MatMul', [value, weight()])]);
  graph.as('y', value);
  return graph.file([valueInfo('x', DataType.FLOAT, [SIDE, SIDE])], [valueInfo('y', DataType.FLOAT, [SIDE, SIDE])]);
}

async function input(name: string, dims: readonly number[]): Promise<string> {
  const random = new SeededRandom(3);
  const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.next() - 0.5);
  const path = join(folder, `${name}.npy`);
  await writeFile(path, writeNpy({ type: 'float32', dims: [...dims], data: new Uint8Array(values.buffer) }));
  return `${name}=@${path}`;
}

/** Runs a model on the edge, and gives the floats of one output, who worked on it, and its way. */
async function infer(model: string, tensor: string, output: string, ...options: string[]) {
  const file = join(folder, `${Math.random().toString(36).slice(2)}.npy`);
  const args = ['infer', model, '-i', tensor, '-o', `${output}=@${file}`, '--json', ...options];
  const { nodes } = JSON.parse(await weft(edge, ...args)) as { nodes: string[] };
  const { data } = readNpy(new Uint8Array(await readFile(file)));
  const values = new Float32Array(data.slice().buffer);
  const { requests } = await get<RequestsAnswer>(edge, '/api/v1/requests?limit=1');
  const trace = await get<RequestAnswer>(edge, `/api/v1/requests/${requests[0]?.requestId}`);
  return { values, nodes, trace };
}

function expectClose(values: Float32Array, whole: Float32Array): void {
  expect(values.length).toBe(whole.length);
  const scale = whole.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = values.reduce((most, value, at) => Math.max(most, Math.abs(value - (whole[at] ?? Number.NaN))), 0);
  expect(worst / scale).toBeLessThan(1e-4);
}

/** Kullback-Leibler divergence of what is drawn from the second instead of the first, logits of classes, in nats. */
function divergence(wanted: Float32Array, given: Float32Array): number {
  const logOdds = (logits: Float32Array): number[] => {
    const most = Math.max(...logits);
    const sum = logits.reduce((total, value) => total + Math.exp(value - most), 0);
    return Array.from(logits, (value) => value - most - Math.log(sum));
  };
  const [p, q] = [logOdds(wanted), logOdds(given)];
  return p.reduce((sum, value, at) => sum + Math.exp(value) * (value - (q[at] ?? Number.NEGATIVE_INFINITY)), 0);
}

/** Everything that left the edge for parts. */
const left = ({ spans }: RequestAnswer): string[] =>
  spans.flatMap(({ tensors = [] }) => tensors.map(({ name }) => name));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-cut-e2e-'));
  const image = writeModel(mobilenet({ size: PIXELS, width: 0.5, quantized: false }));
  await writeFile(join(folder, 'mobilenet.onnx'), image);
  const rounded = writeModel(mobilenet({ size: PIXELS, width: 0.5, quantized: true }));
  await writeFile(join(folder, 'rounded.onnx'), rounded);
  await writeFile(join(folder, 'slow.onnx'), slowGraph());
  const port = await freePort();
  link = await SilentProxy.start({ target: { host: '127.0.0.1', port } });
  const behind = { WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${port}`, WEFT_ANNOUNCE: `/ip4/127.0.0.1/tcp/${link.port}` };
  worker = await startDaemon({ env: { WEFT_NAME: 'worker', ...behind } });
  edge = await startDaemon({ env: { WEFT_NAME: 'edge', WEFT_ANNOUNCE: UNREACHABLE } });
  for (const daemon of [edge, worker]) {
    for (const name of ['mobilenet', 'rounded', 'slow']) await weft(daemon, 'import', join(folder, `${name}.onnx`));
  }
  await pair(worker, edge);
  await connectedPeers(edge, 1);
});

afterAll(async () => {
  await Promise.all([edge, worker].map((daemon) => daemon?.stop()));
  await link?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('a graph over two daemons', () => {
  let image: string;
  let whole: Float32Array;
  let tensor: string;
  beforeAll(async () => {
    image = await input('image', [1, 3, PIXELS, PIXELS]);
    whole = (await infer('local/mobilenet', image, 'classes', '--cut', 'never')).values;
  });

  it('lists where it can be cut, and draws it', async () => {
    const svg = join(folder, 'cuts.svg');
    const text = await weft(edge, 'show', 'local/mobilenet', '--cuts', '--svg', svg);
    expect(text).toMatch(/CUT +DEPTH +CROSSES +BEFORE/);
    expect(await readFile(svg, 'utf8')).toMatch(/^<svg[\s\S]+<\/svg>\n$/);
    const table = JSON.parse(await weft(edge, 'show', 'local/mobilenet', '--cuts', '--json')) as CutsAnswer;
    expect(table.segments.length).toBeGreaterThan(4);
    tensor = table.tensors.find(({ from }) => from === 2)?.name ?? '';
  });

  it('gives what the whole gives, cut at a number or at a tensor', async () => {
    for (const place of ['3', tensor]) {
      const { values, nodes, trace } = await infer('local/mobilenet', image, 'classes', '--cut', place);
      expectClose(values, whole);
      expect(new Set(nodes)).toEqual(new Set([edge.node, worker.node]));
      expect(trace.plans.at(-1)?.kind).toBe('cut');
    }
  });

  it('gives the same class and nearly the same odds where activations are rounded to whole numbers', async () => {
    const { values: expected } = await infer('local/rounded', image, 'classes', '--cut', 'never');
    for (const place of ['2', '4']) {
      const { values, trace } = await infer('local/rounded', image, 'classes', '--cut', place);
      expect(trace.plans.at(-1)?.kind).toBe('cut');
      expect(values.indexOf(Math.max(...values))).toBe(expected.indexOf(Math.max(...expected)));
      expect(divergence(expected, values)).toBeLessThan(1e-3);
    }
  });

  it('keeps raw inputs here, as the trace shows', async () => {
    const { values, trace } = await infer('local/mobilenet', image, 'classes', '--cut', tensor, '--raw', 'local');
    expectClose(values, whole);
    expect(left(trace)).toEqual([tensor]);
    expect(await weft(edge, 'trace', trace.requestId)).toContain(`left for worker: ${tensor} (`);
  });

  it('refuses by name what would not stay', async () => {
    const { code, stderr } = await edge.weft('infer', 'local/mobilenet', '-i', image, '--raw', 'local:picture');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/raw: local names "picture", which is no input of the graph/);
  });

  it('shows prediction beside measurement, part by part', async () => {
    const text = await weft(edge, 'plan', 'local/mobilenet', '-i', image, '--cut', '3', '--raw', 'local', '--run');
    expect(text).toMatch(/Cut into 2 parts/);
    expect(text).toMatch(/whole on edge \(here\): .+(loses by|would be sooner by)/);
    expect(text).toMatch(/1 {2}edge \(here\) +0–2 +predicted .+\n +measured [\s\S]+2 {2}worker/);
    const { plan, cut } = JSON.parse(
      await weft(edge, 'plan', 'local/mobilenet', '-s', `image=1,3,${PIXELS},${PIXELS}`, '--raw', 'local', '--json'),
    ) as PlanAnswer;
    expect(plan).toMatchObject({ kind: 'local', node: edge.node });
    expect(cut?.refused).toBeUndefined();
  });

  it('keeps what a setting says, whatever a request asks for', async () => {
    await weft(edge, 'config', 'set', 'rawLocal', 'local/mobilenet');
    await until('the setting', async () => {
      const { cut } = JSON.parse(
        await weft(edge, 'plan', 'local/mobilenet', '-s', `image=1,3,${PIXELS},${PIXELS}`, '--json'),
      ) as PlanAnswer;
      return cut?.rejected.some(({ reason }) => reason.includes('raw: local')) === true;
    });
    const { trace } = await infer('local/mobilenet', image, 'classes', '--cut', '3', '--raw', 'local:image');
    expect(left(trace)).not.toContain('image');
    await weft(edge, 'config', 'set', 'rawLocal', '');
  });
});

describe('a second daemon in the middle of its part', () => {
  let x: string;
  let whole: Float32Array;
  beforeAll(async () => {
    x = await input('x', [SIDE, SIDE]);
    whole = (await infer('local/slow', x, 'y', '--cut', 'never')).values;
  });

  const faults = {
    'falls silent': { begin: () => link.silence(), end: () => link.resume() },
    'is stopped': { begin: () => worker.kill('SIGSTOP'), end: () => worker.kill('SIGCONT') },
    'is killed': { begin: () => worker.kill('SIGKILL'), end: undefined },
  };

  it.each(Object.keys(faults) as (keyof typeof faults)[])('that %s costs no answer', async (name) => {
    const { begin, end } = faults[name];
    await weft(worker, 'stop', 'local/slow');
    const answer = infer('local/slow', x, 'y', '--cut', '2');
    await until('the part is under way', async () => {
      const { models } = await get<PsAnswer>(worker, '/api/v1/ps');
      return models.some(({ part, requestsInFlight }) => part !== undefined && requestsInFlight > 0);
    });
    begin();
    const { values, trace } = await answer.finally(end);
    expectClose(values, whole);
    expect(trace.failures.map(({ node }) => node)).toEqual([worker.node]);
    expect(trace.spans.filter(({ name }) => name === 'compute').map(({ node }) => node)).toContain(edge.node);
    if (end !== undefined) await connectedPeers(edge, 1);
  });
});
