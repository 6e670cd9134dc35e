// Windows of a transcript: their segments, and where the next window begins.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readWindow } from '../../../models/tasks/transcript.ts';
import { runs } from '../../support/property.ts';

const INIT = { timestampBeginId: 100, framesPerTime: 2, frames: 200, advanceFramesMin: 20 };
/** A time, in frames. */
const at = (frame: number): number => 100 + frame / 2;

const segmentsOf = (ids: readonly number[], frames = 200) => {
  const { segments, advanceFrames } = readWindow(ids, { ...INIT, frames });
  return [segments.map(({ startFrame, endFrame, ids: own }) => [startFrame, endFrame, own.length]), advanceFrames];
};

describe('a window', () => {
  it('is one segment where there are no pairs of times', () => {
    expect(segmentsOf([1, 2])).toEqual([[[0, 200, 2]], 200]);
    expect(segmentsOf([at(10), 1, 2])).toEqual([[[10, 10, 3]], 200]);
    expect(segmentsOf([at(10), 1, 2, at(80)])).toEqual([[[10, 80, 4]], 200]);
    expect(segmentsOf([at(0), 1], 90)).toEqual([[[0, 90, 2]], 90]);
    expect(segmentsOf([])).toEqual([[], 200]);
  });

  it('goes on at the last pair, where it was cut off', () => {
    const ids = [at(0), 1, at(60), at(60), 2, at(120), at(130), 3];
    expect(segmentsOf(ids)).toEqual([
      [
        [0, 60, 3],
        [60, 120, 3],
      ],
      120,
    ]);
  });

  it('is whole where it ends with a time alone', () => {
    const ids = [at(0), 1, at(60), at(70), 2, at(120)];
    expect(segmentsOf(ids)).toEqual([
      [
        [0, 60, 3],
        [70, 120, 3],
      ],
      200,
    ]);
  });

  it('is taken as whole where it would hardly go on', () => {
    const ids = [at(0), 1, at(10), at(10), 2];
    expect(segmentsOf(ids)).toEqual([
      [
        [0, 10, 3],
        [10, 200, 2],
      ],
      200,
    ]);
  });

  it('never goes beyond its sound', () => {
    expect(segmentsOf([at(0), 1, at(198), at(198), 2], 100)).toEqual([[[0, 100, 3]], 100]);
  });

  it('always goes on, and loses no token of what it keeps, whatever a model writes', () => {
    const token = fc.oneof(fc.nat(99), fc.integer({ min: 100, max: 200 }));
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), fc.integer({ min: 1, max: 200 }), (ids, frames) => {
        const { segments, advanceFrames } = readWindow(ids, { ...INIT, frames });
        expect(advanceFrames).toBeGreaterThanOrEqual(Math.min(frames, INIT.advanceFramesMin));
        expect(advanceFrames).toBeLessThanOrEqual(frames);
        const kept = segments.flatMap((segment) => segment.ids);
        expect(kept).toEqual(ids.slice(0, kept.length));
        for (const { startFrame, endFrame } of segments) {
          expect(startFrame).toBeLessThanOrEqual(endFrame);
          expect(endFrame).toBeLessThanOrEqual(frames);
        }
      }),
      runs(500),
    );
  });
});
