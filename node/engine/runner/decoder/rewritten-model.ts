// One run of the rewritten graph: new tokens of some sequences in, their logits and their keys and values out. The past
// goes in as it lies in the block. Runs in a runner process; the batch loop decides what is run.
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import {
  type DecoderLayout,
  newBias,
  PORTS,
  pastBias,
  pastKey,
  pastValue,
} from '../../../../models/onnx/kv-rewrite/layout.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import { runSession } from '../session.ts';
import { fillNewBias, fillPastBias } from './bias.ts';
import type { ManyRows } from './float-form.ts';
import type { KvArray, KvBlock, NewRows } from './kv-block.ts';

/** B sequences that stand in consecutive slots of one block, with S new tokens each. */
export interface Step {
  readonly block: KvBlock;
  readonly firstSlot: number;
  /** Rows that each of the B sequences has: int32 [B]. */
  readonly lengths: readonly number[];
  /** int32 [B · S], sequence by sequence. */
  readonly ids: Int32Array;
  /**
   * It is a prompt that nobody is kept waiting by. Of a model with two forms its pieces are computed in the one for many
   * rows, however few a piece has: the same prompt then gives the same numbers whether its beginning was kept or not, up to
   * rounding. Beside others, pieces are small, and computed as is fastest. @default false
   */
  readonly prompt?: boolean;
  /** Which of the B · S tokens logits are wanted behind, ascending; none is allowed. */
  readonly wanted: readonly number[];
}

export interface StepResult {
  /** float32 [wanted, vocabulary]; the caller's to change. */
  readonly logits: Float32Array;
  readonly rows: NewRows;
}

/** What the batch loop needs of a model. */
export interface DecoderModel {
  readonly layout: DecoderLayout;
  /** Steps of so many rows and more, and prompts alone, are computed in another form, whose times are others. */
  readonly manyRowsMin?: number | undefined;
  /** @throws WeftError `internal` when the graph fails */
  step(step: Step): Promise<StepResult>;
}

type Feeds = Record<string, Tensor>;

/** The rewritten graph in a session of ONNX Runtime, or in two. */
export class RewrittenModel implements DecoderModel {
  readonly layout: DecoderLayout;
  readonly #session: InferenceSession;
  readonly #many: ManyRows | undefined;
  readonly #withLogits: readonly string[];
  readonly #withoutLogits: readonly string[];
  /** Views of a block, as long as nothing of it has changed: a step makes few new objects then. */
  readonly #views = new WeakMap<KvBlock, { readonly key: string; readonly feeds: Feeds }>();

  /** @param many of the same graph, for steps of many rows; the sessions are the caller's to end */
  constructor(session: InferenceSession, layout: DecoderLayout, many?: ManyRows) {
    this.#session = session;
    this.#many = many;
    this.layout = layout;
    this.#withoutLogits = [PORTS.newKeys, PORTS.newValues];
    this.#withLogits = [PORTS.logits, ...this.#withoutLogits];
  }

  get manyRowsMin(): number | undefined {
    return this.#many?.rowsMin;
  }

  async step(step: Step): Promise<StepResult> {
    const { vocabularySize } = this.layout;
    const { wanted, ids, prompt = false } = step;
    const many = this.#many !== undefined && (prompt || ids.length >= this.#many.rowsMin) ? this.#many : undefined;
    const session = many?.session ?? this.#session;
    const fetches = wanted.length > 0 ? this.#withLogits : this.#withoutLogits;
    const results = await runSession(session, { ...this.#past(step), ...this.#fresh(step) }, fetches, 'internal');
    const logits = wanted.length > 0 ? (results[PORTS.logits]?.data as unknown) : new Float32Array(0);
    if (!(logits instanceof Float32Array) || logits.length !== wanted.length * vocabularySize) {
      throw new WeftError({ code: 'internal', message: 'The graph gave logits of another shape than its manifest.' });
    }
    const rows = {
      keys: this.#byLayer(results[PORTS.newKeys]?.data),
      values: this.#byLayer(results[PORTS.newValues]?.data),
    };
    return { logits, rows };
  }

  #byLayer(data: unknown): KvArray[] {
    const { layers } = this.layout;
    const all = this.#array(data);
    const width = all.length / layers;
    return Array.from({ length: layers }, (_, layer) => all.subarray(layer * width, (layer + 1) * width));
  }

  /** Outputs of float16 may come as Float16Array: their bits are all that is needed. */
  #array(data: unknown): KvArray {
    if (data instanceof Float32Array || data instanceof Uint16Array) return data as KvArray;
    const { buffer, byteOffset, length } = data as Uint16Array<ArrayBuffer>;
    return new Uint16Array(buffer, byteOffset, length);
  }

  #past({ block, firstSlot, lengths }: Step): Feeds {
    const sequences = lengths.length;
    const key = `${block.version}/${firstSlot}/${sequences}`;
    const known = this.#views.get(block);
    if (known?.key === key) return known.feeds;
    const { layers, kvHeads, headSize, type } = this.layout;
    const { capacity, slotElements } = block;
    const [from, to] = [firstSlot * slotElements, (firstSlot + sequences) * slotElements];
    const feeds: Feeds = {};
    for (let layer = 0; layer < layers; layer++) {
      const keys = (block.keys[layer] as KvArray).subarray(from, to);
      const values = (block.values[layer] as KvArray).subarray(from, to);
      feeds[pastKey(layer)] = new Tensor(type, keys as Float32Array, [sequences, kvHeads, headSize, capacity]);
      feeds[pastValue(layer)] = new Tensor(type, values as Float32Array, [sequences, kvHeads, capacity, headSize]);
    }
    this.#views.set(block, { key, feeds });
    return feeds;
  }

  #fresh({ block, lengths, ids, wanted }: Step): Feeds {
    const { group, windows, type } = this.layout;
    const { capacity } = block;
    const sequences = lengths.length;
    const tokens = ids.length / sequences;
    const positions = new BigInt64Array(ids.length);
    for (const [index, length] of lengths.entries()) {
      for (let s = 0; s < tokens; s++) positions[index * tokens + s] = BigInt(length + s);
    }
    const feeds: Feeds = {
      [PORTS.ids]: new Tensor('int64', BigInt64Array.from(ids, BigInt), [sequences, tokens]),
      [PORTS.positions]: new Tensor('int64', positions, [sequences, tokens]),
      [PORTS.split]: new Tensor('int64', BigInt64Array.of(BigInt(capacity), BigInt(tokens)), [2]),
      [PORTS.rows]: new Tensor('int64', BigInt64Array.from(wanted, BigInt), [wanted.length]),
    };
    for (const window of windows) {
      const past = fillPastBias(type, { lengths, capacity, tokens, group, window });
      feeds[pastBias(window)] = new Tensor(type, past.data as Float32Array, [sequences, 1, past.rows, capacity]);
      const fresh = fillNewBias(type, { tokens, group, window });
      feeds[newBias(window)] = new Tensor(type, fresh as Float32Array, [1, 1, group * tokens, tokens]);
    }
    return feeds;
  }
}
