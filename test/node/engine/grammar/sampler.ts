// Answers without a model: SmolLM2's real tokenizer, random logits, and a pull towards the end, so that they do end.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TextTokenizer } from '../../../../models/tasks/tokenizer.ts';
import { parseTokenizerConfig, parseTokenizerJson } from '../../../../models/tasks/tokenizer-json.ts';
import type { Grammars } from '../../../../node/engine/runner/grammar/grammars.ts';
import type { GrammarModel } from '../../../../node/engine/runner/grammar/messages.ts';
import type { Constraint } from '../../../../protocol/infer.ts';
import { SMOLLM2 } from '../../../models/paths.ts';
import { SeededRandom } from '../../../support/seeded.ts';

export const VOCABULARY = 49_152;
export const STOP_ID = 2;
export const MODEL: GrammarModel = { digest: 'smollm2', folder: SMOLLM2, vocabularySize: VOCABULARY };

const read = (name: string): Uint8Array => readFileSync(join(SMOLLM2, name));
const tokenizer = new TextTokenizer(
  parseTokenizerJson(read('tokenizer.json')),
  parseTokenizerConfig(read('tokenizer_config.json')),
);
/** Tokens that end something. */
const CLOSING = Array.from({ length: VOCABULARY }, (_, id) => id).filter((id) =>
  /^["}\]]+$/.test(tokenizer.detokenizer().push([id])),
);
/** Tokens without which some patterns never end. */
const COMMON = ['0', '1', '7', ' ', 'a', 'b', 'c', '.', '-', '@', ':'].flatMap((text) => idsOf(text));
/** Random logits, drawn once: each step takes them from another place. */
const NOISE = ((): Float32Array => {
  const random = new SeededRandom(20_261_121);
  return Float32Array.from({ length: 2 * VOCABULARY }, () => random.next());
})();

export const textOf = (ids: readonly number[]): string => {
  const detokenizer = tokenizer.detokenizer();
  return detokenizer.push(ids) + detokenizer.flush();
};
export function idsOf(text: string): number[] {
  return [...tokenizer.encode(text, { tokensMax: Number.POSITIVE_INFINITY, specialTokens: false }).ids];
}

export interface SampleInit {
  readonly seed: number;
  /** After so many tokens, whatever ends something is preferred. @default 24 */
  readonly closeAfter?: number;
  /** @default 2000 */
  readonly tokensMax?: number;
  /** Tokens that were drawn already. */
  readonly resume?: readonly number[];
}

/** Draws tokens until the stop id. @throws Error when none comes */
export async function sampleIds(grammars: Grammars, constraint: Constraint, init: SampleInit): Promise<number[]> {
  const session = await grammars.open(MODEL, { constraint, stopIds: [STOP_ID] }, new AbortController().signal);
  const logits = new Float32Array(VOCABULARY);
  const ids: number[] = [...(init.resume ?? [])];
  try {
    for (const id of ids) session.accept(id);
    while (ids.length < (init.tokensMax ?? 2_000)) {
      const id = await draw(session, logits, init, ids.length);
      if (id === STOP_ID) return ids;
      session.accept(id);
      ids.push(id);
    }
    throw new Error(`The answer does not end: ${textOf(ids).slice(-200)}`);
  } finally {
    session.close();
  }
}

/** The draw depends on seed and index alone. */
async function draw(
  session: { mask(logits: Float32Array): Promise<void> },
  logits: Float32Array,
  init: SampleInit,
  index: number,
): Promise<number> {
  const at = Math.floor(new SeededRandom(init.seed * 4_096 + index).next() * VOCABULARY);
  logits.set(NOISE.subarray(at, at + VOCABULARY));
  const over = index - (init.closeAfter ?? 24);
  if (over > 0) {
    logits[STOP_ID] = 4;
    for (const id of CLOSING) logits[id] = (logits[id] as number) + 2;
    for (const id of COMMON) logits[id] = (logits[id] as number) + 2;
  }
  await session.mask(logits);
  let best = -1;
  for (let id = 0; id < VOCABULARY; id++) {
    if ((logits[id] as number) > (best < 0 ? Number.NEGATIVE_INFINITY : (logits[best] as number))) best = id;
  }
  if (best < 0) throw new Error('Every token is masked.');
  return best;
}

export const sampleText = async (grammars: Grammars, constraint: Constraint, init: SampleInit): Promise<string> =>
  textOf(await sampleIds(grammars, constraint, init));

export const schemaConstraint = (schema: unknown): Constraint => ({
  kind: 'json_schema',
  schema: JSON.stringify(schema),
});
