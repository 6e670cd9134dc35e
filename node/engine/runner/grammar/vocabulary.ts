// tokenizer.json → the vocabulary as the grammar library wants it. Used by the grammar worker.
import { byteOfCharacter } from '../../../../models/tasks/byte-level.ts';
import type { TokenizerJson } from '../../../../models/tasks/tokenizer-json.ts';
import { WeftError } from '../../../../protocol/errors.ts';

/** Tokens by id, and how their text is written in the vocabulary. */
export interface GrammarVocabulary {
  readonly tokens: readonly string[];
  readonly kind: 'byte_level' | 'byte_fallback';
}

/**
 * The vocabulary, as wide as the logits. Tokens that are not part of the text are empty, which the library never allows.
 * @throws WeftError `unsupported` for a tokenizer whose tokens are not pieces of the text itself
 */
export function grammarVocabulary(json: TokenizerJson, vocabularySize: number): GrammarVocabulary {
  const kind = kindOf(json);
  const tokens: string[] = new Array(vocabularySize).fill('');
  const put = (id: number, token: string): void => {
    if (id < vocabularySize) tokens[id] = token;
  };
  const { vocab } = json.model;
  if (Array.isArray(vocab)) for (const [id, entry] of vocab.entries()) put(id, String(entry?.[0] ?? ''));
  else for (const [token, id] of Object.entries(vocab as Record<string, number>)) put(id, token);
  // Added tokens are written as they are, not in the vocabulary's alphabet.
  for (const { id, content, special } of json.added_tokens) {
    put(id, special ? '' : kind === 'byte_level' ? toByteLevel(content) : content);
  }
  return { tokens, kind };
}

function kindOf(json: TokenizerJson): GrammarVocabulary['kind'] {
  const decoder = json.decoder as {
    readonly type: string;
    readonly decoders?: readonly { readonly type: string }[];
  } | null;
  const steps = [decoder, ...(decoder?.decoders ?? [])].map((step) => step?.type);
  if (steps.includes('ByteLevel')) return 'byte_level';
  if (steps.includes('ByteFallback')) return 'byte_fallback';
  throw new WeftError({
    code: 'unsupported',
    message: "This model's answers can't be held to a form: its tokenizer is neither byte-level nor byte-fallback.",
    remedy: 'Leave response_format and tools out, or use another model.',
  });
}

/** Byte → its character in the byte-level alphabet. */
const CHARACTERS = ((): readonly string[] => {
  const characters: string[] = [];
  for (let code = 0; code < 0x144; code++) {
    const byte = byteOfCharacter(code);
    if (byte !== undefined) characters[byte] = String.fromCharCode(code);
  }
  return characters;
})();

const toByteLevel = (text: string): string =>
  Array.from(Buffer.from(text, 'utf8'), (byte) => CHARACTERS[byte]).join('');
