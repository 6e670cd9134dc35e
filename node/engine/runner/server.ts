// What a runner answers: load, unload, run, encode and generate, over the frames of its socket. Made by the entry.
import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../../../models/manifest.ts';
import type { TokenRun } from '../../../protocol/codec.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { ModelRef } from '../../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  RunRequest,
  RunResult,
} from '../../../protocol/infer.ts';
import { type AnyMethod, type MethodSpec, RUNNER_METHODS } from '../../../protocol/methods.ts';
import { type CallContext, type CallHandler, CallServer, type Registered } from '../../core/calls.ts';
import type { Clock } from '../../core/clock.ts';
import type { SocketWriter } from '../frame-socket.ts';
import type { TokenConstraint } from './constraint.ts';
import { TextEncoder } from './encode.ts';
import { generate } from './generate.ts';
import { plainGenerator, type TextGeneratorFactory } from './generator.ts';
import { Grammars } from './grammar/grammars.ts';
import { openSession, PROVIDER, runGraph } from './session.ts';
import { Turns } from './turns.ts';

export interface RunnerServerComponents {
  readonly writer: SocketWriter;
  readonly clock: Clock;
}

export interface RunnerServerInit {
  /** Other runners use the same cores. */
  readonly shareCores: boolean;
}

interface Loaded {
  readonly manifest: Manifest;
  readonly folder: string;
  readonly session: InferenceSession;
  readonly encoder: TextEncoder | undefined;
  readonly generators: TextGeneratorFactory | undefined;
}

type LoadRequest = Parameters<typeof RUNNER_METHODS.load.request.encode>[0];
type LoadResponse = Parameters<typeof RUNNER_METHODS.load.response.encode>[0];
type UnloadRequest = Parameters<typeof RUNNER_METHODS.unload.request.encode>[0];
type UnloadResponse = Parameters<typeof RUNNER_METHODS.unload.response.encode>[0];

const residentBytes = (): bigint => BigInt(process.memoryUsage.rss());

/** Holds the sessions of this process and answers the daemon's calls on them. */
export class RunnerServer {
  readonly #init: RunnerServerInit;
  readonly #turns: Turns;
  readonly #calls: CallServer;
  readonly #models = new Map<string, Loaded>();
  readonly #grammars = new Grammars();

  constructor(components: RunnerServerComponents, init: RunnerServerInit) {
    const { writer, clock } = components;
    this.#init = init;
    this.#turns = new Turns({ flushed: () => writer.flushed() });
    const methods = [
      this.#answering(RUNNER_METHODS.load, (request, context) => this.#load(request, context.signal)),
      this.#answering(RUNNER_METHODS.unload, (request, context) => this.#unload(request, context.signal)),
      this.#answering(RUNNER_METHODS.run, (request, context) => this.#run(request, context)),
      this.#answering(RUNNER_METHODS.encode, (request, context) => this.#encode(request, context)),
      this.#answering(RUNNER_METHODS.generate, (request, context) => this.#generate(request, context)),
    ];
    const lookup = (id: number, version: number): Registered => {
      const found = methods.find(({ method }) => method.id === id && method.version === version);
      if (found !== undefined) return found;
      throw new WeftError({
        code: 'method_unknown',
        message: `The runner knows no method ${id} of version ${version}.`,
      });
    };
    // The daemon needs no acknowledgement: the lifeline tells it whether the process is there.
    this.#calls = new CallServer({ writer, clock, lookup }, { caller: 'daemon', acknowledge: false });
  }

  /** Bytes from the daemon. @throws WeftError `frame_invalid` */
  push(chunk: Uint8Array): void {
    this.#calls.push(chunk);
  }

  /** No quota: the daemon decides how much it sends. */
  #answering<Request, Item, Response>(
    method: MethodSpec<Request, Item, Response>,
    handler: CallHandler<Request, Item, Response>,
  ): Registered & { readonly method: AnyMethod } {
    return {
      method,
      handler,
      admit: () => () => {
        /* nothing is counted */
      },
    };
  }

  async #load(request: LoadRequest, signal: AbortSignal): Promise<LoadResponse> {
    const { digest } = refOf(request.model);
    // The daemon has parsed and checked this manifest; here it only comes back from text.
    const manifest = JSON.parse(request.manifestJson) as Manifest;
    const opened = await this.#turns.take(signal, () =>
      openSession({
        folder: request.folder,
        manifest,
        threads: request.threads,
        shareCores: this.#init.shareCores,
        verifyLarge: request.verifyLarge,
      }),
    );
    const { session, loadMs, verifyMs } = opened;
    try {
      const encoder = manifest.task === 'feature-extraction' ? new TextEncoder(session, manifest) : undefined;
      const generators = manifest.task === 'text-generation' ? plainGenerator(session, manifest) : undefined;
      this.#models.set(digest, { manifest, folder: request.folder, session, encoder, generators });
    } catch (error) {
      await session.release();
      throw error;
    }
    return { loadMs, verifyMs, residentBytes: residentBytes(), provider: PROVIDER };
  }

  async #unload(request: UnloadRequest, signal: AbortSignal): Promise<UnloadResponse> {
    const { digest } = refOf(request.model);
    const model = this.#find(digest);
    await this.#turns.take(signal, () => model.session.release());
    this.#models.delete(digest);
    return { residentBytes: residentBytes() };
  }

  async #run(request: RunRequest, context: CallContext<void>): Promise<RunResult> {
    const { session } = this.#find(request.model.digest);
    return this.#turns.take(context.signal, async () => {
      const begun = performance.now();
      const outputs = await runGraph(session, request);
      return { outputs, node: '', timing: computed(begun) };
    });
  }

  async #encode(request: EncodeRequest, context: CallContext<void>): Promise<EncodeResult> {
    const { encoder, manifest } = this.#find(request.model.digest);
    const dimensions = manifest.encoding?.dimensions;
    if (encoder === undefined || dimensions === undefined) throw wrongTask();
    return this.#turns.take(context.signal, async () => {
      const begun = performance.now();
      const embeddings = await encoder.encode(request);
      return { embeddings, dimensions, node: '', timing: computed(begun) };
    });
  }

  async #generate(request: GenerateRequest, context: CallContext<TokenRun>): Promise<GenerateResult> {
    const model = this.#find(request.model.digest);
    const { generators, manifest } = model;
    if (generators === undefined) throw wrongTask();
    const constraint = await this.#constraint(model, request, context.signal);
    const generator = generators.open();
    try {
      return await generate(request, manifest.contextLength, generator, this.#turns, context, constraint);
    } finally {
      generator.close();
    }
  }

  /** Made before the first turn: a grammar that takes long holds up nobody else. */
  async #constraint(
    { folder, manifest }: Loaded,
    { model, constraint, stopIds }: GenerateRequest,
    signal: AbortSignal,
  ): Promise<TokenConstraint | undefined> {
    const vocabularySize = manifest.generation?.vocabularySize;
    if (constraint === undefined || vocabularySize === undefined) return undefined;
    return this.#grammars.open({ digest: model.digest, folder, vocabularySize }, { constraint, stopIds }, signal);
  }

  #find(digest: string): Loaded {
    const model = this.#models.get(digest);
    if (model === undefined) throw new WeftError({ code: 'internal', message: 'The model is not in this runner.' });
    return model;
  }
}

const wrongTask = (): WeftError =>
  new WeftError({ code: 'bad_request', message: 'The model is not made for this kind of request.' });

function refOf(model: ModelRef | undefined): ModelRef {
  if (model === undefined) throw new WeftError({ code: 'bad_request', message: 'The request names no model.' });
  return model;
}

function computed(begun: number): RunResult['timing'] {
  return { queueMs: 0, loadMs: 0, computeMs: performance.now() - begun, prefillMs: 0 };
}
