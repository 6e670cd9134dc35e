// What a runner answers: load, unload, weigh, run, encode and generate, over the frames of its socket. Made by the entry.

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
import { partFromMessage } from '../../../protocol/part-message.ts';
import { type CallContext, type CallHandler, CallServer, type Registered } from '../../core/calls.ts';
import type { Clock } from '../../core/clock.ts';
import type { SocketWriter } from '../frame-socket.ts';
import { NOTHING_HELD } from '../generator-stats.ts';
import { LOAD_PROGRESS_STEP } from '../limits.ts';
import type { TokenConstraint } from './constraint.ts';
import { measureCuts } from './cut-profile.ts';
import type { DecoderOpenInit } from './decoder/open-decoder.ts';
import { generate } from './generate.ts';
import type { TextGenerator } from './generator.ts';
import { Grammars } from './grammar/grammars.ts';
import { LoadedModel } from './loaded-model.ts';
import { weighPart } from './open-part.ts';
import { joinParts } from './run-batch.ts';
import { placeOf, runGraph } from './session.ts';
import { Turns } from './turns.ts';

export interface RunnerServerComponents {
  readonly writer: SocketWriter;
  readonly clock: Clock;
}

type LoadRequest = Parameters<typeof RUNNER_METHODS.load.request.encode>[0];
type LoadItem = Parameters<typeof RUNNER_METHODS.load.item.encode>[0];
type LoadResponse = Parameters<typeof RUNNER_METHODS.load.response.encode>[0];
type UnloadRequest = Parameters<typeof RUNNER_METHODS.unload.request.encode>[0];
type StatsRequest = Parameters<typeof RUNNER_METHODS.stats.request.encode>[0];
type StatsResponse = Parameters<typeof RUNNER_METHODS.stats.response.encode>[0];
type WeighRequest = Parameters<typeof RUNNER_METHODS.weigh.request.encode>[0];
type WeighResponse = Parameters<typeof RUNNER_METHODS.weigh.response.encode>[0];
type CutsRequest = Parameters<typeof RUNNER_METHODS.cuts.request.encode>[0];
type CutsResponse = Parameters<typeof RUNNER_METHODS.cuts.response.encode>[0];
type UnloadResponse = Parameters<typeof RUNNER_METHODS.unload.response.encode>[0];

const residentBytes = (): bigint => BigInt(process.memoryUsage.rss());

/** Holds the sessions of this process and answers the daemon's calls on them. */
export class RunnerServer {
  readonly #turns: Turns;
  readonly #calls: CallServer;
  readonly #models = new Map<string, LoadedModel>();
  readonly #grammars = new Grammars();
  readonly #wallNow: () => number;

  constructor(components: RunnerServerComponents) {
    const { writer, clock } = components;
    this.#wallNow = () => clock.wallNow();
    this.#turns = new Turns({ flushed: () => writer.flushed() });
    const methods = [
      this.#answering(RUNNER_METHODS.load, (request, context) => this.#load(request, context)),
      this.#answering(RUNNER_METHODS.unload, (request, context) => this.#unload(request, context.signal)),
      this.#answering(RUNNER_METHODS.stats, async (request) => this.#stats(request)),
      this.#answering(RUNNER_METHODS.weigh, (request, context) => this.#weigh(request, context.signal)),
      this.#answering(RUNNER_METHODS.cuts, (request, context) => this.#cuts(request, context.signal)),
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

  async #load(request: LoadRequest, context: CallContext<LoadItem>): Promise<LoadResponse> {
    const { digest } = refOf(request.model);
    // The daemon has parsed and checked this manifest; here it only comes back from text.
    const manifest = JSON.parse(request.manifestJson) as Manifest;
    const { decoderChecked, exact, kvBytesMax, sequencesMax, spareBytes } = request;
    const init = {
      folder: request.folder,
      manifest,
      threads: request.threads,
      shareCores: !request.spin,
      verifyLarge: request.verifyLarge,
      place: placeOf(request.provider, request.device),
      kvBytesMax: Number(kvBytesMax),
      sequencesMax,
      decoderChecked,
      exact,
      spareBytes: Number(spareBytes),
      part: request.part && partFromMessage(request.part),
      onProgress: progressOf(context),
    };
    const model = await LoadedModel.open(init, this.#turns, context.signal);
    this.#models.set(digest, model);
    const { loadMs, verifyMs, provider, fallbackReason } = model.opened;
    return {
      loadMs,
      verifyMs,
      residentBytes: residentBytes(),
      provider: provider(),
      fallbackReason: fallbackReason() ?? '',
      decoder: model.decoder?.form ?? '',
      decoderReason: model.decoderReason ?? '',
      kvBytesPerToken: BigInt(model.decoder?.kvBytesPerToken ?? 0),
      spareBytes: BigInt(model.memory.spareBytes),
      peakBytes: BigInt(model.memory.peakBytes),
    };
  }

  async #unload(request: UnloadRequest, signal: AbortSignal): Promise<UnloadResponse> {
    const { digest } = refOf(request.model);
    const model = this.#find(digest);
    // Generations end first: they take turns too.
    await model.decoder?.close();
    await this.#turns.take(signal, () => model.release());
    this.#models.delete(digest);
    return { residentBytes: residentBytes() };
  }

  #stats(request: StatsRequest): StatsResponse {
    const { opened, decoder } = this.#find(refOf(request.model).digest);
    const stats = decoder?.stats ?? NOTHING_HELD;
    return {
      provider: opened.provider(),
      fallbackReason: opened.fallbackReason() ?? '',
      sequences: stats.sequences,
      waiting: stats.waiting,
      kvBytes: BigInt(stats.kvBytes),
      prefixBytes: BigInt(stats.prefixBytes),
      promptTokens: BigInt(stats.promptTokens),
      cachedTokens: BigInt(stats.cachedTokens),
      draftedTokens: BigInt(stats.draftedTokens),
      acceptedTokens: BigInt(stats.acceptedTokens),
      residentBytes: residentBytes(),
    };
  }

  async #weigh({ folder, graph, part }: WeighRequest, signal: AbortSignal): Promise<WeighResponse> {
    if (part === undefined) throw new WeftError({ code: 'bad_request', message: 'There is no part to weigh.' });
    const weightBytes = await this.#turns.take(signal, async () => weighPart(folder, graph, partFromMessage(part)));
    return { weightBytes: BigInt(weightBytes) };
  }

  async #cuts(request: CutsRequest, signal: AbortSignal): Promise<CutsResponse> {
    const { manifestJson, spin, inputs, weightBytesMax, ...init } = request;
    const measured = await this.#turns.take(signal, () =>
      measureCuts(
        {
          ...init,
          manifest: JSON.parse(manifestJson) as Manifest,
          shareCores: !spin,
          sample: inputs,
          wallNow: () => this.#wallNow(),
          weightBytesMax: Number(weightBytesMax),
        },
        signal,
      ),
    );
    return { tableJson: JSON.stringify(measured) };
  }

  async #run(request: RunRequest, context: CallContext<void>): Promise<RunResult> {
    // Looked up in its turn: what waited behind an unload finds nothing, rather than a session that is gone.
    return this.#turns.take(context.signal, () =>
      this.#find(request.model.digest).withGraph(async (session) => {
        const begun = performance.now();
        const outputs = await runGraph(session, { ...request, inputs: joinParts(request.inputs) });
        return { outputs, node: '', timing: computed(begun) };
      }),
    );
  }

  async #encode(request: EncodeRequest, context: CallContext<void>): Promise<EncodeResult> {
    return this.#turns.take(context.signal, async () => {
      const { encoder, manifest } = this.#find(request.model.digest);
      const dimensions = manifest.encoding?.dimensions;
      if (encoder === undefined || dimensions === undefined) throw wrongTask();
      const begun = performance.now();
      const embeddings = await encoder.encode(request);
      return { embeddings, dimensions, node: '', timing: computed(begun) };
    });
  }

  async #generate(request: GenerateRequest, context: CallContext<TokenRun>): Promise<GenerateResult> {
    const model = this.#find(request.model.digest);
    const { decoder, manifest } = model;
    const constraint = await this.#constraint(model, request, context.signal);
    if (decoder !== undefined) return decoder.generate(request, context, constraint);
    let generator: TextGenerator | undefined;
    try {
      generator = model.openGenerator(request);
      if (generator === undefined) throw wrongTask();
      return await generate(request, manifest.contextLength, generator, this.#turns, context, constraint);
    } finally {
      generator?.close();
      constraint?.close();
    }
  }

  /** Made before the first turn: a grammar that takes long holds up nobody else. */
  async #constraint(
    { folder, manifest }: LoadedModel,
    { model, constraint, stopIds }: GenerateRequest,
    signal: AbortSignal,
  ): Promise<TokenConstraint | undefined> {
    const vocabularySize = manifest.generation?.vocabularySize;
    if (constraint === undefined || vocabularySize === undefined) return undefined;
    return this.#grammars.open({ digest: model.digest, folder, vocabularySize }, { constraint, stopIds }, signal);
  }

  #find(digest: string): LoadedModel {
    const model = this.#models.get(digest);
    if (model === undefined) throw new WeftError({ code: 'internal', message: 'The model is not in this runner.' });
    return model;
  }
}

/** Sends phases as they begin, and steps of one that tells how far it is. */
function progressOf(context: CallContext<LoadItem>): DecoderOpenInit['onProgress'] {
  let told: LoadItem | undefined;
  return (phase, fraction = -1) => {
    if (told?.phase === phase && fraction - told.fraction < LOAD_PROGRESS_STEP) return;
    told = { phase, fraction };
    void context.item(told);
  };
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
