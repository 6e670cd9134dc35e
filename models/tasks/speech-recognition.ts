// Speech → text: the prompt that tells a model of Whisper's kind what to write, and ids → text. The coordinator loads one
// per model.
import { WeftError } from '../../protocol/errors.ts';
import type { Manifest, SpeechSpec } from '../manifest.ts';
import type { Detokenizer } from './detokenizer.ts';
import { loadVerifiedTokenizer } from './tokenizer.ts';

/** What a model is asked to write. */
export interface TranscriptOptions {
  /** One of the model's; undefined for a model of one language. */
  readonly language: string | undefined;
  /** In English, whatever is spoken. */
  readonly translate: boolean;
  /** Times stand among the text. */
  readonly timestamps: boolean;
  /** Ids of text that came before, or sets the style. */
  readonly previous: Int32Array;
}

export interface SpeechRecognitionTask {
  readonly spec: SpeechSpec;
  /** Asks for the language alone: the next token is its. */
  readonly languagePrompt: Int32Array;
  /** Language → token, the other way round. @returns undefined for a token that is none */
  languageOf(id: number): string | undefined;
  /** The prompt, its earlier text cut to the half of the context that isn't the answer's. */
  prompt(options: TranscriptOptions): Int32Array;
  /** Token ids of text that sets the style. On the caller's thread: longer texts belong in the prep process. */
  encode(text: string): Int32Array;
  /** A fresh detokenizer, for one answer. Times are no text: they are left out before. */
  detokenizer(): Detokenizer;
  /** Any of these ends an answer. */
  readonly eosIds: readonly number[];
  /** Most tokens of prompt and answer together. */
  readonly contextLength: number;
}

/** Loads the tokenizer, verified against the manifest. @throws WeftError `model_corrupt` */
export async function loadSpeechRecognition(folder: string, manifest: Manifest): Promise<SpeechRecognitionTask> {
  const { speech: spec, generation, contextLength } = manifest;
  if (spec === undefined || generation === undefined) {
    throw new WeftError({ code: 'model_corrupt', message: 'The manifest says nothing about speech.' });
  }
  const tokenizer = await loadVerifiedTokenizer(folder, manifest);
  const languages = new Map(Object.entries(spec.languages).map(([language, id]) => [id, language]));
  const previousMax = Math.floor(contextLength / 2) - 1;
  return {
    spec,
    languagePrompt: Int32Array.of(spec.startId),
    languageOf: (id) => languages.get(id),
    prompt: ({ language, translate, timestamps, previous }) => {
      const { previousId, startId, transcribeId, translateId, noTimestampsId } = spec;
      const earlier = previous.subarray(Math.max(0, previous.length - previousMax));
      const languageId = language === undefined ? undefined : spec.languages[language];
      const taskId = languageId === undefined ? undefined : translate ? translateId : transcribeId;
      return Int32Array.from([
        ...(previousId === undefined || earlier.length === 0 ? [] : [previousId, ...earlier]),
        startId,
        ...[languageId, taskId, timestamps ? undefined : noTimestampsId].filter((id) => id !== undefined),
      ]);
    },
    // As Whisper was taught: earlier text begins with a space.
    encode: (text) =>
      tokenizer.encode(` ${text.trim()}`, { tokensMax: Number.POSITIVE_INFINITY, specialTokens: false }).ids,
    detokenizer: () => tokenizer.detokenizer(),
    eosIds: generation.eosIds,
    contextLength,
  };
}
