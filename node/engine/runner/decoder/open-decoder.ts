// Opens a text generator in the best form that its graph allows: rewritten where the graph is known, the runtime takes it
// and its logits are the original's; as it was exported otherwise. Called by the runner when it loads a model.
import { dirname, join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { floatActivations } from '../../../../models/onnx/float-activations.ts';
import { rewriteDecoder } from '../../../../models/onnx/kv-rewrite/rewrite.ts';
import { readModel, writeModel } from '../../../../models/onnx/model-file.ts';
import { toWeftError } from '../../../../protocol/errors.ts';
import { plainGenerator } from '../generator.ts';
import { type OpenedSession, openGraph, openSession, type SessionInit, verifySession } from '../session.ts';
import type { Turns } from '../turns.ts';
import { checkManyRows, checkRewritten, type Reference, referenceOf } from './check.ts';
import { type LoadMemory, openFloatForm, peakFromNow } from './float-form.ts';
import type { FloatRows } from './float-probe.ts';
import { RewrittenModel } from './rewritten-model.ts';
import { plainDecoder, rewrittenDecoder, type TextDecoder } from './text-decoder.ts';

export interface DecoderOpenInit extends SessionInit {
  readonly kvBytesMax: number;
  readonly sequencesMax: number;
  /** As {@link BatchLoopInit.exact}. */
  readonly exact: boolean;
  /** An earlier load on the same kind of device found that the rewritten graph says what the original says. */
  readonly decoderChecked: boolean;
  /** What a second form of the weights may take, by which long prompts are computed faster. @default none is opened */
  readonly spareBytes?: number;
  /** From how many rows on such a form pays. @default as this machine is */
  readonly floatRows?: FloatRows;
}

export interface OpenedDecoder extends OpenedSession {
  readonly decoder: TextDecoder;
  /** Why the graph runs as it was exported. */
  readonly reason: string | undefined;
  readonly memory: LoadMemory;
  /** The second form, to be ended with the first. */
  readonly many: InferenceSession | undefined;
}

type Rewritten = Pick<OpenedSession, 'session' | 'provider' | 'fallbackReason'> & { readonly model: RewrittenModel };

/** A graph for the runtime. */
interface RewrittenGraph {
  readonly bytes: Uint8Array;
  readonly layout: RewrittenModel['layout'];
  /** The same on float activations; undefined where nothing would change. Once: the graph is another one then. */
  readonly inFloat: () => Uint8Array | undefined;
}

/**
 * Verifies the files and opens the decoder. The exported and the rewritten graph are never in memory together. Blocks this
 * thread.
 * @throws WeftError `model_corrupt`, `model_load_failed` as `openSession`
 */
export async function openDecoder(init: DecoderOpenInit, turns: Turns): Promise<OpenedDecoder> {
  const begun = performance.now();
  const peak = peakFromNow();
  const { manifest, kvBytesMax, sequencesMax, exact } = init;
  const decoderInit = { manifest, turns, kvBytesMax, sequencesMax, exact };
  const asItWas = async (reason: string): Promise<OpenedDecoder> => {
    const opened = await openSession({ ...init, verifyLarge: false, onProgress: undefined });
    const decoder = plainDecoder(opened.session, decoderInit);
    const memory = { spareBytes: 0, peakBytes: peak() };
    return { ...opened, ...since(begun, verifyMs), decoder, reason, memory, many: undefined };
  };
  await verifySession(init);
  const verifyMs = performance.now() - begun;
  const graph = rewrittenGraph(init);
  if (typeof graph === 'string') return asItWas(graph);
  if (!init.decoderChecked) init.onProgress?.('check');
  const reference = init.decoderChecked ? undefined : await referenceFor(init);
  init.onProgress?.('load');
  const rewritten = await openRewritten(init, graph);
  if (typeof rewritten === 'string') return asItWas(rewritten);
  const reason = reference && (await checkRewritten(rewritten.model, reference));
  if (reason !== undefined) {
    await rewritten.session.release();
    return asItWas(reason);
  }
  const peakBytes = peak();
  const second = await openSecond(init, graph, rewritten, reference);
  const { session, model } = rewritten;
  const both = second === undefined ? model : new RewrittenModel(session, model.layout, second.many);
  return {
    ...rewritten,
    ...since(begun, verifyMs),
    decoder: rewrittenDecoder(both, decoderInit),
    reason: undefined,
    memory: { spareBytes: second?.takenBytes ?? 0, peakBytes },
    many: second?.many.session,
  };
}

/** Where everything must be exact, nothing but the length of a text may decide by which kernels it is computed. */
async function openSecond(
  init: DecoderOpenInit,
  { inFloat, layout }: RewrittenGraph,
  { provider }: Rewritten,
  reference: Reference | undefined,
): ReturnType<typeof openFloatForm> {
  const { exact, spareBytes = 0, floatRows } = init;
  if (exact || spareBytes === 0 || provider() !== 'cpu') return undefined;
  // Threads that spin for one session take the cores from the other's: those of long runs sleep. (SmolLM2, two threads, 64 rows
  // behind a step of one: 135 ms sleeping, 160 to 200 spinning.)
  const settings = { ...init, place: undefined, shareCores: true };
  return openFloatForm(
    {
      bytes: inFloat,
      open: async (bytes) => (await openBytes(settings, bytes)).session,
      check: async (session) => reference && checkManyRows(new RewrittenModel(session, layout), reference),
      floatRows,
    },
    spareBytes,
  );
}

const since = (begun: number, verifyMs: number): Pick<OpenedSession, 'loadMs' | 'verifyMs'> => ({
  loadMs: performance.now() - begun - verifyMs,
  verifyMs,
});

/** @returns the reason where the graph is not of a known form */
function rewrittenGraph({ folder, manifest }: SessionInit): RewrittenGraph | string {
  const { generation } = manifest;
  if (generation === undefined) return 'its manifest says nothing of generation';
  try {
    const rewritten = rewriteDecoder(readModel(join(folder, ...manifest.graph.split('/'))), generation);
    if ('reason' in rewritten) return rewritten.reason;
    const { model, layout } = rewritten;
    const inFloat = (): Uint8Array | undefined => (floatActivations(model) ? writeModel(model) : undefined);
    return { bytes: writeModel(model), layout, inFloat };
  } catch (error) {
    return `its graph can't be read or written: ${toWeftError(error).message}`;
  }
}

/** @returns the reason where the runtime doesn't take it */
async function openRewritten(init: SessionInit, { bytes, layout }: RewrittenGraph): Promise<Rewritten | string> {
  try {
    const opened = await openBytes(init, bytes);
    return { ...opened, model: new RewrittenModel(opened.session, layout) };
  } catch (error) {
    return `the rewritten graph does not load: ${toWeftError(error).message}`;
  }
}

/** @throws WeftError `model_load_failed` */
function openBytes(init: SessionInit, bytes: Uint8Array): ReturnType<typeof openGraph> {
  const folder = dirname(join(init.folder, ...init.manifest.graph.split('/')));
  const extra = { 'session.model_external_initializers_file_folder_path': folder };
  // A step makes a thousand small tensors: the system's allocator hands them out faster (SmolLM2, one token behind 256:
  // 5 to 7 % of its time), and gives back what a long prompt took.
  return openGraph(bytes, init, { inputs: [] }, { extra, arena: false });
}

async function referenceFor(init: SessionInit): Promise<Awaited<ReturnType<typeof referenceOf>>> {
  const { session }: { session: InferenceSession } = await openSession({
    ...init,
    verifyLarge: false,
    onProgress: undefined,
  });
  try {
    return await referenceOf(plainGenerator(session, init.manifest), init.manifest.generation?.vocabularySize ?? 1);
  } finally {
    await session.release();
  }
}
