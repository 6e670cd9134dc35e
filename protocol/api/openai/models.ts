// GET /v1/models, and the body of every error.
import { z } from 'zod';

/** One model, as `GET /v1/models/{id}` answers. */
export const Model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  weft: z.object({
    task: z.string(),
    aliases: z.array(z.string()),
    context_length: z.int(),
    dimensions: z.int(),
    size_bytes: z.int(),
    nodes: z.array(z.object({ node: z.string(), name: z.string(), state: z.string(), self: z.boolean() })),
  }),
});
export type Model = z.infer<typeof Model>;

/** The answer of `GET /v1/models`. */
export const ModelList = z.object({ object: z.literal('list'), data: z.array(Model) });
export type ModelList = z.infer<typeof ModelList>;

/** Every refusal and failure, as a body or, once a stream has begun, as its last event. */
export const ErrorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    /** The parameter at fault, such as `messages[0].content`. */
    param: z.string().nullable(),
    code: z.string(),
    /** A code of Weft's own table (protocol/errors.ts). */
    weft_code: z.string(),
    remedy: z.string(),
    /** Of `deadline_unmeetable`: milliseconds that the answer would have taken. */
    quoted_ms: z.number().optional(),
    request_id: z.string(),
  }),
});
export type ErrorBody = z.infer<typeof ErrorBody>;
