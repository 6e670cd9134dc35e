import { describe, expect, it } from 'vitest';
import { fillNewBias, fillPastBias } from '../../../../../node/engine/runner/decoder/bias.ts';

/** Where a row is seen: its bias is 0. */
const seen = (data: ArrayLike<number>): string => Array.from(data, (value) => (value === 0 ? '1' : '.')).join('');

describe('the bias against the past', () => {
  it('shows each sequence its own rows', () => {
    const { data, rows } = fillPastBias('float32', { lengths: [2, 0, 4], capacity: 4, tokens: 1, group: 3, window: 0 });
    expect(rows).toBe(1);
    expect(seen(data)).toBe('11..' + '....' + '1111');
  });

  it('is one row for all as long as no window has closed', () => {
    const init = { lengths: [3], capacity: 8, tokens: 2, group: 2 };
    expect(fillPastBias('float32', { ...init, window: 5 }).rows).toBe(1);
    const { data, rows } = fillPastBias('float32', { ...init, window: 4 });
    expect(rows).toBe(4);
    // For each head of the group: the first new token sees itself and three before it, the second one less of the past.
    expect(seen(data)).toBe('111.....' + '.11.....' + '111.....' + '.11.....');
  });

  it('hides all of the past behind a window that is smaller than the new tokens', () => {
    const { data } = fillPastBias('float32', { lengths: [3], capacity: 4, tokens: 3, group: 1, window: 1 });
    expect(seen(data)).toBe('............');
  });

  it('stays finite in float16', () => {
    const { data } = fillPastBias('float16', { lengths: [1], capacity: 2, tokens: 1, group: 1, window: 0 });
    expect(data).toEqual(Uint16Array.of(0, 0xfbff));
  });
});

describe('the bias against the new tokens', () => {
  it('shows each what stands before it, and itself', () => {
    expect(seen(fillNewBias('float32', { tokens: 3, group: 2, window: 0 }))).toBe('1..11.111' + '1..11.111');
  });

  it('closes a window', () => {
    expect(seen(fillNewBias('float32', { tokens: 4, group: 1, window: 2 }))).toBe('1...' + '11..' + '.11.' + '..11');
  });
});
