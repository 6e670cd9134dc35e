// Reservations as they follow loads and readings: on slots without processes, in numbers.
import { describe, expect, it } from 'vitest';
import { PART_GRAPH_BYTES } from '../../../node/engine/limits.ts';
import { type KeptSlot, MemoryKeeper } from '../../../node/engine/memory-keeper.ts';
import { ModelState } from '../../../node/engine/model-state.ts';
import { partModel } from '../../../node/engine/part-model.ts';
import {
  growthMax,
  hostBytes,
  predictedBytes,
  spareReservation,
  withHeadroom,
} from '../../../node/engine/residency.ts';
import type { GraphPart } from '../../../protocol/part.ts';
import { failure } from '../../compliance/engine.ts';
import { actingModel } from './acting-model.ts';

const MIB = 2 ** 20;

class FakeSlot implements KeptSlot {
  readonly models: ModelState[];
  readonly unloaded: string[] = [];
  capBytes = 0;

  constructor(...models: ModelState[]) {
    this.models = models;
  }

  limitMemory(bytes: number): void {
    this.capBytes = bytes;
  }

  async unload(model: ModelState): Promise<void> {
    this.unloaded.push(model.id);
    model.phase = 'disk';
    model.freed();
  }
}

const encoder = (name: string): ModelState => new ModelState(actingModel(name));
const generator = (name: string): ModelState => new ModelState(actingModel(name, {}, { task: 'text-generation' }));

function onDevice(model: ModelState): void {
  model.choice = { provider: 'cuda', index: 0, pool: 'gpu:a', reason: 'asked for' };
  model.device = 'gpu:a';
}

function make(budgetMib: number, ...slots: FakeSlot[]) {
  let now = 0;
  const keeper = new MemoryKeeper(
    { clock: { now: () => now }, slots: () => slots },
    { budgetOf: (device) => (device === 'cpu' ? budgetMib : 50) * MIB, sequencesMax: 4 },
  );
  /** Loads a model whose process then takes so much. */
  const load = async (slot: FakeSlot, model: ModelState, processMib: number): Promise<void> => {
    model.phase = 'loading';
    await keeper.makeRoom(
      model,
      slot.models.every(({ occupiedBytes }) => occupiedBytes === 0),
    );
    model.phase = 'loaded';
    model.lastUsedMs = now++;
    keeper.loaded(slot, model, processMib * MIB);
  };
  const reading = (slot: FakeSlot, residentMib: number, peakMib = residentMib): void =>
    keeper.reading(slot, { residentBytes: residentMib * MIB, peakBytes: peakMib * MIB, stalledMs: 0 });
  return { keeper, load, reading, free: () => keeper.freeBytes() / MIB };
}

describe('MemoryKeeper', () => {
  it('reserves by prediction, then by what was measured, and less again once it is gone', async () => {
    const slot = new FakeSlot(encoder('a'));
    const [model] = slot.models as [ModelState];
    const { keeper, load } = make(1_000, slot);
    model.phase = 'loading';
    expect(await keeper.makeRoom(model, true)).toEqual({ kvBytesMax: 0, sequencesMax: 0, spareBytes: 0 });
    expect(model.residentBytes).toBe(predictedBytes(4 * MIB, true));
    // Never measured: it may take all there is.
    expect(slot.capBytes).toBe(1_000 * MIB);
    await load(slot, model, 200);
    expect(model.residentBytes).toBe(withHeadroom(200 * MIB));
    expect(slot.capBytes).toBe(model.residentBytes + growthMax(model.residentBytes));
    await slot.unload(model);
    expect(keeper.freeBytes()).toBe(1_000 * MIB);
    model.phase = 'loading';
    await keeper.makeRoom(model, true);
    expect(model.residentBytes).toBe(withHeadroom(200 * MIB));
  });

  describe('for a part', () => {
    const GRAPH: GraphPart = { inputs: [], outputs: ['none'] };
    const part = (): ModelState => {
      const { installed, part } = partModel(actingModel('a', {}, { sizeMib: 4_000 }), GRAPH, false);
      return new ModelState(installed, part);
    };

    it('reserves what looking at its graph takes, then by its own weights', async () => {
      const model = part();
      const { keeper, load } = make(1_000, new FakeSlot(model));
      model.phase = 'loading';
      await keeper.makeRoom(model, true);
      expect(model.residentBytes).toBe(predictedBytes(PART_GRAPH_BYTES, true));
      model.weighed(100 * MIB);
      await keeper.makeRoom(model, false);
      expect(model.residentBytes).toBe(predictedBytes(100 * MIB, false));
      const slot = new FakeSlot(model);
      await load(slot, model, 180);
      expect(model.residentBytes).toBe(withHeadroom(180 * MIB));
    });

    it('takes what its process took while its graph was looked at for no measure of its load', async () => {
      const model = part();
      const slot = new FakeSlot(model);
      const { keeper, reading } = make(2_000, slot);
      model.phase = 'loading';
      await keeper.makeRoom(model, true);
      reading(slot, 90);
      model.weighed(400 * MIB);
      await keeper.makeRoom(model, false);
      expect(model.residentBytes).toBe(predictedBytes(400 * MIB, false));
      // A model was seen in a load of its own.
      const whole = encoder('b');
      whole.phase = 'loading';
      const other = new FakeSlot(whole);
      const second = make(2_000, other);
      await second.keeper.makeRoom(whole, true);
      second.reading(other, 90);
      await second.keeper.makeRoom(whole, false);
      expect(whole.residentBytes).toBe(withHeadroom(90 * MIB));
    });
  });

  it('reserves keys and values of text generators: a quarter of what is free, one sequence at least', async () => {
    const slot = new FakeSlot(generator('a'));
    const [model] = slot.models as [ModelState];
    const weights = predictedBytes(4 * MIB, true);
    model.phase = 'loading';
    const room = await make(500, slot).keeper.makeRoom(model, true);
    expect(room).toEqual({ kvBytesMax: Math.floor((500 * MIB - weights) / 4), sequencesMax: 4, spareBytes: 0 });
    expect(model.residentBytes).toBe(weights + room.kvBytesMax);
    expect((await make(170, slot).keeper.makeRoom(model, true)).kvBytesMax).toBe(64 * MIB);
    expect((await make(9_000, slot).keeper.makeRoom(model, true)).kvBytesMax).toBe(4 * 64 * MIB);
    const error = await failure(make(150, slot).keeper.makeRoom(model, true));
    expect(error.code).toBe('out_of_memory');
    expect(error.message).toBe('acting/a needs 162 MiB (64 MiB of it for one conversation); models may take 150 MiB.');
  });

  describe('for a second form of the weights', () => {
    const SPARE = spareReservation(4 * MIB, Number.POSITIVE_INFINITY);
    const begun = (budgetMib: number) => {
      const slot = new FakeSlot(generator('a'));
      const [model] = slot.models as [ModelState];
      model.phase = 'loading';
      return { ...make(budgetMib, slot), slot, model };
    };

    it('reserves as much as the files take, and only where that is a quarter of what stays free', async () => {
      const { keeper, model, slot } = begun(1_000);
      const room = await keeper.makeRoom(model, true, true);
      expect(room.spareBytes).toBe(SPARE);
      expect(SPARE).toBeGreaterThan(4 * MIB);
      expect(model.residentBytes).toBe(predictedBytes(4 * MIB, true) + room.kvBytesMax + SPARE);
      expect(model.promisedBytes).toBe(model.residentBytes);
      expect(keeper.freeBytes()).toBe(1_000 * MIB - model.residentBytes);
      expect((await keeper.makeRoom(model, true)).spareBytes).toBe(0);
      expect(model.residentBytes).toBe(predictedBytes(4 * MIB, true) + room.kvBytesMax);
      expect(slot.unloaded).toEqual([]);
    });

    it('reserves nothing where less is free, and has nobody leave for it', async () => {
      const idle = new FakeSlot(encoder('idle'));
      const slot = new FakeSlot(generator('a'));
      const model = slot.models[0] as ModelState;
      const weights = predictedBytes(4 * MIB, true);
      const { keeper, load } = make(weights / MIB + 64 + 126 + 3.9 * (SPARE / MIB), idle, slot);
      await load(idle, idle.models[0] as ModelState, 100);
      model.phase = 'loading';
      expect(await keeper.makeRoom(model, true, true)).toEqual({
        kvBytesMax: 64 * MIB,
        sequencesMax: 4,
        spareBytes: 0,
      });
      await idle.unload(idle.models[0] as ModelState);
      expect((await keeper.makeRoom(model, true, true)).spareBytes).toBe(SPARE);
      expect(idle.unloaded).toHaveLength(1);
    });

    it('counts what it has taken as the model, not as what the model needs', async () => {
      const { keeper, model, slot } = begun(1_000);
      const { kvBytesMax } = await keeper.makeRoom(model, true, true);
      model.phase = 'loaded';
      model.spareBytes = 3 * MIB;
      keeper.loaded(slot, model, 123 * MIB);
      expect(model.occupiedBytes).toBe(123 * MIB);
      expect(model.measuredBytes).toBe(120 * MIB);
      expect(model.residentBytes).toBe(withHeadroom(120 * MIB) + kvBytesMax + 3 * MIB);
      expect(slot.capBytes).toBe(model.residentBytes + growthMax(model.residentBytes));
      await slot.unload(model);
      expect(model.spareBytes).toBe(0);
      expect(keeper.freeBytes()).toBe(1_000 * MIB);
    });

    it('gives back what was not taken', async () => {
      const { keeper, model, slot } = begun(1_000);
      const { kvBytesMax } = await keeper.makeRoom(model, true, true);
      model.phase = 'loaded';
      model.spareBytes = 0;
      keeper.loaded(slot, model, 120 * MIB);
      expect(model.residentBytes).toBe(withHeadroom(120 * MIB) + kvBytesMax);
    });

    it('reserves for a later load what this one took at its peak without it', async () => {
      const { keeper, model, slot, reading } = begun(1_000);
      await keeper.makeRoom(model, true, true);
      // The peak of 150 MiB is that of the second form; before it, it was what the runner says.
      reading(slot, 150, 150);
      expect(model.loadPeakBytes).toBe(150 * MIB - SPARE);
      model.phase = 'loaded';
      model.spareBytes = 3 * MIB;
      model.toldPeakBytes = 148 * MIB;
      keeper.loaded(slot, model, 123 * MIB);
      expect(model.loadPeakBytes).toBe(148 * MIB);

      await slot.unload(model);
      const other = new FakeSlot(encoder('other'));
      const tight = make((withHeadroom(148 * MIB) + withHeadroom(100 * MIB)) / MIB + 64, slot, other);
      await tight.load(other, other.models[0] as ModelState, 100);
      (other.models[0] as ModelState).calls = 1;
      model.phase = 'loading';
      expect(await tight.keeper.makeRoom(model, true, true)).toEqual({
        kvBytesMax: 64 * MIB,
        sequencesMax: 4,
        spareBytes: 0,
      });
      expect(tight.free()).toBe(0);
      model.phase = 'loaded';
      tight.keeper.loaded(slot, model, 120 * MIB);
      expect(slot.unloaded).toHaveLength(1);
    });

    it('makes room for another model as a whole', async () => {
      const { keeper, model, slot } = begun(1_000);
      await keeper.makeRoom(model, true, true);
      model.phase = 'loaded';
      keeper.loaded(slot, model, 120 * MIB + SPARE);
      const next = new FakeSlot(encoder('next'));
      const both = make((withHeadroom(120 * MIB) + model.kvBytesMax + SPARE) / MIB, slot, next);
      await both.load(next, next.models[0] as ModelState, 100);
      expect(slot.unloaded).toEqual(['acting/a']);
    });
  });

  it('unloads what is worth least, never what is pinned, and says what holds the rest', async () => {
    const [cheap, dear, pinned] = ['cheap', 'dear', 'pinned'].map((name) => new FakeSlot(encoder(name))) as [
      FakeSlot,
      FakeSlot,
      FakeSlot,
    ];
    const next = new FakeSlot(encoder('next'));
    const { load } = make(450, cheap, dear, pinned, next);
    for (const slot of [cheap, dear, pinned]) await load(slot, slot.models[0] as ModelState, 100);
    const model = (slot: FakeSlot): ModelState => slot.models[0] as ModelState;
    model(cheap).lastLoadMs = 10;
    model(dear).lastLoadMs = 5_000;
    for (const slot of [cheap, dear]) model(slot).popularity.add(0);
    model(pinned).pinnedByRequest = true;
    await load(next, model(next), 100);
    expect([cheap, dear, pinned].map(({ unloaded }) => unloaded.length)).toEqual([1, 0, 0]);
    model(next).pinnedBySettings = true;
    model(dear).calls = 1;
    const error = await failure(load(cheap, model(cheap), 100));
    expect(error.facts.heldBytes).toBe(String(3 * withHeadroom(100 * MIB)));
    expect(error.message).toContain('of which 379 MiB are in use');
  });

  it('gives a runner that outgrows its reservation what is free, then what idle models leave', async () => {
    const [grows, idle] = [new FakeSlot(encoder('grows')), new FakeSlot(encoder('idle'))];
    const model = grows.models[0] as ModelState;
    const { load, reading, free } = make(280, grows, idle);
    await load(idle, idle.models[0] as ModelState, 100);
    await load(grows, model, 100);
    const [before, left] = [model.residentBytes, free()];
    reading(grows, 126);
    expect(model.residentBytes).toBe(before);
    // In steps ahead of what it takes: the idle one leaves as soon as a step doesn't fit.
    reading(grows, 130);
    expect(left).toBeLessThan(32 + 4);
    expect(idle.unloaded).toEqual(['acting/idle']);
    expect(model.residentBytes).toBe((130 + 32) * MIB);
    expect(model.measuredBytes).toBeLessThan(110 * MIB);
  });

  it('holds a runner at its cap when nothing is free, and at what it was promised and a margin in any case', async () => {
    const [grows, busy] = [new FakeSlot(encoder('grows')), new FakeSlot(encoder('busy'))];
    const model = grows.models[0] as ModelState;
    const { load, reading, free } = make(260, grows, busy);
    await load(busy, busy.models[0] as ModelState, 100);
    (busy.models[0] as ModelState).calls = 1;
    await load(grows, model, 100);
    reading(grows, 200);
    expect(free()).toBe(0);
    expect(grows.capBytes + busy.capBytes).toBe(260 * MIB);

    const alone = new FakeSlot(encoder('alone'));
    const roomy = make(10_000, alone);
    await roomy.load(alone, alone.models[0] as ModelState, 100);
    const promised = withHeadroom(100 * MIB);
    for (let mib = 100; mib < 2_000; mib += 50) roomy.reading(alone, mib);
    expect(alone.capBytes).toBe(promised + growthMax(promised));
  });

  it('reserves for the next load what this one took at its peak', async () => {
    const slot = new FakeSlot(encoder('a'));
    const [model] = slot.models as [ModelState];
    const { keeper, load, reading } = make(1_000, slot);
    model.phase = 'loading';
    await keeper.makeRoom(model, true);
    reading(slot, 150, 300);
    await load(slot, model, 100);
    expect(model.residentBytes).toBe(withHeadroom(100 * MIB));
    await slot.unload(model);
    model.phase = 'loading';
    await keeper.makeRoom(model, true);
    expect(model.residentBytes).toBe(withHeadroom(300 * MIB));
  });

  it('counts what a process keeps after a model has left it', async () => {
    const slot = new FakeSlot(encoder('a'), encoder('b'));
    const [a, b] = slot.models as [ModelState, ModelState];
    const { keeper, load } = make(1_000, slot);
    await load(slot, a, 150);
    await load(slot, b, 200);
    expect(b.occupiedBytes).toBe(50 * MIB);
    await slot.unload(a);
    keeper.left(slot, 140 * MIB);
    expect(b.occupiedBytes).toBe(140 * MIB);
    expect(slot.capBytes).toBeGreaterThan(140 * MIB);
  });

  it('counts a model on another device there with its weights, here with its process, its keys and its values', async () => {
    const [here, there] = [new FakeSlot(encoder('here')), new FakeSlot(generator('there'))];
    const { keeper, load, free } = make(1_000, here, there);
    const model = there.models[0] as ModelState;
    onDevice(model);
    await load(here, here.models[0] as ModelState, 100);
    const before = free();
    expect(keeper.freeBytes('gpu:a')).toBe(50 * MIB);
    model.phase = 'loading';
    const { kvBytesMax } = await keeper.makeRoom(model, true);
    expect(model.deviceBytes).toBe(predictedBytes(4 * MIB, false));
    expect(keeper.freeBytes('gpu:a')).toBe(50 * MIB - model.deviceBytes);
    expect(model.residentBytes).toBe(hostBytes(4 * MIB, true) + kvBytesMax);
    expect(free()).toBe(before - model.residentBytes / MIB);
    // What its process takes says nothing of the device.
    model.phase = 'loaded';
    keeper.loaded(there, model, 120 * MIB);
    expect(model.residentBytes).toBe(withHeadroom(120 * MIB) + kvBytesMax);
    expect(model.deviceBytes).toBe(predictedBytes(4 * MIB, false));
    expect(keeper.toPlace(here.models[0] as ModelState).residents).toEqual([
      { pool: 'cpu', bytes: model.residentBytes },
      { pool: 'gpu:a', bytes: model.deviceBytes },
    ]);
  });

  it('unloads for a device what is on it, and nothing else', async () => {
    const [here, first, second] = ['here', 'first', 'second'].map((name) => new FakeSlot(encoder(name))) as [
      FakeSlot,
      FakeSlot,
      FakeSlot,
    ];
    const { load } = make(2_000, here, first, second);
    await load(here, here.models[0] as ModelState, 100);
    for (const slot of [first, second]) {
      onDevice(slot.models[0] as ModelState);
      await load(slot, slot.models[0] as ModelState, 100);
    }
    expect([here, first, second].map(({ unloaded }) => unloaded.length)).toEqual([0, 1, 0]);
    const held = second.models[0] as ModelState;
    held.calls = 1;
    const error = await failure(load(first, first.models[0] as ModelState, 100));
    expect(error.message).toBe(
      'acting/first needs 27 MiB; models may take 50 MiB of the device, of which 27 MiB are in use.',
    );
  });

  it('reserves by what was seen on the same device', async () => {
    const slot = new FakeSlot(encoder('a'));
    const model = slot.models[0] as ModelState;
    const { keeper, load } = make(1_000, slot);
    await load(slot, model, 300);
    await slot.unload(model);
    onDevice(model);
    model.phase = 'loading';
    await keeper.makeRoom(model, true);
    expect(model.residentBytes).toBe(hostBytes(4 * MIB, true));
    model.onProcessor();
    await keeper.makeRoom(model, true);
    expect([model.residentBytes, model.deviceBytes]).toEqual([withHeadroom(300 * MIB), 0]);
  });
});
