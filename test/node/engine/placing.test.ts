// Models on devices: where each is loaded, what happens to it there, and what it costs the others. Real processes that act
// as they are told; devices that are only told of.
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { type DeviceChoice, PROCESSOR_CHOICE } from '../../../node/engine/devices/choose.ts';
import { type DeviceChooser, processorOnly } from '../../../node/engine/devices/chooser.ts';
import { SupervisedEngine, type SupervisedEngineInit } from '../../../node/engine/supervised-engine.ts';
import { failure } from '../../compliance/engine.ts';
import { generateRequest, workOptions } from '../../compliance/engine-requests.ts';
import { until } from '../../support/wait.ts';
import { ACTING_ENTRY, type Act, actingModel, actRequest, type Loaded } from './acting-model.ts';
import { engineInit, silentTelemetry, temporaryFolder } from './support.ts';

const MIB = 2 ** 20;
const POOL = 'gpu:a';
const CUDA: DeviceChoice = { provider: 'cuda', index: 1, pool: POOL, reason: 'asked for' };

/** Names a device for all models but those that are `plain`, until it has failed on one. */
class FakeChooser implements DeviceChooser {
  readonly failures = new Map<string, string>();
  readonly asked: { digest: string; pools: string[] }[] = [];
  readonly #plain: ReadonlySet<string>;
  readonly #deviceBytes: number;
  readonly untried = processorOnly().untried;
  readonly list = processorOnly().list;

  constructor(plain: readonly InstalledModel[] = [], deviceBytes = 1_000 * MIB) {
    this.#plain = new Set(plain.map(({ ref }) => ref.digest));
    this.#deviceBytes = deviceBytes;
  }

  readonly choose: DeviceChooser['choose'] = async ({ digest, residents }) => {
    this.asked.push({ digest, pools: residents.map(({ pool }) => pool) });
    const failed = this.failures.get(digest);
    const order = failed !== undefined || this.#plain.has(digest) ? [] : [CUDA];
    return { order: [...order, PROCESSOR_CHOICE], passedOver: [], fallbackReason: failed };
  };

  readonly failed: DeviceChooser['failed'] = (digest, { provider, index }, reason) => {
    expect([provider, index]).toEqual(['cuda', 1]);
    this.failures.set(digest, reason);
  };

  readonly budgets = (): ReadonlyMap<string, number> =>
    new Map([
      ['cpu', Number.POSITIVE_INFINITY],
      [POOL, this.#deviceBytes],
    ]);
}

async function start(
  models: readonly InstalledModel[],
  devices: DeviceChooser,
  overrides: Partial<SupervisedEngineInit> = {},
): Promise<AsyncDisposable & { readonly engine: SupervisedEngine }> {
  const folder = await temporaryFolder();
  const init = engineInit(models, folder.path, { runnerEntry: ACTING_ENTRY, ...overrides });
  const engine = new SupervisedEngine(
    { clock: systemClock, log: silentLog, telemetry: silentTelemetry, devices },
    init,
  );
  await engine.start();
  return {
    engine,
    async [Symbol.asyncDispose]() {
      await engine.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const run = (engine: SupervisedEngine, model: InstalledModel, act: Act = {}) =>
  engine.run(actRequest(model, act), workOptions());
const statusOf = (engine: SupervisedEngine, { ref }: InstalledModel) => engine.loaded().find(({ id }) => id === ref.id);

/** How a model was loaded, as its runner says. */
async function loadOf(engine: SupervisedEngine, model: InstalledModel): Promise<Loaded> {
  const { outputs } = await run(engine, model, { tells: true });
  return JSON.parse(Buffer.from(outputs[0]?.data ?? []).toString()) as Loaded;
}

describe('a model for a device', () => {
  it('is loaded there, in a runner of its own; the others share theirs', async () => {
    const [a, b, onGpu] = [actingModel('a'), actingModel('b'), actingModel('gpu')];
    await using started = await start([a, b, onGpu], new FakeChooser([a, b]));
    const { engine } = started;
    expect(await loadOf(engine, onGpu)).toMatchObject({ provider: 'cuda', device: '1' });
    expect(await loadOf(engine, a)).toMatchObject({ provider: 'cpu' });
    await run(engine, b);
    const pids = [a, b, onGpu].map((model) => statusOf(engine, model)?.runnerPid);
    expect(pids[0]).toBe(pids[1]);
    expect(pids[2]).not.toBe(pids[0]);
    expect(statusOf(engine, onGpu)).toMatchObject({
      provider: 'cuda',
      fallbackReason: undefined,
      batching: { batching: 'none', reason: 'Its inputs have no dimension but the first.' },
    });
  });

  it('goes to the processor where the runner can not use the device, and says why', async () => {
    const model = actingModel('refused', { refuses: 'cuda' });
    const devices = new FakeChooser();
    await using started = await start([model], devices);
    await run(started.engine, model);
    expect(statusOf(started.engine, model)).toMatchObject({ provider: 'cpu', fallbackReason: 'cuda: refused' });
    expect([...devices.failures]).toEqual([[model.ref.digest, 'cuda: refused']]);
  });

  it('goes to the processor, in a new runner, where the device takes the first one along: no request fails', async () => {
    const model = actingModel('crashes', { diesOn: 'cuda' });
    const devices = new FakeChooser();
    await using started = await start([model], devices);
    const { engine } = started;
    await Promise.all([run(engine, model), run(engine, model)]);
    expect(statusOf(engine, model)).toMatchObject({
      state: 'loaded',
      provider: 'cpu',
      fallbackReason: expect.stringMatching(/^cuda: .*SIGKILL/),
    });
    expect(devices.failures.size).toBe(1);
    // Back among the models of the processor: it is no danger to them any more.
    await engine.unload(model.ref.digest);
    expect(await loadOf(engine, model)).toMatchObject({ provider: 'cpu' });
  });

  it('leaves requests of other models alone when its driver crashes', async () => {
    const [calm, wild] = [actingModel('calm', {}, { task: 'text-generation' }), actingModel('wild')];
    const small = actingModel('small');
    await using started = await start([calm, small, wild], new FakeChooser([calm, small]));
    const { engine } = started;
    await run(engine, small);
    await run(engine, wild);
    const pid = statusOf(engine, small)?.runnerPid;
    const stream = engine.generate(generateRequest(calm.ref, [1], { maxNewTokens: 300 }), workOptions(), () => {
      /* counted at the end */
    });
    const busy = run(engine, small, { growMib: 1, ms: 200 });
    expect((await failure(run(engine, wild, { diesOn: 'cuda' }))).code).toBe('runner_lost');
    expect((await stream).generated).toBe(300);
    await busy;
    expect(statusOf(engine, small)?.runnerPid).toBe(pid);
  });

  it('would take them along if it shared their runner', async () => {
    const [small, wild] = [actingModel('small'), actingModel('wild')];
    await using started = await start([small, wild], new FakeChooser([small, wild]));
    const { engine } = started;
    await run(engine, small);
    await run(engine, wild);
    const busy = failure(run(engine, small, { growMib: 1, ms: 5_000 }));
    expect((await failure(run(engine, wild, { diesOn: 'cpu' }))).code).toBe('runner_lost');
    expect((await busy).code).toBe('runner_lost');
  });

  it('is moved to the processor, not quarantined, when one request takes the runner along twice', async () => {
    const model = actingModel('moved');
    const devices = new FakeChooser();
    await using started = await start([model], devices);
    const { engine } = started;
    const deadly = () => engine.run(actRequest(model, { diesOn: 'cuda' }), { ...workOptions(), requestId: 'deadly' });
    expect((await failure(deadly())).code).toBe('runner_lost');
    expect(devices.failures.size).toBe(0);
    expect((await failure(deadly())).code).toBe('runner_lost');
    expect(devices.failures.get(model.ref.digest)).toContain('twice');
    await deadly();
    expect(statusOf(engine, model)).toMatchObject({ state: 'loaded', provider: 'cpu' });
  });

  it('is known to be on the processor when the device has failed in the middle', async () => {
    const model = actingModel('lost');
    const devices = new FakeChooser();
    await using started = await start([model], devices);
    const { engine } = started;
    await run(engine, model);
    await run(engine, model, { losesDevice: true });
    await until('the daemon to know', async () => {
      await run(engine, model);
      return statusOf(engine, model)?.provider === 'cpu';
    });
    expect(statusOf(engine, model)?.fallbackReason).toBe('cuda: lost');
    expect(devices.failures.get(model.ref.digest)).toBe('cuda: lost');
  });
});

describe('memory of a device', () => {
  it('is counted by itself: models leave it for each other, and the processor keeps what it has', async () => {
    const [cpu, first, second] = [actingModel('cpu'), actingModel('first'), actingModel('second')];
    const devices = new FakeChooser([cpu], 40 * MIB);
    await using started = await start([cpu, first, second], devices);
    const { engine } = started;
    await run(engine, cpu);
    await run(engine, first);
    await run(engine, second);
    expect(engine.loaded().map(({ id, provider }) => [id, provider])).toEqual([
      ['acting/cpu', 'cpu'],
      ['acting/second', 'cuda'],
    ]);
    expect(devices.asked.find(({ digest }) => digest === second.ref.digest)?.pools).toEqual(['cpu', 'cpu', POOL]);
  });

  it('that is too small sends the model to the processor, which is no failure of the device', async () => {
    const model = actingModel('large');
    const devices = new FakeChooser([], 10 * MIB);
    await using started = await start([model], devices);
    await run(started.engine, model);
    expect(statusOf(started.engine, model)).toMatchObject({
      provider: 'cpu',
      fallbackReason: 'cuda: acting/large needs 27 MiB; models may take 10 MiB of the device.',
    });
    expect(devices.failures.size).toBe(0);
  });
});

describe('threads', () => {
  it('are all for a runner that is alone, spinning; beside a busy one they are shared, and sleep', async () => {
    const [alone, beside] = [actingModel('alone'), actingModel('beside', {}, { task: 'text-generation' })];
    await using started = await start([alone, beside], processorOnly(), { threads: () => 6 });
    const { engine } = started;
    expect(await loadOf(engine, alone)).toMatchObject({ threads: 6, spin: true });
    const busy = run(engine, alone, { growMib: 1, ms: 1_000 });
    expect(await loadOf(engine, beside)).toMatchObject({ threads: 3, spin: false });
    await busy;
    await engine.unload(beside.ref.digest);
    expect(await loadOf(engine, beside)).toMatchObject({ threads: 6, spin: false });
    await engine.unload(alone.ref.digest);
    await engine.unload(beside.ref.digest);
    expect(await loadOf(engine, beside)).toMatchObject({ threads: 6, spin: true });
  });
});
