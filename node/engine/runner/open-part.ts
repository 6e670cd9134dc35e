// Opens a part of a model's graph as a session of its own, from the verified files of the whole: only the weights that the
// part needs are read. Runs in a runner process.
import { dirname, join } from 'node:path';
import { checkOnnxFile } from '../../../models/onnx/check.ts';
import type { ModelProto } from '../../../models/onnx/messages/onnx_pb.js';
import { readModel, writeModel } from '../../../models/onnx/model-file.ts';
import { extractPart } from '../../../models/onnx/partition/extract.ts';
import { weightBytes } from '../../../models/onnx/partition/weights.ts';
import type { GraphPart } from '../../../protocol/part.ts';
import { type OpenedSession, openGraph, type SessionInit, verifySession } from './session.ts';

/**
 * Verifies the files and opens the part. Its inputs are what `init.manifest` lists. Blocks this thread while the runtime
 * reads the graph.
 * @throws WeftError `model_corrupt`, `model_load_failed` as `openSession`; `tensor_invalid`, `bad_request` for a part that
 *   the graph doesn't have
 */
export async function openPart(init: SessionInit, part: GraphPart): Promise<OpenedSession> {
  const begun = performance.now();
  await verifySession(init);
  const verified = performance.now();
  init.onProgress?.('load');
  const path = graphPath(init.folder, init.manifest.graph);
  const extra = { 'session.model_external_initializers_file_folder_path': dirname(path) };
  const bytes = writeModel(extracted(path, part));
  const opened = await openGraph(bytes, init, init.manifest, { extra });
  return { ...opened, verifyMs: verified - begun, loadMs: performance.now() - verified };
}

/**
 * Bytes of the weights that a part needs. Nothing is verified, so the graph is taken for a hostile one.
 * @param graph path within the folder, with `/`
 * @throws WeftError `model_corrupt`; `tensor_invalid`, `bad_request` for a part that the graph doesn't have
 */
export function weighPart(folder: string, graph: string, part: GraphPart): number {
  const path = graphPath(folder, graph);
  checkOnnxFile(path);
  return weightBytes(extracted(path, part));
}

const extracted = (path: string, part: GraphPart): ModelProto => extractPart(readModel(path), part);

const graphPath = (folder: string, graph: string): string => join(folder, ...graph.split('/'));
