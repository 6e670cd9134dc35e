// One model in a runner: the sessions of its graph and what answers requests with them. Made by a load, gone by an unload.
import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../../../models/manifest.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import type { GraphPart } from '../../../protocol/part.ts';
import type { LoadMemory } from './decoder/float-form.ts';
import { type DecoderOpenInit, openDecoder } from './decoder/open-decoder.ts';
import type { TextDecoder } from './decoder/text-decoder.ts';
import { TextEncoder } from './encode.ts';
import type { TextGenerator } from './generator.ts';
import { openPart } from './open-part.ts';
import { openSpeech } from './open-speech.ts';
import { type OpenedSession, openSession } from './session.ts';
import type { SpeechGenerators } from './speech.ts';
import type { Turns } from './turns.ts';

export interface ModelOpenInit extends DecoderOpenInit {
  /** Of the graph, only this. @default the whole */
  readonly part?: GraphPart | undefined;
}

export interface LoadedModelParts {
  readonly init: ModelOpenInit;
  readonly opened: OpenedSession;
  readonly encoder: TextEncoder | undefined;
  readonly decoder: TextDecoder | undefined;
  /** Why the decoder runs the graph as it was exported. */
  readonly decoderReason: string | undefined;
  /** The decoder's second form. */
  readonly many?: InferenceSession | undefined;
  readonly memory?: LoadMemory;
  readonly speech: SpeechGenerators | undefined;
}

const NOTHING_SPARE: LoadMemory = { spareBytes: 0, peakBytes: 0 };

export class LoadedModel {
  readonly #parts: LoadedModelParts;

  constructor(parts: LoadedModelParts) {
    this.#parts = parts;
  }

  /**
   * Verifies and opens a model in all the forms that its task needs. Blocks this thread while the runtime reads graphs.
   * @throws WeftError `model_corrupt`, `model_load_failed`
   */
  static async open(init: ModelOpenInit, turns: Turns, signal: AbortSignal): Promise<LoadedModel> {
    const { manifest, part } = init;
    if (part !== undefined) {
      const opened = await turns.take(signal, () => openPart(init, part));
      const none = { encoder: undefined, decoder: undefined, decoderReason: undefined, speech: undefined };
      return new LoadedModel({ init, opened, ...none });
    }
    if (manifest.task === 'text-generation') {
      const opened = await turns.take(signal, () => openDecoder(init, turns));
      const { decoder, reason: decoderReason, many, memory } = opened;
      const others = { encoder: undefined, speech: undefined };
      return new LoadedModel({ init, opened, decoder, decoderReason, many, memory, ...others });
    }
    const opened = await turns.take(signal, () => openSession(init));
    try {
      const encoder = manifest.encoding === undefined ? undefined : new TextEncoder(opened.session, manifest);
      const hears = manifest.task === 'automatic-speech-recognition';
      const speech = hears ? await turns.take(signal, () => openSpeech(init, opened.session)) : undefined;
      return new LoadedModel({ init, opened, encoder, decoder: undefined, decoderReason: undefined, speech });
    } catch (error) {
      await opened.session.release();
      throw error;
    }
  }

  get manifest(): Manifest {
    return this.#parts.init.manifest;
  }

  get folder(): string {
    return this.#parts.init.folder;
  }

  get opened(): OpenedSession {
    return this.#parts.opened;
  }

  get encoder(): TextEncoder | undefined {
    return this.#parts.encoder;
  }

  get decoder(): TextDecoder | undefined {
    return this.#parts.decoder;
  }

  get decoderReason(): string | undefined {
    return this.#parts.decoderReason;
  }

  /** What its load took, where a second form of its weights was asked for. */
  get memory(): LoadMemory {
    return this.#parts.memory ?? NOTHING_SPARE;
  }

  /** Opens a generation that this process runs token by token; undefined for models that have none. */
  openGenerator(request: GenerateRequest): TextGenerator | undefined {
    return this.#parts.speech?.open(request);
  }

  /**
   * Work with the graph as it was exported, in a turn on the device. A text generator may have it in another form only:
   * then it is loaded for this work alone.
   */
  async withGraph<T>(work: (session: InferenceSession) => Promise<T>): Promise<T> {
    const { init, opened, decoder } = this.#parts;
    if (decoder?.form !== 'rewritten') return work(opened.session);
    const { session } = await openSession({ ...init, verifyLarge: false, onProgress: undefined });
    try {
      return await work(session);
    } finally {
      await session.release();
    }
  }

  async release(): Promise<void> {
    const { opened, decoder, many, speech } = this.#parts;
    await decoder?.close();
    await opened.session.release();
    await many?.release();
    await speech?.release();
  }
}
