import { describe, expect, it } from 'vitest';
import { Draws } from './draws.ts';

const COUNT = 100_000;
const many = (draw: () => number): number[] => Array.from({ length: COUNT }, draw);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('seeded draws', () => {
  it('repeat with their seed and stream, and differ with either', () => {
    const first = (seed: number, stream: string): number => new Draws(seed, stream).next();
    expect(first(1, 'a')).toBe(first(1, 'a'));
    expect(new Set([first(1, 'a'), first(2, 'a'), first(1, 'b'), first(2 ** 40 + 1, 'a')]).size).toBe(4);
  });

  it('are uniform, and those of neighbouring seeds have nothing to do with each other', () => {
    const [one, two] = [new Draws(1, 'a'), new Draws(2, 'a')];
    const pairs = Array.from({ length: COUNT }, () => [one.next(), two.next()] as const);
    expect(mean(pairs.map(([a]) => a))).toBeCloseTo(0.5, 2);
    for (const [a] of pairs) expect(a >= 0 && a < 1).toBe(true);
    expect(mean(pairs.map(([a, b]) => (a - 0.5) * (b - 0.5))) * 12).toBeCloseTo(0, 1);
  });

  it('have the mean and the spread that are asked for', () => {
    const draws = new Draws(3, 'a');
    expect(mean(many(() => draws.exponential(7))) / 7).toBeCloseTo(1, 1);
    const logs = many(() => Math.log(draws.lognormal(50, 0.5)));
    expect(mean(logs)).toBeCloseTo(Math.log(50), 1);
    expect(mean(logs.map((log) => (log - Math.log(50)) ** 2))).toBeCloseTo(0.25, 1);
  });

  it('take a sample without repeating anyone', () => {
    const draws = new Draws(4, 'a');
    expect(draws.sample([1, 2, 3], 5).sort()).toEqual([1, 2, 3]);
    expect(draws.sample([1, 2, 3], 2)).toHaveLength(2);
    expect(() => draws.pick([])).toThrow(RangeError);
  });
});
