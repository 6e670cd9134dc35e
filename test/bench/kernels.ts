// Where a step's time goes: the runtime's own profile of the rewritten graph, summed by operator. Shows what no code around
// the graph can change.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../../models/manifest.ts';
import { rewriteDecoder } from '../../models/onnx/kv-rewrite/rewrite.ts';
import { readModel, writeModel } from '../../models/onnx/model-file.ts';
import { capacityFor, KvBlock } from '../../node/engine/runner/decoder/kv-block.ts';
import { RewrittenModel } from '../../node/engine/runner/decoder/rewritten-model.ts';
import { median } from './harness.ts';

/** Steps that are not counted: the runtime plans memory in the first ones. */
const WARM_STEPS = 5;
const STEPS = 25;

interface Event {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

export interface KernelTimes {
  /** Milliseconds of all kernels of one step of one sequence. */
  readonly allMs: number;
  /** Of which: products with quantised weights. */
  readonly weightsMs: number;
}

/** Profiles steps of one sequence at a context. @param folder of the graph */
export async function kernelTimes(
  folder: string,
  { graph, generation }: Pick<Manifest, 'graph' | 'generation'>,
  { threads, context }: { readonly threads: number; readonly context: number },
): Promise<KernelTimes> {
  if (generation === undefined) throw new Error('The model generates no text.');
  const path = join(folder, graph);
  const rewritten = rewriteDecoder(readModel(path), generation);
  if ('reason' in rewritten) throw new Error(`The graph can't be rewritten: ${rewritten.reason}.`);
  const scratch = await mkdtemp(join(tmpdir(), 'weft-bench-'));
  try {
    const session = await InferenceSession.create(writeModel(rewritten.model), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: join(scratch, 'profile'),
      extra: { session: { model_external_initializers_file_folder_path: join(path, '..') } },
    });
    const model = new RewrittenModel(session, rewritten.layout);
    const block = new KvBlock(rewritten.layout, 1, capacityFor(context + 1));
    for (let step = 0; step < WARM_STEPS + STEPS; step++) {
      await model.step({ block, firstSlot: 0, lengths: [context], ids: Int32Array.of(400 + step), wanted: [0] });
    }
    session.endProfiling();
    await session.release();
    block.close();
    return await readTimes(scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Median milliseconds of one step of so many sequences, each of one token behind that context, with nothing around it. */
export async function stepMs(
  model: RewrittenModel,
  { sequences, context }: { readonly sequences: number; readonly context: number },
): Promise<number> {
  const block = new KvBlock(model.layout, sequences, capacityFor(context + 1));
  const lengths = Array.from({ length: sequences }, () => context);
  const times: number[] = [];
  for (let step = 0; step < WARM_STEPS + STEPS; step++) {
    const ids = new Int32Array(sequences).fill(400 + step);
    const begun = performance.now();
    await model.step({ block, firstSlot: 0, lengths, ids, wanted: [...lengths.keys()] });
    times.push(performance.now() - begun);
  }
  block.close();
  return median(times.slice(WARM_STEPS));
}

async function readTimes(folder: string): Promise<KernelTimes> {
  const [file] = await readdir(folder);
  if (file === undefined) throw new Error('The runtime wrote no profile.');
  const events = JSON.parse(await readFile(join(folder, file), 'utf8')) as Event[];
  const kernels = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
  const perStep = kernels.length / (WARM_STEPS + STEPS);
  const counted = kernels.slice(perStep * WARM_STEPS);
  const sum = (wanted: readonly Event[]): number => wanted.reduce((total, { dur }) => total + dur, 0) / 1000 / STEPS;
  return { allMs: sum(counted), weightsMs: sum(counted.filter(({ args }) => args?.op_name === 'MatMulNBits')) };
}
