// Case 16 where no reader can see it coming: graphs that pass every check, and take all memory or time once a request
// says how much. Real runners, real graphs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { canonicalJson } from '../../../models/manifest.ts';
import { TensorProto_DataType as DataType } from '../../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../../models/onnx/tensors.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { RunnerProcess } from '../../../node/engine/runner-process.ts';
import type { SupervisedEngine, SupervisedEngineInit } from '../../../node/engine/supervised-engine.ts';
import type { RunRequest, RunResult } from '../../../protocol/infer.ts';
import { RUNNER_METHODS } from '../../../protocol/methods.ts';
import { float32Elements, tensorNamed, tensorOf } from '../../../protocol/tensor.ts';
import { failure } from '../../compliance/engine.ts';
import { workOptions } from '../../compliance/engine-requests.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import { isAlive, until } from '../../support/wait.ts';
import { graphOfAnotherDomain } from '../library/hostile.ts';
import { installGraph } from './small-graphs.ts';
import { RUNNER_ENTRY, startEngine, temporaryFolder } from './support.ts';

const MIB = 2 ** 20;

/** `n` int64 [1] → `y`, the sum of so many zeros, all of them in memory at once. */
function swellingGraph(): Uint8Array {
  const builder = new GraphBuilder();
  builder.as('y', builder.op('ReduceSum', [builder.op('ConstantOfShape', ['n'])], { keepdims: 1n }));
  return builder.file([valueInfo('n', DataType.INT64, [1])], [valueInfo('y', DataType.FLOAT, [1])]);
}

/** `n` int64 [1] → `y`, how often a loop turned that was to turn so often. */
function turningGraph(): Uint8Array {
  const body = new GraphBuilder('body_');
  body.as('going_on', 'going');
  body.as('counted', body.op('Add', ['count', body.floats([1], [1])]));
  const inner = body.graph(
    [
      valueInfo('turn', DataType.INT64, []),
      valueInfo('going', DataType.BOOL, [1]),
      valueInfo('count', DataType.FLOAT, [1]),
    ],
    [valueInfo('going_on', DataType.BOOL, [1]), valueInfo('counted', DataType.FLOAT, [1])],
  );
  const builder = new GraphBuilder();
  const going = builder.op('Equal', ['n', 'n']);
  builder.as('y', builder.op('Loop', ['n', going, builder.floats([1], [0])], { body: inner }));
  return builder.file([valueInfo('n', DataType.INT64, [1])], [valueInfo('y', DataType.FLOAT, [1])]);
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let swelling: InstalledModel;
let turning: InstalledModel;
beforeAll(async () => {
  folder = await temporaryFolder();
  swelling = await installGraph(folder.path, 'swelling', swellingGraph());
  turning = await installGraph(folder.path, 'turning', turningGraph());
});
afterAll(() => folder?.[Symbol.asyncDispose]());

const request = ({ ref }: InstalledModel, n: number): RunRequest => ({
  model: ref,
  inputs: [tensorOf('n', 'int64', [1], BigInt64Array.of(BigInt(n)))],
  outputs: [],
});
const run = (engine: SupervisedEngine, model: InstalledModel, n: number, requestId = 'req_any'): Promise<RunResult> =>
  engine.run(request(model, n), workOptions({ requestId }));
const answer = ({ outputs }: RunResult): number | undefined => float32Elements(tensorNamed(outputs, 'y'))[0];

/** Sends the bomb twice, as a caller does that tries again: the runner dies each time, and then nobody gets it any more. */
async function explode(
  model: InstalledModel,
  n: number,
  how: { readonly code: string; readonly small: number; readonly init: Partial<SupervisedEngineInit> },
): Promise<void> {
  await using started = await startEngine([model], how.init);
  const { engine } = started;
  expect(answer(await run(engine, model, 4))).toBe(how.small);
  const before = process.memoryUsage().rss;
  const pid = engine.loaded()[0]?.runnerPid ?? 0;
  expect((await failure(run(engine, model, n, 'req_bomb'))).code).toBe(how.code);
  await until('the runner to be gone', async () => !(await isAlive(pid)));
  expect((await failure(run(engine, model, n, 'req_bomb'))).code).toBe('model_quarantined');
  expect(engine.loaded()).toMatchObject([{ state: 'quarantined', reason: expect.stringContaining('twice') }]);
  expect((await failure(run(engine, model, 4))).code).toBe('model_quarantined');
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB);
}

describe('a graph that was put into the folder by hand', () => {
  it('is looked at before the runtime sees it: one of foreign operators is refused, its node goes on', async () => {
    const hostile = await installGraph(folder.path, 'hostile', graphOfAnotherDomain(), new Set());
    await using started = await startEngine([hostile, swelling]);
    const { engine } = started;
    const asked = { model: hostile.ref, inputs: [tensorOf('x', 'float32', [1], Float32Array.of(1))], outputs: [] };
    // The runtime itself would only say that it has no such operator, where no library of its name is there.
    expect(await failure(engine.run(asked, workOptions()))).toMatchObject({
      code: 'model_corrupt',
      message: expect.stringContaining('com.evil'),
    });
    expect(answer(await run(engine, swelling, 4))).toBe(0);
  });
});

describe('a graph that swells', () => {
  /** 1.2 GB. */
  const many = 300e6;

  it('dies at its cap, twice, and is quarantined; the node keeps its memory', async () => {
    await explode(swelling, many, { code: 'runner_lost', small: 0, init: { memoryBytesMax: 500 * MIB } });
  });

  it('takes what it asks for where nothing caps it', async () => {
    // A runner of its own, which nobody has told of a cap.
    const runner = new RunnerProcess(
      {
        clock: systemClock,
        log: silentLog,
        onLost: () => undefined,
        onGone: () => undefined,
        onReading: () => undefined,
      },
      {
        nodePath: process.execPath,
        execArgv: [],
        entry: RUNNER_ENTRY,
        args: [],
        liveness: { intervalMs: 100, timeoutMs: 20_000 },
      },
    );
    try {
      const call = { signal: new AbortController().signal, requestId: 'req_bomb' };
      const { ref, manifest, folder } = swelling;
      const load = {
        model: ref,
        folder,
        manifestJson: canonicalJson(manifest),
        threads: 1,
        provider: 'cpu',
        verifyLarge: false,
        kvBytesMax: 0n,
        sequencesMax: 0,
        device: '',
        exact: false,
        decoderChecked: false,
        spareBytes: 0n,
        spin: false,
      };
      await runner.client.call(RUNNER_METHODS.load, load, call).response;
      const { outputs } = await runner.client.call(RUNNER_METHODS.run, request(swelling, many), call).response;
      expect(outputs).toHaveLength(1);
    } finally {
      await runner.stop();
    }
  });
});

describe('a graph that turns without end', () => {
  /** A second or more; what is endless in truth is ended no later. */
  const many = 2e6;

  it('is ended when it stands still, twice, and is quarantined', async () => {
    await explode(turning, 2 ** 52, { code: 'runner_timeout', small: 4, init: { hangMs: () => 400 } });
  });

  it('turns on where nothing ends it', async () => {
    await using started = await startEngine([turning], { hangMs: () => Number.POSITIVE_INFINITY });
    expect(answer(await run(started.engine, turning, many))).toBe(many);
    await using guarded = await startEngine([turning], { hangMs: () => 400 });
    expect((await failure(run(guarded.engine, turning, many))).code).toBe('runner_timeout');
  });
});
