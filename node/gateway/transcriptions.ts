// POST /v1/audio/transcriptions and /v1/audio/translations.
import type { ErrorBody } from '../../protocol/api/openai.ts';
import {
  type TranscriptEvent,
  type TranscriptFormat,
  type Transcription,
  TranscriptionRequest,
  TranslationRequest,
  type VerboseTranscription,
} from '../../protocol/api/openai.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Coordinator, TranscribeAnswer, TranscribeEvents, TranscribeRequest } from '../core/coordinator.ts';
import { languageName } from '../core/language-names.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import { type NameOf, placementHeaders, planSummary } from './placement.ts';
import { subtitles } from './transcript-formats.ts';

export interface TranscriptionsComponents {
  readonly coordinator: Pick<Coordinator, 'transcribe'>;
  readonly nameOf: NameOf;
  /** The error as a body, logged where that is due. */
  readonly failure: (error: unknown, exchange: Exchange) => ErrorBody;
}

/** Formats that can't do without times. */
const TIMED: ReadonlySet<TranscriptFormat> = new Set(['verbose_json', 'srt', 'vtt']);

/** Both endpoints. */
export function transcriptions(components: TranscriptionsComponents): readonly Endpoint[] {
  return [
    {
      method: 'POST',
      url: '/v1/audio/transcriptions',
      traced: true,
      form: true,
      async handle(exchange) {
        const body = await exchange.readForm(TranscriptionRequest);
        const { language, response_format: format = 'json' } = body;
        const request = { ...requestOf(body, format, false), ...(language !== undefined && { language }) };
        if (body.stream === true) return streamed(components, exchange, request);
        return answered(components, exchange, request, format);
      },
    },
    {
      method: 'POST',
      url: '/v1/audio/translations',
      traced: true,
      form: true,
      async handle(exchange) {
        const body = await exchange.readForm(TranslationRequest);
        const { response_format: format = 'json' } = body;
        return answered(components, exchange, requestOf(body, format, true), format);
      },
    },
  ];
}

function requestOf(body: TranslationRequest, format: TranscriptFormat, translate: boolean): TranscribeRequest {
  const { model, file, prompt, temperature = 0 } = body;
  return {
    model,
    file,
    translate,
    temperature,
    timestamps: TIMED.has(format),
    ...(prompt !== undefined && { prompt }),
  };
}

async function answered(
  { coordinator, nameOf }: TranscriptionsComponents,
  exchange: Exchange,
  request: TranscribeRequest,
  format: TranscriptFormat,
): Promise<Transcription | VerboseTranscription | string> {
  const answer = await coordinator.transcribe(request, exchange, {});
  const { reply } = exchange;
  reply.headers(placementHeaders(answer.nodes.at(-1), nameOf));
  if (format === 'json') return { text: answer.text, ...endOf(answer) };
  if (format === 'verbose_json') return verbose(answer, request.translate);
  reply.header('content-type', `${format === 'vtt' ? 'text/vtt' : 'text/plain'}; charset=utf-8`);
  return format === 'text' ? `${answer.text}\n` : subtitles(answer.segments, format);
}

function verbose(answer: TranscribeAnswer, translate: boolean): VerboseTranscription {
  return {
    task: translate ? 'translate' : 'transcribe',
    // A model that knows one language knows English.
    language: languageName(answer.language ?? 'en'),
    duration: answer.durationS,
    text: answer.text,
    segments: answer.segments.map((segment) => ({
      id: segment.id,
      seek: segment.seek,
      start: segment.startS,
      end: segment.endS,
      text: segment.text,
      tokens: [...segment.tokens],
      temperature: segment.temperature,
      avg_logprob: segment.averageLogprob,
      compression_ratio: segment.compressionRatio,
    })),
    ...endOf(answer),
  };
}

/** What stands at the end of every answer that is JSON. */
const endOf = ({ durationS, nodes, plan }: TranscribeAnswer) => ({
  usage: { type: 'duration' as const, seconds: Math.ceil(durationS) },
  weft: { nodes: [...nodes], plan: planSummary(plan) },
});

/** Status and headers go out with the first text: until then a failure has a status of its own. */
async function streamed(
  { coordinator, nameOf, failure }: TranscriptionsComponents,
  exchange: Exchange,
  request: TranscribeRequest,
): Promise<undefined> {
  const stream = exchange.eventStream();
  let node: NodeId | undefined;
  let begun = false;
  const send = (event: TranscriptEvent): void => {
    if (!begun) {
      begun = true;
      exchange.reply.hijack();
      stream.open({ ...exchange.reply.getHeaders(), ...placementHeaders(node, nameOf) });
    }
    stream.send(event);
  };
  const events: TranscribeEvents = {
    onPlaced: (placed) => {
      node = placed;
    },
    onText: (delta) => send({ type: 'transcript.text.delta', delta }),
  };
  try {
    const answer = await coordinator.transcribe(request, exchange, events);
    send({ type: 'transcript.text.done', text: answer.text, ...endOf(answer) });
    stream.done();
  } catch (error) {
    if (!stream.opened) throw error;
    stream.fail(failure(error, exchange));
  }
}
