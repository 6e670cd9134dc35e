// Speech models in Whisper's layout on the hub: which graphs belong together, and what config, preprocessor, generation
// settings and tokenizer say of sound and tokens. Used when a manifest is built.
import { z } from 'zod';
import { WeftError } from '../protocol/errors.ts';
import type { FurtherGraph, GenerationSpec, SpeechSpec } from './manifest.ts';
import type { OnnxPort, OnnxSummary } from './onnx/parse.ts';

/** What config.json says. */
export const SpeechConfig = z.object({
  d_model: z.number().int().positive(),
  decoder_layers: z.number().int().positive(),
  decoder_attention_heads: z.number().int().positive(),
  vocab_size: z.number().int().positive(),
  num_mel_bins: z.number().int().positive().optional(),
  max_source_positions: z.number().int().positive().default(1500),
  max_target_positions: z.number().int().positive().default(448),
  eos_token_id: z.number().int().nonnegative(),
  decoder_start_token_id: z.number().int().nonnegative(),
});
export type SpeechConfig = z.infer<typeof SpeechConfig>;

/** What preprocessor_config.json says; the defaults are those of Whisper's own feature extractor. */
export const Preprocessor = z.object({
  feature_size: z.number().int().positive().default(80),
  sampling_rate: z.number().int().positive().default(16_000),
  n_fft: z.number().int().positive().default(400),
  hop_length: z.number().int().positive().default(160),
});

/** What generation_config.json says. */
export const SpeechGeneration = z.object({
  is_multilingual: z.boolean().nullish(),
  no_timestamps_token_id: z.number().int().nonnegative().optional(),
  max_initial_timestamp_index: z.number().int().nonnegative().nullish(),
  suppress_tokens: z.array(z.number().int()).nullish(),
  begin_suppress_tokens: z.array(z.number().int()).nullish(),
});

/** The names of tokens in tokenizer.json. */
export const SpeechTokenizer = z.object({
  added_tokens: z.array(z.object({ id: z.number().int().nonnegative(), content: z.string() })),
});

const refuse = (message: string): WeftError =>
  new WeftError({
    code: 'model_corrupt',
    message,
    remedy: 'Take graphs, config and tokenizer from the same place, in the layout of the hub.',
  });

/** Graphs that belong together, relative to the model's folder. */
export interface SpeechGraphs {
  readonly decoder: string;
  readonly encoder: string;
  /** Where the decoder takes no past itself. */
  readonly decoderWithPast: string | undefined;
}

/**
 * The graphs of a speech model; undefined for a folder that has none.
 * @param names of the files under onnx/
 * @param wanted the decoder, where the folder has several
 * @throws WeftError `model_corrupt` when one of them has no counterpart
 */
export function speechGraphs(names: readonly string[], wanted: string | undefined): SpeechGraphs | undefined {
  const graphs = names.filter((name) => name.endsWith('.onnx'));
  const merged = graphs.filter((name) => name.startsWith('decoder_model_merged'));
  const apart = graphs.filter((name) => /^decoder_model(?!_merged)/.test(name));
  const candidates = merged.length > 0 ? merged : apart;
  const decoder = wanted?.replace(/^onnx\//, '') ?? (candidates.length === 1 ? candidates[0] : undefined);
  if (decoder === undefined || !/^decoder_model(_merged)?(?!_with)/.test(decoder) || !graphs.includes(decoder)) {
    return undefined;
  }
  const suffix = decoder.replace(/^decoder_model(_merged)?/, '');
  const counterpart = (prefix: string): string => {
    const all = graphs.filter((name) => name.startsWith(prefix));
    const found = all.find((name) => name === prefix + suffix) ?? (all.length === 1 ? all[0] : undefined);
    if (found === undefined) throw refuse(`There is no ${prefix}${suffix} beside ${decoder}.`);
    return `onnx/${found}`;
  };
  return {
    decoder: `onnx/${decoder}`,
    encoder: counterpart('encoder_model'),
    decoderWithPast: decoder.startsWith('decoder_model_merged') ? undefined : counterpart('decoder_with_past_model'),
  };
}

/** Tokens of Whisper's models of English, one fewer than of the others: where nothing else tells them apart. */
const ENGLISH_VOCABULARY = 51_864;

/** What all files of a speech model say, put together. */
export interface SpeechSources {
  readonly config: SpeechConfig;
  readonly preprocessor: z.infer<typeof Preprocessor>;
  readonly generation: z.infer<typeof SpeechGeneration>;
  readonly tokenizer: z.infer<typeof SpeechTokenizer>;
  readonly decoder: OnnxSummary;
  readonly encoder: OnnxSummary;
}

/** @throws WeftError `model_corrupt` when they contradict each other */
export function speechSpecs(sources: SpeechSources): {
  readonly speech: SpeechSpec;
  readonly generation: GenerationSpec;
} {
  const { config, preprocessor, generation, tokenizer, decoder, encoder } = sources;
  const ids = new Map(tokenizer.added_tokens.map(({ id, content }) => [content, id]));
  const noTimestampsId = generation.no_timestamps_token_id ?? ids.get('<|notimestamps|>');
  if (noTimestampsId === undefined) throw refuse('The tokenizer has no <|notimestamps|>.');
  const languages = Object.fromEntries(
    [...ids].flatMap(([content, id]) => {
      const code = /^<\|([a-z]{2,3})\|>$/.exec(content)?.[1];
      return code === undefined ? [] : [[code, id]];
    }),
  );
  const [transcribeId, translateId] = [ids.get('<|transcribe|>'), ids.get('<|translate|>')];
  // The models of English alone have these tokens too, and were never taught them.
  const taught = generation.is_multilingual ?? config.vocab_size !== ENGLISH_VOCABULARY;
  const many = taught && Object.keys(languages).length > 0 && transcribeId !== undefined;
  const previousId = ids.get('<|startofprev|>');
  const melBins = config.num_mel_bins ?? preprocessor.feature_size;
  const speech: SpeechSpec = {
    sampleRate: preprocessor.sampling_rate,
    fftSize: preprocessor.n_fft,
    hopLength: preprocessor.hop_length,
    melBins,
    // The encoder halves the number of spectra once.
    frames: 2 * config.max_source_positions,
    startId: config.decoder_start_token_id,
    ...(previousId !== undefined && { previousId }),
    languages: many ? languages : {},
    ...(many && { transcribeId }),
    ...(many && translateId !== undefined && { translateId }),
    noTimestampsId,
    timestampBeginId: noTimestampsId + 1,
    initialTimestampsMax: generation.max_initial_timestamp_index ?? 50,
    suppressIds: (generation.suppress_tokens ?? []).filter((id) => id >= 0),
    beginSuppressIds: (generation.begin_suppress_tokens ?? []).filter((id) => id >= 0),
  };
  const spec: GenerationSpec = {
    layers: config.decoder_layers,
    kvHeads: config.decoder_attention_heads,
    headSize: config.d_model / config.decoder_attention_heads,
    vocabularySize: config.vocab_size,
    eosIds: [config.eos_token_id],
  };
  const logits = port(decoder.outputs, 'logits')?.dims.at(-1);
  const features = port(encoder.inputs, 'input_features')?.dims[1];
  if (melBins !== preprocessor.feature_size || (typeof features === 'number' && features !== melBins)) {
    throw refuse('Config, preprocessor and encoder disagree on the number of mel bins.');
  }
  if (typeof logits === 'number' && logits !== spec.vocabularySize) {
    throw refuse("config.json contradicts the decoder's vocabulary.");
  }
  return { speech, generation: spec };
}

const port = (ports: readonly OnnxPort[], name: string): OnnxPort | undefined =>
  ports.find((candidate) => candidate.name === name);

/** A graph as a manifest lists it. */
export function furtherGraph(path: string, { inputs, outputs }: OnnxSummary): FurtherGraph {
  return { path, inputs: inputs.map(copied), outputs: outputs.map(copied) };
}

const copied = ({ name, type, dims }: OnnxPort): FurtherGraph['inputs'][number] => ({ name, type, dims: [...dims] });
