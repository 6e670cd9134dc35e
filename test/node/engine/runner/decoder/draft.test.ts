// What prompt lookup drafts: against a plain search of the whole sequence.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LOOKUP_TOKENS_MAX, PromptLookup } from '../../../../../node/engine/runner/decoder/draft.ts';
import { runs } from '../../../../support/property.ts';

/** The places behind which `ids` begins as it ends, latest first. */
function placesAlike(ids: readonly number[], size: number): number[] {
  const places: number[] = [];
  for (let place = ids.length - 1; place >= size; place--) {
    const isAlike = ids.slice(place - size, place).join() === ids.slice(ids.length - size).join();
    if (ids.length >= size && isAlike) places.push(place);
  }
  return places;
}

/** By a search of everything: the latest place with enough behind it, else the earliest; of the first 16. */
function plainDraft(ids: readonly number[], max: number): number[] {
  for (const size of [3, 2]) {
    const places = placesAlike(ids, size).slice(0, 16);
    const place = places.find((one) => ids.length - one >= max) ?? places.at(-1);
    if (place !== undefined) return ids.slice(place, place + max);
  }
  return [];
}

describe('PromptLookup', () => {
  it('drafts what followed the last time, the longest likeness first', () => {
    expect(new PromptLookup([1, 2, 3, 40, 41, 9, 1, 2, 3]).draft(2)).toEqual([40, 41]);
    // 2, 3 came later, but 1, 2, 3 says more.
    expect(new PromptLookup([1, 2, 3, 40, 7, 2, 3, 50, 1, 2, 3]).draft(1)).toEqual([40]);
    expect(new PromptLookup([1, 2, 3, 40, 1, 2, 3, 50, 1, 2, 3]).draft(1)).toEqual([50]);
    expect(new PromptLookup([8, 2, 3, 40, 7, 2, 3]).draft(5)).toEqual([40, 7, 2, 3]);
  });

  it('drafts nothing where nothing is alike, or nothing is asked for', () => {
    expect(new PromptLookup([]).draft(4)).toEqual([]);
    expect(new PromptLookup([5, 5]).draft(4)).toEqual([]);
    expect(new PromptLookup([3, 1, 2, 3]).draft(4)).toEqual([]);
    const lookup = new PromptLookup([1, 2, 3, 1, 2]);
    expect([0, -1, Number.NaN].map((max) => lookup.draft(max))).toEqual([[], [], []]);
  });

  it('keeps to its bounds', () => {
    const ids = Array.from({ length: 100 }, () => 7);
    expect(new PromptLookup(ids).draft(100)).toEqual(Array.from({ length: 10 }, () => 7));
    expect(new PromptLookup(ids, { draftMax: 4 }).draft(100)).toHaveLength(4);
    expect(new PromptLookup([1, 2, 1], { ngramMin: 1 }).draft(4)).toEqual([2, 1]);
    expect(new PromptLookup([1, 2, 1]).draft(4)).toEqual([]);
  });

  it('drafts what a search of everything finds, token by token, in prompts and behind them', () => {
    // Few ids and short sequences repeat much; 256 is where it first grows.
    const ids = fc.array(fc.nat(3), { maxLength: 40, size: 'max' });
    fc.assert(
      fc.property(ids, ids, fc.integer({ min: 1, max: 6 }), fc.constantFrom(0, 240), (prompt, answer, max, filler) => {
        const all = [...Array.from({ length: filler }, (_, index) => 100 + index), ...prompt];
        const lookup = new PromptLookup(Int32Array.from(all));
        for (const id of answer) {
          lookup.accept(id);
          all.push(id);
          expect(lookup.draft(max)).toEqual(plainDraft(all, max));
        }
      }),
      runs(100),
    );
  });

  it('goes on until a bound with any text, and is silent beyond it', () => {
    // One token only, and pairs of few: every look-up walks a long chain if anything bounds it not.
    for (const idAt of [() => 7, (index: number) => (index * index) % 5]) {
      const lookup = new PromptLookup([]);
      for (let index = 0; index < LOOKUP_TOKENS_MAX - 1; index++) {
        lookup.accept(idAt(index));
        lookup.draft(10);
      }
      expect(lookup.draft(10)).toHaveLength(10);
      for (let index = 0; index < 4; index++) lookup.accept(7);
      expect(lookup.draft(10)).toEqual([]);
    }
  });
});
