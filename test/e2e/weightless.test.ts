// A graph over three real daemons that begin without its weights: each fetches its part from the one that has them, and no
// more; none of them ever has the whole.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CutsAnswer, RequestAnswer, RequestsAnswer } from '../../protocol/api/control.ts';
import { readNpy, writeNpy } from '../../protocol/npy.ts';
import { get, weft } from '../support/asked.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, pair, startDaemon } from '../support/daemon.ts';
import { LAYER_BYTES, LAYER_SIDE, layeredModel } from '../support/layered-model.ts';
import { SeededRandom } from '../support/seeded.ts';

const MODEL = 'local/layered';
const LAYERS = 9;
const ROWS = 4;
const NAMES = ['edge', 'left', 'right'];

let folder: string;
let holder: Daemon;
let nodes: Daemon[] = [];
let input: string;

/** The floats of an answer, who worked on it, and its way. */
async function infer(daemon: Daemon, ...options: string[]) {
  const file = join(folder, `${daemon.name}-${options.length}.npy`);
  const answer = await weft(daemon, 'infer', MODEL, '-i', input, '-o', `y=@${file}`, '--json', ...options);
  const { nodes: used } = JSON.parse(answer) as { nodes: string[] };
  const { data } = readNpy(new Uint8Array(await readFile(file)));
  const { requests } = await get<RequestsAnswer>(daemon, '/api/v1/requests?limit=1');
  const trace = await get<RequestAnswer>(daemon, `/api/v1/requests/${requests[0]?.requestId}`);
  return { values: new Float32Array(data.slice().buffer), used, trace };
}

/** Bytes on the disk of a daemon's models, holes not counted, each file once. */
async function storedBytes({ home }: Daemon): Promise<number> {
  const entries = await readdir(join(home, 'models'), { recursive: true, withFileTypes: true });
  const sizes = new Map<number, number>();
  for (const entry of entries.filter((one) => one.isFile())) {
    const { ino, blocks } = await stat(join(entry.parentPath, entry.name));
    sizes.set(ino, blocks * 512);
  }
  return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** The cut point behind so many layers. */
function behind({ segments }: CutsAnswer, layers: number): number {
  let bytes = 0;
  return segments.findIndex(({ weightBytes }) => {
    const isBehind = bytes >= layers * LAYER_BYTES;
    bytes += weightBytes;
    return isBehind;
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-weightless-'));
  holder = await startDaemon({ env: { WEFT_NAME: 'holder' } });
  nodes = await Promise.all(NAMES.map((name) => startDaemon({ env: { WEFT_NAME: name } })));
  await weft(holder, 'import', await layeredModel(join(folder, 'layered'), LAYERS), '--id', MODEL);
  for (const node of nodes) await pair(holder, node);
  for (const node of nodes) await connectedPeers(node, NAMES.length);
  const random = new SeededRandom(2);
  const values = Float32Array.from({ length: ROWS * LAYER_SIDE }, () => random.next() - 0.5);
  const path = join(folder, 'x.npy');
  await writeFile(path, writeNpy({ type: 'float32', dims: [ROWS, LAYER_SIDE], data: new Uint8Array(values.buffer) }));
  input = `x=@${path}`;
});

afterAll(async () => {
  await Promise.all([holder, ...nodes].map((daemon) => daemon?.stop()));
  await rm(folder, { recursive: true, force: true });
});

describe('three nodes without weights', () => {
  it('run a graph together, each with its part of the weights and no more', async () => {
    const [edge] = nodes as [Daemon];
    const before = await Promise.all(nodes.map(storedBytes));
    const whole = await infer(holder, '--cut', 'never');

    const table = await get<CutsAnswer>(edge, `/api/v1/cuts?model=${MODEL}`);
    expect(table.node).toBe(holder.node);
    const cut = ['--cut', [1, 2].map((part) => behind(table, (part * LAYERS) / 3)).join(','), '--on', NAMES.join(',')];
    const { values, used, trace } = await infer(edge, ...cut);
    expect(used).toEqual(nodes.map(({ node }) => node));
    expect(trace.plans.at(-1)?.kind).toBe('cut');
    const scale = whole.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const worst = values.reduce((most, value, at) => Math.max(most, Math.abs(value - (whole.values[at] ?? 9))), 0);
    expect(worst / scale).toBeLessThan(1e-4);

    const after = await Promise.all(nodes.map(storedBytes));
    const third = (LAYERS / 3) * LAYER_BYTES;
    for (const [at, bytes] of after.entries()) {
      const fetched = bytes - (before[at] ?? 0);
      // Its third, the graph's structure, and what a disk adds.
      expect(fetched, NAMES[at]).toBeGreaterThanOrEqual(third);
      expect(fetched, NAMES[at]).toBeLessThan(1.02 * third);
    }
  });

  it('keep a raw input where it is, though the first layers had to come first', async () => {
    const [edge] = nodes as [Daemon];
    const { used, trace } = await infer(edge, '--raw', 'local', '--cut', '3', '--on', 'edge,right');
    expect(used[0]).toBe(edge.node);
    const left = trace.spans.flatMap(({ tensors = [] }) => tensors.map(({ name }) => name));
    expect(left.length).toBeGreaterThan(0);
    expect(left).not.toContain('x');
  });

  it('refuse what nobody may run, by name', async () => {
    const [edge] = nodes as [Daemon];
    const { code, stderr } = await edge.weft('infer', MODEL, '-i', input, '--cut', '3', '--on', 'edge,nobody');
    expect(code).not.toBe(0);
    expect(stderr).toContain('"nobody"');
  });
});
