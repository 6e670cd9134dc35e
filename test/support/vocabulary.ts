// Token ids of the bundled chat model, for tests that send them.
import { readFileSync } from 'node:fs';

const FILE = new URL('../../models/bundled/HuggingFaceTB/SmolLM2-135M-Instruct/tokenizer.json', import.meta.url);

let vocabulary: Readonly<Record<string, number>> | undefined;

/**
 * Id of one token of SmolLM2.
 * @param token its text; a space at its start belongs to it
 * @throws Error for a text that is no single token
 */
export function smollm2Id(token: string): number {
  vocabulary ??= JSON.parse(readFileSync(FILE, 'utf8')).model.vocab as Readonly<Record<string, number>>;
  // The file writes a space as U+0120, as every byte-level tokenizer does.
  const id = vocabulary[token.replaceAll(' ', '\u0120')];
  if (id === undefined) throw new Error(`"${token}" is no token of SmolLM2`);
  return id;
}
