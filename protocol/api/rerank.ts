// POST /v1/rerank, in the shape that Cohere's and Jina's APIs share with vLLM and LocalAI.
import { z } from 'zod';
import { custom, flag, ignored, integerIn, isObject, unsupported } from './openai/fields.ts';
import { ModelName } from './shared-fields.ts';

/** Documents of one request. */
export const RERANK_DOCUMENTS_MAX = 1_000;

const TEXT = { anyOf: [{ type: 'string' }, { type: 'object', properties: { text: { type: 'string' } } }] };

/** A text, or an object with one. */
const textOf = (value: unknown): string | undefined => {
  const text = isObject(value) && Object.keys(value).length === 1 ? value.text : value;
  return typeof text === 'string' && text !== '' ? text : undefined;
};

const query = custom((value, fail): string => textOf(value) ?? fail('must be a string that is not empty'), TEXT);

const documents = custom(
  (value, fail): readonly string[] => {
    if (!Array.isArray(value)) return fail('must be an array of strings');
    if (value.length === 0 || value.length > RERANK_DOCUMENTS_MAX) {
      return fail(`must have 1 to ${RERANK_DOCUMENTS_MAX} documents`);
    }
    return value.map(
      (one: unknown, index) => textOf(one) ?? fail('must be a string that is not empty, or {"text": …}', [index]),
    );
  },
  { type: 'array', items: TEXT, minItems: 1, maxItems: RERANK_DOCUMENTS_MAX },
);

/** `POST /v1/rerank`. */
export const RerankRequest = z.strictObject({
  model: ModelName,
  query,
  documents,
  top_n: integerIn(1, Number.MAX_SAFE_INTEGER, 'must be an integer of at least 1'),
  return_documents: flag(),
  max_tokens_per_doc: unsupported(),
  max_chunks_per_doc: unsupported(),
  rank_fields: unsupported(),
  user: ignored(),
});
export type RerankRequest = z.output<typeof RerankRequest>;

/** The answer of `POST /v1/rerank`: best first. */
export const RerankAnswer = z.object({
  model: z.string(),
  results: z.array(
    z.object({ index: z.int(), relevance_score: z.number(), document: z.object({ text: z.string() }).optional() }),
  ),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  weft: z.object({ nodes: z.array(z.string()), plan: z.object({ kind: z.string(), predicted_ms: z.number() }) }),
});
export type RerankAnswer = z.infer<typeof RerankAnswer>;
