// One token by itself: the bytes that it adds to a text. For reports of log probabilities, where a token may be a part of
// a character. Used by the tokenizer.
import { appendTokenBytes } from './byte-level.ts';
import type { Vocabulary } from './detokenizer.ts';

export interface TokenPiece {
  /** Its text; U+FFFD for bytes that are no whole character. A special token as it is written. */
  readonly text: string;
  readonly bytes: readonly number[];
  /** It is no part of a text. */
  readonly special: boolean;
}

export interface TokenBytesInit {
  readonly vocabulary: Vocabulary;
  /** Tokens are written in GPT-2's alphabet of bytes. */
  readonly byteLevel: boolean;
  /** All tokens of a sequence → text, without any clean-up. */
  readonly decode: (ids: readonly number[]) => string;
}

/** SentencePiece's tokens of single bytes. */
const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** The token of this id. One that the vocabulary lacks is special, and empty. */
export function tokenBytes(id: number, init: TokenBytesInit): TokenPiece {
  const { vocabulary, byteLevel, decode } = init;
  const added = vocabulary.added(id);
  if (added !== undefined)
    return { text: added.content, bytes: [...Buffer.from(added.content)], special: added.special };
  const token = vocabulary.token(id);
  if (token === undefined) return { text: '', bytes: [], special: true };
  const bytes: number[] = [];
  const single = BYTE_TOKEN.exec(token)?.[1];
  if (byteLevel) appendTokenBytes(token, bytes);
  else if (single !== undefined) bytes.push(Number.parseInt(single, 16));
  // What it adds behind itself: at a text's beginning a decoder may leave a space out.
  else bytes.push(...Buffer.from(decode([id, id]).slice(decode([id]).length)));
  return { text: Buffer.from(bytes).toString('utf8'), bytes, special: false };
}
