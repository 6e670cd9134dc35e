// Opens a text generator in the best form that its graph allows: rewritten where the graph is known, the runtime takes it
// and its logits are the original's; as it was exported otherwise. Called by the runner when it loads a model.
import { dirname, join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { rewriteDecoder } from '../../../../models/onnx/kv-rewrite/rewrite.ts';
import { readModel, writeModel } from '../../../../models/onnx/model-file.ts';
import { toWeftError } from '../../../../protocol/errors.ts';
import { plainGenerator } from '../generator.ts';
import { type OpenedSession, openGraph, openSession, type SessionInit, verifySession } from '../session.ts';
import type { Turns } from '../turns.ts';
import { checkRewritten, referenceOf } from './check.ts';
import { RewrittenModel } from './rewritten-model.ts';
import { plainDecoder, rewrittenDecoder, type TextDecoder } from './text-decoder.ts';

export interface DecoderOpenInit extends SessionInit {
  readonly kvBytesMax: number;
  readonly sequencesMax: number;
  /** As {@link BatchLoopInit.exact}. */
  readonly exact: boolean;
  /** An earlier load on the same kind of device found that the rewritten graph says what the original says. */
  readonly decoderChecked: boolean;
}

export interface OpenedDecoder extends OpenedSession {
  readonly decoder: TextDecoder;
  /** Why the graph runs as it was exported. */
  readonly reason: string | undefined;
}

type Rewritten = Pick<OpenedSession, 'session' | 'provider' | 'fallbackReason'> & { readonly model: RewrittenModel };

/**
 * Verifies the files and opens the decoder. The two forms are never in memory together. Blocks this thread.
 * @throws WeftError `model_corrupt`, `model_load_failed` as `openSession`
 */
export async function openDecoder(init: DecoderOpenInit, turns: Turns): Promise<OpenedDecoder> {
  const begun = performance.now();
  const { manifest, kvBytesMax, sequencesMax, exact } = init;
  const decoderInit = { manifest, turns, kvBytesMax, sequencesMax, exact };
  const asItWas = async (reason: string): Promise<OpenedDecoder> => {
    const opened = await openSession({ ...init, verifyLarge: false, onProgress: undefined });
    return { ...opened, ...since(begun, verifyMs), decoder: plainDecoder(opened.session, decoderInit), reason };
  };
  await verifySession(init);
  const verifyMs = performance.now() - begun;
  const bytes = rewrittenBytes(init);
  if (typeof bytes === 'string') return asItWas(bytes);
  if (!init.decoderChecked) init.onProgress?.('check');
  const reference = init.decoderChecked ? undefined : await referenceFor(init);
  init.onProgress?.('load');
  const rewritten = await openRewritten(init, bytes);
  if (typeof rewritten === 'string') return asItWas(rewritten);
  const reason = reference && (await checkRewritten(rewritten.model, reference));
  if (reason !== undefined) {
    await rewritten.session.release();
    return asItWas(reason);
  }
  return {
    ...rewritten,
    ...since(begun, verifyMs),
    decoder: rewrittenDecoder(rewritten.model, decoderInit),
    reason: undefined,
  };
}

const since = (begun: number, verifyMs: number): Pick<OpenedSession, 'loadMs' | 'verifyMs'> => ({
  loadMs: performance.now() - begun - verifyMs,
  verifyMs,
});

/** @returns the reason where the graph is not of a known form */
function rewrittenBytes({
  folder,
  manifest,
}: SessionInit): { readonly bytes: Uint8Array; readonly layout: RewrittenModel['layout'] } | string {
  const { generation } = manifest;
  if (generation === undefined) return 'its manifest says nothing of generation';
  try {
    const rewritten = rewriteDecoder(readModel(join(folder, ...manifest.graph.split('/'))), generation);
    return 'reason' in rewritten ? rewritten.reason : { bytes: writeModel(rewritten.model), layout: rewritten.layout };
  } catch (error) {
    return `its graph can't be read or written: ${toWeftError(error).message}`;
  }
}

/** @returns the reason where the runtime doesn't take it */
async function openRewritten(
  init: SessionInit,
  { bytes, layout }: Exclude<ReturnType<typeof rewrittenBytes>, string>,
): Promise<Rewritten | string> {
  const folder = dirname(join(init.folder, ...init.manifest.graph.split('/')));
  const extra = { 'session.model_external_initializers_file_folder_path': folder };
  try {
    // A step makes a thousand small tensors: the system's allocator hands them out faster (SmolLM2, one token behind 256:
    // 5 to 7 % of its time), and gives back what a long prompt took.
    const opened = await openGraph(bytes, init, { inputs: [] }, { extra, arena: false });
    return { ...opened, model: new RewrittenModel(opened.session, layout) };
  } catch (error) {
    return `the rewritten graph does not load: ${toWeftError(error).message}`;
  }
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
