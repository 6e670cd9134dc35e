import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutRuleOf, pieces } from '../../../models/tasks/text-bounds.ts';
import { runs } from '../../support/property.ts';
import { hardText, loadMini, loadSmol, type Subject } from './tokenizers.ts';

const smol = loadSmol();
const mini = loadMini();
const ruleOf = ({ json, config }: Subject) => cutRuleOf(json, config);
const bare = { add_special_tokens: false } as const;

describe('cutting a text', () => {
  it.each([
    ['SmolLM2', smol],
    ['MiniLM', mini],
  ])('changes none of the tokens of %s', (_name, subject) => {
    fc.assert(
      fc.property(hardText(40), fc.integer({ min: 1, max: 8 }), (text, pieceChars) => {
        const parts = [...pieces(text, ruleOf(subject), pieceChars)];
        expect(parts.join('')).toBe(text);
        const ids = parts.flatMap((part) => subject.library.encode(part, bare).ids);
        expect(ids).toEqual(text === '' ? [] : subject.library.encode(text, bare).ids);
      }),
      runs(400),
    );
  });

  // The twin of the test above: shows that it would notice a cut in the wrong place.
  it('would change tokens if it were made anywhere', () => {
    const anywhere = { mayCut: () => true, silentWhitespace: false };
    const parts = [...pieces('Hello  world', anywhere, 3)];
    const ids = parts.flatMap((part) => smol.library.encode(part, bare).ids);
    expect(ids).not.toEqual(smol.library.encode('Hello  world', bare).ids);
  });

  it('is made in ordinary text of either kind, and in text of ideographs without spaces', () => {
    expect([...pieces('one two three four', ruleOf(smol), 4)]).toEqual(['one two', ' three', ' four']);
    expect([...pieces('one two three four', ruleOf(mini), 4)]).toEqual(['one two', ' three', ' four']);
    expect([...pieces('日本語日本語', ruleOf(mini), 2)]).toEqual(['日本', '語日', '本語']);
  });

  it('refuses more than a Mi characters without a place to cut', () => {
    const long = 'a'.repeat((1 << 20) + 1);
    expect(() => [...pieces(long, ruleOf(mini))]).toThrow(/in a row/);
    expect(() => [...pieces(long, undefined)]).toThrow(/in a row/);
    expect([...pieces(long.slice(1), undefined)]).toHaveLength(1);
    expect([...pieces(`${long.slice(2)} ${long.slice(2)}`, ruleOf(mini))]).toHaveLength(2);
  });

  it('is not made for a tokenizer that is not known to bear it', () => {
    const { json, config } = smol;
    expect(cutRuleOf({ ...json, normalizer: { type: 'NFC' } }, config)).toBeUndefined();
    expect(cutRuleOf({ ...json, pre_tokenizer: { type: 'Split' } }, config)).toBeUndefined();
    expect(cutRuleOf({ ...json, model: { ...json.model, fuse_unk: true } }, config)).toBeUndefined();
    const spaced = { id: 5, content: 'two words', special: false, lstrip: false, rstrip: false };
    expect(cutRuleOf({ ...json, added_tokens: [spaced] }, config)).toBeUndefined();
    const stripping = { id: 5, content: '<mask>', special: true, lstrip: true, rstrip: false };
    expect(cutRuleOf({ ...json, added_tokens: [stripping] }, config)).toBeUndefined();
  });
});

describe('the fewest tokens of a text', () => {
  it('are never more than it has', () => {
    fc.assert(
      fc.property(hardText(60), (text) => {
        expect(smol.tokenizer.minTokens(text)).toBeLessThanOrEqual(
          text === '' ? 0 : smol.library.encode(text).ids.length,
        );
      }),
      runs(500),
    );
  });

  it('count no bytes that the vocabulary lacks: they leave no token', () => {
    expect(smol.library.encode('\x04'.repeat(1000)).ids).toEqual([]);
    expect(smol.tokenizer.minTokens('\x04'.repeat(1000))).toBe(0);
  });

  it('refuse 16 MiB for what they are without tokenising it', () => {
    const startMs = performance.now();
    expect(smol.tokenizer.minTokens('a'.repeat(16 << 20))).toBeGreaterThan(8192);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  it('are none where one token can stand for a word of any length', () => {
    expect(mini.tokenizer.minTokens('a'.repeat(1000))).toBe(0);
  });
});
