import { describe, expect, it } from 'vitest';
import type { Clock, Timer } from '../../../../node/core/clock.ts';
import { type DeviceSetting, parseDeviceSetting } from '../../../../node/core/devices.ts';
import { silentLog } from '../../../../node/core/log.ts';
import type { Store } from '../../../../node/core/store.ts';
import { DeviceBook, type DeviceSources } from '../../../../node/engine/devices/book.ts';
import { type MeasurementsOf, processorOnly } from '../../../../node/engine/devices/chooser.ts';
import { deviceKey, type Probe } from '../../../../node/engine/devices/device.ts';
import { FAILURES_MAX } from '../../../../node/engine/devices/limits.ts';
import type { MachineFacts, Surroundings } from '../../../../node/engine/devices/look.ts';
import { processor } from '../../../../node/engine/devices/merge.ts';

const GIB = 2 ** 30;
const cpu = { name: 'EPYC', memoryBytes: 64 * GIB };
const gpu = {
  index: 0,
  uuid: 'GPU-0',
  bus: '',
  name: 'NVIDIA H200',
  memoryBytes: 140 * GIB,
  memoryFreeBytes: 100 * GIB,
  driver: '570.1',
};
const facts: MachineFacts = {
  platform: 'linux',
  cpu,
  physicalCores: 32,
  runtime: { version: '1.30.0', backends: ['cpu', 'cuda'] },
  nvidia: [gpu],
  graphics: [],
  vulkanDrivers: [],
  renderNodes: 0,
};

/** Time that stands still unless a timer is made to end. */
class StandingClock implements Clock {
  readonly timers = new Set<() => void>();

  now(): number {
    return 0;
  }

  wallNow(): number {
    return 0;
  }

  after(_ms: number, run: () => void): Timer {
    this.timers.add(run);
    return { cancel: () => this.timers.delete(run) };
  }
}

class MemoryStore implements Store {
  readonly documents = new Map<string, Uint8Array>();

  async read(name: string): Promise<Uint8Array | undefined> {
    return this.documents.get(name);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    this.documents.set(name, bytes);
  }
}

interface Setup {
  readonly setting?: string;
  readonly store?: Store;
  readonly clock?: Clock;
  readonly mark?: string;
  readonly sources?: Partial<DeviceSources>;
  readonly around?: Partial<Surroundings>;
  readonly measured?: MeasurementsOf;
  readonly probes?: Readonly<Record<string, Probe>>;
}

function setUp(what: Setup = {}) {
  const { setting = 'auto', store = new MemoryStore(), clock = new StandingClock(), mark = 'as it is' } = what;
  const asked: string[] = [];
  const sources: DeviceSources = {
    lookAround: async () => ({
      vulkanDrivers: [],
      renderNodes: 0,
      physicalCores: 16,
      mayHaveDevices: true,
      mark,
      ...what.around,
    }),
    look: async () => {
      asked.push('look');
      return facts;
    },
    probe: async (device) => {
      const key = deviceKey(device);
      asked.push(key);
      return what.probes?.[key] ?? { ok: true, gflops: key === 'cpu:0' ? 300 : 50_000, copyBytesPerS: 1e10 };
    },
    freeBytes: async () => {
      asked.push('free');
      return new Map([['gpu:GPU-0', 7 * GIB]]);
    },
    ...what.sources,
  };
  const book = new DeviceBook(
    { clock, log: silentLog, store, sources, measured: what.measured ?? (() => []) },
    { setting: parseDeviceSetting(setting) as DeviceSetting, memoryBytesMax: 8 * GIB, processor: processor(cpu) },
  );
  const choose = async (digest = 'model', neededBytes = GIB): Promise<string[]> => {
    const { order } = await book.choose({ digest, neededBytes, residents: [] });
    return order.map(({ provider, index }) => deviceKey({ kind: provider, index }));
  };
  return { book, choose, asked, store, clock };
}

describe('what a node knows of its devices', () => {
  it('is the processor, until it has looked', async () => {
    const { book, choose, asked } = setUp();
    expect(await choose()).toEqual(['cpu:0']);
    expect(book.list()).toEqual([processor(cpu)]);
    expect(asked).toEqual([]);
  });

  it('is looked for a moment after the start, measured, and told', async () => {
    const { book, choose, asked } = setUp();
    let told = 0;
    book.onChange(() => told++);
    book.start();
    await book.settled();
    expect(asked).toEqual(['look', 'cpu:0', 'cuda:0']);
    expect(told).toBeGreaterThan(0);
    expect(book.list()[1]).toMatchObject({ name: 'NVIDIA H200', probe: { ok: true, gflops: 50_000 } });
    expect(book.physicalCores).toBe(32);
    expect(book.budgets()).toEqual(
      new Map([
        ['cpu', 8 * GIB],
        ['gpu:GPU-0', 100 * GIB],
      ]),
    );
    expect(await choose()).toEqual(['cuda:0', 'cpu:0']);
  });

  it('is waited for by the first model', async () => {
    const { book, choose } = setUp();
    book.start();
    expect(await choose()).toEqual(['cuda:0', 'cpu:0']);
  });

  it('is not waited for longer than a request can bear', async () => {
    const clock = new StandingClock();
    const { book, choose } = setUp({ clock, sources: { look: () => Promise.withResolvers<MachineFacts>().promise } });
    book.start();
    const chosen = choose();
    for (const end of clock.timers) end();
    expect(await chosen).toEqual(['cpu:0']);
  });

  it('is not looked for where there is nothing to find, or nothing is wanted', async () => {
    for (const { book, choose, asked } of [setUp({ around: { mayHaveDevices: false } }), setUp({ setting: 'cpu' })]) {
      book.start();
      await book.settled();
      expect(await choose()).toEqual(['cpu:0']);
      expect(asked).toEqual([]);
    }
  });

  it('is not measured where a person has decided, until a later start needs it', async () => {
    const { book, choose, asked, store } = setUp({ setting: 'cuda' });
    book.start();
    await book.settled();
    expect(await choose()).toEqual(['cuda:0', 'cpu:0']);
    await book.stop();
    expect(asked).toEqual(['look']);
    const later = setUp({ store });
    later.book.start();
    await later.book.settled();
    expect(later.asked).toEqual(['free', 'cpu:0', 'cuda:0']);
    expect(await later.choose()).toEqual(['cuda:0', 'cpu:0']);
    await later.book.stop();
    const last = setUp({ store });
    last.book.start();
    await last.book.settled();
    expect(last.asked).toEqual(['free']);
  });

  it('is looked for in software where that is asked for', async () => {
    const { book, asked } = setUp({ setting: 'webgpu', around: { mayHaveDevices: false } });
    book.start();
    await book.settled();
    expect(asked).toEqual(['look']);
  });

  it('stays the processor where looking fails', async () => {
    const { book, choose } = setUp({ sources: { look: () => Promise.reject(new Error('no')) } });
    book.start();
    await book.settled();
    expect(await choose()).toEqual(['cpu:0']);
  });

  it('ends with the node, in the middle of looking', async () => {
    const look: DeviceSources['look'] = (_around, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const { book, store } = setUp({ sources: { look } });
    book.start();
    await book.stop();
    expect((store as MemoryStore).documents.size).toBe(0);
  });
});

describe('what a node keeps of its devices', () => {
  async function lookedAt(): Promise<Store> {
    const { book, store } = setUp();
    book.start();
    await book.settled();
    book.failed('broken', { provider: 'cuda', index: 0 }, 'cuda: no kernel');
    await book.stop();
    return store;
  }

  it('is known at once at the next start, but for what is free', async () => {
    const { book, choose, asked } = setUp({ store: await lookedAt() });
    book.start();
    await book.settled();
    expect(asked).toEqual(['free']);
    expect(book.budgets().get('gpu:GPU-0')).toBe(7 * GIB);
    expect(book.physicalCores).toBe(32);
    expect(await choose()).toEqual(['cuda:0', 'cpu:0']);
    expect(await choose('broken')).toEqual(['cpu:0']);
  });

  it('is worth nothing after a change of hardware, driver or version', async () => {
    const { book, choose, asked } = setUp({ store: await lookedAt(), mark: 'another driver' });
    book.start();
    await book.settled();
    expect(asked).toContain('look');
    expect(await choose('broken')).toEqual(['cuda:0', 'cpu:0']);
  });

  it.each(['', '{', '{"schema":1}', 'null', '{"schema":1,"mark":3,"devices":[{}],"failures":[]}'])(
    'is looked for anew where the document is %j',
    async (text) => {
      const store = new MemoryStore();
      await store.write('devices', new TextEncoder().encode(text));
      const { book, asked } = setUp({ store });
      book.start();
      await book.settled();
      expect(asked).toContain('look');
    },
  );

  it('needs no disk that can be written', async () => {
    const { book, choose } = setUp({
      store: { read: () => Promise.reject(new Error('EIO')), write: () => Promise.reject(new Error('EROFS')) },
    });
    book.start();
    expect(await choose()).toEqual(['cuda:0', 'cpu:0']);
    await book.stop();
  });
});

describe('a device that failed on a model', () => {
  it('is not chosen for it again, and for others as before', async () => {
    const { book, choose } = setUp();
    book.start();
    await book.settled();
    book.failed('model', { provider: 'cuda', index: 0 }, 'cuda: no kernel');
    expect(await choose('model')).toEqual(['cpu:0']);
    expect(await choose('other')).toEqual(['cuda:0', 'cpu:0']);
    const { fallbackReason } = await book.choose({ digest: 'model', neededBytes: 1, residents: [] });
    expect(fallbackReason).toBe('cuda: no kernel');
  });

  it('is forgotten once many others have failed', async () => {
    const { book, choose } = setUp();
    book.start();
    await book.settled();
    for (let model = 0; model <= FAILURES_MAX; model++) {
      book.failed(`model ${model}`, { provider: 'cuda', index: 0 }, 'no');
    }
    expect(await choose('model 0')).toEqual(['cuda:0', 'cpu:0']);
    expect(await choose(`model ${FAILURES_MAX}`)).toEqual(['cpu:0']);
  });

  it('is never the processor', async () => {
    const { book, choose } = setUp();
    book.failed('model', { provider: 'cpu', index: 0 }, 'no');
    expect(await choose('model')).toEqual(['cpu:0']);
  });
});

describe('measurements', () => {
  it('decide, and say what is left to be tried', async () => {
    const { book, choose } = setUp({
      measured: (digest) => (digest === 'small' ? [{ kind: 'cpu', index: 0, ms: 1 }] : []),
    });
    book.start();
    await book.settled();
    expect(await choose('small')).toEqual(['cpu:0']);
    const untried = (digest: string) =>
      book.untried({ digest, neededBytes: 1, residents: [] }).map((device) => deviceKey(device));
    expect(untried('small')).toEqual(['cuda:0']);
    expect(untried('other')).toEqual(['cpu:0', 'cuda:0']);
  });
});

describe('the processor alone', () => {
  it('is all that there is', async () => {
    const chooser = processorOnly(GIB);
    const { order } = await chooser.choose({ digest: 'm', neededBytes: 1, residents: [] });
    expect(order).toEqual([expect.objectContaining({ provider: 'cpu', index: 0, pool: 'cpu' })]);
    expect(chooser.budgets().get('cpu')).toBe(GIB);
  });
});
