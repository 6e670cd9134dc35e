import { describe, expect, it } from 'vitest';
import { Batch } from '../../../../desktop/ui/data/batch.ts';
import { EVENTS_WAITING_MAX } from '../../../../desktop/ui/data/limits.ts';

describe('Batch', () => {
  const rig = () => {
    const frames: (() => void)[] = [];
    const taken: (readonly number[])[] = [];
    let overflows = 0;
    const batch = new Batch<number>(
      { schedule: (callback) => frames.push(callback) },
      {
        take: (items) => taken.push(items),
        overflow: () => {
          overflows += 1;
        },
      },
    );
    return { batch, frames, taken, overflows: () => overflows };
  };

  it('hands on all that came before a frame in one go, in order', () => {
    const { batch, frames, taken } = rig();
    batch.add([1, 2]);
    batch.add([]);
    batch.add([3]);
    expect(frames).toHaveLength(1);
    frames[0]?.();
    batch.add([4]);
    frames[1]?.();
    expect(taken).toEqual([[1, 2, 3], [4]]);
  });

  it('keeps no more than its bound, and says that something was left out', () => {
    const { batch, frames, taken, overflows } = rig();
    batch.add(Array.from({ length: EVENTS_WAITING_MAX + 1 }, (_, at) => at));
    frames[0]?.();
    expect(taken).toEqual([]);
    expect(overflows()).toBe(1);
  });
});
