// Memory as it is promised and kept: caps, hangs, shared loads, pinning. Real processes that act as they are told.
import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { LoadingProgress } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { RunnerReading } from '../../../node/engine/lifeline-reader.ts';
import { RunnerProcess } from '../../../node/engine/runner-process.ts';
import type { SupervisedEngine, SupervisedEngineInit } from '../../../node/engine/supervised-engine.ts';
import { RUNNER_METHODS } from '../../../protocol/methods.ts';
import { failure } from '../../compliance/engine.ts';
import { generateRequest, workOptions } from '../../compliance/engine-requests.ts';
import { isAlive, until } from '../../support/wait.ts';
import { ACTING_ENTRY, type Act, actingModel, actRequest } from './acting-model.ts';
import { startEngine } from './support.ts';

const MIB = 2 ** 20;

type Started = Awaited<ReturnType<typeof startEngine>>;
const startActing = (models: readonly InstalledModel[], overrides: Partial<SupervisedEngineInit> = {}) =>
  startEngine(models, { runnerEntry: ACTING_ENTRY, ...overrides });

const run = (engine: SupervisedEngine, model: InstalledModel, act: Act = {}) =>
  engine.run(actRequest(model, act), workOptions());
const loadedOf = (engine: SupervisedEngine, { ref }: InstalledModel) => engine.loaded().find(({ id }) => id === ref.id);
const reserved = (engine: SupervisedEngine): number =>
  engine.loaded().reduce((sum, { residentBytes }) => sum + residentBytes, 0);
const ask = (engine: SupervisedEngine, { ref }: InstalledModel, tokens = 1) =>
  engine.generate(generateRequest(ref, [1], { maxNewTokens: tokens }), workOptions(), () => undefined);

/** Two models that have a runner each. */
const pair = (first = {}, second = {}): [InstalledModel, InstalledModel] => [
  actingModel('first', { takesMib: 40, ...first }, { task: 'text-generation' }),
  actingModel('second', { takesMib: 40, ...second }, { task: 'text-generation' }),
];

describe('the cap of a runner', () => {
  const launch = {
    nodePath: process.execPath,
    execArgv: [],
    entry: ACTING_ENTRY,
    args: [],
    liveness: { intervalMs: 50, timeoutMs: 5_000 },
  };

  /** Has a runner take 200 MiB more, in a run during which its main thread never turns. */
  async function grow(capped: boolean): Promise<{ lost: Record<string, string> | undefined; peakMib: number }> {
    const readings: RunnerReading[] = [];
    let lost: Record<string, string> | undefined;
    const runner = new RunnerProcess(
      {
        clock: systemClock,
        log: silentLog,
        onLost: ({ facts }) => {
          lost = facts;
        },
        onGone: () => undefined,
        onReading: (reading) => readings.push(reading),
      },
      launch,
    );
    const model = actingModel('grows', {});
    const signal = new AbortController().signal;
    const call = { signal, requestId: 'r' };
    const init = {
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
    const load = { model: model.ref, folder: model.folder, manifestJson: '{}', ...init };
    const { residentBytes } = await runner.client.call(RUNNER_METHODS.load, load, call).response;
    if (capped) runner.limitMemory(Number(residentBytes) + 60 * MIB);
    const act = actRequest(model, { growSpinningMib: 200 });
    await runner.client.call(RUNNER_METHODS.run, act, call).response.catch(() => undefined);
    if (!capped)
      await until(
        'a reading after it',
        () => (readings.at(-1)?.residentBytes ?? 0) > Number(residentBytes) + 150 * MIB,
      );
    const peak = Math.max(...readings.map(({ peakBytes }) => peakBytes), Number(lost?.residentBytes ?? 0));
    await runner.stop();
    return { lost, peakMib: (peak - Number(residentBytes)) / MIB };
  }

  it('ends it while its main thread never turns, in numbers', async () => {
    const { lost, peakMib } = await grow(true);
    expect(lost?.how).toMatch(/^took \d+ MiB of memory, more than the \d+ MiB that it was given$/);
    expect(Number(lost?.residentBytes)).toBeGreaterThan(Number(lost?.limitBytes));
    expect(peakMib).toBeLessThan(150);
  });

  it('is what does it: without one, it grows on', async () => {
    const { lost, peakMib } = await grow(false);
    expect(lost).toBeUndefined();
    expect(peakMib).toBeGreaterThan(150);
  });

  it('costs its own requests a retry, and no other runner anything', async () => {
    const [first, second] = pair();
    const greedy = actingModel('greedy', { takesMib: 40 });
    await using started = await startActing([greedy, first, second], { memoryBytesMax: 900 * MIB });
    const { engine } = started;
    await ask(engine, first);
    await run(engine, greedy);
    const pid = loadedOf(engine, greedy)?.runnerPid ?? 0;
    const other = loadedOf(engine, first)?.runnerPid;
    const stream = ask(engine, first, 1_000);
    const error = await failure(run(engine, greedy, { growSpinningMib: 800 }));
    expect(error).toMatchObject({ code: 'runner_lost', elsewhere: true });
    expect(error.message).toMatch(/took \d+ MiB of memory, more than the \d+ MiB/);
    await until('the runner to be gone', async () => !(await isAlive(pid)));
    expect((await stream).generated).toBe(1_000);
    expect(loadedOf(engine, first)?.runnerPid).toBe(other);
    expect((await run(engine, greedy)).outputs).toEqual([]);
  });

  it('lets a runner grow into what is free', async () => {
    const grows = actingModel('grows', { takesMib: 20 });
    await using started = await startActing([grows], { memoryBytesMax: 600 * MIB });
    const { engine } = started;
    await run(engine, grows);
    const before = loadedOf(engine, grows)?.residentBytes ?? 0;
    await run(engine, grows, { growMib: 70, ms: 500 });
    await until('its reservation to follow', () => (loadedOf(engine, grows)?.residentBytes ?? 0) > before);
    expect(reserved(engine)).toBeLessThanOrEqual(600 * MIB);
  });
});

describe('a load', () => {
  it('that takes more than predicted gets what is free, and the next one is promised what was seen', async () => {
    const model = actingModel('surprise', { takesMib: 300 }, { sizeMib: 1 });
    await using started = await startActing([model], { memoryBytesMax: 1_000 * MIB });
    const { engine } = started;
    await run(engine, model);
    const seen = loadedOf(engine, model)?.residentBytes ?? 0;
    expect(seen).toBeGreaterThan(300 * MIB);
    await engine.unload(model.ref.digest);
    const again = engine.ensureLoaded(model.ref.digest, { signal: new AbortController().signal });
    await until('its reservation', () => (loadedOf(engine, model)?.residentBytes ?? 0) >= 300 * MIB);
    expect(loadedOf(engine, model)?.state).toBe('loading');
    await again;
  });

  it('that takes more than there is ends before it has it, and is refused with the numbers', async () => {
    const model = actingModel('huge', { takesMib: 600, ms: 1_500 }, { sizeMib: 1 });
    await using started = await startActing([model], { memoryBytesMax: 300 * MIB });
    const { engine } = started;
    const error = await failure(run(engine, model));
    expect(error.code).toBe('out_of_memory');
    expect(error.message).toMatch(/acting\/huge needs \d+ MiB; models may take 300 MiB/);
    expect(Number(error.facts.neededBytes)).toBeGreaterThan(300 * MIB);
    expect(engine.loaded()).toEqual([]);
    expect(engine.load().memoryFreeBytes).toBe(300 * MIB);
    await until('its runner to be gone', async () => (await readdir(started.pidFolder)).length === 0);
  });

  it('that kills its runner leaves nothing reserved', async () => {
    const model = actingModel('dies', { dies: true });
    await using started = await startActing([model], { memoryBytesMax: 300 * MIB });
    const { engine } = started;
    expect((await failure(run(engine, model))).code).toBe('model_quarantined');
    expect(loadedOf(engine, model)?.residentBytes).toBe(0);
    expect(engine.load().memoryFreeBytes).toBe(300 * MIB);
  });

  it('and another one at the same time never count on the same room', async () => {
    const [first, second] = pair({ ms: 200 }, { ms: 200 });
    const memoryBytesMax = 330 * MIB;
    await using started = await startActing([first, second], { memoryBytesMax });
    const { engine } = started;
    let most = 0;
    engine.onChange(() => {
      most = Math.max(most, reserved(engine));
    });
    const results = await Promise.allSettled([ask(engine, first), ask(engine, second)]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = results.find((result) => result.status === 'rejected');
    expect(refused?.reason).toMatchObject({ code: 'out_of_memory' });
    // Idle by now, the one leaves for the other.
    await ask(engine, first);
    await ask(engine, second);
    expect(engine.loaded().map(({ id }) => id)).toEqual([second.ref.id]);
    expect(most).toBeLessThanOrEqual(memoryBytesMax);
  });

  it('is one for all who wait, requests or not, and tells how far it is', async () => {
    const model = actingModel('slow', {
      takesMib: 10,
      ms: 200,
      phases: ['verify', 'load', 'check', 'nonsense', 'warm'],
    });
    await using started = await startActing([model]);
    const { engine } = started;
    const states: string[] = [];
    const told: LoadingProgress[] = [];
    engine.onChange(() => states.push(engine.offers()[0]?.state ?? ''));
    const end = engine.onLoading((progress) => told.push(progress));
    const { signal } = new AbortController();
    const impatient = new AbortController();
    const left = failure(engine.ensureLoaded(model.ref.digest, { signal: impatient.signal }));
    const waiting = [1, 2, 3].map(() => engine.ensureLoaded(model.ref.digest, { signal }));
    const request = run(engine, model);
    await until('the load to begin', () => told.length > 0);
    impatient.abort();
    expect((await left).code).toBe('cancelled');
    await Promise.all([...waiting, request]);
    expect(states.filter((state) => state === 'loading')).toHaveLength(1);
    expect(told.map(({ phase, fraction }) => [phase, fraction])).toEqual([
      ['room', undefined],
      ['start', undefined],
      ['load', undefined],
      ['verify', 0.5],
      ['load', 0.5],
      ['check', 0.5],
      ['warm', 0.5],
    ]);
    end();
    await engine.unload(model.ref.digest);
    await engine.ensureLoaded(model.ref.digest, { signal });
    expect(told).toHaveLength(7);
  });

  it('tells all who wait when it fails', async () => {
    const model = actingModel('huge', {}, { sizeMib: 1_000 });
    await using started = await startActing([model], { memoryBytesMax: 300 * MIB });
    const { signal } = new AbortController();
    const wait = () => failure(started.engine.ensureLoaded(model.ref.digest, { signal }));
    for (const error of await Promise.all([wait(), wait()])) expect(error.code).toBe('out_of_memory');
    expect((await failure(started.engine.ensureLoaded('sha256:none', { signal }))).code).toBe('model_not_found');
  });
});

describe('room for a second form of the weights', () => {
  const script = { takesMib: 40, spareMib: 80 };
  const roomy = 1_500 * MIB;

  it('is part of what a model takes, and none where everything is exact', async () => {
    const model = actingModel('second', script, { sizeMib: 80, task: 'text-generation' });
    await using started = await startActing([model], { memoryBytesMax: roomy });
    await ask(started.engine, model);
    const both = loadedOf(started.engine, model)?.residentBytes ?? 0;
    await using exact = await startActing([model], { memoryBytesMax: roomy, exact: true });
    await ask(exact.engine, model);
    const one = loadedOf(exact.engine, model)?.residentBytes ?? 0;
    // Keys and values are a quarter of what is free beside a prediction: the same in both.
    expect((both - one) / MIB).toBeGreaterThan(60);
    expect((both - one) / MIB).toBeLessThan(100);
  });

  it('is left to a load that did not survive it once', async () => {
    const model = actingModel('frail', { ...script, diesOfSpare: true }, { sizeMib: 80, task: 'text-generation' });
    await using started = await startActing([model], { memoryBytesMax: roomy });
    expect((await ask(started.engine, model)).generated).toBe(1);
    await started.engine.unload(model.ref.digest);
    expect((await ask(started.engine, model)).generated).toBe(1);
  });

  it('is none for a model that generates no text', async () => {
    const model = actingModel('encodes', { ...script, diesOfSpare: true }, { sizeMib: 80 });
    await using started = await startActing([model], { memoryBytesMax: roomy });
    expect((await run(started.engine, model)).outputs).toEqual([]);
  });
});

describe('a model that leaves a runner which stays', () => {
  it('takes no more room with it than it gave back', async () => {
    const models = ['a', 'b'].map((name) => actingModel(name, { takesMib: 60 })) as [InstalledModel, InstalledModel];
    await using started = await startActing(models, { memoryBytesMax: 1_000 * MIB });
    const { engine } = started;
    for (const model of models) await run(engine, model);
    const pid = loadedOf(engine, models[1])?.runnerPid;
    await engine.unload(models[0].ref.digest);
    // The process itself was the first one's: it is the other's now.
    expect(loadedOf(engine, models[1])).toMatchObject({ runnerPid: pid });
    expect(reserved(engine)).toBeGreaterThan(110 * MIB);
    // And nothing ends it for that.
    for (let repeat = 0; repeat < 20; repeat++) await run(engine, models[1], { growMib: 0, ms: 20 });
    expect(loadedOf(engine, models[1])?.runnerPid).toBe(pid);
    await engine.unload(models[1].ref.digest);
    expect(reserved(engine)).toBe(0);
  });
});

describe('a runner that hangs', () => {
  const model = actingModel('spins');
  const other = actingModel('other', {}, { task: 'text-generation' });

  it('is ended while its request has a long time left, and the next one is answered', async () => {
    await using started = await startActing([model, other], { hangMs: () => 400 });
    const { engine } = started;
    await run(engine, model);
    await ask(engine, other);
    const pid = loadedOf(engine, model)?.runnerPid ?? 0;
    const error = await failure(run(engine, model, { spinMs: 60_000 }));
    expect(error).toMatchObject({ code: 'runner_timeout', elsewhere: true });
    expect(error.message).toContain('stood still');
    await until('the runner to be gone', async () => !(await isAlive(pid)));
    expect((await run(engine, model)).outputs).toEqual([]);
    expect(loadedOf(engine, other)?.state).toBe('loaded');
  });

  it('is not one that turns now and then, nor one that may take its time', async () => {
    await using started = await startActing([model], { hangMs: () => 400 });
    expect((await run(started.engine, model, { growMib: 1, ms: 1_500 })).outputs).toEqual([]);
    await using patient = await startActing([model]);
    expect((await run(patient.engine, model, { spinMs: 1_500 })).outputs).toEqual([]);
  });
});

describe('a pinned model', () => {
  const signal = new AbortController().signal;
  let started: Started;

  it('stays when it is idle and when others need its room, until it is unloaded', async () => {
    const [first, second] = pair();
    started = await startActing([first, second], { keepAliveMs: () => 0, memoryBytesMax: 330 * MIB });
    await using _ = started;
    const { engine } = started;
    await engine.ensureLoaded(first.ref.digest, { signal, pin: true });
    await ask(engine, first);
    const error = await failure(ask(engine, second));
    expect(error).toMatchObject({ code: 'out_of_memory' });
    expect(error.message).toContain('are in use');
    expect(loadedOf(engine, first)).toMatchObject({ state: 'loaded', pinned: true, idleUntilMs: undefined });
    expect(await engine.unload(first.ref.digest)).toBe(true);
    await ask(engine, second);
    await until('the other to leave at once', () => engine.loaded().length === 0);
    await ask(engine, first);
    await until('this one to leave at once as well', () => engine.loaded().length === 0);
  });

  it('by the settings is loaded at once, comes back with its runner, and leaves when it is named no more', async () => {
    const [first, second] = pair();
    started = await startActing([first, second], { keepAliveMs: () => 0 });
    await using _ = started;
    const { engine } = started;
    engine.keepLoaded([first.ref.digest, 'sha256:none']);
    const pid = await until('it to be loaded', () => {
      const found = loadedOf(engine, first);
      return found?.state === 'loaded' && found.pinned && found.runnerPid;
    });
    process.kill(pid, 'SIGKILL');
    await until('it to be back', () => {
      const found = loadedOf(engine, first);
      return found?.state === 'loaded' && found.runnerPid !== pid;
    });
    engine.keepLoaded([]);
    await until('it to leave', () => engine.loaded().length === 0);
  });
});

describe('what a text generator holds', () => {
  it('is what its runner says, with what was reserved for it', async () => {
    const [model] = pair();
    await using started = await startActing([model], { memoryBytesMax: 1_000 * MIB });
    const { engine } = started;
    await ask(engine, model, 50);
    const status = await until('an answer', () => {
      const generation = loadedOf(engine, model)?.generation;
      return generation?.waiting === 2 && generation;
    });
    expect(status).toMatchObject({
      decoder: 'rewritten',
      decoderReason: undefined,
      sequences: 1,
      sequencesMax: 16,
      kvBytes: 3,
      prefixBytes: 4,
      promptTokens: 5,
      cachedTokens: 6,
      draftedTokens: 7,
      acceptedTokens: 8,
      kvBytesPerToken: 64,
    });
    expect(status.tokensPerS).toBeGreaterThan(5);
    // One context is 64 MiB; a quarter of what is free was given.
    expect(status.kvBytesMax).toBeGreaterThan(150 * MIB);
    expect(status.kvBytesMax).toBeLessThan(250 * MIB);
    expect(loadedOf(engine, model)?.residentBytes).toBeGreaterThan(status.kvBytesMax);
    const idle = actingModel('encoder');
    await using others = await startActing([idle]);
    await run(others.engine, idle);
    expect(loadedOf(others.engine, idle)?.generation).toBeUndefined();
  });
});

describe('loading over and over', () => {
  it('leaves nothing behind: no process, handle or byte', async () => {
    const models = ['a', 'b'].map((name) => actingModel(name, { takesMib: 8 }, { task: 'text-generation' }));
    await using started = await startActing(models, { memoryBytesMax: 270 * MIB });
    const { engine } = started;
    const resources = (): string[] => process.getActiveResourcesInfo().sort();
    const cycle = async (): Promise<void> => {
      for (const model of models) await ask(engine, model);
    };
    await cycle();
    const before = await until(
      'one runner',
      async () => (await readdir(started.pidFolder)).length === 1 && resources(),
    );
    for (let repeat = 0; repeat < 4; repeat++) await cycle();
    await until('as many handles as before', () => resources().length <= before.length);
    expect(engine.loaded()).toHaveLength(1);
    await engine.unload(models[1]?.ref.digest ?? '');
    await until('the last runner to end', async () => (await readdir(started.pidFolder)).length === 0);
    expect(engine.load().memoryFreeBytes).toBe(270 * MIB);
  });
});
