// A coordinator over the bundled models' real tokenizers, with a dispatcher that "generates" what a test says.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canonicalJson } from '../../../models/manifest.ts';
import { ModelStore } from '../../../models/store.ts';
import { loadTextGeneration, type TextGenerationTask } from '../../../models/tasks/text-generation.ts';
import { TextCoordinator, type TextCoordinatorComponents } from '../../../node/coordinator/text-coordinator.ts';
import { toAbortError } from '../../../node/core/calls.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { AnswerDelta } from '../../../node/core/coordinator.ts';
import type { AvailableModel, Dispatcher, PlacedOptions, Placement } from '../../../node/core/dispatcher.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { Prep, Tokenized } from '../../../node/core/prep.ts';
import type { BatchProgress, RequestTrace, Span } from '../../../node/core/trace.ts';
import type { FileTransfer } from '../../../node/core/transfer.ts';
import type { ModelOffer } from '../../../protocol/capability.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
  TokenLogprob,
} from '../../../protocol/infer.ts';
import type { WholePlan } from '../../../protocol/plan.ts';
import { CountingTelemetry, TIMING } from '../dispatch/fakes.ts';
import { offer } from '../scheduler/builders.ts';

const BUNDLED = fileURLToPath(new URL('../../../models/bundled', import.meta.url));
const PRICE = { queueMs: 0, loadMs: 0, upMs: 0, computeMs: 1, downMs: 0, totalMs: 1 };

export const planOn = (node: string): WholePlan => ({
  kind: node === 'self' ? 'local' : 'remote',
  node,
  price: PRICE,
  others: [],
  rejected: [],
});

export type Generate = (
  request: GenerateRequest,
  options: PlacedOptions,
  onTokens: OnTokens,
) => Promise<GenerateResult & Placement>;
export type Encode = (request: EncodeRequest, options: PlacedOptions) => Promise<EncodeResult & Placement>;

export type Run = (request: RunRequest, options: PlacedOptions) => Promise<RunResult & Placement>;

/** The store over models/bundled, with a cache in a folder of its own. */
export async function bundledStore(roots = [BUNDLED]): Promise<ModelStore & AsyncDisposable> {
  const cacheFolder = await mkdtemp(join(tmpdir(), 'weft-coordinator-'));
  const store = new ModelStore({ log: silentLog }, { roots, cacheFolder });
  await store.open();
  return Object.assign(store, {
    [Symbol.asyncDispose]: () => rm(cacheFolder, { recursive: true, force: true }),
  });
}

/** What a node that has the bundled models offers. */
export function bundledOffers(store: ModelStore): ModelOffer[] {
  return store.list().map(({ ref, manifest, aliases }) =>
    offer({
      model: ref,
      task: manifest.task,
      contextLength: manifest.contextLength,
      dimensions: manifest.encoding?.dimensions ?? 0,
      aliases,
      precision: manifest.precision,
    }),
  );
}

export const available = (offers: readonly ModelOffer[], nodes = ['self']): AvailableModel[] =>
  offers.map((one) => ({ offer: one, nodes, states: nodes.map(() => one.state) }));

/** Serves manifests and files of the bundled models, as a peer would, and counts. */
export class BundledTransfer implements FileTransfer {
  readonly #store: ModelStore;
  readonly fetched: string[] = [];
  readonly sources: (readonly string[])[] = [];

  constructor(store: ModelStore) {
    this.#store = store;
  }

  async fetch(file: { readonly sha256: string }, sources: readonly string[]): Promise<Uint8Array> {
    const stored = this.#store.fileByDigest(file.sha256);
    if (stored === undefined) throw new WeftError({ code: 'model_corrupt', message: 'No source has it.' });
    this.fetched.push(file.sha256);
    this.sources.push(sources);
    return readFile(stored.path);
  }

  async fetchManifest(digest: string): Promise<string> {
    const model = this.#store.byDigest(digest);
    if (model === undefined) throw new WeftError({ code: 'model_corrupt', message: 'No source has it.' });
    this.fetched.push(digest);
    return canonicalJson(model.manifest);
  }
}

export interface FakeCoordinatorInit {
  readonly store: ModelStore;
  readonly models?: readonly AvailableModel[];
  readonly generate?: Generate;
  readonly encode?: Encode;
  readonly run?: Run;
  readonly plan?: Dispatcher['plan'];
  readonly planCut?: Dispatcher['planCut'];
  readonly transfer?: FileTransfer;
  readonly listen?: Prep['listen'];
  readonly tokenize?: (folder: string, text: string, tokensMax: number, specialTokens: boolean) => Promise<Tokenized>;
}

export function fakeCoordinator(init: FakeCoordinatorInit) {
  const { store } = init;
  let drawn = 0;
  const telemetry = new CountingTelemetry();
  const unexpected = (): never => {
    throw new Error('not expected in this test');
  };
  const dispatcher: Dispatcher = {
    run: init.run ?? unexpected,
    generate: init.generate ?? unexpected,
    encode: init.encode ?? unexpected,
    plan: init.plan ?? unexpected,
    planCut: init.planCut ?? (async () => undefined),
    models: () => init.models ?? available(bundledOffers(store)),
    inFlight: () => 0,
  };
  const components: TextCoordinatorComponents = {
    clock: systemClock,
    // 7, 7, 7, … at first, then 8, 8, 8, …
    random: { bytes: (length) => new Uint8Array(length).fill(7 + drawn++) },
    log: silentLog,
    telemetry,
    dispatcher,
    prep: {
      tokenize: (folder, text, { tokensMax, specialTokens }) =>
        (init.tokenize ?? unexpected)(folder, text, tokensMax, specialTokens),
    },
    hearing: { listen: init.listen ?? unexpected },
    transfer: init.transfer ?? { fetch: unexpected, fetchManifest: unexpected },
    models: store,
    nodeName: (node) => `name of ${node}`,
    self: 'self',
    withholding: () => 0,
  };
  return { coordinator: new TextCoordinator(components), telemetry };
}

/** SmolLM2's own tokenizer, for tests that need ids of a text. */
export async function smollm2(store: ModelStore): Promise<TextGenerationTask> {
  const model = store.find('smollm2');
  if (model === undefined) throw new Error('SmolLM2 is not bundled');
  return loadTextGeneration(model.folder, model.manifest);
}

/** What a test's model thinks of a token: something else for each, and that the one before it was as likely. */
export const logprobOf = (id: number): TokenLogprob => ({
  logprob: -id / 1000,
  top: [
    { id, logprob: -id / 1000 },
    { id: id - 1, logprob: -id / 1000 },
  ],
});

/** Draws these ids one by one, a turn of the event loop between them, until it is aborted. */
export function generating(ids: readonly number[], nodes: readonly string[] = ['self']): Generate & { drawn: number } {
  const generate = async (
    request: GenerateRequest,
    options: PlacedOptions,
    onTokens: OnTokens,
  ): Promise<GenerateResult & Placement> => {
    const plans = nodes.map(planOn);
    const plan = plans.at(-1) ?? planOn('self');
    for (const each of plans) options.onPlan?.(each);
    const end = Math.min(ids.length, request.maxNewTokens);
    for (let index = 0; index < end; index++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (options.signal.aborted) throw toAbortError(options.signal);
      result.drawn = index + 1;
      const some = ids.slice(index, index + 1);
      if (request.logprobs === undefined) onTokens(index, some);
      else onTokens(index, some, some.map(logprobOf));
    }
    if (options.signal.aborted) throw toAbortError(options.signal);
    const last = ids[end - 1];
    const finish = last !== undefined && request.stopIds.includes(last) ? 'stop' : 'length';
    return { finish, generated: end, node: nodes.at(-1) ?? 'self', timing: TIMING, plan, nodes };
  };
  const result = Object.assign(generate, { drawn: 0 });
  return result;
}

/** Vectors whose only entry is how many tokens the text has. */
export const encoding: Encode = async (request, options) => {
  options.onPlan?.(planOn('self'));
  const embeddings = Float32Array.from(request.lengths);
  return { embeddings, dimensions: 1, node: 'self', timing: TIMING, plan: planOn('self'), nodes: ['self'] };
};

/** A trace that keeps what it is told. Its time is a count of how often it was asked for. */
export function recordingTrace() {
  const seen: { model?: string; spans: Span[]; progress?: BatchProgress[]; usage?: object } = { spans: [] };
  let elapsedMs = 0;
  const trace: RequestTrace = {
    requestId: 'req_test',
    traceParent: '00-00000000000000000000000000000001-0000000000000001-01',
    elapsedMs: () => elapsedMs++,
    model: (id) => {
      seen.model = id;
    },
    span: (span) => seen.spans.push(span),
    placed: () => undefined,
    failed: () => undefined,
    progress: (progress) => {
      seen.progress ??= [];
      seen.progress.push(progress);
    },
    usage: (usage) => {
      seen.usage = usage;
    },
    end: () => undefined,
  };
  return { trace, seen };
}

/** What came of each choice: its text, its reports of tokens, its calls of tools, and every delta in order. */
export function recordingEvents() {
  const deltas: AnswerDelta[] = [];
  const placed: string[] = [];
  const of = (choice: number): AnswerDelta[] => deltas.filter((delta) => delta.choice === choice);
  return {
    deltas,
    placed,
    events: {
      onDelta: (delta: AnswerDelta) => deltas.push(delta),
      onPlaced: (node: string, model: string) => placed.push(`${node} ${model}`),
    },
    text: (choice = 0) =>
      of(choice)
        .map(({ text }) => text)
        .join(''),
    pieces: (choice = 0) =>
      of(choice)
        .map(({ text }) => text)
        .filter((text) => text !== ''),
    reports: (choice = 0) => of(choice).flatMap(({ logprobs = [] }) => logprobs),
    calls: (choice = 0) => of(choice).flatMap(({ toolCall }) => (toolCall === undefined ? [] : [toolCall])),
  };
}
