// What a speech model may write next, from the prompt and from what it has written.
import { describe, expect, it } from 'vitest';
import type { SpeechSpec } from '../../../../models/manifest.ts';
import { allowTokens } from '../../../../node/engine/runner/speech-rules.ts';

// Tokens 0 to 9 are text, 10 ends, 11 begins, 12 and 13 are languages, 14 means "no times", times are 15 to 24.
const SPEC: SpeechSpec = {
  sampleRate: 16_000,
  fftSize: 400,
  hopLength: 160,
  melBins: 80,
  frames: 3_000,
  startId: 11,
  languages: { en: 12, de: 13 },
  noTimestampsId: 14,
  timestampBeginId: 15,
  initialTimestampsMax: 2,
  suppressIds: [9, 11, 12, 13],
  beginSuppressIds: [0, 10],
};
const TEXT = [1, 2, 3, 4, 5, 6, 7, 8];
const TIMES = [15, 16, 17, 18, 19, 20, 21, 22, 23, 24];
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Tokens that may come next. @param likely tokens whose logit is 5, all others' is 0 */
function allowed(prompt: readonly number[], drawn: readonly number[], likely: readonly number[] = [3]): number[] {
  const logits = new Float32Array(25);
  for (const id of likely) logits[id] = 5;
  allowTokens(logits, { ids: [...prompt, ...drawn], promptLength: prompt.length, eosId: 10 }, SPEC);
  return [...logits.keys()].filter((id) => Number.isFinite(logits[id]));
}

describe('a prompt of nothing but the beginning', () => {
  it('is answered by a language', () => expect(allowed([11], [])).toEqual([12, 13]));
  it('is answered by text where there is but one language', () => {
    const logits = new Float32Array(25);
    allowTokens(logits, { ids: [11], promptLength: 1, eosId: 10 }, { ...SPEC, languages: {} });
    expect(Number.isFinite(logits[15])).toBe(true);
  });
});

describe('without times', () => {
  const prompt = [11, 12, 14];
  it('text alone is written, not everything of it first', () => {
    expect(allowed(prompt, [])).toEqual(TEXT);
    expect(allowed(prompt, [3])).toEqual([0, ...TEXT, 10]);
  });
});

describe('with times', () => {
  const prompt = [11, 12];
  it('an early one comes first', () => expect(allowed(prompt, [])).toEqual([15, 16, 17]));
  it('text follows the first, whatever is likely', () => {
    expect(allowed(prompt, [16], [20])).toEqual([0, ...TEXT, 10]);
  });
  it('text goes on, or ends at a later time', () => {
    expect(allowed(prompt, [16, 3])).toEqual([0, ...TEXT, 10, ...range(17, 24)]);
  });
  it('an end is followed by a beginning no earlier than it, or by nothing', () => {
    expect(allowed(prompt, [16, 3, 19], [10])).toEqual([10, ...range(19, 24)]);
  });
  it('a pair is followed by text', () => {
    expect(allowed(prompt, [16, 3, 19, 20], [20])).toEqual([0, ...TEXT, 10]);
  });
  it('one comes where all of them together are likelier than any text', () => {
    // Ten of them at 0 weigh 10, one text at 1 weighs e.
    expect(allowed(prompt, [15, 3], [])).toEqual(TIMES.slice(1));
  });
});
