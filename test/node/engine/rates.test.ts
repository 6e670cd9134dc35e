// Rates that fade.
import { describe, expect, it } from 'vitest';
import { Demand, TokenRate } from '../../../node/engine/rates.ts';

describe('Demand', () => {
  it('counts requests, each half as much ten minutes later', () => {
    const demand = new Demand();
    expect(demand.at(0)).toBe(0);
    demand.add(0);
    demand.add(0);
    expect(demand.at(0)).toBe(2);
    expect(demand.at(600_000)).toBe(1);
    demand.add(600_000);
    expect(demand.at(1_200_000)).toBe(1);
  });
});

describe('TokenRate', () => {
  it('is what came over the last seconds, soon after the first token, and 0 once none comes', () => {
    const rate = new TokenRate();
    expect(rate.at(5_000)).toBe(0);
    for (let ms = 10_000; ms < 11_000; ms += 20) rate.add(1, ms);
    expect(rate.at(11_000)).toBeCloseTo(50, 0);
    for (let ms = 11_000; ms < 30_000; ms += 20) rate.add(1, ms);
    expect(rate.at(30_000)).toBeCloseTo(50, -1);
    expect(rate.at(32_000)).toBeLessThan(30);
    expect(rate.at(34_100)).toBe(0);
    rate.add(4, 90_000);
    expect(rate.at(90_000)).toBe(8);
  });

  it('adds up sequences that decode together', () => {
    const rate = new TokenRate();
    for (let ms = 0; ms < 4_000; ms += 100) for (let sequence = 0; sequence < 8; sequence++) rate.add(1, ms);
    expect(rate.at(4_000)).toBeCloseTo(80, -1);
  });
});
