import { describe, expect, it } from 'vitest';
import { keepNewest } from '../../../node/core/keep-newest.ts';

const mapOf = (...keys: string[]): Map<string, number> => new Map(keys.map((key, at) => [key, at]));

describe('keepNewest', () => {
  it('forgets what was set first, as much as is too much', () => {
    const map = mapOf('a', 'b', 'c', 'd');
    keepNewest(map, 2);
    expect([...map.keys()]).toEqual(['c', 'd']);
  });

  it('leaves a map as it is that is within its bound', () => {
    const map = mapOf('a', 'b');
    keepNewest(map, 2);
    keepNewest(map, 3);
    expect([...map]).toEqual([
      ['a', 0],
      ['b', 1],
    ]);
  });

  it('takes what was set anew at its old place for old, and what was deleted before for new', () => {
    const map = mapOf('a', 'b', 'c');
    map.set('a', 9);
    map.delete('b');
    map.set('b', 9);
    keepNewest(map, 2);
    expect([...map.keys()]).toEqual(['c', 'b']);
  });

  it('can keep nothing at all', () => {
    const map = mapOf('a', 'b');
    keepNewest(map, 0);
    expect(map.size).toBe(0);
  });
});
