// POST /v1/embeddings.
import { z } from 'zod';
import { ModelName } from '../shared-fields.ts';
import { tokenIds } from './completions.ts';
import { custom, ignored, integerIn, optional, textsOrTokens } from './fields.ts';

/** OpenAI's own bound. */
export const EMBEDDING_INPUTS_MAX = 2_048;

/** Longer vectors than any model's. */
export const DIMENSIONS_MAX = 1 << 16;

const input = custom((value, fail): readonly (string | Int32Array)[] => {
  if (typeof value === 'string') return value === '' ? fail('must not be an empty string') : [value];
  if (!Array.isArray(value)) return fail('must be a string, an array of strings, or token ids');
  if (typeof value[0] === 'number') return [tokenIds(value, fail)];
  if (value.length === 0 || value.length > EMBEDDING_INPUTS_MAX)
    return fail(`must have 1 to ${EMBEDDING_INPUTS_MAX} inputs`);
  return value.map((one: unknown, index) => {
    if (Array.isArray(one)) return tokenIds(one, fail, [index]);
    const text = 'must be a string that is not empty, or an array of token ids';
    return typeof one === 'string' && one !== '' ? one : fail(text, [index]);
  });
}, textsOrTokens(EMBEDDING_INPUTS_MAX));

/** `POST /v1/embeddings`. */
export const EmbeddingRequest = z.strictObject({
  model: ModelName,
  input,
  encoding_format: optional(z.enum(['float', 'base64'], 'must be "float" or "base64"')),
  dimensions: integerIn(1, DIMENSIONS_MAX, "must be an integer from 1 to the length of the model's vectors"),
  user: ignored(),
});
export type EmbeddingRequest = z.output<typeof EmbeddingRequest>;

/** The answer of `POST /v1/embeddings`. Base64 is that of little-endian float32. */
export const EmbeddingList = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  weft: z.object({ nodes: z.array(z.string()), plan: z.object({ kind: z.string(), predicted_ms: z.number() }) }),
});
export type EmbeddingList = z.infer<typeof EmbeddingList>;
