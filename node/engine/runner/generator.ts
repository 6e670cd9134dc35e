// The text generator behind the runner's token loop: what it must do, and the plain form that feeds the graph's
// present.* outputs back as past_key_values.* inputs. A faster form replaces the second part only.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { Manifest } from '../../../models/manifest.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { runSession } from './session.ts';

/** One sequence with its KV cache. Calls follow one another; none overlaps. */
export interface TextGenerator {
  /** Tokens in the cache. */
  readonly length: number;
  /** Adds a piece of the prompt behind which more follows. At most PREFILL_TOKENS at a time keeps memory bounded. */
  prefill(ids: Int32Array): Promise<void>;
  /**
   * Adds the last piece of the prompt, or the token just drawn.
   * @returns the logits behind the last of them, float32 [vocabulary]; valid, and the caller's to change, until the next
   *   call
   */
  step(ids: Int32Array): Promise<Float32Array>;
  /** Frees the cache. */
  close(): void;
}

/** Opens sequences on one model. */
export interface TextGeneratorFactory {
  open(): TextGenerator;
}

/**
 * The plain loop: every step copies the whole cache into new tensors, which is what the graph as it was exported does.
 * @throws WeftError `model_load_failed` when the graph is not of that form
 */
export function plainGenerator(session: InferenceSession, manifest: Manifest): TextGeneratorFactory {
  const layout = readLayout(manifest);
  return { open: () => new PlainGenerator(session, layout) };
}

interface Layout {
  /** Input and output of each half of each layer's cache. */
  readonly caches: readonly { readonly past: string; readonly present: string }[];
  readonly fetchesWithoutLogits: readonly string[];
  readonly fetches: readonly string[];
  readonly type: 'float32' | 'float16';
  readonly emptyDims: readonly number[];
  readonly vocabularySize: number;
  readonly positions: boolean;
  readonly contextLength: number;
}

function readLayout(manifest: Manifest): Layout {
  const { generation, contextLength } = manifest;
  const inputs = new Map(manifest.inputs.map((port) => [port.name, port.type]));
  const outputs = new Map(manifest.outputs.map((port) => [port.name, port.type]));
  const not = (why: string): WeftError =>
    new WeftError({ code: 'model_load_failed', message: `The graph is not that of a text generator: ${why}.` });
  if (generation === undefined) throw not('its manifest says nothing of generation');
  if (!inputs.has('input_ids') || !inputs.has('attention_mask')) throw not('it takes no ids or no mask');
  if (outputs.get('logits') !== 'float32') throw not('it gives no float32 logits');
  const caches = Array.from({ length: generation.layers }, (_, layer) =>
    ['key', 'value'].map((half) => ({
      past: `past_key_values.${layer}.${half}`,
      present: `present.${layer}.${half}`,
    })),
  ).flat();
  const type = inputs.get('past_key_values.0.key');
  if (type !== 'float32' && type !== 'float16') throw not('its cache is neither float32 nor float16');
  if (caches.some(({ past, present }) => inputs.get(past) !== type || outputs.get(present) !== type)) {
    throw not('its cache is not that of its manifest');
  }
  const positions = inputs.has('position_ids');
  if (inputs.size !== 2 + caches.length + (positions ? 1 : 0)) throw not('it takes inputs that are not known');
  const presents = caches.map(({ present }) => present);
  return {
    caches,
    fetchesWithoutLogits: presents,
    fetches: ['logits', ...presents],
    type,
    emptyDims: [1, generation.kvHeads, 0, generation.headSize],
    vocabularySize: generation.vocabularySize,
    positions,
    contextLength,
  };
}

class PlainGenerator implements TextGenerator {
  readonly #session: InferenceSession;
  readonly #layout: Layout;
  /** Ones, as many as the context is long: each step takes a view of the first few. */
  #mask: BigInt64Array;
  #cache: Tensor[];
  #logits: Tensor | undefined;
  #length = 0;

  constructor(session: InferenceSession, layout: Layout) {
    this.#session = session;
    this.#layout = layout;
    this.#mask = new BigInt64Array(Math.min(256, layout.contextLength)).fill(1n);
    const { type, emptyDims } = layout;
    this.#cache = layout.caches.map(
      () => new Tensor(type, type === 'float32' ? new Float32Array(0) : new Uint16Array(0), emptyDims),
    );
  }

  get length(): number {
    return this.#length;
  }

  async prefill(ids: Int32Array): Promise<void> {
    await this.#run(ids, this.#layout.fetchesWithoutLogits);
  }

  async step(ids: Int32Array): Promise<Float32Array> {
    const logits = (await this.#run(ids, this.#layout.fetches)).logits;
    const { vocabularySize } = this.#layout;
    if (!(logits?.data instanceof Float32Array) || logits.data.length !== ids.length * vocabularySize) {
      throw new WeftError({ code: 'internal', message: 'The graph gave logits of another shape than its manifest.' });
    }
    this.#logits = logits as Tensor;
    return logits.data.subarray((ids.length - 1) * vocabularySize);
  }

  close(): void {
    for (const tensor of this.#cache) release(tensor);
    release(this.#logits);
    this.#cache = [];
    this.#logits = undefined;
  }

  async #run(ids: Int32Array, fetches: readonly string[]): Promise<InferenceSession.OnnxValueMapType> {
    const { caches, positions } = this.#layout;
    const count = ids.length;
    const total = this.#length + count;
    const feeds: Record<string, Tensor> = {
      input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, count]),
      attention_mask: new Tensor('int64', this.#ones(total), [1, total]),
    };
    if (positions) {
      const at = BigInt64Array.from({ length: count }, (_, index) => BigInt(this.#length + index));
      feeds.position_ids = new Tensor('int64', at, [1, count]);
    }
    for (const [index, { past }] of caches.entries()) feeds[past] = this.#cache[index] as Tensor;
    const results = await runSession(this.#session, feeds, fetches, 'bad_request');
    const old = this.#cache;
    this.#cache = caches.map(({ present }) => results[present] as Tensor);
    this.#length = total;
    for (const tensor of old) release(tensor);
    release(this.#logits);
    this.#logits = undefined;
    return results;
  }

  #ones(length: number): BigInt64Array {
    if (length > this.#mask.length) this.#mask = new BigInt64Array(Math.max(length, 2 * this.#mask.length)).fill(1n);
    return this.#mask.subarray(0, length);
  }
}

/**
 * Gives a tensor's memory back at once. `dispose` only drops the reference: the arrays of 500 steps then wait for the
 * collector and the process grows to 468 MB, against 353 MB when each is detached, at the same speed.
 */
function release(tensor: Tensor | undefined): void {
  if (tensor === undefined) return;
  const { buffer } = tensor.data as Float32Array | Uint16Array;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
  tensor.dispose();
}
