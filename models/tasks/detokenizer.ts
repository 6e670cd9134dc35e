// Token ids → text as they arrive, in whole characters: what is pushed and flushed adds up to what decoding all ids at
// once gives. The work per token doesn't grow with the answer. The coordinator holds one per answer.
import { HELD_TOKENS_MAX } from '../limits.ts';
import { appendTokenBytes } from './byte-level.ts';

export interface Detokenizer {
  /** The text that these ids complete. A character whose last bytes are still to come is held back. */
  push(ids: readonly number[]): string;
  /** What was held back; an incomplete character as U+FFFD. Call it once, at the end. */
  flush(): string;
}

/** The tokens by id. */
export interface Vocabulary {
  /** Undefined for an id without a token: the width of the logits may be rounded up. */
  token(id: number): string | undefined;
  /** Tokens beside the model's own alphabet, as they stand in the text; special ones are no part of it. */
  added(id: number): { readonly content: string; readonly special: boolean } | undefined;
}

/** For byte-level vocabularies: tokens are bytes, and a streaming decoder makes characters of them. */
export class ByteDetokenizer implements Detokenizer {
  readonly #vocabulary: Vocabulary;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  push(ids: readonly number[]): string {
    let text = '';
    let bytes: number[] = [];
    for (const id of ids) {
      const added = this.#vocabulary.added(id);
      if (added === undefined) appendTokenBytes(this.#vocabulary.token(id) ?? '', bytes);
      else if (!added.special) {
        // Text of its own: bytes before it can't be continued behind it.
        text += this.#decode(bytes) + this.flush() + added.content;
        bytes = [];
      }
    }
    return text + this.#decode(bytes);
  }

  flush(): string {
    return this.#decoder.decode();
  }

  #decode(bytes: readonly number[]): string {
    return this.#decoder.decode(Uint8Array.from(bytes), { stream: true });
  }
}

/**
 * For every other kind: decodes a short window of tokens with and without the new ones, and gives the difference.
 * As text-generation-inference does (server/text_generation_server/models/model.py, decode_token).
 */
export class WindowDetokenizer implements Detokenizer {
  readonly #vocabulary: Vocabulary;
  readonly #decodeIds: (ids: number[]) => string;
  /** The tokens shown last, which decide how the next ones join on, and behind them those that are held back. */
  #window: number[] = [];
  /** How many tokens of the window are shown. */
  #shown = 0;

  /** @param init.decode all tokens of a sequence → text, without any clean-up */
  constructor(init: { readonly vocabulary: Vocabulary; readonly decode: (ids: number[]) => string }) {
    this.#vocabulary = init.vocabulary;
    this.#decodeIds = init.decode;
  }

  push(ids: readonly number[]): string {
    let text = '';
    for (const id of ids) {
      if (this.#vocabulary.added(id)?.special === true || this.#vocabulary.token(id) === undefined) continue;
      this.#window.push(id);
      const complete = !this.#decodeIds(this.#window).endsWith('\ufffd');
      if (complete || this.#window.length - this.#shown >= HELD_TOKENS_MAX) text += this.#show();
    }
    return text;
  }

  flush(): string {
    return this.#show();
  }

  /** Shows what is held, and keeps it as what the next tokens join on to. */
  #show(): string {
    const before = this.#decodeIds(this.#window.slice(0, this.#shown));
    const after = this.#decodeIds(this.#window);
    this.#window = this.#window.slice(this.#shown);
    this.#shown = this.#window.length;
    return after.slice(before.length);
  }
}
