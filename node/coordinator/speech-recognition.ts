// A sound → its text: decoded in the prep process, written down window by window by a speech model, as OpenAI's Whisper
// does (transcribe.py): the next window begins where this one's last whole segment ends. Called by TextCoordinator.
//
// The text of earlier windows doesn't condition later ones, and the client's prompt counts for the first one: without
// Whisper's retries at higher temperatures, a window that repeats itself would lead all others astray.
import { deflateSync } from 'node:zlib';
import type { SpeechRecognitionTask } from '../../models/tasks/speech-recognition.ts';
import { readWindow, TIME_STEP_S, type WindowSegment } from '../../models/tasks/transcript.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { GenerateRequest } from '../../protocol/infer.ts';
import type { Plan } from '../../protocol/plan.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import { assert } from '../core/assert.ts';
import type { Random } from '../core/clock.ts';
import type {
  RequestOptions,
  TranscribeAnswer,
  TranscribeEvents,
  TranscribeRequest,
  TranscriptSegment,
} from '../core/coordinator.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import type { Prep, Spectrogram } from '../core/prep.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { languageCode } from './languages.ts';
import { SOUND_S_MIN, TRANSCRIPT_PROMPT_CHARS_MAX, WINDOW_ADVANCE_S_MIN } from './limits.ts';
import type { ModelResolver, Resolved } from './model-resolver.ts';
import { placedOptions } from './placed-options.ts';
import { prepare } from './preparing.ts';
import { refusal } from './refusal.ts';
import { freshSeed } from './sampling.ts';
import { type SoundRoom, windowOf } from './sound.ts';
import { Tokenizing, type TokenizingComponents } from './tokenizing.ts';

export interface TranscribeComponents extends TokenizingComponents {
  readonly hearing: Pick<Prep, 'listen'>;
  readonly dispatcher: Pick<Dispatcher, 'generate'>;
  readonly resolver: Pick<ModelResolver, 'speechRecognition'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly telemetry: Pick<Telemetry, 'count'>;
  readonly soundRoom: SoundRoom;
  readonly self: NodeId;
}

/** @throws WeftError `bad_request`, `model_not_found`, `overloaded`, or the work's own failure */
export async function transcribe(
  components: TranscribeComponents,
  request: TranscribeRequest,
  options: RequestOptions,
  events: TranscribeEvents,
): Promise<TranscribeAnswer> {
  if (request.file.byteLength === 0) throw refusal('The file is empty.', 'file');
  const { model, previous, language, sound } = await prepare(components, options.trace, async () => {
    const found = await components.resolver.speechRecognition(request.model, options.signal);
    options.trace?.model(found.ref.id);
    return {
      model: found,
      language: languageOf(found, request),
      previous: await promptIds(components, found, request.prompt ?? '', options.signal),
      sound: await components.hearing.listen(request.file, found.task.spec, options),
    };
  });
  const { spec } = model.task;
  const durationS = (sound.contentFrames * spec.hopLength) / spec.sampleRate;
  if (durationS < SOUND_S_MIN) throw refusal(`The sound is shorter than ${SOUND_S_MIN} s.`, 'file');
  const giveBack = components.soundRoom.take(sound.data.byteLength);
  try {
    const transcription = new Transcription(components, { model, request, sound, previous }, options, events);
    const segments = await transcription.run(language);
    const { promptTokens, completionTokens } = transcription;
    components.telemetry.count('weft_tokens_generated_total', {}, completionTokens);
    options.trace?.usage({ promptTokens, completionTokens });
    assert(transcription.plan !== undefined, 'what was written down was placed');
    return {
      model: model.ref.id,
      text: segments
        .map(({ text }) => text)
        .join('')
        .trim(),
      language: transcription.language,
      durationS,
      segments,
      usage: { promptTokens, completionTokens },
      nodes: [...new Set(transcription.nodes)],
      plan: transcription.plan,
    };
  } finally {
    giveBack();
  }
}

/** The code that the client asked for; undefined = it is to be found out, or there is but one. */
function languageOf({ ref, task }: Resolved<SpeechRecognitionTask>, request: TranscribeRequest): string | undefined {
  const { languages, translateId } = task.spec;
  if (request.translate && translateId === undefined) throw refusal(`${ref.id} doesn't translate.`, 'model');
  return request.language === undefined ? undefined : languageCode(request.language, Object.keys(languages), ref.id);
}

async function promptIds(
  components: TranscribeComponents,
  { task, folder }: Resolved<SpeechRecognitionTask>,
  prompt: string,
  signal: AbortSignal,
): Promise<Int32Array> {
  if (prompt.trim() === '') return new Int32Array(0);
  if (prompt.length > TRANSCRIPT_PROMPT_CHARS_MAX) {
    throw refusal(`The prompt has more than ${TRANSCRIPT_PROMPT_CHARS_MAX} characters.`, 'prompt');
  }
  const tokenizing = new Tokenizing(components, {
    folder,
    tokensMax: TRANSCRIPT_PROMPT_CHARS_MAX,
    specialTokens: false,
    encode: (text) => ({ ids: task.encode(text), truncated: false }),
  });
  return (await tokenizing.encode(prompt, signal)).ids;
}

/** What was drawn for one window. */
interface Written {
  /** Without the token that ended it. */
  readonly ids: readonly number[];
  readonly averageLogprob: number;
}

interface TranscriptionInit {
  readonly model: Resolved<SpeechRecognitionTask>;
  readonly request: TranscribeRequest;
  readonly sound: Spectrogram;
  readonly previous: Int32Array;
}

/** One sound on its way to text. */
class Transcription {
  readonly #components: TranscribeComponents;
  readonly #init: TranscriptionInit;
  readonly #options: RequestOptions;
  readonly #events: TranscribeEvents;
  readonly #seed: bigint;
  readonly #segments: TranscriptSegment[] = [];
  readonly nodes: NodeId[] = [];
  plan: Plan | undefined;
  language: string | undefined;
  promptTokens = 0;
  completionTokens = 0;
  #calls = 0;
  #textBegun = false;

  constructor(
    components: TranscribeComponents,
    init: TranscriptionInit,
    options: RequestOptions,
    events: TranscribeEvents,
  ) {
    this.#components = components;
    this.#init = init;
    this.#options = options;
    this.#events = events;
    this.#seed = init.request.seed ?? freshSeed(components.random);
  }

  /** @param language found out by the first window where it isn't given */
  async run(language: string | undefined): Promise<readonly TranscriptSegment[]> {
    const { model, request, sound, previous } = this.#init;
    const { task } = model;
    const { spec } = task;
    // A sound of several windows can't do without times: they say where to go on.
    const timestamps = request.timestamps || sound.contentFrames > spec.frames;
    let features = windowOf(sound, 0, spec);
    this.language = language ?? (await this.#findLanguage(features));
    for (let seek = 0; seek < sound.contentFrames; ) {
      if (seek > 0) features = windowOf(sound, seek, spec);
      const prompt = task.prompt({
        language: this.language,
        translate: request.translate,
        timestamps,
        previous: seek === 0 ? previous : NOTHING,
      });
      const show = timestamps ? undefined : this.#shower();
      const written = await this.#write(prompt, features, show);
      show?.end();
      const frames = Math.min(spec.frames, sound.contentFrames - seek);
      seek += this.#read(written, { seek, frames, shown: show !== undefined });
    }
    return this.#segments;
  }

  /** Asks for the one token that names it. */
  async #findLanguage(features: NamedTensor): Promise<string | undefined> {
    const { task } = this.#init.model;
    if (Object.keys(task.spec.languages).length === 0) return undefined;
    const { ids } = await this.#write(task.languagePrompt, features, undefined, 1);
    return task.languageOf(ids[0] ?? -1);
  }

  /** Takes in what a window was written down as. @returns frames to the next window */
  #read(
    { ids, averageLogprob }: Written,
    window: { readonly seek: number; readonly frames: number; readonly shown: boolean },
  ): number {
    const { task } = this.#init.model;
    const { hopLength, sampleRate, timestampBeginId } = task.spec;
    const frameS = hopLength / sampleRate;
    const { segments, advanceFrames } = readWindow(ids, {
      timestampBeginId,
      framesPerTime: Math.round(TIME_STEP_S / frameS),
      frames: window.frames,
      advanceFramesMin: Math.ceil(WINDOW_ADVANCE_S_MIN / frameS),
    });
    for (const segment of segments) this.#add(segment, { ...window, frameS, averageLogprob });
    return advanceFrames;
  }

  #add(
    { ids, startFrame, endFrame }: WindowSegment,
    at: { readonly seek: number; readonly frameS: number; readonly averageLogprob: number; readonly shown: boolean },
  ): void {
    const { timestampBeginId } = this.#init.model.task.spec;
    const detokenizer = this.#init.model.task.detokenizer();
    const text = detokenizer.push(ids.filter((id) => id < timestampBeginId)) + detokenizer.flush();
    // Between two times there may be silence.
    if (text.trim() === '') return;
    if (!at.shown) this.#show(text);
    this.#segments.push({
      id: this.#segments.length,
      seek: at.seek,
      startS: rounded((at.seek + startFrame) * at.frameS),
      endS: rounded((at.seek + endFrame) * at.frameS),
      text,
      tokens: ids,
      temperature: this.#init.request.temperature,
      averageLogprob: at.averageLogprob,
      compressionRatio: compressionRatio(text),
    });
  }

  /** Text goes out as soon as it is certain; a transcript doesn't begin with a space. */
  #show(text: string): void {
    const shown = this.#textBegun ? text : text.trimStart();
    if (shown === '') return;
    this.#textBegun = true;
    this.#events.onText?.(shown);
  }

  /** For a window of text alone: whole characters as they come. */
  #shower(): { take(ids: readonly number[]): void; end(): void } {
    const { task } = this.#init.model;
    const detokenizer = task.detokenizer();
    const eosIds = new Set(task.eosIds);
    return {
      take: (ids) => this.#show(detokenizer.push(ids.filter((id) => !eosIds.has(id)))),
      end: () => this.#show(detokenizer.flush()),
    };
  }

  async #write(
    prompt: Int32Array,
    features: NamedTensor,
    show: { take(ids: readonly number[]): void } | undefined,
    tokensMax?: number,
  ): Promise<Written> {
    const { model, request } = this.#init;
    const { task, ref } = model;
    const maxNewTokens = tokensMax ?? Math.min(Math.floor(task.contextLength / 2), task.contextLength - prompt.length);
    const work: GenerateRequest = {
      model: ref,
      ids: prompt,
      promptLength: prompt.length,
      maxNewTokens,
      stopIds: task.eosIds,
      sampling: { temperature: request.temperature, topP: 1, topK: 0, seed: this.#seed },
      logprobs: 0,
      features,
    };
    const ids: number[] = [];
    let logprobs = 0;
    const onPlan = (plan: Plan): void => {
      this.plan ??= plan;
      if (plan.kind !== 'local' && plan.kind !== 'remote') return;
      if (this.nodes.at(-1) !== plan.node) this.nodes.push(plan.node);
      this.#events.onPlaced?.(plan.node, ref.id);
    };
    // An id of its own for each window: an engine that loses two shall not take them for one that failed twice.
    const requestId = `${this.#options.requestId}.${this.#calls++}`;
    await this.#components.dispatcher.generate(
      work,
      placedOptions(this.#options, { requestId, onPlan }),
      (_first, some, reports) => {
        ids.push(...some);
        for (const { logprob } of reports ?? []) logprobs += logprob;
        show?.take(some);
      },
    );
    this.promptTokens += prompt.length;
    this.completionTokens += ids.length;
    const averageLogprob = ids.length === 0 ? 0 : logprobs / ids.length;
    return { ids: task.eosIds.includes(ids.at(-1) ?? -1) ? ids.slice(0, -1) : ids, averageLogprob };
  }
}

const NOTHING = new Int32Array(0);

/** To a hundredth of a second: times are given in steps of two. */
const rounded = (seconds: number): number => Math.round(seconds * 100) / 100;

function compressionRatio(text: string): number {
  const bytes = Buffer.from(text);
  return bytes.length / deflateSync(bytes).length;
}
