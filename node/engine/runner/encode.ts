// Ragged texts → one vector each: padding, one run of the graph, pooling, normalising. Runs in a runner process.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { EncodingSpec, Manifest } from '../../../models/manifest.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { EncodeRequest } from '../../../protocol/infer.ts';
import { runSession } from './session.ts';

/** Token ids, mask and token types of a batch, each int64 [rows, width]. */
export interface PaddedBatch {
  readonly rows: number;
  readonly width: number;
  readonly ids: BigInt64Array;
  readonly mask: BigInt64Array;
}

/** Lays ragged rows out as a rectangle, filled up on the right. */
export function padBatch(ids: Int32Array, lengths: Int32Array, padId: number): PaddedBatch {
  const rows = lengths.length;
  const width = lengths.reduce((max, length) => Math.max(max, length), 0);
  const padded = new BigInt64Array(rows * width);
  const mask = new BigInt64Array(rows * width);
  // The low words of the 64-bit elements (little-endian, as all of Weft's platforms are): no BigInt per token.
  const idWords = new Int32Array(padded.buffer);
  const maskWords = new Int32Array(mask.buffer);
  let from = 0;
  for (let row = 0; row < rows; row++) {
    const length = lengths[row] as number;
    const at = row * width;
    for (let token = 0; token < width; token++) {
      const real = token < length;
      idWords[2 * (at + token)] = real ? (ids[from + token] as number) : padId;
      maskWords[2 * (at + token)] = real ? 1 : 0;
    }
    from += length;
  }
  return { rows, width, ids: padded, mask };
}

/** Token types of a padded batch, int64 [rows, width]: 0 in each text's first segment and 1 in the second. */
export function tokenTypes(firstLengths: Int32Array, lengths: Int32Array, width: number): BigInt64Array {
  const types = new BigInt64Array(lengths.length * width);
  for (const [row, length] of lengths.entries())
    types.fill(1n, row * width + (firstLengths[row] ?? length), row * width + length);
  return types;
}

/**
 * One vector per text.
 * @param hidden float32 [rows, width, dimensions]
 * @returns float32 [rows × dimensions]
 * @throws WeftError `internal` when a vector to be normalised is not finite
 */
export function pool(
  hidden: Float32Array,
  lengths: Int32Array,
  dimensions: number,
  how: Pick<EncodeRequest, 'pooling' | 'normalize'>,
): Float32Array {
  const rows = lengths.length;
  const width = hidden.length / (rows * dimensions);
  const vectors = new Float32Array(rows * dimensions);
  const sum = new Float64Array(dimensions);
  for (let row = 0; row < rows; row++) {
    const tokens = how.pooling === 'cls' ? 1 : (lengths[row] as number);
    sum.fill(0);
    for (let token = 0; token < tokens; token++) {
      const at = (row * width + token) * dimensions;
      for (let d = 0; d < dimensions; d++) sum[d] = (sum[d] as number) + (hidden[at + d] as number);
    }
    let scale = 1 / tokens;
    if (how.normalize) {
      const norm = Math.sqrt(sum.reduce((squares, value) => squares + value * value, 0));
      if (!Number.isFinite(norm)) throw new WeftError({ code: 'internal', message: 'An embedding is not a number.' });
      // The mean's own scale falls out of the division; a vector of zeros has no direction and stays.
      scale = norm > 0 ? 1 / norm : 0;
    }
    for (let d = 0; d < dimensions; d++) vectors[row * dimensions + d] = (sum[d] as number) * scale;
  }
  return vectors;
}

/** Turns batches into vectors with one model. */
export class TextEncoder {
  readonly #session: InferenceSession;
  readonly #spec: EncodingSpec;
  readonly #inputs: ReadonlySet<string>;
  readonly #output: string;
  /** The output is of whole texts: nothing is pooled. */
  readonly #whole: boolean;

  /** @throws WeftError `model_load_failed` when the graph is not of the shape of a text encoder */
  constructor(session: InferenceSession, manifest: Manifest) {
    this.#whole = manifest.encoding?.pooling === 'logits';
    const output = manifest.outputs.find(({ name, type, dims }) =>
      this.#whole
        ? name === 'logits' && type === 'float32' && dims.length === 2
        : type === 'float32' && dims.length === 3,
    );
    const inputs = new Set(manifest.inputs.map(({ name }) => name));
    const known = ['input_ids', 'attention_mask', 'token_type_ids'];
    if (
      manifest.encoding === undefined ||
      output === undefined ||
      !inputs.has('input_ids') ||
      [...inputs].some((name) => !known.includes(name))
    ) {
      throw new WeftError({ code: 'model_load_failed', message: 'The graph is not that of a text encoder.' });
    }
    this.#session = session;
    this.#spec = manifest.encoding;
    this.#inputs = inputs;
    this.#output = output.name;
  }

  /** @returns float32 [texts × dimensions] @throws WeftError `bad_request` with what the runtime reported */
  async encode(request: EncodeRequest): Promise<Float32Array> {
    const { rows, width, ids, mask } = padBatch(request.ids, request.lengths, this.#spec.padId);
    const dims = [rows, width];
    const feeds: Record<string, Tensor> = { input_ids: new Tensor('int64', ids, dims) };
    if (this.#inputs.has('attention_mask')) feeds.attention_mask = new Tensor('int64', mask, dims);
    if (this.#inputs.has('token_type_ids')) {
      feeds.token_type_ids = new Tensor(
        'int64',
        tokenTypes(request.firstLengths ?? request.lengths, request.lengths, width),
        dims,
      );
    }
    const hidden = (await runSession(this.#session, feeds, [this.#output], 'bad_request'))[this.#output];
    const { dimensions } = this.#spec;
    const values = rows * dimensions * (this.#whole ? 1 : width);
    if (!(hidden?.data instanceof Float32Array) || hidden.data.length !== values) {
      throw new WeftError({ code: 'internal', message: 'The graph gave vectors of another shape than its manifest.' });
    }
    // A view of the output, which is a new buffer at every run.
    if (this.#whole) return hidden.data;
    const vectors = pool(hidden.data, request.lengths, dimensions, request);
    hidden.dispose();
    return vectors;
  }
}
