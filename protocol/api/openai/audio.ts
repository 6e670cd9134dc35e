// POST /v1/audio/transcriptions and /v1/audio/translations. Requests are forms: every field but the file is text, or a list
// of texts where its name came several times.
import { z } from 'zod';
import { ModelName } from '../shared-fields.ts';
import { custom, emptyArray, ignored, oneOf, optional, together, unsupported } from './fields.ts';

/** Longest `prompt`: more than any model keeps. */
export const AUDIO_PROMPT_LENGTH_MAX = 16_384;

const LANGUAGE_LENGTH_MAX = 40;
const TEMPERATURE = 'must be a number from 0 to 1';
const GRANULARITIES = 'must be "segment"';

/** The bytes of the file that came. */
const file = custom(
  (value, fail): Uint8Array =>
    value instanceof Uint8Array && value.length > 0 ? value : fail('must be a file that is not empty'),
  { type: 'string', format: 'binary' },
);

const prompt = optional(
  z.string('must be a text').max(AUDIO_PROMPT_LENGTH_MAX, `must have at most ${AUDIO_PROMPT_LENGTH_MAX} characters`),
);

const temperature = optional(
  custom(
    (value, fail): number => {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
      return number >= 0 && number <= 1 ? number : fail(TEMPERATURE);
    },
    { type: 'number', minimum: 0, maximum: 1 },
  ),
);

const flag = optional(
  custom(
    (value, fail): boolean => {
      if (value === 'true' || value === '1') return true;
      return value === 'false' || value === '0' ? false : fail('must be true or false');
    },
    { type: 'boolean' },
  ),
);

const FORMATS = ['json', 'text', 'srt', 'verbose_json', 'vtt'] as const;
const format = optional(z.enum(FORMATS, 'must be "json", "text", "srt", "verbose_json" or "vtt"'));
export type TranscriptFormat = (typeof FORMATS)[number];

const granularities = optional(
  custom(
    (value, fail): readonly 'segment'[] => {
      const all: readonly unknown[] = Array.isArray(value) ? value : [value];
      if (all.includes('word')) fail('has "word": times of words are not supported', [], { unsupported: true });
      return all.every((one) => one === 'segment') ? ['segment'] : fail(GRANULARITIES);
    },
    { type: 'array', items: { enum: ['segment'] } },
  ),
);

const common = { file, model: ModelName, prompt, response_format: format, temperature };

/** `POST /v1/audio/transcriptions`. */
export const TranscriptionRequest = z
  .strictObject({
    ...common,
    language: optional(
      z
        .string('must be a language')
        .min(1, 'must be a language')
        .max(LANGUAGE_LENGTH_MAX, `must have at most ${LANGUAGE_LENGTH_MAX} characters`),
    ),
    stream: flag,
    'timestamp_granularities[]': granularities,
    timestamp_granularities: granularities,
    // Sounds are cut into windows in any case.
    chunking_strategy: unsupported('is not supported', oneOf('auto')),
    'include[]': unsupported('is not supported', emptyArray),
    'keywords[]': unsupported(),
    'languages[]': unsupported(),
    'known_speaker_names[]': unsupported(),
    'known_speaker_references[]': unsupported(),
    user: ignored(),
  })
  .superRefine(
    together((request, misfit) => {
      const { stream, response_format: kind = 'json' } = request;
      const times = request['timestamp_granularities[]'] ?? request.timestamp_granularities;
      if (times !== undefined && kind !== 'verbose_json') {
        misfit('timestamp_granularities', 'is only allowed when "response_format" is "verbose_json"');
      }
      if (stream === true && kind !== 'json' && kind !== 'text') {
        misfit('stream', 'is only allowed when "response_format" is "json" or "text"');
      }
    }),
  );
export type TranscriptionRequest = z.output<typeof TranscriptionRequest>;

/** `POST /v1/audio/translations`: into English. */
export const TranslationRequest = z.strictObject(common);
export type TranslationRequest = z.output<typeof TranslationRequest>;

const Usage = z.object({ type: z.literal('duration'), seconds: z.number() });
const Extension = z.object({
  nodes: z.array(z.string()),
  plan: z.object({ kind: z.string(), predicted_ms: z.number() }),
});

/** The answer as `json` and, with times, as `verbose_json`. */
export const Transcription = z.object({ text: z.string(), usage: Usage, weft: Extension });
export type Transcription = z.infer<typeof Transcription>;

export const VerboseTranscription = z.object({
  task: z.enum(['transcribe', 'translate']),
  /** English name of the language, in small letters. */
  language: z.string(),
  duration: z.number(),
  text: z.string(),
  segments: z.array(
    z.object({
      id: z.int(),
      seek: z.int(),
      start: z.number(),
      end: z.number(),
      text: z.string(),
      tokens: z.array(z.int()),
      temperature: z.number(),
      avg_logprob: z.number(),
      compression_ratio: z.number(),
    }),
  ),
  usage: Usage,
  weft: Extension,
});
export type VerboseTranscription = z.infer<typeof VerboseTranscription>;

/** An event of a streamed transcript. */
export const TranscriptEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('transcript.text.delta'), delta: z.string() }),
  z.object({ type: z.literal('transcript.text.done'), text: z.string(), usage: Usage, weft: Extension }),
]);
export type TranscriptEvent = z.infer<typeof TranscriptEvent>;
