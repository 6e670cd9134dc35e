// What each token of a vocabulary is in bytes of text. Used by the grammar worker for what the grammar can't say.
import { appendTokenBytes } from '../../../../models/tasks/byte-level.ts';
import type { Spelling } from './ebnf.ts';
import type { GrammarVocabulary } from './vocabulary.ts';

/** Bytes by token id. Tokens that are no part of the text have none. */
export function tokenBytes({ tokens, kind }: GrammarVocabulary): Uint8Array[] {
  return tokens.map((token) => (kind === 'byte_level' ? byteLevel(token) : byteFallback(token)));
}

function byteLevel(token: string): Uint8Array {
  const bytes: number[] = [];
  appendTokenBytes(token, bytes);
  return Uint8Array.from(bytes);
}

function byteFallback(token: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
  return Buffer.from(token.replaceAll('▁', ' '), 'utf8');
}

/** Escapes the characters of which the vocabulary lacks a byte: SmolLM2's has no 0xf1, and so on. */
export function spellingOf(bytes: readonly Uint8Array[]): Spelling {
  const single = new Set(bytes.flatMap((token) => (token.length === 1 ? [token[0]] : [])));
  return {
    spell: (json) =>
      json.replaceAll(/[^\0-\x7f]/gu, (character) =>
        Buffer.from(character, 'utf8').every((byte) => single.has(byte)) ? character : escapeOf(character),
      ),
  };
}

const escapeOf = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('');
