// Parts of graphs as the engine runs them, in real runners on small graphs: the same answers as the whole, each part a thing
// of its own in memory, and files that are brought where the model isn't.
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { canonicalJson } from '../../../models/manifest.ts';
import { readModel } from '../../../models/onnx/model-file.ts';
import { extractPart } from '../../../models/onnx/partition/extract.ts';
import { rangeOf, weightBytes, weightRanges } from '../../../models/onnx/partition/weights.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { LoadedModel, WorkOptions } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { PartFiles } from '../../../node/core/part-files.ts';
import { SupervisedEngine } from '../../../node/engine/supervised-engine.ts';
import type { RunResult } from '../../../protocol/infer.ts';
import type { GraphPart, PartInput } from '../../../protocol/part.ts';
import { float32Elements, type NamedTensor, tensorNamed, tensorOf } from '../../../protocol/tensor.ts';
import { failure } from '../../compliance/engine.ts';
import { workOptions } from '../../compliance/engine-requests.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { until } from '../../support/wait.ts';
import { installGraph, LAYER_WIDTH, layersGraph } from './small-graphs.ts';
import { engineInit, silentTelemetry, startEngine, temporaryFolder } from './support.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let layers: InstalledModel;
let started: Awaited<ReturnType<typeof startEngine>>;
let engine: SupervisedEngine;
beforeAll(async () => {
  folder = await temporaryFolder();
  layers = await installGraph(folder.path, 'layers', layersGraph(6));
  started = await startEngine([layers]);
  engine = started.engine;
});
afterAll(async () => {
  await started?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

const row = (name: string): PartInput => ({ name, type: 'float32', dims: ['N', LAYER_WIDTH] });
const partOf = (inputs: readonly string[], outputs: readonly string[]): GraphPart => ({
  inputs: inputs.map(row),
  outputs,
});
const rowsOf = (rows: number, seed = 1): NamedTensor => {
  const random = new SeededRandom(seed);
  const values = Float32Array.from({ length: rows * LAYER_WIDTH }, () => random.next() - 0.5);
  return tensorOf('x', 'float32', [rows, LAYER_WIDTH], values);
};
const run = (part: GraphPart | undefined, inputs: readonly NamedTensor[], options: Partial<WorkOptions> = {}) =>
  engine.run({ model: layers.ref, inputs, outputs: [], ...(part === undefined ? {} : { part }) }, workOptions(options));
const floats = ({ outputs }: RunResult, name: string): number[] => [...float32Elements(tensorNamed(outputs, name))];
const partsIn = (of: SupervisedEngine): LoadedModel[] => of.loaded().filter(({ part }) => part !== undefined);

/** Runs parts one after the other, each on what came before. */
async function chain(parts: readonly GraphPart[], x: NamedTensor): Promise<RunResult> {
  const known = new Map([[x.name, x]]);
  let last: RunResult | undefined;
  for (const part of parts) {
    last = await run(
      part,
      part.inputs.map(({ name }) => known.get(name) as NamedTensor),
    );
    for (const output of last.outputs) known.set(output.name, output);
  }
  return last as RunResult;
}

describe('parts of a graph', () => {
  it.each([
    ['two', [partOf(['x'], ['layer_3', 'layer_1']), partOf(['layer_3', 'layer_1'], ['y'])]],
    [
      'three, the second of which takes no input of the graph',
      [
        partOf(['x'], ['layer_1', 'layer_2']),
        partOf(['layer_2'], ['layer_4']),
        partOf(['layer_4', 'layer_1'], ['y', 'layer_6']),
      ],
    ],
  ] as const)('give together what the whole gives: %s', async (_what, parts) => {
    for (const rows of [1, 7]) {
      const x = rowsOf(rows, rows);
      const whole = floats(await run(undefined, [x]), 'y');
      const result = await chain(parts, x);
      const differ = floats(result, 'y').map((value, at) => Math.abs(value - (whole[at] ?? Number.NaN)));
      expect(Math.max(...differ)).toBeLessThan(1e-4);
      expect(result.node).toBe(engine.node);
    }
  });

  it('give the outputs that are wanted, and all where none is named', async () => {
    const part = partOf(['x'], ['layer_2', 'layer_1']);
    const all = await run(part, [rowsOf(1)]);
    expect(all.outputs.map(({ name }) => name)).toEqual(['layer_2', 'layer_1']);
    const request = { model: layers.ref, inputs: [rowsOf(1)], outputs: ['layer_1'], part };
    const one = await engine.run(request, workOptions());
    expect(one.outputs).toEqual([all.outputs[1]]);
  });

  it('are in memory by themselves, in a runner apart from that of models', async () => {
    await using own = await startEngine([layers]);
    const part = partOf(['layer_4', 'layer_1'], ['y']);
    const inputs = ['layer_4', 'layer_1'].map((name) => ({ ...rowsOf(2), name }));
    const request = { model: layers.ref, inputs, outputs: [], part };
    const first = await own.engine.run(request, workOptions());
    expect(first.timing.loadMs).toBeGreaterThan(0);
    expect(own.engine.loaded()).toMatchObject([
      {
        id: layers.ref.id,
        state: 'loaded',
        provider: 'cpu',
        part: { model: layers.ref.digest, inputs: ['layer_4', 'layer_1'], outputs: ['y'] },
        batching: { batching: 'none' },
      },
    ]);
    expect(own.engine.offers()).toMatchObject([{ model: layers.ref, state: 'disk' }]);
    await own.engine.run({ model: layers.ref, inputs: [rowsOf(1)], outputs: [] }, workOptions());
    const pids = own.engine.loaded().map(({ runnerPid }) => runnerPid);
    expect(new Set(pids).size).toBe(2);
    // What its runs take is measured like a model's.
    await own.engine.run(request, workOptions());
    const offer = own.engine.partOffer(layers.ref, { ...part, inputs: part.inputs.toReversed() });
    expect(offer).toMatchObject({ state: 'loaded', sizeBytes: LAYER_WIDTH ** 2 * 4, profile: { samples: 1 } });
    expect(offer?.model.digest).toBe(partsIn(own.engine)[0]?.digest);
    expect(own.engine.partOffer(layers.ref, partOf(['x'], ['y']))).toBeUndefined();
  });

  it('are loaded once for all who ask at the same time', async () => {
    await using own = await startEngine([layers]);
    const seen = new Set<string>();
    own.engine.onChange(() => {
      for (const { digest } of own.engine.loaded()) seen.add(digest);
    });
    const part = partOf(['x'], ['layer_1', 'layer_2']);
    const request = { model: layers.ref, inputs: [rowsOf(1)], outputs: [], part };
    const turned = { ...request, part: { ...part, outputs: part.outputs.toReversed() } };
    const results = await Promise.all([request, turned, request].map((each) => own.engine.run(each, workOptions())));
    expect(seen.size).toBe(1);
    expect(results[1]?.outputs).toEqual(results[0]?.outputs.toReversed());
    expect(results.every(({ timing }) => timing.loadMs > 0)).toBe(true);
    expect(own.engine.loaded()).toHaveLength(1);
  });

  it('leave memory when nobody has asked for a while, with their runner', async () => {
    await using own = await startEngine([layers], { keepAliveMs: () => 50 });
    const request = { model: layers.ref, inputs: [rowsOf(1)], outputs: [], part: partOf(['x'], ['layer_1']) };
    await own.engine.run(request, workOptions());
    await until('an empty node', () => own.engine.load().memoryFreeBytes === 4 * 2 ** 30);
    expect(own.engine.loaded()).toEqual([]);
    // Their graph is known: it is not looked at again.
    await own.engine.run(request, workOptions());
  });

  it('are unloaded with their model, or alone by their own digest', async () => {
    await using own = await startEngine([layers]);
    const request = { model: layers.ref, inputs: [rowsOf(1)], outputs: [] };
    await own.engine.run({ ...request, part: partOf(['x'], ['layer_1']) }, workOptions());
    await own.engine.run({ ...request, part: partOf(['x'], ['layer_2']) }, workOptions());
    const [first, second] = partsIn(own.engine);
    expect(await own.engine.unload(first?.digest ?? '')).toBe(true);
    expect(partsIn(own.engine).map(({ digest }) => digest)).toEqual([second?.digest]);
    expect(await own.engine.unload(layers.ref.digest)).toBe(true);
    expect(own.engine.loaded()).toEqual([]);
    expect(await own.engine.unload(layers.ref.digest)).toBe(false);
  });

  it('go with their model when it is withdrawn', async () => {
    await using own = await startEngine([layers]);
    const request = { model: layers.ref, inputs: [rowsOf(1)], outputs: [], part: partOf(['x'], ['layer_1']) };
    await own.engine.run(request, workOptions());
    await own.engine.withdraw(layers.ref.digest);
    expect(own.engine.loaded()).toEqual([]);
    expect(own.engine.partOffer(layers.ref, request.part)).toBeUndefined();
    expect((await failure(own.engine.run(request, workOptions()))).code).toBe('model_not_found');
  });
});

describe('a request for a part', () => {
  const part = partOf(['layer_4', 'layer_1'], ['y']);
  const inputs = ['layer_4', 'layer_1'].map((name) => ({ ...rowsOf(2), name }));

  it.each<[string, readonly NamedTensor[]]>([
    ['lacks an input', inputs.slice(1)],
    ['has an input of another name', [...inputs, rowsOf(1)]],
    ['has an input twice', [...inputs, inputs[0] as NamedTensor]],
    ['has another element type', [{ ...inputs[0], type: 'int32' } as NamedTensor, inputs[1] as NamedTensor]],
    [
      'has another fixed dimension',
      [{ ...inputs[0], dims: [LAYER_WIDTH, 2] } as NamedTensor, inputs[1] as NamedTensor],
    ],
  ])('is refused where it %s', async (_what, given) => {
    expect((await failure(run(part, given))).code).toBe('tensor_invalid');
  });

  it('is refused where it wants an output that the part does not have', async () => {
    const request = { model: layers.ref, inputs, outputs: ['layer_6'], part };
    expect((await failure(engine.run(request, workOptions()))).code).toBe('bad_request');
  });

  it.each<[string, GraphPart, string]>([
    ['a tensor that the graph does not have', partOf(['x'], ['layer_99']), 'tensor_invalid'],
    ['an input that the graph does not have', partOf(['z'], ['layer_2']), 'tensor_invalid'],
    ['an output that its inputs do not give', partOf(['layer_2'], ['y']), 'bad_request'],
    ['nothing', partOf(['x'], []), 'bad_request'],
  ])('is refused by name where the part has %s, and leaves nothing in memory', async (_what, wrong, code) => {
    await using own = await startEngine([layers]);
    const given = wrong.inputs.map(({ name }) => ({ ...rowsOf(1), name }));
    const request = { model: layers.ref, inputs: given, outputs: [], part: wrong };
    const error = await failure(own.engine.run(request, workOptions()));
    expect(error).toMatchObject({ code, elsewhere: false });
    expect(own.engine.loaded()).toEqual([]);
    expect(own.engine.partOffer(layers.ref, wrong)).toBeUndefined();
    expect(own.engine.load().memoryFreeBytes).toBe(4 * 2 ** 30);
  });

  it('is refused where the model is not here', async () => {
    const model = { id: 'nobody/nothing', digest: `sha256:${'0'.repeat(64)}` };
    const error = await failure(engine.run({ model, inputs, outputs: [], part }, workOptions()));
    expect(error.code).toBe('model_not_found');
  });

  it('ends when its caller leaves, and the next one is served', async () => {
    const abort = new AbortController();
    const work = run(partOf(['x'], ['layer_5']), [rowsOf(3)], { signal: abort.signal });
    abort.abort();
    expect((await failure(work)).code).toBe('cancelled');
    expect((await run(partOf(['x'], ['layer_5']), [rowsOf(3)])).outputs).toHaveLength(1);
  });

  it('carries large tensors both ways', async () => {
    const x = rowsOf(20_000);
    const { outputs } = await run(partOf(['x'], ['layer_1']), [x]);
    expect(outputs[0]?.data.byteLength).toBe(x.data.byteLength);
  });
});

describe('a part of a model that is not here', () => {
  const part = partOf(['x'], ['layer_1']);

  /** An engine without models, to which files come as told. */
  async function startBringing(prepare: PartFiles['prepare']) {
    const pids = await temporaryFolder();
    const own = new SupervisedEngine(
      { clock: systemClock, log: silentLog, telemetry: silentTelemetry, partFiles: { prepare } },
      engineInit([], pids.path),
    );
    await own.start();
    return {
      ask: (options: Partial<WorkOptions> = {}) =>
        own.run({ model: layers.ref, inputs: [rowsOf(1)], outputs: [], part }, workOptions(options)),
      engine: own,
      async [Symbol.asyncDispose]() {
        await own.stop();
        await pids[Symbol.asyncDispose]();
      },
    };
  }
  const manifestJson = (): string => canonicalJson(layers.manifest);

  it('is run once its files were brought, once for all who wait', async () => {
    const asked: unknown[] = [];
    await using own = await startBringing(async (model, graph, { from }) => {
      asked.push([model.digest, graph.outputs, from]);
      await sleep(20);
      return { folder: layers.folder, manifestJson: manifestJson() };
    });
    const results = await Promise.all([own.ask({ caller: 'node-a' }), own.ask({ caller: 'node-b' })]);
    expect(asked).toEqual([[layers.ref.digest, ['layer_1'], ['node-a']]]);
    expect(floats(results[0], 'layer_1')).toEqual(floats(await run(part, [rowsOf(1)]), 'layer_1'));
    expect(results[0].timing.loadMs).toBeGreaterThanOrEqual(19);
    expect(results[0].timing.queueMs).toBeGreaterThanOrEqual(results[0].timing.loadMs);
    // In memory nothing is needed of it; for its next load it is.
    await own.ask();
    expect(asked).toHaveLength(1);
    expect(await own.engine.unload(layers.ref.digest)).toBe(true);
    await own.ask();
    expect(asked).toHaveLength(2);
  });

  it('needs no byte of the weights of others, which nobody could verify', async () => {
    await using holes = await temporaryFolder();
    await cp(layers.folder, holes.path, { recursive: true });
    const path = join(holes.path, ...layers.manifest.graph.split('/'));
    const model = readModel(path);
    const mine = weightRanges(extractPart(model, part));
    const all = model.graph?.initializer.flatMap((tensor) => rangeOf(tensor) ?? []) ?? [];
    const others = all.filter(({ offset }) => !mine.some((own) => own.offset === offset));
    expect([mine.length, others.length]).toEqual([1, 4]);
    const bytes = await readFile(path);
    for (const { offset, length } of others) bytes.fill(0, offset, offset + length);
    await writeFile(path, bytes);
    await using own = await startBringing(async () => ({
      folder: holes.path,
      manifestJson: manifestJson(),
      weightBytes: weightBytes(extractPart(model, part)),
    }));
    expect(floats(await own.ask(), 'layer_1')).toEqual(floats(await run(part, [rowsOf(1)]), 'layer_1'));
    expect(own.engine.partOffer(layers.ref, part)?.sizeBytes).toBe(LAYER_WIDTH ** 2 * 4);
    // A model that is said to be there as a whole is verified as a whole.
    await using whole = await startEngine([{ ...layers, folder: holes.path }]);
    const request = { model: layers.ref, inputs: [rowsOf(1)], outputs: [], part };
    expect((await failure(whole.engine.run(request, workOptions()))).code).toBe('model_corrupt');
  });

  it('is refused for what bringing it fails with, and tried again', async () => {
    let calls = 0;
    await using own = await startBringing(async () => {
      calls++;
      throw new Error('no disk');
    });
    expect((await failure(own.ask())).message).toContain('no disk');
    await failure(own.ask());
    expect(calls).toBe(2);
  });

  it('is refused where another model came', async () => {
    const manifest = { ...layers.manifest, precision: 'other' };
    await using own = await startBringing(async () => ({
      folder: layers.folder,
      manifestJson: canonicalJson(manifest),
    }));
    expect((await failure(own.ask())).code).toBe('model_corrupt');
  });

  it('is brought for as long as somebody waits, and no longer', async () => {
    const signals: AbortSignal[] = [];
    await using own = await startBringing((_model, _graph, { signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    const abort = new AbortController();
    const first = failure(own.ask({ signal: abort.signal }));
    const second = failure(own.ask({ budgetMs: 60 }));
    await until('files being brought', () => signals.length === 1);
    abort.abort();
    expect((await first).code).toBe('cancelled');
    expect(signals[0]?.aborted).toBe(false);
    expect((await second).code).toBe('deadline_exceeded');
    expect(signals[0]?.aborted).toBe(true);
    const third = failure(own.ask());
    await until('files being brought again', () => signals.length === 2);
    await own.engine.stop();
    expect((await third).code).toBe('stopping');
  });
});
