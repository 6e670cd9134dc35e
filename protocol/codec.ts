// Turns the messages of each method into (payload, tensors) and back. Whatever comes in is checked here, once.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  Advert,
  Device,
  HeldModel,
  Load,
  ModelDemand,
  ModelIntent,
  ModelOffer,
  ModelState,
  ModelTask,
  ServiceProfile,
} from './capability.ts';
import { TOLD_REASONS } from './capability.ts';
import { isErrorCode, toWeftError, WeftError } from './errors.ts';
import { checkGeneration } from './generation.ts';
import {
  type GenerateItemFields,
  readEncodeRequest,
  readEncodeResponse,
  readGenerateItem,
  writeEncodeRequest,
  writeEncodeResponse,
  writeGenerateItem,
} from './hot-messages.ts';
import type { ModelRef } from './ids.ts';
import type {
  Constraint,
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  PackedTensor,
  RunRequest,
  RunResult,
  Sampling,
  Timing,
  TokenLogprob,
} from './infer.ts';
import {
  BATCH_POINTS_MAX,
  DEMANDS_MAX,
  DIGEST_LENGTH_MAX,
  ERROR_FACTS_MAX,
  ERROR_TEXT_LENGTH_MAX,
  INTENTS_MAX,
  MANAGE_ANSWER_BYTES_MAX,
  MANAGE_DEPTH_MAX,
  MANAGE_REQUEST_BYTES_MAX,
  OPERATION_LENGTH_MAX,
  TOP_LOGPROBS_MAX,
  WATCH_EVENT_BYTES_MAX,
  WATCH_TEXT_LENGTH_MAX,
  WATCH_TYPES_MAX,
} from './limits.ts';
import * as pb from './messages/weft_pb.js';
import type { PartInput } from './part.ts';
import { partFromMessage, partInputsFromMessage, partInputsToMessage, partToMessage } from './part-message.ts';
import { float32Elements, int32Elements, type NamedTensor, tensorNamed, tensorOf } from './tensor.ts';
import { type Codec, NO_TENSORS, type Plain, readMessage, writeMessage } from './wire.ts';

export { type Codec, emptyCodec, messageCodec, type Parts, type Plain, readMessage, writeMessage } from './wire.ts';

const bad = (message: string): WeftError => new WeftError({ code: 'bad_request', message });

// ── Errors and load ─────────────────────────────────────────────────────────────────────────────

/** For the wire. Facts travel; causes and stacks stay. */
export function errorToMessage(error: unknown): Plain<pb.Error> {
  const { code, message, remedy, facts } = toWeftError(error);
  return { code, message: clip(message), remedy: clip(remedy), facts: clipFacts(facts) };
}

/** From the wire. A code that this version doesn't know becomes `internal`, with the code as a fact. */
export function errorFromMessage(message: Plain<pb.Error> | undefined): WeftError {
  if (message === undefined)
    return new WeftError({ code: 'internal', message: 'The other side failed without a reason.' });
  const { code } = message;
  const facts = clipFacts(message.facts);
  const text = clip(message.message);
  const init = message.remedy === '' ? { message: text } : { message: text, remedy: clip(message.remedy) };
  if (isErrorCode(code)) return new WeftError({ ...init, code, facts });
  return new WeftError({ ...init, code: 'internal', facts: { ...facts, code: clip(code) } });
}

/** An error is repeated to clients and in logs: a peer doesn't decide how long it is. */
function clip(text: string): string {
  return text.length <= ERROR_TEXT_LENGTH_MAX ? text : `${text.slice(0, ERROR_TEXT_LENGTH_MAX - 1)}…`;
}

function clipFacts(facts: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(facts).slice(0, ERROR_FACTS_MAX);
  return Object.fromEntries(entries.map(([name, value]) => [clip(name), clip(value)]));
}

export function loadToMessage(load: Load): Plain<pb.Load> {
  return {
    requestsInFlight: Math.min(whole(load.requestsInFlight), 0xffff_ffff),
    queuedMs: load.queuedMs,
    latencyMs: load.latencyMs,
    memoryFreeBytes: BigInt(whole(load.memoryFreeBytes)),
  };
}

export function loadFromMessage(load: Plain<pb.Load> | undefined): Load | undefined {
  if (load === undefined) return undefined;
  return {
    requestsInFlight: load.requestsInFlight,
    queuedMs: finite(load.queuedMs),
    latencyMs: finite(load.latencyMs),
    memoryFreeBytes: size(load.memoryFreeBytes),
  };
}

/** A measured number as the wire takes it: a load that goes with every answer must never be what fails it. */
function whole(value: number): number {
  return Math.min(Math.trunc(finite(value)), Number.MAX_SAFE_INTEGER);
}

/** A peer's number as it may be used in a price: NaN, infinite and negative ones count as 0. */
function finite(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}

// ── Inference ───────────────────────────────────────────────────────────────────────────────────

export function modelFromMessage(model: Plain<pb.ModelRef> | undefined): ModelRef {
  if (model === undefined || model.id === '') throw bad('The request names no model.');
  return { id: model.id, digest: model.digest };
}

function timingFromMessage(timing: Plain<pb.Timing> | undefined): Timing {
  return {
    queueMs: finite(timing?.queueMs ?? 0),
    loadMs: finite(timing?.loadMs ?? 0),
    computeMs: finite(timing?.computeMs ?? 0),
    prefillMs: finite(timing?.prefillMs ?? 0),
  };
}

/** The vocabulary's size is the model's to know; a negative id is wrong for every model. */
function checkIds(ids: Int32Array | readonly number[]): void {
  // Drawn tokens come as unsigned numbers, and go back to an executor as signed ones of 32 bits.
  for (const id of ids) if (id !== (id & INT32_MAX)) throw bad(`${id} is not a token id.`);
}

const INT32_MAX = 0x7fff_ffff;

export const runRequestCodec: Codec<RunRequest> = {
  encode: ({ model, inputs, outputs, part, blocks = [], packed = [] }) => ({
    payload: writeMessage(pb.RunRequestSchema, {
      model,
      outputs: [...outputs],
      ...(part === undefined ? {} : { part: partToMessage(part) }),
      packed: packed.map(packedToMessage),
      blocks: [...blocks],
    }),
    tensors: inputs,
  }),
  decode: ({ payload, tensors }) => {
    const { model, outputs, part, blocks, packed } = readMessage(pb.RunRequestSchema, payload);
    return {
      model: modelFromMessage(model),
      inputs: tensors,
      outputs,
      ...(part !== undefined && { part: partFromMessage(part) }),
      ...(blocks.length > 0 && { blocks }),
      ...(packed.length > 0 && { packed: packed.map(packedFromMessage) }),
    };
  },
};

export const runResponseCodec: Codec<RunResult> = {
  encode: ({ timing, node, outputs, packed = [] }) => ({
    payload: writeMessage(pb.RunResponseSchema, { timing, node, packed: packed.map(packedToMessage) }),
    tensors: outputs,
  }),
  decode: ({ payload, tensors }) => {
    const { node, timing, packed } = readMessage(pb.RunResponseSchema, payload);
    return {
      outputs: tensors,
      node,
      timing: timingFromMessage(timing),
      ...(packed.length > 0 && { packed: packed.map(packedFromMessage) }),
    };
  },
};

const packedToMessage = ({ name, dims, error }: PackedTensor): Plain<pb.PackedTensor> => ({
  name,
  dims: dims.map(BigInt),
  error,
});

/** Shapes are checked by whoever unpacks the tensor. */
const packedFromMessage = ({ name, dims, error }: Plain<pb.PackedTensor>): PackedTensor => ({
  name,
  dims: dims.map(Number),
  error: finite(error),
});

const FIRST_LENGTHS = 'first_lengths';
const FEATURES = 'features';

export const encodeRequestCodec: Codec<EncodeRequest> = {
  encode: ({ model, ids, lengths, pooling, normalize, firstLengths }) => ({
    payload: writeEncodeRequest({ model, pooling, normalize }),
    tensors: [
      tensorOf('ids', 'int32', [ids.length], ids),
      tensorOf('lengths', 'int32', [lengths.length], lengths),
      ...(firstLengths === undefined ? [] : [tensorOf(FIRST_LENGTHS, 'int32', [firstLengths.length], firstLengths)]),
    ],
  }),
  decode: ({ payload, tensors }) => {
    const message = readEncodeRequest(payload);
    const { pooling } = message;
    if (pooling !== 'mean' && pooling !== 'cls' && pooling !== 'logits')
      throw bad(`Pooling "${pooling}" is not known.`);
    const ids = int32Elements(tensorNamed(tensors, 'ids'));
    const lengths = int32Elements(tensorNamed(tensors, 'lengths'));
    let sum = 0;
    for (const length of lengths) {
      if (length < 1) throw bad('A text without tokens.');
      sum += length;
    }
    if (sum !== ids.length || lengths.length === 0) throw bad('The lengths of the texts do not sum to the token ids.');
    checkIds(ids);
    const first = tensors.find(({ name }) => name === FIRST_LENGTHS);
    const { normalize } = message;
    const request: EncodeRequest = { model: modelFromMessage(message.model), ids, lengths, pooling, normalize };
    return first === undefined ? request : { ...request, firstLengths: segments(first, lengths) };
  },
};

/** Each text's first segment lies within the text. */
function segments(tensor: NamedTensor, lengths: Int32Array): Int32Array {
  const first = int32Elements(tensor);
  if (first.length !== lengths.length || first.some((tokens, text) => tokens < 0 || tokens > (lengths[text] ?? 0))) {
    throw bad('The first segments are not parts of their texts.');
  }
  return first;
}

export const encodeResponseCodec: Codec<EncodeResult> = {
  encode: ({ embeddings, dimensions, node, timing }) => ({
    payload: writeEncodeResponse({ timing, node }),
    tensors: [tensorOf('embeddings', 'float32', [embeddings.length / dimensions, dimensions], embeddings)],
  }),
  decode: ({ payload, tensors }) => {
    const message = readEncodeResponse(payload);
    const tensor = tensorNamed(tensors, 'embeddings');
    const dimensions = tensor.dims[1];
    if (tensor.dims.length !== 2 || dimensions === undefined || dimensions < 1)
      throw bad('Embeddings are not a matrix.');
    return {
      embeddings: float32Elements(tensor),
      dimensions,
      node: message.node,
      timing: timingFromMessage(message.timing),
    };
  },
};

export const generateRequestCodec: Codec<GenerateRequest> = {
  encode: (request) => {
    // A request that no one would take costs no round trip, and no node its good name.
    checkGeneration(request);
    const { model, ids, promptLength, maxNewTokens, stopIds, sampling, constraint, logprobs, features } = request;
    const { expectedTokens: expected = 0 } = request;
    const expectedTokens = expected >= 1 ? Math.ceil(Math.min(expected, 0xffff_ffff)) : 0;
    const { repetitionPenalty = 0, logitBias = [], ...settings } = sampling;
    return {
      payload: writeMessage(pb.GenerateRequestSchema, {
        model,
        promptLength,
        maxNewTokens,
        stopIds: [...stopIds],
        sampling: { ...settings, repetitionPenalty, logitBias: [...logitBias] },
        ...(constraint === undefined ? {} : { constraint: constraintToMessage(constraint) }),
        logprobs: logprobs === undefined ? 0 : 1 + logprobs,
        expectedTokens,
      }),
      tensors: [
        tensorOf('ids', 'int32', [ids.length], ids),
        ...(features === undefined ? [] : [{ ...features, name: FEATURES }]),
      ],
    };
  },
  decode: ({ payload, tensors }) => {
    const message = readMessage(pb.GenerateRequestSchema, payload);
    const ids = int32Elements(tensorNamed(tensors, 'ids'));
    const { promptLength, maxNewTokens, stopIds, constraint, logprobs, expectedTokens } = message;
    if (ids.length === 0 || promptLength < 1 || promptLength > ids.length) throw bad('The prompt has no tokens.');
    checkIds(ids);
    const features = tensors.find(({ name }) => name === FEATURES);
    const request: GenerateRequest = {
      model: modelFromMessage(message.model),
      ids,
      promptLength,
      maxNewTokens,
      stopIds,
      sampling: samplingFromMessage(message.sampling),
      ...(constraint === undefined ? {} : { constraint: constraintFromMessage(constraint) }),
      ...(logprobs === 0 ? {} : { logprobs: logprobs - 1 }),
      ...(features === undefined ? {} : { features }),
      ...(expectedTokens === 0 ? {} : { expectedTokens }),
    };
    checkGeneration(request);
    return request;
  },
};

/** Settings that are off are left out, as a caller who doesn't know them does. */
function samplingFromMessage(message: Plain<pb.Sampling> | undefined): Sampling {
  if (message === undefined) throw bad('The request names no sampling.');
  const { temperature, topP, topK, seed, minP, repetitionPenalty, presencePenalty, frequencyPenalty } = message;
  return {
    temperature,
    topP,
    topK,
    seed,
    ...(minP === 0 ? {} : { minP }),
    ...(repetitionPenalty === 0 ? {} : { repetitionPenalty }),
    ...(presencePenalty === 0 ? {} : { presencePenalty }),
    ...(frequencyPenalty === 0 ? {} : { frequencyPenalty }),
    ...(message.logitBias.length === 0 ? {} : { logitBias: message.logitBias.map(({ id, bias }) => ({ id, bias })) }),
  };
}

function constraintToMessage(constraint: Constraint): MessageInitShape<typeof pb.ConstraintSchema> {
  return constraint.kind === 'tools'
    ? { ...constraint, tools: constraint.tools.map(({ name, schema }) => ({ name, schema })) }
    : constraint;
}

function constraintFromMessage({ kind, schema, tools, choice, parallel }: Plain<pb.Constraint>): Constraint {
  if (kind === 'json_object') return { kind };
  if (kind === 'json_schema') return { kind, schema };
  if (kind !== 'tools') throw bad(`A constraint "${clip(kind)}" is not known.`);
  if (choice !== 'auto' && choice !== 'required') throw bad(`A choice "${clip(choice)}" of tools is not known.`);
  return { kind, tools: tools.map((tool) => ({ name: tool.name, schema: tool.schema })), choice, parallel };
}

/** Some tokens of a stream: `firstIndex` 0 is the first behind the prompt. */
export interface TokenRun {
  readonly firstIndex: number;
  readonly ids: readonly number[];
  /** One for each id, where the request asked for them; as many alternatives of each. */
  readonly logprobs?: readonly TokenLogprob[];
}

export const generateItemCodec: Codec<TokenRun> = {
  encode: (run) => ({ payload: writeGenerateItem(fieldsOf(run)), tensors: NO_TENSORS }),
  decode: ({ payload }) => {
    const fields = readGenerateItem(payload);
    const { firstIndex, ids, topIds = [] } = fields;
    checkIds(ids);
    checkIds(topIds);
    return fields.logprobs === undefined ? { firstIndex, ids } : { firstIndex, ids, logprobs: logprobsOf(fields) };
  },
};

function fieldsOf({ firstIndex, ids, logprobs }: TokenRun): GenerateItemFields {
  if (logprobs === undefined) return { firstIndex, ids };
  const tops = logprobs[0]?.top.length ?? 0;
  if (logprobs.length !== ids.length || logprobs.some(({ top }) => top.length !== tops)) {
    throw bad('Log probabilities are not as many for every token.');
  }
  return {
    firstIndex,
    ids,
    logprobs: logprobs.map(({ logprob }) => logprob),
    topIds: logprobs.flatMap(({ top }) => top.map(({ id }) => id)),
    topLogprobs: logprobs.flatMap(({ top }) => top.map(({ logprob }) => logprob)),
  };
}

function logprobsOf({ ids, logprobs = [], topIds = [], topLogprobs = [] }: GenerateItemFields): TokenLogprob[] {
  // No whole number where there is no token: nothing is reported then.
  const tops = topIds.length / ids.length;
  if (logprobs.length !== ids.length || topIds.length !== topLogprobs.length || !Number.isInteger(tops)) {
    throw bad('Log probabilities are not as many for every token.');
  }
  if (tops > TOP_LOGPROBS_MAX) throw bad(`More than ${TOP_LOGPROBS_MAX} alternatives of a token.`);
  for (const logprob of [...logprobs, ...topLogprobs]) {
    if (!(logprob <= 0 && Number.isFinite(logprob))) throw bad(`${logprob} is no logarithm of a probability.`);
  }
  return logprobs.map((logprob, index) => {
    const top = topIds.slice(index * tops, (index + 1) * tops);
    return { logprob, top: top.map((id, at) => ({ id, logprob: topLogprobs[index * tops + at] as number })) };
  });
}

export const generateResponseCodec: Codec<GenerateResult> = {
  encode: ({ finish, generated, node, timing, cachedTokens = 0 }) => ({
    payload: writeMessage(pb.GenerateResponseSchema, { finish, generated, node, timing, cachedTokens }),
    tensors: NO_TENSORS,
  }),
  decode: ({ payload }) => {
    const { finish, generated, node, timing, cachedTokens } = readMessage(pb.GenerateResponseSchema, payload);
    if (finish !== 'stop' && finish !== 'length') throw bad(`Finish "${finish}" is not known.`);
    const result: GenerateResult = { finish, generated, node, timing: timingFromMessage(timing) };
    return cachedTokens === 0 ? result : { ...result, cachedTokens };
  },
};

// ── Adverts ─────────────────────────────────────────────────────────────────────────────────────

const DEVICE_KINDS: readonly string[] = ['cpu', 'webgpu', 'cuda', 'coreml', 'dml'] satisfies Device['kind'][];
const TASKS: readonly string[] = [
  'text-generation',
  'feature-extraction',
  'text-ranking',
  'automatic-speech-recognition',
  'tensor',
] satisfies ModelTask[];
const STATES: readonly string[] = ['disk', 'loading', 'loaded', 'quarantined'] satisfies ModelState[];
const INTENTS: readonly string[] = ['load', 'pull', 'unload'] satisfies ModelIntent['kind'][];

export function advertToMessage(advert: Advert): MessageInitShape<typeof pb.AdvertSchema> {
  const { hardware } = advert;
  return {
    node: advert.node,
    name: advert.name,
    version: advert.version,
    incarnation: BigInt(advert.incarnation),
    sequence: BigInt(advert.sequence),
    addresses: [...advert.addresses],
    hardware: {
      ...hardware,
      memoryBytes: BigInt(hardware.memoryBytes),
      devices: hardware.devices.map((device) => ({ ...device, memoryBytes: BigInt(device.memoryBytes) })),
    },
    offers: advert.offers.map((offer) => ({
      ...offer,
      sizeBytes: BigInt(offer.sizeBytes),
      profile: { ...offer.profile, batch: (offer.profile.batch ?? []).map(({ size, ms }) => ({ size, ms })) },
      aliases: [...offer.aliases],
    })),
    load: loadToMessage(advert.load),
    held: (advert.held ?? []).map(({ model, sizeBytes, heldBytes }) => ({
      model,
      sizeBytes: BigInt(sizeBytes),
      heldBytes: BigInt(heldBytes),
    })),
    intents: (advert.intents ?? []).slice(0, INTENTS_MAX).map((intent) => ({ ...intent })),
    demand: (advert.demand ?? []).slice(0, DEMANDS_MAX).map((demand) => ({ ...demand })),
    yields: [...(advert.yields ?? [])],
    parts: advert.parts ?? '',
    managed: advert.managed ?? '',
  };
}

/** Offers of tasks, states or devices that this version doesn't know are left out: a newer peer may have them. */
export function advertFromMessage(message: pb.Advert): Advert {
  if (message.node === '' || message.hardware === undefined) throw bad('An advert without node or hardware.');
  const { hardware } = message;
  return {
    node: message.node,
    name: message.name,
    version: message.version,
    incarnation: counter(message.incarnation),
    sequence: counter(message.sequence),
    addresses: message.addresses,
    hardware: {
      platform: hardware.platform,
      arch: hardware.arch,
      cpuModel: hardware.cpuModel,
      cpuCount: hardware.cpuCount,
      memoryBytes: size(hardware.memoryBytes),
      devices: hardware.devices
        .filter((device) => DEVICE_KINDS.includes(device.kind))
        .map(({ kind, name, memoryBytes }) => ({
          kind: kind as Device['kind'],
          name,
          memoryBytes: size(memoryBytes),
        })),
    },
    offers: message.offers
      .filter((offer) => TASKS.includes(offer.task) && STATES.includes(offer.state))
      .map(offerFromMessage),
    load: loadFromMessage(message.load) ?? { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0 },
    ...(message.held.length > 0 && { held: message.held.map(heldFromMessage) }),
    ...(message.intents.length > 0 && { intents: intentsFromMessage(message.intents) }),
    ...(message.demand.length > 0 && { demand: demandsFromMessage(message.demand) }),
    ...yieldsFromMessage(message.yields),
    ...partsFromMessage(message.parts),
    ...managedFromMessage(message.managed),
  };
}

/** A word that this version doesn't know allows less than any. */
function partsFromMessage(said: string): Pick<Advert, 'parts'> {
  if (said === '') return {};
  return { parts: said === 'held' ? 'held' : 'none' };
}

/** Of a word that this version doesn't know nobody here can make use. */
function managedFromMessage(said: string): Pick<Advert, 'managed'> {
  if (said === '') return {};
  return { managed: said === 'admins' ? 'admins' : 'none' };
}

/** Reasons that this version doesn't know are left out. */
function yieldsFromMessage(said: readonly string[]): Pick<Advert, 'yields'> {
  const yields = TOLD_REASONS.filter((reason) => said.includes(reason));
  return yields.length > 0 ? { yields } : {};
}

/** Kinds that this version doesn't know are left out. */
function intentsFromMessage(intents: readonly Plain<pb.ModelIntent>[]): ModelIntent[] {
  return intents
    .slice(0, INTENTS_MAX)
    .filter(({ digest, kind }) => digest.length <= DIGEST_LENGTH_MAX && INTENTS.includes(kind))
    .map(({ digest, kind, sinceMs }) => ({ digest, kind: kind as ModelIntent['kind'], sinceMs: finite(sinceMs) }));
}

function demandsFromMessage(demands: readonly Plain<pb.ModelDemand>[]): ModelDemand[] {
  return demands
    .slice(0, DEMANDS_MAX)
    .filter(({ digest }) => digest.length <= DIGEST_LENGTH_MAX)
    .map(({ digest, requests, busyMs, lostMs, coldMs }) => ({
      digest,
      requests: finite(requests),
      busyMs: finite(busyMs),
      lostMs: finite(lostMs),
      coldMs: finite(coldMs),
    }));
}

/** A number that decides what is newer: one that loses digits here would never be replaced. */
function counter(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad('An advert counts beyond 2^53.');
  return Number(value);
}

/** Bytes of what a peer has. Nothing is larger than 2^53, and 2^64 as it is rounded to could not be passed on. */
const size = (value: bigint): number => Math.min(Number(value), Number.MAX_SAFE_INTEGER);

const heldFromMessage = ({ model, sizeBytes, heldBytes }: pb.HeldModel): HeldModel => ({
  model: modelFromMessage(model),
  sizeBytes: size(sizeBytes),
  heldBytes: size(heldBytes),
});

const PRECISION = /^\w[\w.-]{0,31}$/;

function offerFromMessage(offer: pb.ModelOffer): ModelOffer {
  const { profile } = offer;
  return {
    model: modelFromMessage(offer.model),
    task: offer.task as ModelTask,
    state: offer.state as ModelState,
    contextLength: offer.contextLength,
    dimensions: offer.dimensions,
    sizeBytes: size(offer.sizeBytes),
    profile: {
      fixedMs: finite(profile?.fixedMs ?? 0),
      perTokenMs: finite(profile?.perTokenMs ?? 0),
      decodeMs: finite(profile?.decodeMs ?? 0),
      loadMs: finite(profile?.loadMs ?? 0),
      samples: profile?.samples ?? 0,
      ...batchFromMessage(profile?.batch ?? []),
    },
    aliases: offer.aliases,
    // A word that stands in names: whatever is none, is not told.
    ...(PRECISION.test(offer.precision) && { precision: offer.precision }),
  };
}

/** Points that measure nothing are left out; no point is no curve. */
function batchFromMessage(points: readonly Plain<pb.BatchPoint>[]): Pick<ServiceProfile, 'batch'> {
  const batch = points
    .slice(0, BATCH_POINTS_MAX)
    .map(({ size, ms }) => ({ size, ms: finite(ms) }))
    .filter(({ size, ms }) => size > 0 && ms > 0);
  return batch.length === 0 ? {} : { batch };
}

/** What two nodes tell each other when they meet: themselves, the member list, and whom else they know. */
export interface Acquaintance {
  readonly advert: Advert;
  /** Encoded `SignedStatement`s. */
  readonly statements: readonly Uint8Array[];
  readonly known: readonly Advert[];
}

function acquaintanceCodec(schema: typeof pb.SyncRequestSchema | typeof pb.SyncResponseSchema): Codec<Acquaintance> {
  return {
    encode: ({ advert, statements, known }) => ({
      payload: writeMessage(schema, {
        advert: advertToMessage(advert),
        statements: [...statements],
        known: known.map(advertToMessage),
      } as MessageInitShape<typeof pb.SyncRequestSchema>),
      tensors: NO_TENSORS,
    }),
    decode: ({ payload }) => {
      const { advert, statements, known } = readMessage(schema as typeof pb.SyncRequestSchema, payload);
      if (advert === undefined) throw bad('A sync without an advert.');
      return {
        advert: advertFromMessage(advert),
        // Copied, because they are kept: a view would keep the whole chunk in which it came.
        statements: statements.map((statement) => statement.slice()),
        known: known.map(advertFromMessage),
      };
    },
  };
}

export const syncRequestCodec = acquaintanceCodec(pb.SyncRequestSchema);
export const syncResponseCodec = acquaintanceCodec(pb.SyncResponseSchema);

/** Bytes without a meaning, which measure a link. */
export const sampleResponseCodec: Codec<Uint8Array> = {
  encode: (bytes) => ({
    payload: new Uint8Array(0),
    tensors: [{ name: 'bytes', type: 'uint8', dims: [bytes.byteLength], data: bytes }],
  }),
  decode: ({ tensors }) => tensorNamed(tensors, 'bytes').data,
};

/** A piece of a file, and how long the whole file is. */
export interface FilePiece {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
}

export const readFileResponseCodec: Codec<FilePiece> = {
  encode: ({ bytes, sizeBytes }) => ({
    payload: writeMessage(pb.ReadFileResponseSchema, { sizeBytes: BigInt(sizeBytes) }),
    tensors: [{ name: 'bytes', type: 'uint8', dims: [bytes.byteLength], data: bytes }],
  }),
  decode: ({ payload, tensors }) => {
    const { type, data } = tensorNamed(tensors, 'bytes');
    if (type !== 'uint8') throw bad('The piece of a file is not bytes.');
    return { bytes: data, sizeBytes: Number(readMessage(pb.ReadFileResponseSchema, payload).sizeBytes) };
  },
};

// ── Management ──────────────────────────────────────────────────────────────────────────────────

/** What one node asks another to do as its owner would. */
export interface ManageRequest {
  /** A name of protocol/api/control/manage.ts, or of a later version's table. */
  readonly operation: string;
  /** JSON text of its body. */
  readonly json: string;
}

export const manageRequestCodec: Codec<ManageRequest> = {
  encode: (request) => {
    checkText(request.json, MANAGE_REQUEST_BYTES_MAX);
    return { payload: writeMessage(pb.ManageRequestSchema, request), tensors: NO_TENSORS };
  },
  decode: ({ payload }) => {
    const { operation, json } = readMessage(pb.ManageRequestSchema, payload);
    if (operation.length > OPERATION_LENGTH_MAX) throw bad('No operation has such a long name.');
    checkText(json, MANAGE_REQUEST_BYTES_MAX);
    return { operation, json };
  },
};

/** What its control API would have answered. */
export interface ManageResponse {
  /** 200 = done, 202 = accepted, and under way. Whatever else there is comes as an error. */
  readonly status: 200 | 202;
  /** JSON text of the answer. */
  readonly json: string;
}

export const manageResponseCodec: Codec<ManageResponse> = {
  encode: (response) => {
    checkText(response.json, MANAGE_ANSWER_BYTES_MAX);
    return { payload: writeMessage(pb.ManageResponseSchema, response), tensors: NO_TENSORS };
  },
  decode: ({ payload }) => {
    const { status, json } = readMessage(pb.ManageResponseSchema, payload);
    try {
      if (status !== 200 && status !== 202) throw bad(`${status} is no status of an answer.`);
      checkText(json, MANAGE_ANSWER_BYTES_MAX);
      return { status, json };
    } catch (cause) {
      // The fault of who answers, not of who asked.
      throw new WeftError({ code: 'frame_invalid', message: "The peer's answer is none." }, { cause });
    }
  },
};

/** Which of another node's events are wanted. */
export interface WatchRequest {
  /** Names of protocol/api/control/events.ts, or of a later version. */
  readonly types: readonly string[];
  /** Id of the last event that was seen; empty = from now on. */
  readonly since: string;
}

export const watchRequestCodec: Codec<WatchRequest> = {
  encode: ({ types, since }) => ({
    payload: writeMessage(pb.WatchRequestSchema, { types: [...types], since }),
    tensors: NO_TENSORS,
  }),
  decode: ({ payload }) => {
    const { types, since } = readMessage(pb.WatchRequestSchema, payload);
    if (types.length > WATCH_TYPES_MAX) throw bad('There are fewer kinds of events.');
    for (const text of [...types, since]) {
      if (text.length > WATCH_TEXT_LENGTH_MAX) throw bad('No kind of event, and no id of one, is so long.');
    }
    return { types, since };
  },
};

/** One event as JSON text, or the id of the last one, behind which a watcher comes back. */
export type WatchItem = { readonly json: string } | { readonly mark: string };

export const watchItemCodec: Codec<WatchItem> = {
  encode: (item) => {
    if ('json' in item) checkText(item.json, WATCH_EVENT_BYTES_MAX);
    return { payload: writeMessage(pb.WatchItemSchema, item), tensors: NO_TENSORS };
  },
  decode: ({ payload }) => {
    const { json, mark } = readMessage(pb.WatchItemSchema, payload);
    try {
      checkText(json, WATCH_EVENT_BYTES_MAX);
      if (mark.length > WATCH_TEXT_LENGTH_MAX) throw bad('No id of an event is so long.');
      return json === '' ? { mark } : { json };
    } catch (cause) {
      // The fault of who tells, not of who asked.
      throw new WeftError({ code: 'frame_invalid', message: "The peer's event is none." }, { cause });
    }
  },
};

/** @throws WeftError `body_too_large`, or `bad_request` for nesting that could overflow a stack */
function checkText(json: string, bytesMax: number): void {
  if (utf8.encode(json).byteLength > bytesMax) {
    throw new WeftError({
      code: 'body_too_large',
      message: `It is larger than the ${bytesMax} bytes that one node takes from another.`,
      remedy: 'Ask for less at a time, or use the API of the node itself.',
    });
  }
  let depth = 0;
  let inText = false;
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (inText && character === '\\') at += 1;
    else if (character === '"') inText = !inText;
    else if (inText) continue;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    if (depth > MANAGE_DEPTH_MAX) throw bad(`It is nested deeper than ${MANAGE_DEPTH_MAX} levels.`);
  }
}

const utf8 = new TextEncoder();

// ── Cuts ────────────────────────────────────────────────────────────────────────────────────────

/** Where a graph can be cut, asked of a node that has it. */
export interface CutTableRequest {
  readonly model: ModelRef;
  /** Every dimension a size; none = of the usual sizes. */
  readonly inputs: readonly PartInput[];
  /** Inputs that as few segments as possible may read. */
  readonly raw: readonly string[];
}

export const cutTableRequestCodec: Codec<CutTableRequest> = {
  encode: ({ model, inputs, raw }) => ({
    payload: writeMessage(pb.CutTableRequestSchema, { model, inputs: partInputsToMessage(inputs), raw: [...raw] }),
    tensors: NO_TENSORS,
  }),
  decode: ({ payload }) => {
    const { model, inputs, raw } = readMessage(pb.CutTableRequestSchema, payload);
    return { model: modelFromMessage(model), inputs: partInputsFromMessage(inputs), raw };
  },
};

/** What a runner is to measure of where a graph can be cut. */
export interface MeasureCutsRequest extends Omit<Plain<pb.MeasureCutsRequest>, 'model'> {
  readonly model: ModelRef;
  /** None = they are made up. */
  readonly inputs: readonly NamedTensor[];
}

export const measureCutsRequestCodec: Codec<MeasureCutsRequest> = {
  encode: ({ inputs, ...request }) => ({
    payload: writeMessage(pb.MeasureCutsRequestSchema, request),
    tensors: inputs,
  }),
  decode: ({ payload, tensors }) => {
    const { model, ...request } = readMessage(pb.MeasureCutsRequestSchema, payload);
    return { ...request, model: modelFromMessage(model), inputs: tensors };
  },
};
