// Makes and ends sessions of ONNX Runtime, and carries tensors in and out of them. The only file that knows the
// runtime's own types beside the generator. Runs in a runner process.
import { join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Manifest } from '../../../models/manifest.ts';
import { checkOnnxFile } from '../../../models/onnx/check.ts';
import { verifyFiles } from '../../../models/verify.ts';
import { type ErrorCode, WeftError } from '../../../protocol/errors.ts';
import type { RunRequest } from '../../../protocol/infer.ts';
import {
  type DataTypeName,
  elementCount,
  elements,
  type NamedTensor,
  packStrings,
  unpackStrings,
} from '../../../protocol/tensor.ts';
import { type DeviceKind, parseDeviceSetting } from '../../core/devices.ts';
import type { LoadPhase } from '../../core/engine.ts';
import { providerOptions } from '../devices/provider.ts';
import { FallbackSession, fallbackReason } from './fallback-session.ts';
import { asBits } from './half-bits.ts';
import { trialFeeds } from './trial.ts';

/** How a session is made. */
export interface SessionInit {
  readonly folder: string;
  readonly manifest: Manifest;
  /** Threads within one operator. */
  readonly threads: number;
  /** Other runners use the same cores: threads then sleep rather than spin while they wait. */
  readonly shareCores: boolean;
  /** Hash the large files too. */
  readonly verifyLarge: boolean;
  /** What it is to run on. @default the processor */
  readonly place?: SessionPlace | undefined;
  /** Told when a phase of the load begins, and how far it is, 0 to 1, where that is known. */
  readonly onProgress?: ((phase: RunnerLoadPhase, fraction?: number) => void) | undefined;
}

/** What a runner does for a load, in order. */
export type RunnerLoadPhase = Extract<LoadPhase, 'verify' | 'load' | 'check'>;

/** One of the runtime's providers, and which of its devices. */
export interface SessionPlace {
  readonly provider: DeviceKind;
  readonly device: number;
}

/** A session and how long it took to get it, in milliseconds. */
export interface OpenedSession {
  readonly session: InferenceSession;
  readonly verifyMs: number;
  readonly loadMs: number;
  /** What it runs on now: a device that fails later gives it to the processor. */
  readonly provider: () => DeviceKind;
  /** Why that isn't what was asked for. */
  readonly fallbackReason: () => string | undefined;
}

/** Settings of one session beside those of its runner. */
export interface GraphSettings {
  /** By the runtime's names. */
  readonly extra?: Readonly<Record<string, string>>;
  /** The runtime keeps memory of a run for later ones instead of giving it back to the system. @default true */
  readonly arena?: boolean;
  /** The runtime notes what every kernel takes, until `endProfiling`, and which graph it made of the one given. @default it doesn't */
  readonly trace?: GraphTrace;
}

/** Paths of what a traced session writes. */
export interface GraphTrace {
  /** The profile's name begins with this. */
  readonly prefix: string;
  /** The optimised graph, and the weights in it. */
  readonly graph: string;
  readonly weights: string;
  /** How far the graph is optimised: `extended` leaves layouts as they are. */
  readonly level: 'extended' | 'all';
}

/** How sessions of this runner use the processor. */
export type SessionThreads = Pick<SessionInit, 'threads' | 'shareCores'>;

const PROCESSOR: SessionPlace = { provider: 'cpu', device: 0 };

/** The place that a load asks for. @throws WeftError `bad_request` for a provider that Weft doesn't know */
export function placeOf(provider: string, device: string): SessionPlace {
  const place = parseDeviceSetting(device === '' ? provider || 'cpu' : `${provider}:${device}`);
  if (place !== undefined && place.kind !== 'auto') return { provider: place.kind, device: place.index ?? 0 };
  throw new WeftError({ code: 'bad_request', message: 'The load names a provider that is not known.' });
}

/**
 * Verifies the files and creates the session; on the processor where another provider refuses the graph. Blocks this
 * thread while the runtime reads the graph.
 * @throws WeftError `model_corrupt` when files or graph aren't what the manifest says, `model_load_failed` with what
 *   the runtime reported
 */
export async function openSession(init: SessionInit): Promise<OpenedSession> {
  const { folder, manifest } = init;
  const begun = performance.now();
  await verifySession(init);
  const verified = performance.now();
  init.onProgress?.('load');
  const opened = await openGraph(graphPath(folder, manifest), init, manifest);
  checkPorts(manifest, opened.session);
  return { ...opened, verifyMs: verified - begun, loadMs: performance.now() - verified };
}

/**
 * Verifies a model's files, and looks at its graph before the runtime does: a folder may have been put there by hand, and
 * then nobody has checked it. Blocks this thread for as long as that takes (33 ms for a file of 100 MB).
 * @throws WeftError `model_corrupt`
 */
export async function verifySession({ folder, manifest, verifyLarge, onProgress }: SessionInit): Promise<void> {
  await verifyFiles(folder, manifest, verifyLarge ? 'all' : 'small', (fraction) => onProgress?.('verify', fraction));
  checkOnnxFile(graphPath(folder, manifest));
}

const graphPath = (folder: string, { graph }: Pick<Manifest, 'graph'>): string => join(folder, ...graph.split('/'));

/**
 * Creates a session of a file's graph, or of a changed graph's bytes, where `init.place` says. On a device other than
 * the processor it is tried once on made-up inputs; what fails there, or later in the middle, goes on on the processor.
 * @param ports what the graph takes, for that trial; none = no trial: whoever opens it tries it
 * @throws WeftError `model_load_failed` with what the runtime reported
 */
export async function openGraph(
  graph: string | Uint8Array,
  init: SessionThreads & Pick<SessionInit, 'place'>,
  ports: Pick<Manifest, 'inputs'>,
  settings: GraphSettings = {},
): Promise<Pick<OpenedSession, 'session' | 'provider' | 'fallbackReason'>> {
  const place = init.place ?? PROCESSOR;
  const open = (where: SessionPlace): Promise<InferenceSession> => {
    const options = sessionOptions(where, init, settings);
    // Two overloads of one method.
    return typeof graph === 'string'
      ? InferenceSession.create(graph, options)
      : InferenceSession.create(graph, options);
  };
  const openOnProcessor = (): Promise<InferenceSession> => open(PROCESSOR);
  if (place.provider !== 'cpu') {
    try {
      const session = new FallbackSession({ session: await open(place), provider: place.provider, openOnProcessor });
      const feeds = trialFeeds(ports);
      if (feeds !== undefined) await session.trial(feeds);
      return { session, provider: () => session.provider, fallbackReason: () => session.fallbackReason };
    } catch (error) {
      const reason = fallbackReason(place.provider, error);
      const session = await openOnProcessor().catch((cause: unknown) => {
        throw runtimeError('model_load_failed', cause);
      });
      return { session, provider: () => 'cpu', fallbackReason: () => reason };
    }
  }
  try {
    return { session: await openOnProcessor(), provider: () => 'cpu', fallbackReason: () => undefined };
  } catch (error) {
    throw runtimeError('model_load_failed', error);
  }
}

function sessionOptions(
  place: SessionPlace,
  { threads, shareCores }: SessionThreads,
  { extra = {}, arena = true, trace }: GraphSettings,
): InferenceSession.SessionOptions {
  const onProcessor = place.provider === 'cpu';
  return {
    executionProviders: [providerOptions(place.provider, place.device)],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: trace?.level ?? 'all',
    ...(trace === undefined
      ? {}
      : { enableProfiling: true, profileFilePrefix: trace.prefix, optimizedModelFilePath: trace.graph }),
    // 3 = errors: warnings about a graph concern its author, not whoever runs it. What another provider refuses is told
    // as the reason of the fallback.
    logSeverityLevel: onProcessor ? 3 : 4,
    enableCpuMemArena: arena,
    // DirectML wants it off.
    ...(place.provider === 'dml' ? { enableMemPattern: false } : {}),
    extra: {
      // Two 2-thread sessions on two cores: 51 tokens/s with spinning, 75 without.
      session: { intra_op: { allow_spinning: shareCores ? '0' : '1' } },
      ...(onProcessor ? PROCESSOR_EXTRA : DEVICE_EXTRA),
      ...(trace === undefined ? {} : tracedWeights(trace)),
      ...extra,
    },
  };
}

/** One message holds 2 GB at most: weights go into a file beside it. */
const tracedWeights = ({ weights }: GraphTrace): Readonly<Record<string, string>> => ({
  'session.optimized_model_external_initializers_file_name': weights,
  'session.optimized_model_external_initializers_min_size_in_bytes': '1024',
});

const PROCESSOR_EXTRA = {
  // The kernel that this puts in place of Add and LayerNormalization is slower than the two: MiniLM on 8 texts of 16
  // tokens takes 25.3 ms with it and 22.4 ms without, on 16 texts 49.4 and 43.7 ms (one core, 1.30).
  optimization: { disable_specified_optimizers: 'SkipLayerNormFusion' },
} as const;

const DEVICE_EXTRA = {
  // Weights beside the arena, which grows by doubling and keeps what it has: the binding can't bound it.
  'session.use_device_allocator_for_initializers': '1',
} as const;

/** What requests are checked against must be what the graph has. */
function checkPorts(manifest: Manifest, session: InferenceSession): void {
  const differ = (kind: string, listed: readonly { name: string }[], actual: readonly string[]): void => {
    const names = new Set(actual);
    if (listed.length === names.size && listed.every(({ name }) => names.has(name))) return;
    throw new WeftError({
      code: 'model_corrupt',
      message: `The graph's ${kind} are not those that its manifest lists.`,
    });
  };
  differ('inputs', manifest.inputs, session.inputNames);
  differ('outputs', manifest.outputs, session.outputNames);
}

/**
 * Runs the graph once on any tensors.
 * @throws WeftError `tensor_invalid` for a type that the runtime doesn't take, or shapes that the graph refuses
 */
export async function runGraph(session: InferenceSession, request: RunRequest): Promise<NamedTensor[]> {
  const feeds: Record<string, OrtTensor> = {};
  for (const input of request.inputs) feeds[input.name] = toRuntime(input);
  const names = request.outputs.length > 0 ? request.outputs : session.outputNames;
  const results = await runSession(session, feeds, names, 'tensor_invalid');
  return names.map((name) => fromRuntime(name, results[name]));
}

/**
 * `session.run`, with the runtime's complaint as a WeftError of this code. The binding waits for a `setImmediate`
 * before it enters the runtime, so that frames which have come meanwhile (a cancellation) are read before every run.
 */
export async function runSession(
  session: InferenceSession,
  feeds: Record<string, OrtTensor>,
  fetches: readonly string[],
  code: ErrorCode,
): Promise<InferenceSession.OnnxValueMapType> {
  for (const tensor of Object.values(feeds)) asBits(tensor);
  try {
    return await session.run(feeds, fetches);
  } catch (error) {
    throw runtimeError(code, error);
  }
}

/** What the runtime says is for people, but it may hold paths of this machine: those don't leave the process. */
function runtimeError(code: ErrorCode, error: unknown): WeftError {
  const text = error instanceof Error ? error.message : String(error);
  const safe = (text.split('\n')[0] ?? '').replaceAll(/(?:[A-Za-z]:)?[\\/][^\s"'<>:]*[\\/][^\s"'<>:]*/g, '…');
  return new WeftError({ code, message: `The runtime reported: ${safe.slice(0, 300)}` }, { cause: error });
}

function toRuntime(tensor: NamedTensor): OrtTensor {
  const { type, dims, data } = tensor;
  try {
    if (type === 'string') return new OrtTensor('string', unpackStrings(data, elementCount(dims)), dims);
    // Runs on what the wire's types have beyond the runtime's (complex, 8-bit floats) end in its own TypeError.
    const Typed = OrtTensor as unknown as new (type: DataTypeName, data: unknown, dims: readonly number[]) => OrtTensor;
    return new Typed(type, elements(tensor), dims);
  } catch (cause) {
    if (cause instanceof WeftError) throw cause;
    throw new WeftError(
      { code: 'tensor_invalid', message: `"${tensor.name}": the runtime takes no ${type} tensor of this shape.` },
      { cause },
    );
  }
}

function fromRuntime(name: string, value: InferenceSession.OnnxValueMapType[string] | undefined): NamedTensor {
  if (!(value instanceof OrtTensor)) {
    throw new WeftError({ code: 'unsupported', message: `Output "${name}" is not a tensor.` });
  }
  const type = value.type as DataTypeName;
  const { dims, data } = value;
  if (type === 'string') return { name, type, dims, data: packStrings(data as string[]) };
  const array = data as Exclude<typeof data, string[]>;
  return { name, type, dims, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}
