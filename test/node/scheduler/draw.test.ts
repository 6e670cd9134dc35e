import { expect, it } from 'vitest';
import { draw } from '../../../node/scheduler/draw.ts';

it('draws each number as often as any other', () => {
  const seen = Array.from({ length: 12 }, (_, at) => draw(4, () => at / 12));
  expect(seen).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
});

it('stays below the count, whatever random says', () => {
  expect(draw(3, () => 1)).toBe(2);
  expect(draw(1, () => 1 - Number.EPSILON)).toBe(0);
});
