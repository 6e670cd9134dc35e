// Windows of a sound, and the room that sounds share.
import { describe, expect, it } from 'vitest';
import { SoundRoom, windowOf } from '../../../node/coordinator/sound.ts';
import { float32Elements } from '../../../protocol/tensor.ts';

describe('the room for sounds', () => {
  it('is as large as it says, and is given back', () => {
    const room = new SoundRoom({ bytesMax: 100 });
    const giveBack = room.take(60);
    room.take(40);
    expect(() => room.take(1)).toThrow(expect.objectContaining({ code: 'overloaded' }));
    giveBack();
    expect(() => room.take(60)).not.toThrow();
  });

  it('would hold whatever comes if it had no bound', () => {
    const room = new SoundRoom({ bytesMax: Number.POSITIVE_INFINITY });
    for (let sounds = 0; sounds < 1_000; sounds++) expect(() => room.take(2 ** 30)).not.toThrow();
  });
});

it('a window is laid out bin by bin, and silent behind the sound', () => {
  const spec = { frames: 4, melBins: 2 } as Parameters<typeof windowOf>[2];
  const sound = { data: Float32Array.of(1, 10, 2, 20, 3, 30), frames: 3, melBins: 2, contentFrames: 3, silence: 0.5 };
  const window = windowOf(sound, 1, spec);
  expect(window).toMatchObject({ name: 'features', type: 'float32', dims: [1, 2, 4] });
  expect([...float32Elements(window)]).toEqual([2, 3, 0.5, 0.5, 20, 30, 0.5, 0.5]);
  expect([...float32Elements(windowOf(sound, 5, spec))]).toEqual(Array(8).fill(0.5));
});
