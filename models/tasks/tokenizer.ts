// Text → token ids, and what it takes to go back: the library's tokenizer with bounded work, special tokens put around
// by hand (so that a cut text keeps its last one), and a detokenizer. Used by the tasks and by the prep process.
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { WeftError } from '../../protocol/errors.ts';
import { SMALL_FILE_BYTES_MAX } from '../../protocol/limits.ts';
import type { Manifest } from '../manifest.ts';
import { readVerified } from '../verify.ts';
import { byteOfCharacter } from './byte-level.ts';
import { ByteDetokenizer, type Detokenizer, type Vocabulary, WindowDetokenizer } from './detokenizer.ts';
import { type CutRule, cutRuleOf, minTokens, pieces, type TokenFloor } from './text-bounds.ts';
import { type TokenPiece, tokenBytes } from './token-bytes.ts';
import {
  parseTokenizerConfig,
  parseTokenizerJson,
  type TokenizerConfig,
  type TokenizerJson,
} from './tokenizer-json.ts';

/** What became of a text. */
export interface EncodedText {
  readonly ids: Int32Array;
  /** True when the text went on after `tokensMax`. */
  readonly truncated: boolean;
}

export interface EncodeTextOptions {
  /** Most ids in all, those around the text included. */
  readonly tokensMax: number;
  /** Put the tokenizer's own around the text, such as [CLS] and [SEP]. */
  readonly specialTokens: boolean;
}

/** What is used of the library. Its own declarations import without endings, which leaves everything `any` here. */
interface Library {
  encode(
    text: string,
    options?: {
      readonly add_special_tokens?: boolean;
      readonly text_pair?: string;
      readonly return_token_type_ids?: boolean;
    },
  ): { readonly ids: readonly number[]; readonly token_type_ids?: readonly number[] };
  decode(ids: readonly number[], options: { readonly clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(withAddedTokens: boolean): ReadonlyMap<string, number>;
}

/** Ids before, between and behind two texts. */
export interface PairFrame {
  readonly before: readonly number[];
  readonly between: readonly number[];
  readonly after: readonly number[];
  /** How many of those between belong to the first text's segment. */
  readonly firstBetween: number;
}

const NOTHING_AROUND = { before: [], after: [] } as const;

export class TextTokenizer {
  readonly config: TokenizerConfig;
  /** One more than the highest id. */
  readonly vocabularySize: number;
  readonly #library: Library;
  readonly #rule: CutRule | undefined;
  readonly #floor: TokenFloor | undefined;
  readonly #vocabulary: Vocabulary;
  readonly #byteLevel: boolean;
  readonly #around: { readonly before: readonly number[]; readonly after: readonly number[] };

  /** @throws WeftError `model_corrupt` when the library refuses the files */
  constructor(json: TokenizerJson, config: TokenizerConfig) {
    this.config = config;
    try {
      this.#library = new LibraryTokenizer(json, config);
    } catch (cause) {
      throw new WeftError({ code: 'model_corrupt', message: 'The tokenizer is of no kind that is known.' }, { cause });
    }
    this.#rule = cutRuleOf(json, config);
    this.#byteLevel = json.decoder?.type === 'ByteLevel';
    this.#floor = this.#byteLevel ? floorOf(this.#library, json, config) : undefined;
    this.#vocabulary = vocabularyOf(this.#library, json, config);
    this.#around = this.#aroundText();
    let highest = -1;
    for (const id of this.#library.get_vocab(true).values()) highest = Math.max(highest, id);
    this.vocabularySize = highest + 1;
  }

  /** Ids that are put before a text where special tokens are. */
  get before(): readonly number[] {
    return this.#around.before;
  }

  /** The id of a token; undefined for text that is none. */
  idOf(token: string): number | undefined {
    return this.#library.token_to_id(token);
  }

  /** A token by itself. */
  piece(id: number): TokenPiece {
    return tokenBytes(id, {
      vocabulary: this.#vocabulary,
      byteLevel: this.#byteLevel,
      decode: (ids) => this.#decode(ids),
    });
  }

  /**
   * Token ids of a text: the same as of tokenising it whole and cutting what is too much, before the last special
   * tokens. Stops as soon as there are enough.
   * @throws WeftError `bad_request` for a text that can't be divided and is too long to be taken whole
   */
  encode(text: string, { tokensMax, specialTokens }: EncodeTextOptions): EncodedText {
    const { before, after } = specialTokens ? this.#around : NOTHING_AROUND;
    const end = tokensMax - after.length;
    const ids = [...before];
    const finish = (truncated: boolean): EncodedText => ({ ids: Int32Array.from([...ids, ...after]), truncated });
    for (const piece of pieces(text, this.#rule)) {
      if (this.#rule?.silentWhitespace === true && /^[ \t\r\n]+$/.test(piece)) continue;
      for (const id of this.#library.encode(piece, { add_special_tokens: false }).ids) {
        if (ids.length >= end) return finish(true);
        ids.push(id);
      }
    }
    return finish(false);
  }

  /**
   * What is put around two texts that are read together, found by what is put around two words. Undefined for a tokenizer
   * that puts nothing between them, or the second one first.
   */
  aroundPair(): PairFrame | undefined {
    const [first, second] = ['a', 'b'].map((text) => this.#library.encode(text, { add_special_tokens: false }).ids);
    const { ids, token_type_ids: types = [] } = this.#library.encode('a', {
      text_pair: 'b',
      return_token_type_ids: true,
    });
    const find = (part: readonly number[], from: number): number =>
      ids.findIndex((_id, index) => index >= from && part.every((id, offset) => ids[index + offset] === id));
    if (first === undefined || second === undefined || first.length === 0 || second.length === 0) return undefined;
    const firstAt = find(first, 0);
    const secondAt = firstAt < 0 ? -1 : find(second, firstAt + first.length);
    if (secondAt < 0) return undefined;
    const between = ids.slice(firstAt + first.length, secondAt);
    if (between.length === 0) return undefined;
    const firstBetween = between.filter((_id, index) => (types[firstAt + first.length + index] ?? 0) === 0).length;
    return { before: ids.slice(0, firstAt), between, after: ids.slice(secondAt + second.length), firstBetween };
  }

  /** The fewest tokens that the text can have, found without tokenising; 0 where nothing can be said. */
  minTokens(text: string): number {
    return minTokens(text, this.#floor);
  }

  /** A fresh detokenizer, for one answer. */
  detokenizer(): Detokenizer {
    if (this.#byteLevel) return new ByteDetokenizer(this.#vocabulary);
    return new WindowDetokenizer({
      vocabulary: this.#vocabulary,
      decode: (ids) => this.#decode(ids),
    });
  }

  #decode(ids: readonly number[]): string {
    // Clean-up is meant for display of word pieces: it would take spaces out that the model wrote.
    return ids.length === 0 ? '' : this.#library.decode(ids, { clean_up_tokenization_spaces: false });
  }

  /** What the post-processor puts around a text, found by what it puts around a word. */
  #aroundText(): { readonly before: readonly number[]; readonly after: readonly number[] } {
    const bare = this.#library.encode('a', { add_special_tokens: false }).ids;
    const whole = this.#library.encode('a').ids;
    const start = whole.findIndex((_id, index) => bare.every((id, offset) => whole[index + offset] === id));
    if (bare.length === 0 || start < 0) return NOTHING_AROUND;
    return { before: whole.slice(0, start), after: whole.slice(start + bare.length) };
  }
}

/** The tokenizer of a model whose manifest is at hand. @throws WeftError `model_corrupt` */
export async function loadVerifiedTokenizer(folder: string, manifest: Manifest): Promise<TextTokenizer> {
  const json = await readVerified(folder, manifest, 'tokenizer.json');
  const config = await readVerified(folder, manifest, 'tokenizer_config.json');
  return new TextTokenizer(parseTokenizerJson(json), parseTokenizerConfig(config));
}

/** The tokenizer of a folder that was verified before. @throws WeftError `model_corrupt` */
export async function loadTokenizer(folder: string): Promise<TextTokenizer> {
  const read = async (name: string): Promise<Uint8Array> => {
    const path = join(folder, name);
    try {
      const stat = await lstat(path);
      if (stat.isFile() && stat.size <= SMALL_FILE_BYTES_MAX) return await readFile(path);
    } catch (cause) {
      throw new WeftError({ code: 'model_corrupt', message: `"${name}" cannot be read.` }, { cause });
    }
    throw new WeftError({ code: 'model_corrupt', message: `"${name}" is a link, or too large.` });
  };
  const [json, config] = [await read('tokenizer.json'), await read('tokenizer_config.json')];
  return new TextTokenizer(parseTokenizerJson(json), parseTokenizerConfig(config));
}

/** Ids → tokens, with those that are not part of the text marked. */
function vocabularyOf(library: Library, json: TokenizerJson, config: TokenizerConfig): Vocabulary {
  const additional = new Set(config.additional_special_tokens);
  const added = new Map<number, { readonly content: string; readonly special: boolean }>();
  for (const { id, content, special } of json.added_tokens) {
    added.set(id, { content, special: special || additional.has(content) });
  }
  return { token: (id) => library.id_to_token(id), added: (id) => added.get(id) };
}

/**
 * What a lower bound can be worked out from. Undefined where a normaliser may shrink the text, where one token can
 * stand for many unknown bytes, or where a token takes the white space around it along.
 */
function floorOf(library: Library, json: TokenizerJson, config: TokenizerConfig): TokenFloor | undefined {
  if (json.normalizer !== null || json.model.type !== 'BPE' || json.model.fuse_unk === true) return undefined;
  if (config.remove_space === true || config.do_lowercase_and_remove_accent === true) return undefined;
  if (json.added_tokens.some((token) => token.lstrip || token.rstrip)) return undefined;
  // Without a token for unknown ones, the library leaves bytes out that the vocabulary lacks.
  const counted = new Uint8Array(256).fill(typeof json.model.unk_token === 'string' ? 1 : 0);
  let longestBytes = 1;
  for (const { content } of json.added_tokens) longestBytes = Math.max(longestBytes, Buffer.byteLength(content));
  for (const token of library.get_vocab(false).keys()) {
    longestBytes = Math.max(longestBytes, token.length);
    const byte = token.length === 1 ? byteOfCharacter(token.charCodeAt(0)) : undefined;
    if (byte !== undefined) counted[byte] = 1;
  }
  return { longestBytes, counted };
}
