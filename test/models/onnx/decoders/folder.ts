// Writes a small decoder as a model folder in the hub's layout, with a byte-level tokenizer that fits its vocabulary.
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildManifest } from '../../../../models/build-manifest.ts';
import { canonicalJson, MANIFEST_FILE, type Manifest } from '../../../../models/manifest.ts';
import type { ModelProto } from '../../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../../models/onnx/model-file.ts';
import { byteOfCharacter } from '../../../../models/tasks/byte-level.ts';
import { type DecoderConfig, GROUPED, MULTI_HEAD } from './config.ts';
import { gqaPacked, gqaSeparate, mha, mhaRotary } from './fused.ts';
import { plainDerivedPositions, plainOptimum, plainPastPositions } from './plain.ts';

/** Every way of writing a decoder, with the sizes that suit it. */
export const DECODERS = {
  gqaPacked: { write: gqaPacked, config: GROUPED },
  gqaSeparate: { write: gqaSeparate, config: GROUPED },
  mha: { write: mha, config: MULTI_HEAD },
  mhaRotary: { write: mhaRotary, config: MULTI_HEAD },
  plainOptimum: { write: plainOptimum, config: GROUPED },
  plainDerivedPositions: { write: plainDerivedPositions, config: GROUPED },
  plainPastPositions: { write: plainPastPositions, config: GROUPED },
} as const satisfies Record<string, { write: (config: DecoderConfig) => ModelProto; config: DecoderConfig }>;

export type DecoderName = keyof typeof DECODERS;

export interface DecoderFolder {
  readonly folder: string;
  /** Path of the graph. */
  readonly graph: string;
  /** Also in the folder. */
  readonly manifest: Manifest;
}

/**
 * Writes ROOT/tests/NAME.
 * @param config other sizes or another seed than the way's own
 */
export async function writeDecoder(root: string, name: DecoderName, config?: DecoderConfig): Promise<DecoderFolder> {
  const way = DECODERS[name];
  const sizes = config ?? way.config;
  const folder = join(root, 'tests', name);
  await mkdir(join(folder, 'onnx'), { recursive: true });
  const graph = join(folder, 'onnx', 'model.onnx');
  await writeFile(graph, writeModel(way.write(sizes)));
  const files = {
    'config.json': configJson(sizes),
    'generation_config.json': { eos_token_id: END_ID },
    'tokenizer.json': tokenizerJson(sizes.vocabulary),
    'tokenizer_config.json': TOKENIZER_CONFIG,
  };
  for (const [file, value] of Object.entries(files)) await writeFile(join(folder, file), JSON.stringify(value));
  await copyFile(fileURLToPath(new URL('../../../../LICENSE', import.meta.url)), join(folder, 'LICENSE'));
  const manifest = await buildManifest(folder);
  await writeFile(join(folder, MANIFEST_FILE), canonicalJson(manifest));
  return { folder, graph, manifest };
}

const SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const END_ID = 2;

const configJson = (config: DecoderConfig) => ({
  model_type: 'llama',
  hidden_size: config.hidden,
  intermediate_size: config.intermediate,
  num_hidden_layers: config.layers,
  num_attention_heads: config.heads,
  num_key_value_heads: config.kvHeads,
  head_dim: config.headSize,
  max_position_embeddings: config.contextLength,
  vocab_size: config.vocabulary,
  rope_theta: config.ropeTheta,
  eos_token_id: END_ID,
});

const TOKENIZER_CONFIG = {
  tokenizer_class: 'GPT2Tokenizer',
  add_bos_token: false,
  bos_token: '<|im_start|>',
  eos_token: '<|im_end|>',
  clean_up_tokenization_spaces: false,
  chat_template:
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
};

/** The special tokens, all bytes, and merges of letters that often stand together until the vocabulary is full. */
function tokenizerJson(vocabulary: number) {
  const alphabet = Array.from({ length: 0x144 }, (_, code) => code)
    .filter((code) => byteOfCharacter(code) !== undefined)
    .map((code) => String.fromCharCode(code));
  const merges = [...'etaoinshr']
    .flatMap((first) => [...'etaoinshr'].map((second) => `${first} ${second}`))
    .slice(0, vocabulary - SPECIAL.length - alphabet.length);
  const tokens = [...SPECIAL, ...alphabet, ...merges.map((merge) => merge.replace(' ', ''))];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}
