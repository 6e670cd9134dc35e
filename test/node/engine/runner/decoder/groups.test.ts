import { describe, expect, it } from 'vitest';
import { rowBytes } from '../../../../../models/onnx/kv-rewrite/layout.ts';
import { Groups } from '../../../../../node/engine/runner/decoder/groups.ts';
import type { Sequence } from '../../../../../node/engine/runner/decoder/sequence.ts';
import { TOY_LAYOUT } from './toy-model.ts';

const ROW = rowBytes(TOY_LAYOUT);

/** Of a sequence, groups only know how many ids and rows it has. */
const sequenceOf = (ids: number): Sequence => ({ ids: new Int32Array(ids), length: ids - 1 }) as Sequence;

describe('groups', () => {
  it('never take more than they may, also where blocks had to give back what they had ahead', () => {
    const groups = new Groups({ layout: TOY_LAYOUT, bytesMax: 576 * ROW, onGrowth: () => undefined });
    const three = [sequenceOf(64), sequenceOf(64), sequenceOf(64)];
    for (const sequence of three) expect(groups.open(sequence, 64)).toBe(true);
    expect(groups.arrange([three])).toBe(true);
    const [together] = groups.all;
    if (together === undefined) throw new Error('no group');
    // A fourth slot ahead, and one away: it can't go on in a block of four.
    const fourth = sequenceOf(64);
    groups.open(fourth, 64);
    groups.arrange([[...three, fourth]]);
    groups.close(fourth);
    expect(together.block.slots).toBe(4);
    expect(groups.open(sequenceOf(256), 256)).toBe(true);
    // Without what it gives back there were room for three of 128: 576 − 256 − (384 − 256) ≥ 0.
    expect(groups.grow(together, 65)).toBe(false);
    expect(groups.bytes).toBeLessThanOrEqual(576 * ROW);
  });

  it('never take more than they may where others move into a block that gave back', () => {
    const groups = new Groups({ layout: TOY_LAYOUT, bytesMax: 2600 * ROW, onGrowth: () => undefined });
    const short = Array.from({ length: 7 }, () => sequenceOf(60));
    const first = sequenceOf(250);
    for (const sequence of [...short, first]) expect(groups.open(sequence, sequence.ids.length)).toBe(true);
    groups.arrange([[first, ...short]]);
    groups.close(first);
    // Seven short ones in a block that was made for a long one as well: 8 × 256.
    expect(groups.bytes).toBe(2048 * ROW);
    const long = [sequenceOf(250), sequenceOf(250)];
    for (const sequence of long) expect(groups.open(sequence, 250)).toBe(true);
    expect(groups.arrange([[...short, ...long]])).toBe(false);
    expect(groups.bytes).toBeLessThanOrEqual(2600 * ROW);
  });

  it('grow in parts while their rows are used, where there is memory for both', () => {
    const groups = new Groups({ layout: TOY_LAYOUT, bytesMax: 400 * ROW, onGrowth: () => undefined });
    const sequence = sequenceOf(128);
    groups.open(sequence, 128);
    const [group] = groups.all;
    if (group === undefined) throw new Error('no group');
    expect(groups.growSlowly(group, 129, 128 * ROW)).toBe(false); // as quickly at once
    expect(groups.growSlowly(group, 129, 1)).toBe(true);
    expect(group.block).toMatchObject({ capacity: 128, growingTo: 192 });
    expect(groups.bytes).toBe((128 + 192) * ROW);
    for (let calls = 1; group.block.capacity === 128; calls++) {
      expect(calls).toBeLessThan(TOY_LAYOUT.layers);
      expect(groups.growSlowly(group, 129, 1)).toBe(true);
    }
    expect(group.block).toMatchObject({ capacity: 192, growingTo: undefined });
    // Both copies of the next size would take more than there is.
    expect(groups.growSlowly(group, 193, 1)).toBe(false);
    expect(group.block.growingTo).toBeUndefined();
    expect(groups.grow(group, 193)).toBe(true);
  });
});
