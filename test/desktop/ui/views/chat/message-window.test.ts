// Which messages of a long conversation stand in the page.
import { describe, expect, test } from 'vitest';
import { PORTION_LENGTH, PORTION_MESSAGES } from '../../../../../desktop/ui/views/chat/limits.ts';
import type { Shown } from '../../../../../desktop/ui/views/chat/message-tree.ts';
import { firstShown, portionBefore } from '../../../../../desktop/ui/views/chat/message-window.ts';

const branch = (count: number, length = 1): readonly Shown[] =>
  Array.from({ length: count }, (_, at) => ({
    message: { id: `m${at}`, parent: null, role: 'user', content: 'x'.repeat(length), state: 'done', createdAtMs: 0 },
    siblings: [],
  }));

describe('a portion', () => {
  test('has so many messages, or all there are', () => {
    expect(portionBefore(branch(2_000), 2_000)).toBe(2_000 - PORTION_MESSAGES);
    expect(portionBefore(branch(2_000), 1_000)).toBe(1_000 - PORTION_MESSAGES);
    expect(portionBefore(branch(2_000), 5)).toBe(0);
    expect(portionBefore([], 0)).toBe(0);
  });

  test('has fewer where they are long, and always one', () => {
    expect(portionBefore(branch(50, PORTION_LENGTH / 4), 50)).toBe(46);
    expect(portionBefore(branch(50, PORTION_LENGTH * 2), 50)).toBe(49);
    expect(portionBefore(branch(50, PORTION_LENGTH * 2), 1)).toBe(0);
  });
});

describe('the first message shown', () => {
  test('stays while messages come in at the end', () => {
    expect(firstShown(branch(200), 140, undefined)).toBe(140);
    expect(firstShown(branch(300), 140, undefined)).toBe(140);
  });

  test('is further up in a branch that is shorter: its newest portion is shown', () => {
    expect(firstShown(branch(150), 140, undefined)).toBe(150 - PORTION_MESSAGES);
    expect(firstShown(branch(3), 140, undefined)).toBe(0);
    expect(firstShown([], 140, undefined)).toBe(0);
  });

  test('is no later than the one that is being edited', () => {
    expect(firstShown(branch(200), 140, 'm20')).toBe(20);
    expect(firstShown(branch(200), 140, 'm160')).toBe(140);
    expect(firstShown(branch(200), 140, 'of another branch')).toBe(140);
  });
});
