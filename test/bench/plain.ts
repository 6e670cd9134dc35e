// The yardstick: onnxruntime-node as one would use it by hand, in one process, with nothing around it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { parseManifest } from '../../models/manifest.ts';
import { rewriteDecoder } from '../../models/onnx/kv-rewrite/rewrite.ts';
import { readModel, writeModel } from '../../models/onnx/model-file.ts';
import { capacityFor, KvBlock } from '../../node/engine/runner/decoder/kv-block.ts';
import { RewrittenModel } from '../../node/engine/runner/decoder/rewritten-model.ts';
import { openGraph } from '../../node/engine/runner/session.ts';
import { type KernelTimes, kernelTimes, stepMs } from './kernels.ts';

const SMOLLM2 = 'HuggingFaceTB/SmolLM2-135M-Instruct';
const BUNDLED = new URL('../../models/bundled/', import.meta.url).pathname;

/** Folder of a bundled model. */
export const modelFolder = (id: string): string => join(BUNDLED, id);

function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return { intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3 };
}

/** MiniLM over rows of equal length, pooled by the mean and normalised, as an engine answers. */
export class PlainEncoder {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  static async open(threads: number): Promise<PlainEncoder> {
    const file = join(modelFolder('Xenova/all-MiniLM-L6-v2'), 'onnx/model_int8.onnx');
    return new PlainEncoder(await InferenceSession.create(file, sessionOptions(threads)));
  }

  /** @param ids [rows × length] @returns float32 [rows × 384] */
  async encode(ids: Int32Array, rows: number, length: number): Promise<Float32Array> {
    const dims = [rows, length];
    const wide = new BigInt64Array(ids.length);
    for (let index = 0; index < ids.length; index++) wide[index] = BigInt(ids[index] as number);
    const output = await this.#session.run({
      input_ids: new Tensor('int64', wide, dims),
      attention_mask: new Tensor('int64', new BigInt64Array(ids.length).fill(1n), dims),
      token_type_ids: new Tensor('int64', new BigInt64Array(ids.length), dims),
    });
    const hidden = output.last_hidden_state as Tensor;
    const size = hidden.dims[2] as number;
    const values = hidden.data as Float32Array;
    const pooled = new Float32Array(rows * size);
    for (let row = 0; row < rows; row++) {
      const into = pooled.subarray(row * size, (row + 1) * size);
      for (let position = 0; position < length; position++) {
        const from = (row * length + position) * size;
        for (let column = 0; column < size; column++)
          into[column] = (into[column] as number) + (values[from + column] as number);
      }
      let squares = 0;
      for (const value of into) squares += value * value;
      const scale = 1 / Math.sqrt(squares);
      for (let column = 0; column < size; column++) into[column] = (into[column] as number) * scale;
    }
    return pooled;
  }
}

/** SmolLM2, greedy, present fed back as past. */
export class PlainDecoder {
  readonly #session: InferenceSession;
  readonly #layers: number;

  private constructor(session: InferenceSession, layers: number) {
    this.#session = session;
    this.#layers = layers;
  }

  static async open(threads: number): Promise<PlainDecoder> {
    const folder = modelFolder(SMOLLM2);
    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as { num_hidden_layers: number };
    const session = await InferenceSession.create(join(folder, 'onnx/model_q4.onnx'), sessionOptions(threads));
    return new PlainDecoder(session, config.num_hidden_layers);
  }

  /** @returns the `count` tokens behind the prompt */
  async generate(prompt: Int32Array, count: number, onToken?: (id: number) => void): Promise<number[]> {
    let past: Record<string, Tensor> = {};
    for (let layer = 0; layer < this.#layers; layer++) {
      past[`past_key_values.${layer}.key`] = new Tensor('float32', new Float32Array(0), [1, 3, 0, 64]);
      past[`past_key_values.${layer}.value`] = new Tensor('float32', new Float32Array(0), [1, 3, 0, 64]);
    }
    let next = BigInt64Array.from(prompt, BigInt);
    let total = 0;
    const tokens: number[] = [];
    while (tokens.length < count) {
      total += next.length;
      const output = await this.#session.run({
        input_ids: new Tensor('int64', next, [1, next.length]),
        attention_mask: new Tensor('int64', new BigInt64Array(total).fill(1n), [1, total]),
        ...past,
      });
      const logits = output.logits as Tensor;
      const vocabulary = logits.dims[2] as number;
      const best = likeliest((logits.data as Float32Array).subarray((next.length - 1) * vocabulary));
      tokens.push(best);
      onToken?.(best);
      past = {};
      for (let layer = 0; layer < this.#layers; layer++) {
        past[`past_key_values.${layer}.key`] = output[`present.${layer}.key`] as Tensor;
        past[`past_key_values.${layer}.value`] = output[`present.${layer}.value`] as Tensor;
      }
      next = BigInt64Array.of(BigInt(best));
    }
    return tokens;
  }
}

/** SmolLM2, greedy, on the graph that gives new keys and values only, in the form in which runners keep them. */
export class RewrittenDecoder {
  readonly #model: RewrittenModel;

  private constructor(model: RewrittenModel) {
    this.#model = model;
  }

  /** @throws Error when the graph can't be rewritten */
  static async open(threads: number): Promise<RewrittenDecoder> {
    const folder = modelFolder(SMOLLM2);
    const { generation } = parseManifest(await readFile(join(folder, 'weft-manifest.json'), 'utf8'));
    if (generation === undefined) throw new Error(`${SMOLLM2} generates no text.`);
    const rewritten = rewriteDecoder(readModel(join(folder, 'onnx/model_q4.onnx')), generation);
    if ('reason' in rewritten) throw new Error(`${SMOLLM2} can't be rewritten: ${rewritten.reason}.`);
    // As the engine makes it, so that what is compared is all that stands around it.
    const { session } = await openGraph(
      writeModel(rewritten.model),
      { threads, shareCores: false },
      { inputs: [] },
      { extra: { 'session.model_external_initializers_file_folder_path': join(folder, 'onnx') }, arena: false },
    );
    return new RewrittenDecoder(new RewrittenModel(session, rewritten.layout));
  }

  /** As {@link stepMs}. */
  stepMs(sequences: number, context: number): Promise<number> {
    return stepMs(this.#model, { sequences, context });
  }

  /** @returns the `count` tokens behind the prompt */
  async generate(prompt: Int32Array, count: number, onToken?: (id: number) => void): Promise<number[]> {
    const { layout } = this.#model;
    const block = new KvBlock(layout, 1, capacityFor(prompt.length));
    const tokens: number[] = [];
    let next = prompt;
    let length = 0;
    while (tokens.length < count) {
      const wanted = [next.length - 1];
      const { logits, rows } = await this.#model.step({ block, firstSlot: 0, lengths: [length], ids: next, wanted });
      block.resize(1, capacityFor(length + next.length, block.capacity), [length]);
      block.append(rows, { index: 0, tokens: next.length }, 0, length, next.length);
      length += next.length;
      const best = likeliest(logits);
      tokens.push(best);
      onToken?.(best);
      next = Int32Array.of(best);
    }
    block.close();
    return tokens;
  }
}

/** Of SmolLM2: see {@link kernelTimes}. */
export async function smolKernelTimes(at: {
  readonly threads: number;
  readonly context: number;
}): Promise<KernelTimes> {
  const folder = modelFolder(SMOLLM2);
  return kernelTimes(folder, parseManifest(await readFile(join(folder, 'weft-manifest.json'), 'utf8')), at);
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] as number) > (logits[best] as number)) best = id;
  return best;
}

/** Tokens per second behind the first one of a generation in this process. */
export async function rateOf(generate: (onToken: () => void) => Promise<readonly number[]>): Promise<number> {
  const atMs: number[] = [];
  const { length } = await generate(() => atMs.push(performance.now()));
  return ((length - 1) * 1000) / ((atMs.at(-1) ?? Number.NaN) - (atMs[0] ?? Number.NaN));
}
