// The bundled tokenizers, as this project wraps them and as the library makes them; and texts that are hard on both.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { TextTokenizer } from '../../../models/tasks/tokenizer.ts';
import {
  parseTokenizerConfig,
  parseTokenizerJson,
  type TokenizerConfig,
  type TokenizerJson,
} from '../../../models/tasks/tokenizer-json.ts';
import { MINILM, SMOLLM2 } from '../paths.ts';

/** What tests use of the library, whose own declarations TypeScript can't resolve here. */
export interface Library {
  encode(text: string, options?: { add_special_tokens: boolean }): { ids: number[] };
  decode(
    ids: readonly number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
}

export interface Subject {
  readonly json: TokenizerJson;
  readonly config: TokenizerConfig;
  readonly library: Library;
  readonly tokenizer: TextTokenizer;
}

export function subjectOf(json: TokenizerJson, config: TokenizerConfig): Subject {
  return { json, config, library: new Tokenizer(json, config), tokenizer: new TextTokenizer(json, config) };
}

const load = (folder: string): Subject =>
  subjectOf(
    parseTokenizerJson(readFileSync(join(folder, 'tokenizer.json'))),
    parseTokenizerConfig(readFileSync(join(folder, 'tokenizer_config.json'))),
  );

export const loadSmol = (): Subject => load(SMOLLM2);
export const loadMini = (): Subject => load(MINILM);

/** What whole decoding gives of an answer. */
export const decodeWhole = ({ library }: Pick<Subject, 'library'>, ids: readonly number[]): string =>
  ids.length === 0 ? '' : library.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false });

const FRAGMENTS = [
  ...['a', 'the', 'Hello', "don't", "'s", 'ΟΔΟΣ', 'Σ', 'İ', 'é', 'e\u0301', '\u0301', 'ß', 'ﬁ', '12', '3', '½', '٣'],
  ...[' ', ' ', ' ', '  ', '   ', '\n', '\n\n', '\t', '\r\n', '\u00a0', '\u3000', '\ufeff', '\u200b', '\u2028', '\0'],
  ...['!', '...', '-', '[', ']', '<|', '[SEP]', '[CLS]', '<|im_end|>', '<|im_start|>', '[MASK]', '\ufffd', '\x04'],
  ...['語', '日本', '가', 'ﾊﾟ', '\u{20000}', '😀', '👩‍👩‍👧', '🇩🇪', 'a'.repeat(120), ' '.repeat(20), 'ब्', 'ไทย'],
] as const;

/** Text of words, spaces of many kinds, accents, ideographs, emoji, special tokens and lone surrogates. */
export const hardText = (length: number): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...FRAGMENTS) },
        fc.string({ unit: 'binary', maxLength: 3 }),
        fc.constantFrom('\ud83d', '\ude00'),
      ),
      {
        maxLength: length,
      },
    )
    .map((fragments) => fragments.join(''));
