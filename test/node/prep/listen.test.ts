// Sounds through the caged process: every kind of file, long ones in parts, bad ones refused, slow ones ended.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { decodeSound } from '../../../node/prep/audio/decode.ts';
import { spectrogram } from '../../../node/prep/audio/spectrogram.ts';
import { FRAMES_PER_MESSAGE } from '../../../node/prep/limits.ts';
import { PrepProcess, type PrepProcessInit } from '../../../node/prep/prep-process.ts';
import { tone, wav } from './audio/wav-bytes.ts';

const ENTRY = fileURLToPath(new URL('../../../node/prep/main.ts', import.meta.url));
const SOUNDS = fileURLToPath(new URL('../../fixtures/sound/', import.meta.url));
const SPEC = { sampleRate: 16_000, fftSize: 400, hopLength: 160, melBins: 80 };
const signal = new AbortController().signal;

const made: PrepProcess[] = [];
afterEach(async () => {
  await Promise.all(made.splice(0).map((prep) => prep.stop()));
});

function prepOf(init: Partial<PrepProcessInit> = {}): PrepProcess {
  const prep = new PrepProcess(
    { clock: systemClock, log: silentLog },
    { entry: ENTRY, nodePath: process.execPath, ...init },
  );
  made.push(prep);
  return prep;
}

describe('a sound in the prep process', () => {
  it('gives what decoding it here gives, for every kind of file', async () => {
    const prep = prepOf();
    for (const name of readdirSync(SOUNDS)) {
      const file = readFileSync(SOUNDS + name);
      const here = spectrogram(await decodeSound(file, { sampleRate: 16_000, secondsMax: 60 }), SPEC);
      expect(await prep.listen(file, SPEC, { signal })).toEqual(here);
    }
  });

  it('comes whole when it is longer than a message', async () => {
    const samples = tone(16_000, 65);
    const heard = await prepOf().listen(wav(samples), SPEC, { signal });
    expect(heard.frames).toBeGreaterThan(2 * FRAMES_PER_MESSAGE);
    // What 16 bits leave of the samples.
    const rounded = samples.map((sample) => Math.round(sample * 32_768) / 32_768);
    expect(heard).toEqual(spectrogram(rounded, SPEC));
  });

  it('is refused where it is none, and the next one is heard', async () => {
    const prep = prepOf();
    const nothing = prep.listen(Buffer.from('no sound'), SPEC, { signal });
    await expect(nothing).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'file' } });
    expect((await prep.listen(wav(tone(16_000, 0.2)), SPEC, { signal })).contentFrames).toBe(20);
  });

  it('is given up at its deadline, and by its caller', async () => {
    const prep = prepOf({ workMsMax: 150 });
    const long = wav(tone(16_000, 600));
    await expect(prep.listen(long, SPEC, { signal })).rejects.toMatchObject({ code: 'deadline_exceeded' });
    const controller = new AbortController();
    const cancelled = prepOf().listen(long, SPEC, { signal: controller.signal });
    controller.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
  });
});
