// What a manifest says of a speech model, from its graphs and the settings beside them.
import type { z } from 'zod';
import type { Manifest } from '../manifest.ts';
import {
  furtherGraph,
  Preprocessor,
  SpeechConfig,
  SpeechGeneration,
  SpeechTokenizer,
  speechSpecs,
} from '../speech-layout.ts';
import { refuse } from './files.ts';
import type { CheckedGraph } from './inspect.ts';
import type { ReadSettings } from './settings.ts';

/** @throws WeftError `model_corrupt` when settings are missing, or contradict the graphs */
export async function readSpeech(
  read: ReadSettings,
  decoder: CheckedGraph,
  encoder: CheckedGraph,
  decoderWithPast: CheckedGraph | undefined,
): Promise<Partial<Manifest>> {
  const needed = async <T>(path: string, schema: z.ZodType<T>): Promise<T> => {
    const settings = await read(path, schema);
    if (settings === undefined) throw refuse(`"${path}" is missing.`, 'Put the original file there.');
    return settings;
  };
  const config = await needed('config.json', SpeechConfig);
  const specs = speechSpecs({
    config,
    tokenizer: await needed('tokenizer.json', SpeechTokenizer),
    preprocessor: await needed('preprocessor_config.json', Preprocessor),
    generation: (await read('generation_config.json', SpeechGeneration)) ?? {},
    decoder: decoder.summary,
    encoder: encoder.summary,
  });
  const graphs = {
    encoder: furtherGraph(encoder.path, encoder.summary),
    ...(decoderWithPast !== undefined && {
      decoderWithPast: furtherGraph(decoderWithPast.path, decoderWithPast.summary),
    }),
  };
  return { ...specs, graphs, contextLength: config.max_target_positions };
}
