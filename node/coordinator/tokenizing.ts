// The texts of one request → token ids: long ones in the prep process, short ones here, where the event loop gets its
// turns in between. Used by prompts and embeddings.
import { TEXT_CHARS_INLINE_MAX } from '../../models/limits.ts';
import { toAbortError } from '../core/calls.ts';
import type { Prep, Tokenized } from '../core/prep.ts';
import { untilNextLoop } from '../core/waiting.ts';
import { CHARS_PER_TURN_MAX } from './limits.ts';
import { refusal } from './refusal.ts';

export interface TokenizingComponents {
  readonly prep: Pick<Prep, 'tokenize'>;
}

export interface TokenizingInit {
  /** Where Prep finds the tokenizer. */
  readonly folder: string;
  readonly tokensMax: number;
  readonly specialTokens: boolean;
  /** The same for a short text, on this thread. */
  readonly encode: (text: string) => Tokenized;
}

export class Tokenizing {
  readonly #prep: Pick<Prep, 'tokenize'>;
  readonly #init: TokenizingInit;
  /** Characters since the last turn of the event loop. */
  #chars = 0;

  constructor(components: TokenizingComponents, init: TokenizingInit) {
    this.#prep = components.prep;
    this.#init = init;
  }

  async encode(text: string, signal: AbortSignal): Promise<Tokenized> {
    if (signal.aborted) throw toAbortError(signal);
    const { folder, tokensMax, specialTokens, encode } = this.#init;
    if (text.length > TEXT_CHARS_INLINE_MAX) {
      return this.#prep.tokenize(folder, text, { tokensMax, specialTokens, signal });
    }
    if (this.#chars + text.length > CHARS_PER_TURN_MAX) {
      await untilNextLoop();
      this.#chars = 0;
    }
    this.#chars += text.length;
    return encode(text);
  }
}

/** Checks ids that a client made. @throws WeftError `bad_request` for none at all, and for one beyond the vocabulary */
export function checkTokenIds(ids: Int32Array, vocabularySize: number, param: string): void {
  if (ids.length === 0) throw refusal('A list of token ids is empty.', param);
  // By index: iterating takes several times as long.
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index] as number;
    if (id < 0 || id >= vocabularySize) {
      throw refusal(`${id} is no token: the model's ids are 0 to ${vocabularySize - 1}.`, param);
    }
  }
}
