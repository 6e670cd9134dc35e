// Any graph, by tensors in JSON.
import { z } from 'zod';
import { TENSORS_MAX } from '../../limits.ts';
import { DType, ModelName, TensorName, TensorShape } from '../shared-fields.ts';

/** `POST /api/v1/infer`. */
export const InferRequest = z.strictObject({
  model: ModelName,
  inputs: z
    .array(
      z.strictObject(
        {
          name: TensorName,
          dtype: DType,
          shape: TensorShape,
          /**
           * Base64 of the little-endian bytes, or the elements in row-major order, in nested arrays or in one. Numbers that JSON
           * doesn't hold are strings: 64-bit integers past 2^53, "NaN", "Infinity", "-Infinity". Complex numbers are two
           * elements. Tensors of strings are never base64; those of 4- and 8-bit floats always are.
           */
          data: z.union(
            [z.string(), z.number(), z.boolean(), z.array(z.unknown())],
            'must be base64, or the elements in arrays',
          ),
        },
        'must be a tensor',
      ),
      'must be an array of tensors',
    )
    .max(TENSORS_MAX, `must hold at most ${TENSORS_MAX} tensors`),
  /** Names of those wanted. @default all */
  outputs: z
    .array(TensorName, 'must be an array of names')
    .max(TENSORS_MAX, `must hold at most ${TENSORS_MAX} names`)
    .optional(),
  /** How outputs are written. @default 'json' */
  encoding: z.enum(['json', 'base64'], 'must be "json" or "base64"').optional(),
});
export type InferRequest = z.infer<typeof InferRequest>;

/** Its answer. */
export const InferAnswer = z.object({
  model: z.string(),
  outputs: z.array(
    z.object({
      name: z.string(),
      dtype: DType,
      shape: z.array(z.number()),
      /** What `data` is; a type without a form in JSON comes as base64 in any case, strings as JSON. */
      encoding: z.enum(['json', 'base64']),
      /** Elements in row-major order, in one array. */
      data: z.union([z.string(), z.array(z.union([z.number(), z.string(), z.boolean()]))]),
    }),
  ),
  timing: z.object({ queueMs: z.number(), loadMs: z.number(), computeMs: z.number(), prefillMs: z.number() }),
  nodes: z.array(z.string()),
  plan: z.object({ kind: z.string(), predictedMs: z.number() }),
});
export type InferAnswer = z.infer<typeof InferAnswer>;
