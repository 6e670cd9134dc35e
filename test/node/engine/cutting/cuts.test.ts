// Tables of cuts from an engine: measured in a process of its own that may be ended at any time, kept, and measured again.
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../../models/installed.ts';
import { systemClock } from '../../../../node/core/clock.ts';
import { silentLog } from '../../../../node/core/log.ts';
import { CutStore } from '../../../../node/engine/cutting/cut-store.ts';
import { SupervisedEngine, type SupervisedEngineInit } from '../../../../node/engine/supervised-engine.ts';
import { tensorOf } from '../../../../protocol/tensor.ts';
import { workOptions } from '../../../compliance/engine-requests.ts';
import { until } from '../../../support/wait.ts';
import { installGraph, LAYER_WIDTH, layersGraph, lookupGraph } from '../small-graphs.ts';
import { engineInit, silentTelemetry, temporaryFolder } from '../support.ts';

const LAYERS = 8;
const signal = new AbortController().signal;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let layers: InstalledModel;
let lookup: InstalledModel;

beforeAll(async () => {
  folder = await temporaryFolder();
  layers = await installGraph(folder.path, 'layers', layersGraph(LAYERS));
  lookup = await installGraph(folder.path, 'lookup', lookupGraph());
});
afterAll(() => folder[Symbol.asyncDispose]());

/** An engine that measures. */
async function measuring(overrides: Partial<SupervisedEngineInit> = {}) {
  const own = await temporaryFolder();
  const [pidFolder, tables, scratchFolder] = ['pids', 'tables', 'scratch'].map((name) => join(own.path, name)) as [
    string,
    string,
    string,
  ];
  const store = await CutStore.open({ log: silentLog }, { folder: tables });
  const init = engineInit([layers, lookup], pidFolder, {
    cuts: { machine: 'test', version: '1', scratchFolder },
    ...overrides,
  });
  const components = { clock: systemClock, log: silentLog, telemetry: silentTelemetry, cutStore: store };
  const engine = new SupervisedEngine(components, init);
  await engine.start();
  /** Of the process that measures: no other is noted while no model is loaded. */
  const pid = () =>
    until('a measuring process', async () => {
      const [name] = await readdir(pidFolder);
      return name === undefined ? undefined : (JSON.parse(await readFile(join(pidFolder, name), 'utf8')).pid as number);
    });
  return {
    engine,
    store,
    tables,
    scratchFolder,
    pid,
    async [Symbol.asyncDispose]() {
      await engine.stop();
      await own[Symbol.asyncDispose]();
    },
  };
}

const sample = (rows: number) => [
  tensorOf('x', 'float32', [rows, LAYER_WIDTH], new Float32Array(rows * LAYER_WIDTH).fill(0.5)),
];

describe('a table of cuts', () => {
  it('has the shares of all segments and what crosses between them, and frees what it took', async () => {
    await using own = await measuring();
    const before = own.engine.load().memoryFreeBytes;
    const table = await own.engine.cuts(layers.ref, { signal });
    expect(table.model).toEqual(layers.ref);
    expect(table.segments.length).toBeGreaterThan(2);
    expect(table.segments.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
    expect(table.reason).toBeUndefined();
    expect(table.wholeMs).toBeGreaterThan(0);
    expect(table.shapes).toMatch(/^x:float32\[1,96\]$/);
    expect(table.device).toContain('test');
    // The shared weight of the last two layers counts once.
    const own36 = table.segments.reduce((sum, { weightBytes }) => sum + weightBytes, 0);
    const shared = table.shared.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(own36 + shared).toBe((LAYERS - 1) * 4 * LAYER_WIDTH ** 2);
    const crossing = table.tensors.filter(({ from, to }) => from >= 0 && to.length > 0);
    expect(crossing.length).toBeGreaterThan(0);
    for (const { type, dims, bytes } of crossing) {
      expect([type, bytes, dims?.length]).toEqual(['float32', 4 * LAYER_WIDTH, 2]);
    }
    expect(own.engine.load().memoryFreeBytes).toBe(before);
    expect(await readdir(own.scratchFolder)).toEqual([]);
  });

  it('is kept, and measured again where somebody asks for that, or with other inputs', async () => {
    await using own = await measuring();
    const first = await own.engine.cuts(layers.ref, { signal });
    expect(await own.engine.cuts(layers.ref, { signal })).toEqual(first);
    const again = await own.engine.cuts(layers.ref, { signal, refresh: true });
    expect(again.measuredAtMs).toBeGreaterThan(first.measuredAtMs);
    const wide = await own.engine.cuts(layers.ref, { signal, sample: sample(7) });
    expect(wide.shapes).toBe('x:float32[7,96]');
    const reopened = await CutStore.open({ log: silentLog }, { folder: own.tables });
    const key = { digest: layers.ref.digest, device: wide.device, version: '1' };
    expect(reopened.find({ ...key, shapes: wide.shapes })).toEqual(wide);
    expect(reopened.find({ ...key, shapes: undefined })).toEqual(again);
    expect(await own.engine.cuts(layers.ref, { signal, sample: sample(7) })).toEqual(wide);
  });

  it('is made of shapes as of tensors, and apart for what is to stay where it is', async () => {
    await using own = await measuring();
    const shape = { name: 'x', type: 'float32' as const, dims: [3, LAYER_WIDTH] };
    const table = await own.engine.cuts(layers.ref, { signal, sample: [shape] });
    expect(table.shapes).toBe('x:float32[3,96]');
    expect(await own.engine.cuts(layers.ref, { signal, sample: sample(3) })).toEqual(table);
    const raw = await own.engine.cuts(layers.ref, { signal, sample: sample(3), raw: ['x'] });
    expect(raw.raw).toEqual(['x']);
    expect(raw.measuredAtMs).toBeGreaterThan(table.measuredAtMs);
    const reopened = await CutStore.open({ log: silentLog }, { folder: own.tables });
    const key = { digest: layers.ref.digest, shapes: table.shapes, device: table.device, version: '1' };
    expect(reopened.find({ ...key, raw: ['x'] })).toEqual(raw);
    expect(reopened.find(key)).toEqual(table);
  });

  it('is measured once for all who ask at a time', async () => {
    await using own = await measuring();
    const both = await Promise.all([own.engine.cuts(layers.ref, { signal }), own.engine.cuts(layers.ref, { signal })]);
    expect(both[0]).toBe(both[1]);
  });

  it('of a graph that is nothing but one node has one segment', async () => {
    await using own = await measuring();
    const table = await own.engine.cuts(lookup.ref, { signal });
    expect(table.segments).toHaveLength(1);
    expect(table.segments[0]?.share).toBe(1);
  });
});

describe('a measurement', () => {
  it('whose process is killed fails, and the next one succeeds', async () => {
    await using own = await measuring();
    const failed = own.engine.cuts(layers.ref, { signal }).catch((error: unknown) => error);
    process.kill(await own.pid(), 'SIGKILL');
    expect(await failed).toMatchObject({ code: 'runner_lost' });
    expect((await own.engine.cuts(layers.ref, { signal })).segments.length).toBeGreaterThan(2);
  });

  it('that a request waits for goes on beside others where the node is never quiet, and is not kept', async () => {
    await using own = await measuring();
    let busy = true;
    const load = (async () => {
      while (busy) await own.engine.run({ model: layers.ref, inputs: sample(1), outputs: ['y'] }, workOptions());
    })();
    try {
      const table = await own.engine.cuts(layers.ref, { signal, sample: sample(5), urgent: true });
      expect(table.segments.length).toBeGreaterThan(2);
      const key = { digest: layers.ref.digest, shapes: table.shapes, device: table.device, version: '1' };
      expect(own.store.find(key)).toBeUndefined();
    } finally {
      busy = false;
      await load;
    }
  });

  it('gives way to a request, and begins anew', async () => {
    await using own = await measuring();
    const table = own.engine.cuts(layers.ref, { signal });
    const first = await own.pid();
    const { outputs } = await own.engine.run({ model: layers.ref, inputs: sample(1), outputs: ['y'] }, workOptions());
    expect(outputs).toHaveLength(1);
    await until('another process', async () => (await own.pid()) !== first);
    expect((await table).segments.length).toBeGreaterThan(2);
  });

  it('ends with the node', async () => {
    const own = await measuring();
    const failed = own.engine.cuts(layers.ref, { signal }).catch((error: unknown) => error);
    await own.pid();
    await own[Symbol.asyncDispose]();
    expect(await failed).toMatchObject({ code: 'stopping' });
    await expect(access(own.scratchFolder)).rejects.toThrow();
  });

  it('goes on when one who asked for it has left', async () => {
    await using own = await measuring();
    const leaving = new AbortController();
    const left = own.engine.cuts(layers.ref, { signal: leaving.signal }).catch((error: unknown) => error);
    await own.pid();
    const stays = own.engine.cuts(layers.ref, { signal });
    leaving.abort();
    expect(await left).toMatchObject({ code: 'cancelled' });
    expect((await stays).segments.length).toBeGreaterThan(2);
  });

  it('refuses inputs that the graph refuses, models that are not here, and memory that is not there', async () => {
    await using own = await measuring();
    const wrong = [tensorOf('x', 'float32', [1, 3], new Float32Array(3))];
    await expect(own.engine.cuts(layers.ref, { signal, sample: wrong })).rejects.toMatchObject({
      code: 'tensor_invalid',
    });
    const other = { id: 'test/other', digest: `sha256:${'0'.repeat(64)}` };
    await expect(own.engine.cuts(other, { signal })).rejects.toMatchObject({ code: 'model_not_found' });
    await using small = await measuring({ memoryBytesMax: 16 << 20 });
    await expect(small.engine.cuts(layers.ref, { signal })).rejects.toMatchObject({ code: 'out_of_memory' });
  });

  it('is refused where nothing keeps it', async () => {
    await using own = await temporaryFolder();
    const components = { clock: systemClock, log: silentLog, telemetry: silentTelemetry };
    const engine = new SupervisedEngine(components, engineInit([layers], own.path));
    await engine.start();
    await expect(engine.cuts(layers.ref, { signal })).rejects.toMatchObject({ code: 'unsupported' });
    await engine.stop();
  });
});
