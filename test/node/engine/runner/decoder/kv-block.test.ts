import { describe, expect, it } from 'vitest';
import type { DecoderLayout } from '../../../../../models/onnx/kv-rewrite/layout.ts';
import { capacityFor, type KvArray, KvBlock } from '../../../../../node/engine/runner/decoder/kv-block.ts';

const LAYOUT: DecoderLayout = {
  layers: 3,
  kvHeads: 2,
  headSize: 4,
  group: 1,
  vocabularySize: 8,
  type: 'float32',
  windows: [0],
};

/** What a run of `tokens` tokens gives: each element says where it belongs. */
function rowsOf(layout: DecoderLayout, tokens: number, from: number): { keys: KvArray[]; values: KvArray[] } {
  const { layers, kvHeads, headSize } = layout;
  const half = (salt: number): KvArray[] =>
    Array.from({ length: layers }, (_, layer) => {
      const array =
        layout.type === 'float32'
          ? new Float32Array(kvHeads * tokens * headSize)
          : new Uint16Array(kvHeads * tokens * headSize);
      for (let head = 0; head < kvHeads; head++) {
        for (let s = 0; s < tokens; s++) {
          for (let d = 0; d < headSize; d++) {
            array[(head * tokens + s) * headSize + d] = element(salt, layer, head, from + s, d);
          }
        }
      }
      return array;
    });
  return { keys: half(1), values: half(2) };
}

const element = (salt: number, layer: number, head: number, token: number, d: number): number =>
  salt * 20_000 + layer * 4_000 + head * 2_000 + token * 4 + d;

function expectRows(block: KvBlock, slot: number, tokens: readonly number[]): void {
  const { layers, kvHeads, headSize } = block.layout;
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head < kvHeads; head++) {
      for (const [at, token] of tokens.entries()) {
        for (let d = 0; d < headSize; d++) {
          const line = (slot * kvHeads + head) * headSize + d;
          expect(block.keys[layer]?.[line * block.capacity + at]).toBe(element(1, layer, head, token, d));
          const value = ((slot * kvHeads + head) * block.capacity + at) * headSize + d;
          expect(block.values[layer]?.[value]).toBe(element(2, layer, head, token, d));
        }
      }
    }
  }
}

const upTo = (count: number, from = 0): number[] => Array.from({ length: count }, (_, at) => from + at);

describe.each(['float32', 'float16'] as const)('a block of keys and values in %s', (type) => {
  const layout = { ...LAYOUT, type };

  it('keeps rows where they were put, through every change of its size', () => {
    const block = new KvBlock(layout, 2, 64);
    block.append(rowsOf(layout, 40, 0), { index: 0, tokens: 40 }, 0, 0, 40);
    block.append(rowsOf(layout, 5, 100), { index: 0, tokens: 5 }, 1, 0, 5);
    block.resize(4, 192, [40, 5]);
    expectRows(block, 0, upTo(40));
    expectRows(block, 1, upTo(5, 100));
    block.append(rowsOf(layout, 1, 40), { index: 0, tokens: 1 }, 0, 40, 1);
    block.resize(1, 64, [41]);
    expectRows(block, 0, upTo(41));
    expect(block.bytes).toBe(2 * 3 * 2 * 4 * 64 * (type === 'float32' ? 4 : 2));
  });

  it('keeps rows that come while it grows, in what it was and in what it becomes', () => {
    const block = new KvBlock(layout, 2, 64);
    block.append(rowsOf(layout, 60, 0), { index: 0, tokens: 60 }, 0, 0, 60);
    block.append(rowsOf(layout, 5, 100), { index: 0, tokens: 5 }, 1, 0, 5);
    const { version } = block;
    const before = block.bytes;
    block.beginGrowth(128);
    expect(block.bytes).toBe(3 * before);
    expect(block.continueGrowth(2, [60, 5])).toBe(false);
    block.append(rowsOf(layout, 2, 60), { index: 0, tokens: 2 }, 0, 60, 2);
    expect(block).toMatchObject({ capacity: 64, growingTo: 128, version });
    expectRows(block, 0, upTo(62));
    expect(block.continueGrowth(2, [62, 5])).toBe(true);
    expect(block).toMatchObject({ capacity: 128, growingTo: undefined, bytes: 2 * before });
    expect(block.version).not.toBe(version);
    block.append(rowsOf(layout, 10, 62), { index: 0, tokens: 10 }, 0, 62, 10);
    expectRows(block, 0, upTo(72));
    expectRows(block, 1, upTo(5, 100));
  });

  it.each<[string, (block: KvBlock) => void]>([
    ['it is given another size', (block) => block.resize(2, 64, [3])],
    ['a slot moves', (block) => block.take(block, 0, 1, 3)],
    ['a slot is cleared', (block) => block.clear(1)],
    ['rows come from elsewhere', (block) => block.write(1, 0, block.read(0, 0))],
  ])('gives its growth up when %s', (_what, change) => {
    const block = new KvBlock(layout, 2, 64);
    block.append(rowsOf(layout, 3, 0), { index: 0, tokens: 3 }, 0, 0, 3);
    const before = block.bytes;
    block.beginGrowth(128);
    block.continueGrowth(1, [3]);
    change(block);
    expect(block).toMatchObject({ capacity: 64, growingTo: undefined, bytes: before });
    expectRows(block, 0, upTo(3));
  });

  it('takes some of the rows of a run', () => {
    const block = new KvBlock(layout, 1, 64);
    block.append(rowsOf(layout, 6, 10), { index: 0, tokens: 6, first: 2 }, 0, 0, 3);
    expectRows(block, 0, [12, 13, 14]);
  });

  it('gives rows to another block, and to a cache and back', () => {
    const block = new KvBlock(layout, 2, 64);
    block.append(rowsOf(layout, 50, 0), { index: 0, tokens: 50 }, 1, 0, 50);
    const other = new KvBlock(layout, 3, 128);
    other.take(block, 1, 2, 50);
    expectRows(other, 2, upTo(50));
    const kept = block.read(1, 16);
    block.close();
    other.write(0, 48, kept);
    for (let at = 0; at < 16; at++) {
      expect(other.keys[0]?.[48 + at]).toBe(element(1, 0, 0, 16 + at, 0));
      expect(other.values[2]?.[((0 * 2 + 1) * 128 + 48 + at) * 4 + 3]).toBe(element(2, 2, 1, 16 + at, 3));
    }
  });

  it('leaves nothing of a slot that is cleared, and all of the others', () => {
    const block = new KvBlock(layout, 2, 64);
    for (const slot of [0, 1]) block.append(rowsOf(layout, 9, 0), { index: 0, tokens: 9 }, slot, 0, 9);
    block.clear(0);
    expectRows(block, 1, upTo(9));
    const { slotElements } = block;
    for (const array of [...block.keys, ...block.values]) {
      expect(array.subarray(0, slotElements).every((value) => value === 0)).toBe(true);
    }
  });

  it('holds no memory once it is closed', () => {
    const block = new KvBlock(layout, 2, 64);
    const [array] = block.keys;
    block.close();
    expect(array?.byteLength).toBe(0);
    expect(block.bytes).toBe(0);
  });
});

describe('the capacity of a block', () => {
  it('grows in steps, by an eighth at least, and not before it has to', () => {
    expect(capacityFor(1)).toBe(64);
    expect(capacityFor(65)).toBe(128);
    expect(capacityFor(100, 128)).toBe(128);
    expect(capacityFor(129, 128)).toBe(192);
    expect(capacityFor(2049, 2048)).toBe(2304);
  });
});
