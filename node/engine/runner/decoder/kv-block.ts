// The keys and values of sequences that are decoded together: one block per layer and half, in the form in which the
// rewritten graph takes them, so that no step copies the past. A sequence has a slot; how many of its rows count is the
// batch loop's to know, which hides the others by a bias.
import type { DecoderLayout } from '../../../../models/onnx/kv-rewrite/layout.ts';
import { rowBytes } from '../../../../models/onnx/kv-rewrite/layout.ts';
import { assert } from '../../../core/assert.ts';
import { KV_BLOCK_TOKENS, KV_CAPACITY_STEP } from '../../limits.ts';

/** Elements of a cache: float32, or the bits of float16. */
export type KvArray = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** What one run of the graph gave: for each layer [B, KV, S, D]. */
export interface NewRows {
  readonly keys: readonly KvArray[];
  readonly values: readonly KvArray[];
}

/**
 * Whether rows of a run may be kept: one that is no number stays one for whoever has its slot next, because it is hidden
 * by adding to it. Looks at the last layer only, into which whatever goes wrong in an earlier one comes.
 * @param batch as {@link KvBlock.append}
 */
export function areNumbers(
  rows: NewRows,
  { layers, kvHeads, headSize }: DecoderLayout,
  { index, tokens, first = 0 }: { readonly index: number; readonly tokens: number; readonly first?: number },
  count: number,
): boolean {
  for (const half of [rows.keys, rows.values]) {
    const data = half[layers - 1] as KvArray;
    const isBits = data instanceof Uint16Array;
    for (let head = 0; head < kvHeads; head++) {
      const from = ((index * kvHeads + head) * tokens + first) * headSize;
      for (let at = from; at < from + count * headSize; at++) {
        const value = data[at] as number;
        if (isBits ? (value & FLOAT16_EXPONENT) === FLOAT16_EXPONENT : !Number.isFinite(value)) return false;
      }
    }
  }
  return true;
}

/** All set in infinities and in what is no number. */
const FLOAT16_EXPONENT = 0x7c00;

/** The smallest capacity that holds so many tokens. It grows by an eighth at least, so that long sequences are seldom copied. */
export function capacityFor(tokens: number, current = 0): number {
  if (tokens <= current) return current;
  const wanted = Math.max(tokens, current === 0 ? 0 : current + (current >> 3));
  return Math.ceil(wanted / KV_CAPACITY_STEP) * KV_CAPACITY_STEP;
}

export class KvBlock {
  readonly layout: DecoderLayout;
  /** For each layer: keys [slots, KV, D, capacity]. */
  readonly keys: KvArray[] = [];
  /** For each layer: values [slots, KV, capacity, D]. */
  readonly values: KvArray[] = [];
  #slots: number;
  #capacity: number;
  /** Changes whenever the arrays do: views of them are then no longer valid. */
  #version = 0;
  /** The larger arrays that take these ones' place once every layer is in them. */
  #next: { readonly capacity: number; readonly keys: KvArray[]; readonly values: KvArray[] } | undefined;

  constructor(layout: DecoderLayout, slots: number, capacity: number) {
    this.layout = layout;
    this.#slots = slots;
    this.#capacity = capacity;
    for (let layer = 0; layer < layout.layers; layer++) {
      this.keys.push(this.#allocate(slots, capacity));
      this.values.push(this.#allocate(slots, capacity));
    }
  }

  get slots(): number {
    return this.#slots;
  }

  /** Tokens that a slot has room for. */
  get capacity(): number {
    return this.#capacity;
  }

  get version(): number {
    return this.#version;
  }

  /** Of what it grows into, too. */
  get bytes(): number {
    return this.#slots * (this.#capacity + (this.#next?.capacity ?? 0)) * rowBytes(this.layout);
  }

  /** The capacity that it will have, once {@link continueGrowth} has copied every layer; undefined: it doesn't grow. */
  get growingTo(): number | undefined {
    return this.#next?.capacity;
  }

  /** Elements of one slot within one array. */
  get slotElements(): number {
    return this.layout.kvHeads * this.layout.headSize * this.#capacity;
  }

  /**
   * Gives it other sizes, layer by layer: no more than one layer stands in memory twice. Ends a growth that is under way.
   * @param lengths rows of each slot that are kept, from the first slot on
   */
  resize(slots: number, capacity: number, lengths: readonly number[]): void {
    this.#endGrowth();
    if (slots === this.#slots && capacity === this.#capacity) return;
    assert(lengths.length <= slots && lengths.every((length) => length <= capacity), 'what is kept fits');
    const old = this.#capacity;
    this.#slots = slots;
    this.#capacity = capacity;
    this.#version++;
    for (let layer = 0; layer < this.layout.layers; layer++) {
      const [oldKeys, oldValues] = [this.keys[layer] as KvArray, this.values[layer] as KvArray];
      this.keys[layer] = this.#keysOf(oldKeys, old, capacity, lengths);
      free(oldKeys);
      this.values[layer] = this.#valuesOf(oldValues, old, capacity, lengths);
      free(oldValues);
    }
  }

  /** Begins to make it larger while its rows are used where they are: it stands in memory twice until that is done. */
  beginGrowth(capacity: number): void {
    assert(this.#next === undefined && capacity > this.#capacity, 'it grows once at a time');
    this.#next = { capacity, keys: [], values: [] };
  }

  /**
   * Copies the next layers. Rows that come later are written to both copies.
   * @param lengths rows of each slot, from the first slot on
   * @returns true once the new capacity is there
   */
  continueGrowth(layers: number, lengths: readonly number[]): boolean {
    const next = this.#next;
    assert(next !== undefined, 'it grows');
    const end = Math.min(this.layout.layers, next.keys.length + layers);
    for (let layer = next.keys.length; layer < end; layer++) {
      next.keys.push(this.#keysOf(this.keys[layer] as KvArray, this.#capacity, next.capacity, lengths));
      next.values.push(this.#valuesOf(this.values[layer] as KvArray, this.#capacity, next.capacity, lengths));
    }
    if (end < this.layout.layers) return false;
    const old = [...this.keys.splice(0, Infinity, ...next.keys), ...this.values.splice(0, Infinity, ...next.values)];
    for (const array of old) free(array);
    this.#capacity = next.capacity;
    this.#version++;
    this.#next = undefined;
    return true;
  }

  #endGrowth(): void {
    for (const array of [...(this.#next?.keys ?? []), ...(this.#next?.values ?? [])]) free(array);
    this.#next = undefined;
  }

  #keysOf(old: KvArray, oldCapacity: number, capacity: number, lengths: readonly number[]): KvArray {
    const lines = this.layout.kvHeads * this.layout.headSize;
    const keys = this.#allocate(this.#slots, capacity);
    for (const [slot, length] of lengths.entries()) {
      const [from, to] = [slot * lines * oldCapacity, slot * lines * capacity];
      copyLines(old, from, oldCapacity, keys, to, capacity, length, { lines });
    }
    return keys;
  }

  #valuesOf(old: KvArray, oldCapacity: number, capacity: number, lengths: readonly number[]): KvArray {
    const { kvHeads: lines, headSize } = this.layout;
    const [oldWidth, width] = [oldCapacity * headSize, capacity * headSize];
    const values = this.#allocate(this.#slots, capacity);
    for (const [slot, length] of lengths.entries()) {
      copyLines(old, slot * lines * oldWidth, oldWidth, values, slot * lines * width, width, length * headSize, {
        lines,
      });
    }
    return values;
  }

  /** Copies the first `length` rows of a slot of another block (or of this one) into a slot here. */
  take(from: KvBlock, fromSlot: number, slot: number, length: number): void {
    assert(length <= this.#capacity && length <= from.capacity, 'the rows fit');
    this.#endGrowth();
    const { layers, kvHeads, headSize } = this.layout;
    for (let layer = 0; layer < layers; layer++) {
      const [sourceAt, at] = [fromSlot * from.slotElements, slot * this.slotElements];
      const [keysFrom, keys] = [from.keys[layer] as KvArray, this.keys[layer] as KvArray];
      copyLines(keysFrom, sourceAt, from.capacity, keys, at, this.#capacity, length, { lines: kvHeads * headSize });
      const [valuesFrom, values] = [from.values[layer] as KvArray, this.values[layer] as KvArray];
      const [fromWidth, width] = [from.capacity * headSize, this.#capacity * headSize];
      copyLines(valuesFrom, sourceAt, fromWidth, values, at, width, length * headSize, { lines: kvHeads });
    }
  }

  /**
   * Writes the rows of a run behind what the slots have.
   * @param batch which of the B sequences of the run, S, and the first of its S rows that is wanted
   * @param count how many of them
   */
  append(
    rows: NewRows,
    batch: { readonly index: number; readonly tokens: number; readonly first?: number },
    slot: number,
    at: number,
    count: number,
  ): void {
    assert(at + count <= this.#capacity, 'the rows fit');
    this.#appendTo(this, rows, batch, slot, at, count);
    if (this.#next !== undefined) this.#appendTo(this.#next, rows, batch, slot, at, count);
  }

  /** Into the layers that are there. */
  #appendTo(
    { capacity, keys: allKeys, values: allValues }: Pick<KvBlock, 'capacity' | 'keys' | 'values'>,
    rows: NewRows,
    { index, tokens, first = 0 }: Parameters<KvBlock['append']>[1],
    slot: number,
    at: number,
    count: number,
  ): void {
    const { kvHeads, headSize } = this.layout;
    for (const [layer, keys] of allKeys.entries()) {
      const newKeys = rows.keys[layer] as KvArray;
      const newValues = rows.values[layer] as KvArray;
      const values = allValues[layer] as KvArray;
      for (let head = 0; head < kvHeads; head++) {
        const source = ((index * kvHeads + head) * tokens + first) * headSize;
        const lineAt = (slot * kvHeads + head) * headSize;
        for (let d = 0; d < headSize; d++) {
          const to = (lineAt + d) * capacity + at;
          for (let s = 0; s < count; s++) keys[to + s] = newKeys[source + s * headSize + d] as number;
        }
        const to = ((slot * kvHeads + head) * capacity + at) * headSize;
        values.set(newValues.subarray(source, source + count * headSize) as never, to);
      }
    }
  }

  /** A copy of KV_BLOCK_TOKENS rows from `at` on: keys of all layers [layers, KV, D, tokens], then values [layers, KV, tokens, D]. */
  read(slot: number, at: number): KvArray {
    const { layers, kvHeads, headSize } = this.layout;
    const half = layers * kvHeads * headSize * KV_BLOCK_TOKENS;
    const copy = this.#array(2 * half);
    const width = KV_BLOCK_TOKENS * headSize;
    for (let layer = 0; layer < layers; layer++) {
      const [keys, values] = [this.keys[layer] as KvArray, this.values[layer] as KvArray];
      const base = slot * this.slotElements;
      const to = layer * kvHeads * width;
      copyLines(keys, base + at, this.#capacity, copy, to, KV_BLOCK_TOKENS, KV_BLOCK_TOKENS, {
        lines: kvHeads * headSize,
      });
      copyLines(values, base + at * headSize, this.#capacity * headSize, copy, half + to, width, width, {
        lines: kvHeads,
      });
    }
    return copy;
  }

  /** Puts rows that were read back, into any slot. */
  write(slot: number, at: number, rows: KvArray): void {
    assert(at + KV_BLOCK_TOKENS <= this.#capacity, 'the rows fit');
    this.#endGrowth();
    const { layers, kvHeads, headSize } = this.layout;
    const half = layers * kvHeads * headSize * KV_BLOCK_TOKENS;
    const width = KV_BLOCK_TOKENS * headSize;
    for (let layer = 0; layer < layers; layer++) {
      const [keys, values] = [this.keys[layer] as KvArray, this.values[layer] as KvArray];
      const base = slot * this.slotElements;
      const from = layer * kvHeads * width;
      copyLines(rows, from, KV_BLOCK_TOKENS, keys, base + at, this.#capacity, KV_BLOCK_TOKENS, {
        lines: kvHeads * headSize,
      });
      copyLines(rows, half + from, width, values, base + at * headSize, this.#capacity * headSize, width, {
        lines: kvHeads,
      });
    }
  }

  /** Zeroes a slot: rows that are hidden are multiplied by 0 all the same, and 0 · NaN is NaN. */
  clear(slot: number): void {
    this.#endGrowth();
    const { slotElements } = this;
    for (const array of [...this.keys, ...this.values]) array.fill(0, slot * slotElements, (slot + 1) * slotElements);
  }

  /** Gives the memory back at once, not when the collector comes by. */
  close(): void {
    this.#version++;
    this.#endGrowth();
    for (const array of [...this.keys.splice(0), ...this.values.splice(0)]) free(array);
    this.#slots = 0;
  }

  #allocate(slots: number, capacity: number): KvArray {
    return this.#array(slots * capacity * this.layout.kvHeads * this.layout.headSize);
  }

  #array(length: number): KvArray {
    return this.layout.type === 'float32' ? new Float32Array(length) : new Uint16Array(length);
  }
}

function free(array: KvArray): void {
  array.buffer.transfer(0);
}

/** Copies the beginnings of consecutive lines of one width into lines of another. */
function copyLines(
  from: KvArray,
  fromAt: number,
  fromWidth: number,
  to: KvArray,
  toAt: number,
  toWidth: number,
  length: number,
  { lines }: { readonly lines: number },
): void {
  if (length <= SHORT) {
    // A call of `set` costs as much as copying some dozen elements.
    for (let line = 0; line < lines; line++) {
      const source = fromAt + line * fromWidth;
      const target = toAt + line * toWidth;
      for (let at = 0; at < length; at++) to[target + at] = from[source + at] as number;
    }
    return;
  }
  for (let line = 0; line < lines; line++) {
    const source = fromAt + line * fromWidth;
    to.set(from.subarray(source, source + length) as never, toAt + line * toWidth);
  }
}

const SHORT = 32;
