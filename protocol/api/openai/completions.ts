// POST /v1/completions: texts or token ids that are gone on with as they stand.
import { z } from 'zod';
import { ModelName } from '../shared-fields.ts';
import { Usage, WeftChat } from './chat.ts';
import {
  checkTogether,
  custom,
  DROPPABLE,
  type Fail,
  ignored,
  integerIn,
  oneOf,
  SAMPLING,
  STREAMING,
  TOKEN_ID_MAX,
  textsOrTokens,
  together,
  tokenCount,
  unsupported,
} from './fields.ts';

/** Prompts of one request. */
export const PROMPTS_MAX = 64;

/** Choices of one request, all prompts together: each is a generation of its own. */
export const CHOICES_MAX = 128;

/** OpenAI's own bound of this endpoint. */
export const LOGPROBS_MAX = 5;

/** Token ids as JSON has them. */
export function tokenIds(value: readonly unknown[], fail: Fail, path: readonly number[] = []): Int32Array {
  if (value.length === 0) return fail('must have at least one token', path);
  const ids = new Int32Array(value.length);
  for (const [index, id] of value.entries()) {
    if (!(typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= TOKEN_ID_MAX))
      return fail('must be a token id', [...path, index]);
    ids[index] = id;
  }
  return ids;
}

const prompt = custom((value, fail): readonly (string | Int32Array)[] => {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return fail('must be a string, an array of strings, or token ids');
  if (typeof value[0] === 'number') return [tokenIds(value, fail)];
  if (value.length === 0 || value.length > PROMPTS_MAX) return fail(`must have 1 to ${PROMPTS_MAX} prompts`);
  return value.map((one: unknown, index) => {
    if (Array.isArray(one)) return tokenIds(one, fail, [index]);
    return typeof one === 'string' ? one : fail('must be a string or an array of token ids', [index]);
  });
}, textsOrTokens(PROMPTS_MAX));

/** `POST /v1/completions`. */
export const CompletionRequest = z
  .strictObject({
    model: ModelName,
    prompt,
    max_tokens: tokenCount(),
    ...SAMPLING,
    ...STREAMING,
    logprobs: integerIn(0, LOGPROBS_MAX, `must be an integer from 0 to ${LOGPROBS_MAX}`),
    best_of: integerIn(1, CHOICES_MAX, 'must be an integer of at least 1'),

    echo: unsupported('is not supported; only false is accepted', oneOf(false)),
    suffix: unsupported('is not supported', oneOf('')),

    user: ignored(),
  })
  .superRefine(
    together((request, misfit) => {
      checkTogether(request, misfit);
      const { n = 1, best_of: bestOf = n, prompt: prompts } = request;
      if (bestOf !== n) misfit('best_of', 'is not supported; only the value of "n" is accepted', DROPPABLE);
      if (prompts.length * n > CHOICES_MAX) misfit('n', `gives more than ${CHOICES_MAX} choices over all prompts`);
    }),
  );
export type CompletionRequest = z.output<typeof CompletionRequest>;

/** Log probabilities in the form of this endpoint: four lists with one entry for each token. */
const Logprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number()),
  top_logprobs: z.array(z.record(z.string(), z.number())),
  /** In characters (code points) of the choice's text. */
  text_offset: z.array(z.int()),
});

/** The answer of `POST /v1/completions`, and one event of a streamed one. */
export const Completion = z.object({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      text: z.string(),
      logprobs: Logprobs.nullable(),
      /** Null in a stream, until the choice has ended. */
      finish_reason: z.enum(['stop', 'length']).nullable(),
    }),
  ),
  /** In a stream as in chat completions. */
  usage: Usage.nullable().optional(),
  weft: WeftChat.optional(),
});
export type Completion = z.infer<typeof Completion>;
