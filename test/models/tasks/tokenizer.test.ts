import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadTokenizer, loadVerifiedTokenizer } from '../../../models/tasks/tokenizer.ts';
import { runs } from '../../support/property.ts';
import { MINILM, manifestOf } from '../paths.ts';
import { temporaryFolder, tinyModel } from '../temporary.ts';
import { hardText, loadMini, loadSmol } from './tokenizers.ts';

const smol = loadSmol();
const mini = loadMini();

describe('tokenising', () => {
  it('gives what the library gives, as long as the text fits', () => {
    fc.assert(
      fc.property(hardText(30), fc.boolean(), (text, specialTokens) => {
        for (const { tokenizer, library } of [smol, mini]) {
          const { ids, truncated } = tokenizer.encode(text, { tokensMax: 10_000, specialTokens });
          expect([...ids]).toEqual(library.encode(text, { add_special_tokens: specialTokens }).ids);
          expect(truncated).toBe(false);
        }
      }),
      runs(120),
    );
  });

  it('cuts a text that is too long before the last special token, exactly there', () => {
    fc.assert(
      fc.property(hardText(30), fc.integer({ min: 2, max: 40 }), (text, tokensMax) => {
        const whole = mini.library.encode(text).ids;
        const { ids, truncated } = mini.tokenizer.encode(text, { tokensMax, specialTokens: true });
        expect(truncated).toBe(whole.length > tokensMax);
        expect([...ids]).toEqual(truncated ? [...whole.slice(0, tokensMax - 1), 102] : whole);
      }),
      runs(120),
    );
  });

  it.each([
    ['prose', 'The quick brown fox, as 12 people saw, jumped over “the dog”. '.repeat(2_000)],
    ['long words', `${'abc'.repeat(5_000)} ${'é'.repeat(9_000)}\n${'語'.repeat(9_000)}`],
    ['white space', `a${' '.repeat(20_000)}b${'\n'.repeat(20_000)}`],
  ])('gives the same tokens in pieces as whole: %s', (_name, text) => {
    for (const { tokenizer, library } of [smol, mini]) {
      const whole = library.encode(text).ids;
      const { ids } = tokenizer.encode(text, { tokensMax: 1_000_000, specialTokens: true });
      expect([...ids]).toEqual(whole);
      const cut = tokenizer.encode(text, { tokensMax: 700, specialTokens: false });
      expect([...cut.ids]).toEqual(library.encode(text, { add_special_tokens: false }).ids.slice(0, 700));
    }
  });

  it('reads no more of a long text than it needs', () => {
    const text = 'word '.repeat(3_000_000);
    const startMs = performance.now();
    expect(mini.tokenizer.encode(text, { tokensMax: 512, specialTokens: true })).toMatchObject({ truncated: true });
    // Whole, this takes ten seconds.
    expect(performance.now() - startMs).toBeLessThan(3_000);
  });

  it('does not call a text cut when only white space is left of it', () => {
    const text = `one two${' '.repeat(100_000)}`;
    expect(mini.tokenizer.encode(text, { tokensMax: 4, specialTokens: true })).toEqual({
      ids: Int32Array.of(101, 2028, 2048, 102),
      truncated: false,
    });
  });
});

describe('loading a tokenizer', () => {
  it('gives the same one from a folder as from a verified model', async () => {
    const [plain, verified] = [await loadTokenizer(MINILM), await loadVerifiedTokenizer(MINILM, manifestOf(MINILM))];
    const options = { tokensMax: 512, specialTokens: true };
    expect(plain.encode('Hello world!', options)).toEqual(verified.encode('Hello world!', options));
  });

  it.each([
    ['no JSON', 'tokens'],
    ['no tokenizer', '{"model": 5}'],
    ['a kind that nobody knows', '{"model": {"type": "Magic", "vocab": {}}, "pre_tokenizer": {"type": "Wand"}}'],
  ])('refuses a file with %s', async (_name, text) => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'tokenizer.json'), text);
    await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it('refuses a tokenizer that is not the one of the manifest, and a folder without one', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'tokenizer.json'), '{}');
    await expect(loadVerifiedTokenizer(folder, manifestOf(MINILM))).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(loadTokenizer(join(folder, 'onnx'))).rejects.toMatchObject({ code: 'model_corrupt' });
  });
});
