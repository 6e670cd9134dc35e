// What parts of graphs cost when they don't fit, crash their runner or come in crowds: real processes that act as they are
// told.
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { ModelState } from '../../../node/engine/model-state.ts';
import { partModel } from '../../../node/engine/part-model.ts';
import { Parts } from '../../../node/engine/parts.ts';
import type { SupervisedEngine } from '../../../node/engine/supervised-engine.ts';
import type { GraphPart } from '../../../protocol/part.ts';
import { failure } from '../../compliance/engine.ts';
import { workOptions } from '../../compliance/engine-requests.ts';
import { isAlive, until } from '../../support/wait.ts';
import { ACTING_ENTRY, type Act, actingModel, actRequest, type LoadScript } from './acting-model.ts';
import { startEngine } from './support.ts';

const MIB = 2 ** 20;
const start = (models: readonly InstalledModel[], memoryMib = 4_096) =>
  startEngine(models, { runnerEntry: ACTING_ENTRY, memoryBytesMax: memoryMib * MIB });
const acting = (script: LoadScript = {}, sizeMib = 4) => actingModel('parted', script, { sizeMib });

/** Parts that differ in what they are said to give. */
const partOf = (name: string): GraphPart => ({
  inputs: [{ name: 'act', type: 'uint8', dims: ['n'] }],
  outputs: ['none', name],
});
const run = (engine: SupervisedEngine, model: InstalledModel, name: string, act: Act = {}, requestId?: string) =>
  engine.run({ ...actRequest(model, act), part: partOf(name) }, workOptions(requestId ? { requestId } : {}));
const partsIn = (engine: SupervisedEngine) => engine.loaded().filter(({ part }) => part !== undefined);

describe('memory for a part', () => {
  it('is that of its own weights, so that a node runs parts of what does not fit it', async () => {
    const model = acting({ weighsMib: 20, takesMib: 20 }, 2_000);
    await using started = await start([model], 600);
    const { engine } = started;
    expect((await failure(engine.run(actRequest(model), workOptions()))).code).toBe('out_of_memory');
    await run(engine, model, 'a');
    const [part] = partsIn(engine);
    expect(part?.residentBytes).toBeLessThan(600 * MIB);
    expect(engine.partOffer(model.ref, partOf('a'))?.sizeBytes).toBe(20 * MIB);
  });

  it('is refused in numbers where the part does not fit either, and nothing stays', async () => {
    const model = acting({ weighsMib: 900 }, 2_000);
    await using started = await start([model], 600);
    const { engine } = started;
    const error = await failure(run(engine, model, 'a'));
    expect(error).toMatchObject({ code: 'out_of_memory', facts: { limitBytes: String(600 * MIB) } });
    expect(Number(error.facts.neededBytes)).toBeGreaterThan(900 * MIB);
    await until('a free node', () => engine.load().memoryFreeBytes === 600 * MIB);
  });

  it('is never more than the whole, whatever a runner that was taken over says', async () => {
    const model = acting({ weighsMib: 1e9 }, 30);
    await using started = await start([model]);
    await run(started.engine, model, 'a');
    expect(started.engine.partOffer(model.ref, partOf('a'))?.sizeBytes).toBe(30 * MIB);
  });

  it('is made by idle parts that leave', async () => {
    const model = acting({ weighsMib: 150, takesMib: 150 }, 2_000);
    await using started = await start([model], 700);
    const { engine } = started;
    await run(engine, model, 'a');
    await run(engine, model, 'b');
    await run(engine, model, 'c');
    const given = partsIn(engine).map(({ part }) => part?.outputs[1]);
    expect(given).toContain('c');
    expect(given).not.toContain('a');
    const reserved = engine.loaded().reduce((sum, { residentBytes }) => sum + residentBytes, 0);
    expect(reserved).toBeLessThanOrEqual(700 * MIB);
  });
});

describe('a runner that dies of a part', () => {
  it('in the middle of it fails that run for another node to mend, and no model', async () => {
    const model = acting();
    const other = actingModel('other');
    await using started = await start([model, other]);
    const { engine } = started;
    await engine.run(actRequest(model), workOptions());
    await engine.run(actRequest(other), workOptions());
    await run(engine, model, 'a');
    const pids = engine.loaded().map(({ runnerPid }) => runnerPid);
    const pid = partsIn(engine)[0]?.runnerPid ?? 0;
    const lost = failure(run(engine, model, 'a', { spinMs: 20_000 }));
    await until('a run', () => partsIn(engine)[0]?.requestsInFlight === 1);
    process.kill(pid, 'SIGKILL');
    expect(await lost).toMatchObject({ code: 'runner_lost', elsewhere: true });
    await until('a dead runner', async () => !(await isAlive(pid)));
    await run(engine, model, 'a');
    expect(partsIn(engine)[0]?.runnerPid).not.toBe(pid);
    const whole = engine.loaded().filter(({ part }) => part === undefined);
    expect(whole.map(({ runnerPid }) => runnerPid)).toEqual(pids.filter((each) => each !== pid));
  });

  it('twice by the same request is quarantined by itself', async () => {
    const model = acting();
    await using started = await start([model]);
    const { engine } = started;
    for (let attempt = 0; attempt < 2; attempt++) {
      expect((await failure(run(engine, model, 'a', { diesOn: 'cpu' }, 'req_same'))).code).toBe(
        attempt === 0 ? 'runner_lost' : 'model_quarantined',
      );
    }
    expect((await failure(run(engine, model, 'a'))).code).toBe('model_quarantined');
    expect(partsIn(engine)).toMatchObject([{ state: 'quarantined', reason: expect.stringContaining('twice') }]);
    await run(engine, model, 'b');
    await engine.run(actRequest(model), workOptions());
  });

  it('while its graph is looked at is tried again once, and then quarantined', async () => {
    const model = acting({ diesWeighing: true });
    await using started = await start([model]);
    expect((await failure(run(started.engine, model, 'a'))).code).toBe('model_quarantined');
    expect(partsIn(started.engine)).toMatchObject([{ state: 'quarantined', residentBytes: 0 }]);
    await started.engine.run(actRequest(model), workOptions());
  });
});

describe('more parts than are kept', () => {
  const model = acting();
  const make = (partsMax: number) => {
    const added: ModelState[] = [];
    const slots = {
      add: (state: ModelState) => void added.push(state),
      remove: (state: ModelState) => void added.splice(added.indexOf(state), 1),
    };
    const run = () => Promise.reject(new Error('nothing is run'));
    return { parts: new Parts({ slots, clock: systemClock, run }, { partsMax }), added };
  };
  const use = (parts: Parts, name: string): ModelState => parts.of(model, partOf(name));

  it('make those leave that nobody has asked for longest', () => {
    const { parts, added } = make(2);
    const [a, b] = [use(parts, 'a'), use(parts, 'b')];
    expect(use(parts, 'a')).toBe(a);
    const c = use(parts, 'c');
    expect(added).toEqual([a, c]);
    expect(parts.get(b.digest)).toBeUndefined();
    expect(use(parts, 'a')).toBe(a);
  });

  it('are refused while all of them are in memory; those in quarantine leave last', () => {
    const { parts } = make(2);
    const [a, b] = [use(parts, 'a'), use(parts, 'b')];
    a.phase = b.phase = 'loaded';
    expect(() => use(parts, 'c')).toThrow(expect.objectContaining({ code: 'overloaded' }));
    a.phase = 'quarantined';
    use(parts, 'c');
    expect([...parts.values()]).toHaveLength(2);
    expect(parts.get(a.digest)).toBeUndefined();
  });

  it('are made anew where the files are others', () => {
    const { parts, added } = make(2);
    const { installed, part } = partModel(model, partOf('a'), true);
    expect(part.prepared && installed.manifest.files).toEqual([]);
    const first = use(parts, 'a');
    expect(first.part?.prepared).toBe(false);
    expect(first.installed.manifest.files).toEqual(model.manifest.files);
    expect(added).toEqual([first]);
  });
});
