// What generates text from one loaded model: the rewritten graph with many sequences at once where the model allows it, the
// plain loop otherwise. Made when the runner loads a text generator.

import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../../../../models/manifest.ts';
import { rowBytes } from '../../../../models/onnx/kv-rewrite/layout.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import type { GenerateRequest, GenerateResult } from '../../../../protocol/infer.ts';
import { ClassTurns } from '../../class-turns.ts';
import { type GeneratorReading, NOTHING_HELD } from '../../generator-stats.ts';
import { kvNeed } from '../../kv-memory.ts';
import { PLAIN_SEQUENCES_MAX } from '../../limits.ts';
import type { TokenConstraint } from '../constraint.ts';
import { type GenerationContext, generate } from '../generate.ts';
import { plainGenerator, type TextGeneratorFactory } from '../generator.ts';
import type { Turns } from '../turns.ts';
import { BatchLoop } from './batch-loop.ts';
import type { RewrittenModel } from './rewritten-model.ts';

/** A model that generates. */
export interface TextDecoder {
  readonly form: 'rewritten' | 'plain';
  readonly kvBytesPerToken: number;
  readonly stats: GeneratorReading;
  /** As {@link BatchLoop.generate}. */
  generate(request: GenerateRequest, context: GenerationContext, constraint?: TokenConstraint): Promise<GenerateResult>;
  /** Ends what is under way and frees its caches; the session is its maker's. */
  close(): Promise<void>;
}

export interface DecoderInit {
  readonly manifest: Manifest;
  readonly turns: Turns;
  readonly kvBytesMax: number;
  readonly sequencesMax: number;
  readonly exact: boolean;
}

/** The decoder over a rewritten graph. */
export function rewrittenDecoder(model: RewrittenModel, init: DecoderInit): TextDecoder {
  const { manifest, turns, kvBytesMax, sequencesMax, exact } = init;
  const { contextLength } = manifest;
  const loop = new BatchLoop({ model, turns }, { contextLength, kvBytesMax, sequencesMax, exact });
  return {
    form: 'rewritten',
    kvBytesPerToken: rowBytes(model.layout),
    get stats() {
      return loop.stats;
    },
    generate: (request, context, constraint) => loop.generate(request, context, constraint),
    close: () => loop.close(unloaded()),
  };
}

/** The decoder over the graph as it was exported: a few sequences in turns, each of which copies its cache at every step. */
export function plainDecoder(session: InferenceSession, init: DecoderInit): TextDecoder {
  return new PlainDecoder(plainGenerator(session, init.manifest), init);
}

/** What {@link plainDecoder} makes. */
export class PlainDecoder implements TextDecoder {
  readonly form = 'plain';
  readonly kvBytesPerToken: number;
  readonly #generators: TextGeneratorFactory;
  readonly #init: DecoderInit;
  readonly #waiting: { readonly isBatch: boolean; readonly enter: () => void }[] = [];
  readonly #turns = new ClassTurns();
  readonly #closing = new AbortController();
  #running = 0;
  #promptTokens = 0;

  constructor(generators: TextGeneratorFactory, init: DecoderInit) {
    this.#generators = generators;
    this.#init = init;
    this.kvBytesPerToken = kvNeed(init.manifest, 1)?.bytesPerToken ?? 0;
  }

  get stats(): GeneratorReading {
    const [sequences, waiting, promptTokens] = [this.#running, this.#waiting.length, this.#promptTokens];
    return { ...NOTHING_HELD, sequences, waiting, promptTokens };
  }

  async generate(
    request: GenerateRequest,
    context: GenerationContext,
    constraint?: TokenConstraint,
  ): Promise<GenerateResult> {
    const { manifest, turns } = this.#init;
    const signal = AbortSignal.any([context.signal, this.#closing.signal]);
    try {
      await this.#enter(signal, context.priority === 'batch');
    } catch (error) {
      constraint?.close();
      throw error;
    }
    this.#promptTokens += request.promptLength;
    const generator = this.#generators.open();
    try {
      const item = context.item.bind(context);
      return await generate(request, manifest.contextLength, generator, turns, { signal, item }, constraint);
    } finally {
      generator.close();
      this.#leave();
    }
  }

  /** Waits for a place. @throws the signal's reason, at once */
  async #enter(signal: AbortSignal, isBatch: boolean): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < Math.min(this.#init.sequencesMax, PLAIN_SEQUENCES_MAX)) {
      this.#running++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { isBatch, enter: resolve };
    const onAbort = (): void => {
      const at = this.#waiting.indexOf(waiting);
      // It may just have been given its place: whoever runs it then sees that it is over.
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      reject(signal.reason);
    };
    this.#waiting.push(waiting);
    signal.addEventListener('abort', onAbort, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** The place goes to whoever waits longest in the class whose turn it is, or is free. */
  #leave(): void {
    const next = this.#turns.next(this.#waiting);
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    this.#turns.took(
      next.isBatch ? 'batch' : 'interactive',
      this.#waiting.some(({ isBatch }) => isBatch),
    );
    next.enter();
  }

  async close(): Promise<void> {
    this.#closing.abort(unloaded());
  }
}

const unloaded = (): WeftError => new WeftError({ code: 'stopping', message: 'The model is being unloaded.' });
