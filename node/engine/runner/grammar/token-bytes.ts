// What each token of a vocabulary is in bytes of text. Used by the grammar worker for what the grammar can't say.
import { appendTokenBytes } from '../../../../models/tasks/byte-level.ts';
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
