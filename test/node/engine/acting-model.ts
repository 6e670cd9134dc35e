// Models for the acting runner (acting-runner.ts): what each does stands in the name of its folder, which isn't there.
import { fileURLToPath } from 'node:url';
import type { InstalledModel } from '../../../models/installed.ts';
import { type Manifest, modelRef } from '../../../models/manifest.ts';
import type { RunRequest } from '../../../protocol/infer.ts';

export const ACTING_ENTRY = fileURLToPath(new URL('./acting-runner.ts', import.meta.url));

/** The first token of a generation that came as batch work; 0 of any other. */
export const BATCH_TOKEN = 1_000_000;

/** What loading a model does. */
export interface LoadScript {
  /** Held from then on. */
  readonly takesMib?: number;
  /** Taken before, and given back. */
  readonly peakMib?: number;
  /** For each of the two. */
  readonly ms?: number;
  /** Held besides, by a second form of its weights, where it may. */
  readonly spareMib?: number;
  /** Where it may have such a form. */
  readonly diesOfSpare?: boolean;
  /** Told on the way. */
  readonly phases?: readonly string[];
  readonly dies?: boolean;
  /** What a part of it weighs, and whether looking at it ends the process. */
  readonly weighsMib?: number;
  readonly diesWeighing?: boolean;
  /** The provider whose driver takes the process along. */
  readonly diesOn?: string;
  /** The provider that can't run it: it goes to the processor. */
  readonly refuses?: string;
}

/** How a model was loaded: what a run with `tells` answers, as JSON in "none". */
export interface Loaded {
  readonly provider: string;
  readonly device: string;
  readonly threads: number;
  readonly spin: boolean;
  readonly fallbackReason: string;
}

/** What one run does, in this order. */
export interface Act {
  readonly growMib?: number;
  readonly ms?: number;
  readonly spinMs?: number;
  readonly growSpinningMib?: number;
  /** The process ends if the model is on this provider. */
  readonly diesOn?: string;
  /** The model goes on on the processor, which the daemon isn't told unless it asks. */
  readonly losesDevice?: boolean;
  readonly tells?: boolean;
}

const FILE = { sha256: '0'.repeat(64), kind: 'small', chunks: { sizeBytes: 1, sha256: [] } } as const;

/** @param sizeMib of its files: what the prediction goes by */
export function actingModel(
  name: string,
  script: LoadScript = {},
  init: { readonly sizeMib?: number; readonly task?: 'tensor' | 'text-generation' } = {},
): InstalledModel {
  const { sizeMib = 4, task = 'tensor' } = init;
  const manifest: Manifest = {
    schema: 1,
    id: `acting/${name}`,
    task,
    precision: 'fp32',
    graph: 'model.onnx',
    files: [{ ...FILE, path: 'model.onnx', sizeBytes: sizeMib * 2 ** 20, chunks: { sizeBytes: 1, sha256: [] } }],
    inputs: [{ name: 'act', type: 'uint8', dims: ['n'] }],
    outputs: [{ name: 'none', type: 'uint8', dims: ['n'] }],
    contextLength: task === 'text-generation' ? 1_024 : 0,
    // 64 KiB a token: 64 MiB for a context.
    ...(task === 'text-generation'
      ? { generation: { layers: 16, kvHeads: 8, headSize: 64, vocabularySize: 4_096, eosIds: [0] } }
      : {}),
    licence: { spdx: 'MIT', file: 'model.onnx' },
  };
  return { ref: modelRef(manifest), manifest, folder: JSON.stringify(script), aliases: [] };
}

export function actRequest({ ref }: InstalledModel, act: Act = {}): RunRequest {
  const data = new Uint8Array(Buffer.from(JSON.stringify(act)));
  return { model: ref, inputs: [{ name: 'act', type: 'uint8', dims: [data.length], data }], outputs: [] };
}
