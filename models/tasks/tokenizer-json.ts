// The parts of tokenizer.json and tokenizer_config.json that are read here; the rest is the library's business.
import { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';

const Step = z.looseObject({
  type: z.string(),
  use_regex: z.boolean().optional(),
  handle_chinese_chars: z.boolean().optional(),
});

const TokenizerJson = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: z.number().int().nonnegative(),
        content: z.string().min(1),
        special: z.boolean().default(false),
        lstrip: z.boolean().default(false),
        rstrip: z.boolean().default(false),
      }),
    )
    .default([]),
  normalizer: Step.nullable().default(null),
  pre_tokenizer: Step.extend({ pretokenizers: z.array(Step).optional() })
    .nullable()
    .default(null),
  post_processor: z.looseObject({}).nullable().default(null),
  decoder: Step.nullable().default(null),
  model: z.looseObject({
    type: z.string().optional(),
    unk_token: z.string().nullish(),
    fuse_unk: z.boolean().optional(),
    // Left as it is: tens of thousands of entries, that the library reads itself.
    vocab: z.unknown(),
  }),
});

/** A special token: its text, or an object with it. */
const Special = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);

const TokenizerConfig = z.looseObject({
  bos_token: Special.nullish(),
  eos_token: Special.nullish(),
  pad_token: Special.nullish(),
  unk_token: Special.nullish(),
  additional_special_tokens: z.array(Special).nullish(),
  add_bos_token: z.boolean().nullish(),
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish(),
  remove_space: z.boolean().nullish(),
  do_lowercase_and_remove_accent: z.boolean().nullish(),
});

export type TokenizerJson = z.infer<typeof TokenizerJson>;
export type TokenizerConfig = z.infer<typeof TokenizerConfig>;

/** Reads tokenizer.json. @throws WeftError `model_corrupt` */
export const parseTokenizerJson = (bytes: Uint8Array): TokenizerJson => parse('tokenizer.json', TokenizerJson, bytes);

/** Reads tokenizer_config.json. @throws WeftError `model_corrupt` */
export const parseTokenizerConfig = (bytes: Uint8Array): TokenizerConfig =>
  parse('tokenizer_config.json', TokenizerConfig, bytes);

function parse<T>(name: string, schema: z.ZodType<T>, bytes: Uint8Array): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')));
  } catch (cause) {
    throw new WeftError({ code: 'model_corrupt', message: `"${name}" is not what a tokenizer needs.` }, { cause });
  }
}
