// A download against sources that are honest, slow, silent, hostile, or gone; by a clock that the test moves.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChunkSource, Holding } from '../../../../node/core/transfer.ts';
import type { MeshLimits } from '../../../../node/mesh/limits.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import { runs } from '../../../support/property.ts';
import { ManualClock } from '../manual-clock.ts';
import {
  chunked,
  FakeSource,
  type FakeSourceInit,
  failure,
  LIMITS,
  MemorySink,
  silence,
  TestDownload,
} from './support.ts';

const KIB = 1 << 10;
const CHUNK = 64 * KIB;
const content = new Uint8Array(randomBytes(20 * CHUNK + 1_000));
const file = chunked(content, CHUNK);
const files = new Map([[file.sha256, content]]);
const CHUNKS = 21;

type Send = NonNullable<FakeSourceInit['send']>;

/** Sends another byte where the middle of a chunk should be. */
const poisoned: Send = (bytes) => {
  bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
  return bytes;
};

interface Setup {
  readonly clock: ManualClock;
  readonly sink: MemorySink;
  readonly download: TestDownload;
  readonly sources: FakeSource[];
}

function start(
  inits: readonly Partial<FakeSourceInit>[],
  init: {
    readonly verifies?: boolean;
    readonly have?: Iterable<number>;
    readonly wanted?: ReadonlySet<number>;
    readonly limits?: Partial<MeshLimits['transfer']>;
    readonly sources?: (sources: readonly FakeSource[]) => readonly ChunkSource[];
  } = {},
): Setup {
  const clock = new ManualClock();
  const sources = inits.map((source, index) => new FakeSource(clock, { name: `peer-${index}`, files, ...source }));
  const sink = new MemorySink(file, init);
  const download = new TestDownload(
    clock,
    [{ file, sink, ...(init.wanted !== undefined && { wanted: init.wanted }) }],
    { sources: () => init.sources?.(sources) ?? sources, ...(init.limits !== undefined && { limits: init.limits }) },
  );
  return { clock, sink, download, sources };
}

const isWhole = ({ sink }: Setup): boolean =>
  Buffer.compare(sink.bytes, content) === 0 && sink.writes.every((count) => count === 1);

describe('a download', () => {
  it('brings every chunk once, from all sources together', async () => {
    const setup = start([{}, {}, {}]);
    const { doneBytes, totalBytes, sources } = await setup.download.over();
    expect(isWhole(setup)).toBe(true);
    expect([doneBytes, totalBytes]).toEqual([content.byteLength, content.byteLength]);
    expect(sources.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(content.byteLength);
    for (const source of setup.sources) expect(source.asked.length).toBeGreaterThan(3);
    // No chunk was asked for twice: nobody was late.
    expect(setup.sources.reduce((sum, { asked }) => sum + asked.length, 0)).toBe(CHUNKS);
  });

  it('gives each source as much as it is fast', async () => {
    const setup = start([{ bytesPerSecond: 1e6 }, { bytesPerSecond: 8e6 }]);
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
    const [slow, fast] = setup.download.progress.at(-1)?.sources ?? [];
    expect(fast?.bytes).toBeGreaterThan(3 * (slow?.bytes ?? 0));
  });

  it('fetches only what is wanted and not there', async () => {
    const setup = start([{}], { have: [0, 1, 2, 20], wanted: new Set([2, 3, 4]) });
    const { totalBytes, doneBytes } = await setup.download.over();
    expect(setup.sources[0]?.asked.toSorted((a, b) => a - b)).toEqual([3, 4]);
    expect([totalBytes, doneBytes]).toEqual([3 * CHUNK, 3 * CHUNK]);
  });

  it('is over at once when everything is there, and never asks', async () => {
    const setup = start([{}], { have: Array(CHUNKS).keys() });
    expect((await setup.download.over()).doneBytes).toBe(content.byteLength);
    expect(setup.sources[0]?.asked).toEqual([]);
  });

  it('takes first what the fewest have', async () => {
    const rare = new Set([13, 17]);
    const partial: Holding = { has: (index) => !rare.has(index) };
    const setup = start([{ parallelMax: 1 }, { parallelMax: 1, holding: () => partial }]);
    await setup.download.over();
    expect(setup.sources[0]?.asked.slice(0, 2)).toEqual([13, 17]);
    expect(isWhole(setup)).toBe(true);
  });

  it('notices chunks that a partial source gains', async () => {
    let have = 3;
    const setup = start([{ holding: () => ({ has: (index) => index < have }) }]);
    await setup.clock.advance(500);
    expect(setup.sink.writes.filter((count) => count > 0)).toHaveLength(3);
    have = CHUNKS;
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
  });

  it('lets a source take part that comes later', async () => {
    let looks = 0;
    const setup = start([{ bytesPerSecond: 100e3 }, {}], {
      sources: (all) => all.slice(0, looks++ < 2 ? 1 : 2),
    });
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
    expect(setup.sources[1]?.asked.length).toBeGreaterThan(10);
  });

  it('asks the faster source for the last chunks of the slow one, and takes whichever comes first', async () => {
    const setup = start([{ bytesPerSecond: 20e3 }, {}]);
    await setup.download.over(3_000);
    expect(isWhole(setup)).toBe(true);
    // The slow one was told that its chunks are not wanted any more.
    expect(setup.sources[0]?.cancelled).toBeGreaterThan(0);
  });

  it('waits for the slow one where nothing is asked twice', async () => {
    // The faster source lacks what the slow one sends: the twin of the case above.
    const setup = start([{ bytesPerSecond: 20e3 }, { holding: () => ({ has: (index) => index >= LIMITS.lanesMin }) }]);
    await expect(setup.download.over(3_000)).rejects.toThrow('not over');
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
  });

  it('keeps what it holds in memory within its bound, chunks that are being written included', async () => {
    const clock = new ManualClock();
    let held = 0;
    let most = 0;
    const source = new FakeSource(clock, {
      name: 'a',
      files,
      parallelMax: 100,
      latencyMs: 1_000,
      send: (bytes) => {
        held += bytes.byteLength;
        most = Math.max(most, held);
        return bytes;
      },
    });
    const sink = new MemorySink(file, {
      before: async () => {
        await new Promise<void>((resolve) => clock.after(40, resolve));
        held -= CHUNK;
      },
    });
    await new TestDownload(clock, [{ file, sink }], {
      sources: () => [source],
      limits: { inFlightBytesMax: 5 * CHUNK, lanesMin: 100 },
    }).over();
    expect(most).toBe(5 * CHUNK);
  });

  it('reports as it goes, and at the end', async () => {
    const setup = start([{ bytesPerSecond: 1e6, name: 'only' }]);
    await setup.download.over();
    const { progress } = setup.download;
    expect(progress.length).toBeGreaterThan(3);
    expect(progress.map(({ doneBytes }) => doneBytes)).toEqual(
      progress.map(({ doneBytes }) => doneBytes).toSorted((a, b) => a - b),
    );
    expect(progress[3]?.sources).toMatchObject([{ name: 'only', state: 'active' }]);
    expect(progress.at(-1)).toMatchObject({ doneBytes: content.byteLength, sources: [{ bytes: content.byteLength }] });
    expect(progress[3]?.bytesPerSecond).toBeGreaterThan(500e3);
  });

  it('paces a hub by whole chunks', async () => {
    const taken: number[] = [];
    const clock = new ManualClock();
    const source = new FakeSource(clock, { name: 'hub.example', kind: 'hub', files });
    const sink = new MemorySink(file);
    await new TestDownload(clock, [{ file, sink }], {
      sources: () => [source],
      takeAll: async (bytes) => void taken.push(bytes),
    }).over();
    expect(taken).toHaveLength(CHUNKS);
    expect(taken[0]).toBe(CHUNK);
  });
});

describe('a source that sends what is not the file', () => {
  it('is blamed within one chunk, and nothing of it is written', async () => {
    const setup = start([{ send: poisoned, bytesPerSecond: 100e6 }, {}]);
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
    expect(setup.sink.refused).toBeLessThanOrEqual(LIMITS.lanesMin);
    const [bad] = setup.download.progress.at(-1)?.sources ?? [];
    expect(bad).toMatchObject({ state: 'blamed', bytes: 0 });
    // It was asked for one more while the first was verified, and for nothing afterwards.
    expect(setup.sources[0]?.asked.length).toBeLessThanOrEqual(LIMITS.lanesMin + 1);
  });

  it('would be written without the guard', async () => {
    const setup = start([{ send: poisoned, bytesPerSecond: 100e6 }, {}], { verifies: false });
    await setup.download.over();
    expect(Buffer.compare(setup.sink.bytes, content)).not.toBe(0);
  });

  it('is blamed for its last chunk alone, and what it sent before counts', async () => {
    const setup = start([
      { send: (bytes, { count }) => (count > 3 ? poisoned(bytes, undefined as never) : bytes) },
      {},
    ]);
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
    const [turned] = setup.download.progress.at(-1)?.sources ?? [];
    expect(turned).toMatchObject({ state: 'blamed' });
    expect(turned?.bytes).toBeGreaterThanOrEqual(CHUNK);
  });

  it('is blamed for a size that lies', async () => {
    for (const send of [(bytes) => bytes.subarray(1), (bytes) => new Uint8Array(bytes.byteLength + 1)] as Send[]) {
      const setup = start([{ send, bytesPerSecond: 100e6 }, {}], { verifies: false });
      await setup.download.over();
      // The sink verifies nothing here: it is the size that gives it away.
      expect(isWhole(setup)).toBe(true);
      expect(setup.download.progress.at(-1)?.sources[0]?.state).toBe('blamed');
    }
  });

  it('ends the download when it is the only one, with what it is blamed for; good chunks stay', async () => {
    const setup = start([{ send: (bytes, { index }) => (index === 5 ? poisoned(bytes, undefined as never) : bytes) }]);
    expect(await setup.download.failure()).toMatchObject({ code: 'model_corrupt' });
    expect(setup.sink.writes.slice(0, 4)).toEqual([1, 1, 1, 1]);
    expect(setup.sink.writes[5]).toBe(0);
  });

  it('does not spoil the copy that another sends of the same chunk', async () => {
    // The slow one's chunks are asked for a second time; the liar's come first, and are refused.
    const setup = start([
      { bytesPerSecond: 20e3 },
      { send: (bytes, { count }) => (count > 19 ? poisoned(bytes, undefined as never) : bytes) },
    ]);
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
  });
});

describe('a source that fails', () => {
  it('loses its chunks when it falls silent, to those that have them', async () => {
    const setup = start([{ send: (_bytes, { signal }) => silence(signal) }, { bytesPerSecond: 100e3 }]);
    await setup.download.over(60_000);
    expect(isWhole(setup)).toBe(true);
    expect(setup.download.progress.at(-1)?.sources[0]).toMatchObject({ state: 'failed', bytes: 0 });
  });

  it('would hold up the download for ever without the deadline', async () => {
    const setup = start(
      // Nobody else has the first ones, so that nothing of it is asked twice.
      [
        { send: (bytes, { count, signal }) => (count <= LIMITS.lanesMin ? silence(signal) : bytes) },
        { holding: () => ({ has: (index) => index >= LIMITS.lanesMin }) },
      ],
      { limits: { stallMs: 1e9, stallMsMax: 1e9, stallUnmeasuredMs: 1e9 } },
    );
    await expect(setup.download.over(600_000)).rejects.toThrow('not over');
    setup.download.abort.abort();
    await setup.download.failure();
    const guarded = start([
      { send: (bytes, { count, signal }) => (count <= LIMITS.lanesMin ? silence(signal) : bytes) },
      { holding: () => ({ has: (index) => index >= LIMITS.lanesMin }) },
    ]);
    await guarded.download.over(60_000);
    expect(isWhole(guarded)).toBe(true);
  });

  it('keeps its chunks while bytes come, however slowly, when nobody else has them', async () => {
    const setup = start([{ bytesPerSecond: 4_000, tells: true }], { wanted: new Set([0, 1]) });
    await setup.download.over(120_000);
    expect(setup.sources[0]?.cancelled).toBe(0);
  });

  it('is left alone for a while, and comes back', async () => {
    const setup = start([
      {
        send: (bytes, { count }) => {
          if (count <= 4) throw failure('peer_lost');
          return bytes;
        },
      },
    ]);
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
  });

  it('is not believed again before it says anew what it has', async () => {
    const setup = start([
      {
        send: () => {
          throw failure('not_found');
        },
        bytesPerSecond: 100e6,
      },
      { bytesPerSecond: 200e3 },
    ]);
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
    // A few tries between ever longer waits, in the seven seconds that the honest one takes.
    expect(setup.sources[0]?.asked.length).toBeLessThan(20);
  });

  it('ends the download with its failure when nobody is left, after a grace', async () => {
    const setup = start([
      {
        send: () => {
          throw failure('peer_lost');
        },
      },
    ]);
    await setup.clock.advance(LIMITS.graceMs);
    expect(setup.download.isOver).toBe(false);
    expect(await setup.download.failure()).toMatchObject({ code: 'peer_lost' });
  });

  it('may be followed by one that turns up within the grace', async () => {
    let isThere = false;
    const setup = start([{}], { sources: (all) => (isThere ? all : []) });
    await setup.clock.advance(LIMITS.graceMs - 2_000);
    expect(setup.download.isOver).toBe(false);
    isThere = true;
    await setup.download.over();
    expect(isWhole(setup)).toBe(true);
  });

  it('is named as nobody when there was none', async () => {
    const setup = start([], {});
    expect(await setup.download.failure()).toMatchObject({ code: 'peer_unreachable' });
  });

  it('that never says what it has is given up', async () => {
    const setup = start([{}], {
      sources: (all) => all.map((source) => Object.assign(source, { holdings: () => new Promise(() => undefined) })),
    });
    expect(await setup.download.failure()).toMatchObject({ code: 'peer_timeout' });
  });
});

describe('ending', () => {
  it('stops at once when it is cancelled, and waits for what is being written', async () => {
    const clock = new ManualClock();
    const source = new FakeSource(clock, { name: 'a', files });
    let writing = 0;
    const sink = new MemorySink(file, {
      before: async () => {
        writing++;
        await new Promise<void>((resolve) => clock.after(5_000, resolve));
        writing--;
      },
    });
    const download = new TestDownload(clock, [{ file, sink }], { sources: () => [source] });
    await clock.advance(300);
    expect(writing).toBeGreaterThan(0);
    download.abort.abort();
    await clock.advance(1_000);
    expect(download.isOver).toBe(false);
    expect(await download.failure()).toMatchObject({ code: 'cancelled' });
    expect(writing).toBe(0);
    expect(source.reading).toBe(0);
  });

  it('fails with what writing fails with, at once', async () => {
    const clock = new ManualClock();
    const source = new FakeSource(clock, { name: 'a', files });
    const sink = new MemorySink(file, {
      before: () => Promise.reject(new WeftError({ code: 'disk_full', message: 'The disk is full.' })),
    });
    const download = new TestDownload(clock, [{ file, sink }], { sources: () => [source] });
    expect(await download.failure(1_000)).toMatchObject({ code: 'disk_full' });
  });

  it('leaves no timer', async () => {
    const setup = start([{}, { send: poisoned }]);
    await setup.download.over();
    await setup.clock.advance(1);
    expect(setup.clock.timers).toBe(0);
  });

  it.each([
    ['chunks of no size', 0],
    ['chunks that fill the memory', LIMITS.chunkBytesMax + 1],
    ['more chunks than can be kept', 1],
  ])('refuses %s', async (_what, sizeBytes) => {
    const lying = { sha256: file.sha256, sizeBytes: 2 ** 40, chunks: { sizeBytes, sha256: undefined } };
    const sink = { has: () => false, write: async () => true };
    expect(() => new TestDownload(new ManualClock(), [{ file: lying, sink }], { sources: () => [] })).toThrow(
      WeftError,
    );
  });
});

describe('any mixture of sources', () => {
  const behaviour = fc.constantFrom(
    'honest',
    'partial',
    'poisoned',
    'short',
    'silent',
    'resets',
    'liar',
    'slow',
    'fickle',
  );
  const source = fc.record({
    behaviour,
    bytesPerSecond: fc.integer({ min: 50_000, max: 20_000_000 }),
    latencyMs: fc.integer({ min: 0, max: 200 }),
    parallelMax: fc.integer({ min: 1, max: 8 }),
    seed: fc.integer({ min: 0, max: 1_000 }),
    tells: fc.boolean(),
  });

  const initOf = (drawn: typeof source extends fc.Arbitrary<infer T> ? T : never, index: number): FakeSourceInit => {
    const { behaviour: kind, seed, ...rest } = drawn;
    const chance = (call: number): number => ((seed + 1) * 7_919 * (call + 1)) % 100;
    const sends: Partial<Record<typeof kind, Send>> = {
      poisoned: (bytes, { count }) => (chance(count) < 50 ? poisoned(bytes, undefined as never) : bytes),
      short: (bytes) => bytes.subarray(1),
      silent: (bytes, { signal, count }) => (chance(count) < 50 ? silence(signal) : bytes),
      resets: (bytes, { count }) => {
        if (chance(count) < 70) throw failure('peer_lost');
        return bytes;
      },
      liar: () => {
        throw failure('not_found');
      },
    };
    let asked = 0;
    const holding: FakeSourceInit['holding'] = () => {
      asked++;
      if (kind === 'partial') return { has: (chunk) => (chunk + seed) % 3 !== 0 };
      if (kind === 'fickle') return chance(asked) < 50 ? 'none' : { has: (chunk) => (chunk + asked) % 2 === 0 };
      return 'all';
    };
    const send = sends[kind];
    const bytesPerSecond = kind === 'slow' ? 20_000 : rest.bytesPerSecond;
    return { ...rest, bytesPerSecond, name: `source-${index}`, files, holding, ...(send !== undefined && { send }) };
  };

  it('brings every chunk exactly once and no bad byte while one is honest, within its memory, and ends', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(source, { maxLength: 5 }),
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 1, max: 30 }),
        fc.uniqueArray(fc.nat(CHUNKS - 1), { maxLength: 10 }),
        async (drawn, honestAt, inFlight, have) => {
          const clock = new ManualClock();
          const inits = drawn.map(initOf);
          inits.splice(honestAt, 0, { name: 'honest', files });
          const sources = inits.map((init) => new FakeSource(clock, init));
          const sink = new MemorySink(file, { have });
          const inFlightBytesMax = inFlight * CHUNK;
          const download = new TestDownload(clock, [{ file, sink }], {
            sources: () => sources,
            limits: { inFlightBytesMax },
          });
          const watch = async (): Promise<void> => {
            while (!download.isOver) {
              const reading = sources.reduce((sum, one) => sum + one.reading, 0);
              expect(reading * CHUNK).toBeLessThanOrEqual(inFlightBytesMax + CHUNK);
              await new Promise((resolve) => setImmediate(resolve));
            }
          };
          await Promise.all([download.over(), watch()]);
          expect(sink.writes.every((count) => count === 1)).toBe(true);
          for (let chunk = 0; chunk < CHUNKS; chunk++) {
            if (have.includes(chunk)) continue;
            const range = [chunk * CHUNK, Math.min(content.byteLength, (chunk + 1) * CHUNK)] as const;
            expect(Buffer.compare(sink.bytes.subarray(...range), content.subarray(...range))).toBe(0);
          }
        },
      ),
      runs(60),
    );
  });

  it('ends with a typed failure where none is honest', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          source.filter(({ behaviour: kind }) => kind === 'liar' || kind === 'short'),
          { maxLength: 4 },
        ),
        async (drawn) => {
          const clock = new ManualClock();
          const sources = drawn.map((one, index) => new FakeSource(clock, initOf(one, index)));
          const sink = new MemorySink(file);
          const error = await new TestDownload(clock, [{ file, sink }], { sources: () => sources }).failure();
          expect(error).toBeInstanceOf(WeftError);
          expect(sink.writes.every((count) => count === 0)).toBe(true);
        },
      ),
      runs(10),
    );
  });
});
