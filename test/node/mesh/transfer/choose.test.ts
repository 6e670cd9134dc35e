import { describe, expect, it } from 'vitest';
import {
  laneCount,
  nextRead,
  type ReadView,
  rarestFirst,
  type Snapshot,
  type SourceView,
  stallAfterMs,
} from '../../../../node/mesh/transfer/choose.ts';

const MIB = 1 << 20;

const source = (over: Partial<SourceView> = {}): SourceView => ({
  has: () => true,
  outstanding: 0,
  outstandingBytes: 0,
  lanes: 2,
  bytesPerSecond: undefined,
  latencyMs: undefined,
  ...over,
});

const choose = (over: Partial<Snapshot>): ReturnType<typeof nextRead> =>
  nextRead({
    queue: [],
    bytesOf: () => 4 * MIB,
    sources: [source()],
    reads: [],
    inFlightBytes: 0,
    inFlightBytesMax: 24 * MIB,
    ...over,
  });

describe('nextRead', () => {
  it('takes the head of the queue', () => {
    expect(choose({ queue: [7, 3] })).toEqual({ chunk: 7, source: 0 });
  });

  it('takes for each source the first that it has', () => {
    expect(choose({ queue: [7, 3], sources: [source({ has: (chunk) => chunk === 3 })] })).toEqual({
      chunk: 3,
      source: 0,
    });
    expect(choose({ queue: [7], sources: [source({ has: () => false })] })).toBeUndefined();
  });

  it('gives to the source with most lanes to spare, the faster one where they are equal', () => {
    const busy = source({ outstanding: 1, bytesPerSecond: 9e6 });
    expect(choose({ queue: [1], sources: [busy, source({ bytesPerSecond: 1 })] })).toMatchObject({ source: 1 });
    const wide = source({ outstanding: 1, lanes: 4 });
    expect(choose({ queue: [1], sources: [source({ outstanding: 1 }), wide] })).toMatchObject({ source: 1 });
    const fast = source({ bytesPerSecond: 9e6 });
    expect(choose({ queue: [1], sources: [source({ bytesPerSecond: 1e6 }), fast] })).toMatchObject({ source: 1 });
  });

  it('passes over a source whose lanes are taken', () => {
    expect(choose({ queue: [1], sources: [source({ outstanding: 2 })] })).toBeUndefined();
  });

  it('keeps within the memory for what is in flight, though one chunk always may be', () => {
    expect(choose({ queue: [1], inFlightBytes: 21 * MIB })).toBeUndefined();
    expect(choose({ queue: [1], inFlightBytes: 20 * MIB })).toBeDefined();
    expect(choose({ queue: [1], inFlightBytes: 0, inFlightBytesMax: 1 })).toBeDefined();
  });

  describe('when all are being read', () => {
    const read = (over: Partial<ReadView> = {}): ReadView => ({
      chunk: 5,
      bytes: 4 * MIB,
      source: 0,
      ageMs: 100,
      ...over,
    });
    const slow = source({ outstanding: 1, outstandingBytes: 4 * MIB, bytesPerSecond: 1 * MIB });
    const idle = source({ bytesPerSecond: 8 * MIB, latencyMs: 50 });

    it('doubles the oldest onto an idle source that is done with it sooner', () => {
      const reads = [read(), read({ chunk: 6 })];
      expect(choose({ sources: [slow, idle], reads })).toEqual({ chunk: 5, source: 1 });
    });

    it('does not where it gains little, where nothing is known, or where the source lacks it', () => {
      const reads = [read()];
      expect(choose({ sources: [slow, source({ bytesPerSecond: 1.5 * MIB })], reads })).toBeUndefined();
      expect(choose({ sources: [slow, source()], reads })).toBeUndefined();
      expect(choose({ sources: [slow, { ...idle, has: () => false }], reads })).toBeUndefined();
      expect(choose({ sources: [slow, { ...idle, outstanding: 1 }], reads })).toBeUndefined();
    });

    it('never gives a chunk a third reader, nor its own source again', () => {
      const twice = [read(), read({ source: 1 })];
      expect(choose({ sources: [slow, slow, idle], reads: twice })).toBeUndefined();
      expect(choose({ sources: [idle], reads: [read({ ageMs: 60_000 })] })).toBeUndefined();
    });

    it('waits for a source that has sent nothing yet as long as it has taken', () => {
      const fresh = source({ outstanding: 1, outstandingBytes: 4 * MIB });
      expect(choose({ sources: [fresh, idle], reads: [read({ ageMs: 1_000 })] })).toBeUndefined();
      expect(choose({ sources: [fresh, idle], reads: [read({ ageMs: 1_200 })] })).toBeDefined();
    });

    it('doubles at once what a source reads that is not to be used any more', () => {
      expect(choose({ sources: [idle], reads: [read({ source: undefined })] })).toEqual({ chunk: 5, source: 0 });
    });

    it('keeps within the memory', () => {
      expect(choose({ sources: [slow, idle], reads: [read()], inFlightBytes: 22 * MIB })).toBeUndefined();
    });
  });
});

describe('rarestFirst', () => {
  it('sorts by how many have a chunk, and keeps the order of equals', () => {
    const having = (...chunks: number[]) => ({ has: (chunk: number) => chunks.includes(chunk) });
    expect(rarestFirst([0, 1, 2, 3, 4], [having(0, 1, 2, 4), having(0, 3, 4), having(4)])).toEqual([1, 2, 3, 0, 4]);
  });
});

describe('laneCount', () => {
  const bounds = { chunkBytes: 4 * MIB, lanesMin: 2, lanesMax: 6 };

  it('fills the way to the source twice', () => {
    expect(laneCount({ bytesPerSecond: 250e6, latencyMs: 39 }, bounds)).toBe(5);
    expect(laneCount({ bytesPerSecond: 12.5e6, latencyMs: 1 }, bounds)).toBe(2);
  });

  it('gives a far source more from the start, but not more than a slow one can serve', () => {
    expect(laneCount({ bytesPerSecond: undefined, latencyMs: 80 }, bounds)).toBe(6);
    expect(laneCount({ bytesPerSecond: 30e6, latencyMs: 80 }, bounds)).toBe(6);
    expect(laneCount({ bytesPerSecond: 8e6, latencyMs: 80 }, bounds)).toBe(3);
    expect(laneCount({ bytesPerSecond: 1e6, latencyMs: 80 }, bounds)).toBe(2);
  });

  it('stays within its bounds', () => {
    expect(laneCount({ bytesPerSecond: undefined, latencyMs: undefined }, bounds)).toBe(2);
    expect(laneCount({ bytesPerSecond: 1e9, latencyMs: 500 }, bounds)).toBe(6);
    expect(laneCount({ bytesPerSecond: 1e9, latencyMs: 500 }, { ...bounds, lanesMax: 1 })).toBe(1);
  });
});

describe('stallAfterMs', () => {
  const bounds = { stallMs: 2_000, stallMsMax: 20_000, stallUnmeasuredMs: 8_000 };

  it('gives a source four times as long as it should take for what it owes', () => {
    const owing = { bytesPerSecond: 4 * MIB, latencyMs: 100, outstandingBytes: 4 * MIB };
    expect(stallAfterMs(owing, bounds)).toBe(2_000 + 4 * 1_100);
  });

  it('is bounded, and fixed before the first byte', () => {
    expect(stallAfterMs({ bytesPerSecond: 1, latencyMs: 1, outstandingBytes: MIB }, bounds)).toBe(20_000);
    expect(stallAfterMs({ bytesPerSecond: 0, latencyMs: 1, outstandingBytes: MIB }, bounds)).toBe(20_000);
    const unmeasured = { bytesPerSecond: undefined, latencyMs: undefined, outstandingBytes: MIB };
    expect(stallAfterMs(unmeasured, bounds)).toBe(8_000);
  });
});
