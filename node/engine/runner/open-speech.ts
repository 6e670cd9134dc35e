// Opens the graphs that a speech model has beside its decoder. Used by the runner's server at a load.
import type { InferenceSession } from 'onnxruntime-node';
import type { FurtherGraph, Manifest } from '../../../models/manifest.ts';
import { openSession, type SessionInit } from './session.ts';
import { SpeechGenerators } from './speech.ts';

/**
 * @param init how the decoder was opened: its files, the others' included, are verified
 * @param decoder stays its owner's
 * @throws WeftError as {@link openSession}, and `model_load_failed` for graphs of another layout
 */
export async function openSpeech(init: SessionInit, decoder: InferenceSession): Promise<SpeechGenerators> {
  const { manifest } = init;
  const opened: InferenceSession[] = [];
  const open = async (graph: FurtherGraph | undefined): Promise<InferenceSession | undefined> => {
    if (graph === undefined) return undefined;
    const { session } = await openSession({ ...init, manifest: alone(manifest, graph) });
    opened.push(session);
    return session;
  };
  try {
    const encoder = await open(manifest.graphs?.encoder);
    const decoderWithPast = await open(manifest.graphs?.decoderWithPast);
    return new SpeechGenerators({ encoder: encoder ?? decoder, decoder, decoderWithPast }, manifest);
  } catch (error) {
    for (const session of opened) await session.release();
    throw error;
  }
}

/** A further graph as the only one, its files left out: they have been verified. */
const alone = (manifest: Manifest, { path, inputs, outputs }: FurtherGraph): Manifest => ({
  ...manifest,
  graph: path,
  inputs,
  outputs,
  files: [],
});
