// Settings beside a graph, as far as a manifest needs them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import { SMALL_FILE_BYTES_MAX } from '../../protocol/limits.ts';
import { exists, plainFile, refuse } from './files.ts';
import type { Layout } from './layout.ts';

/** The parts of config.json that a manifest needs; GPT-2's older names beside today's. */
export const Config = z.object({
  max_position_embeddings: z.number().int().positive().optional(),
  n_positions: z.number().int().positive().optional(),
  hidden_size: z.number().int().positive().optional(),
  vocab_size: z.number().int().positive().optional(),
  num_hidden_layers: z.number().int().positive().optional(),
  num_attention_heads: z.number().int().positive().optional(),
  num_key_value_heads: z.number().int().positive().optional(),
  head_dim: z.number().int().positive().optional(),
  eos_token_id: z.union([z.number().int(), z.array(z.number().int())]).nullish(),
  pad_token_id: z.number().int().nonnegative().nullish(),
  model_type: z.string().optional(),
  architectures: z.array(z.string()).nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
});
export type Config = z.infer<typeof Config>;

export const GenerationConfig = Config.pick({ eos_token_id: true });
export const Pooling = z.object({ pooling_mode_cls_token: z.boolean().optional() });
export const Modules = z.array(z.object({ type: z.string() }));

/** Reads a JSON file of the model; undefined when there is none of that path. @throws WeftError `model_corrupt` */
export type ReadSettings = <T>(path: string, schema: z.ZodType<T>) => Promise<T | undefined>;

/** @param linksRefused less than that is for tests */
export function settingsOf({ place }: Layout, linksRefused: boolean): ReadSettings {
  return async (path, schema) => {
    const at = place(path);
    if (!(await exists(join(at.root, ...at.path.split('/'))))) return undefined;
    const { from, sizeBytes } = await plainFile(at.root, at.path, linksRefused);
    if (sizeBytes > SMALL_FILE_BYTES_MAX) throw refuse(`"${path}" is too large.`, 'Put the original file there.');
    try {
      return schema.parse(JSON.parse(await readFile(from, 'utf8')));
    } catch (cause) {
      const message = `"${path}" is not JSON, or a setting in it has the wrong type.`;
      throw new WeftError({ code: 'model_corrupt', message }, { cause });
    }
  };
}
