import { describe, expect, it } from 'vitest';
import { type Arrival, arrivalsOf } from './arrivals.ts';
import { scenarioNamed } from './scenarios.ts';

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const all = (name: string, seed: number): Arrival[] => [...arrivalsOf(scenarioNamed(name), seed)];

describe('arrivals', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(all('burst', 1)).toEqual(all('burst', 1));
    expect(all('burst', 1)[0]).not.toEqual(all('burst', 2)[0]);
  });

  it('come in order, as often as each interval says', () => {
    const arrivals = [1, 2, 3, 4, 5].map((seed) => all('burst', seed));
    for (const run of arrivals) {
      expect(run.every(({ atMs }, index) => index === 0 || atMs >= (run[index - 1]?.atMs ?? 0))).toBe(true);
      expect(run.at(-1)?.atMs).toBeLessThan(120_000);
    }
    const within = (fromS: number, toS: number): number =>
      arrivals.flat().filter(({ atMs }) => atMs >= fromS * 1_000 && atMs < toS * 1_000).length / (toS - fromS) / 5;
    // Five standard deviations of a Poisson count.
    const near = (rps: number, seconds: number): [number, number] => {
      const spread = 5 * Math.sqrt(rps / (5 * seconds));
      return [rps - spread, rps + spread];
    };
    for (const [fromS, toS, rps] of [
      [0, 40, 33.33],
      [40, 55, 99.99],
      [55, 120, 33.33],
    ] as const) {
      const [low, high] = near(rps, toS - fromS);
      expect(within(fromS, toS)).toBeGreaterThan(low);
      expect(within(fromS, toS)).toBeLessThan(high);
    }
  });

  it('have the shares, the work and the entries of the scenario', () => {
    const mixed = all('cold-models', 3);
    const share = (model: string): number => mixed.filter((one) => one.model === model).length / mixed.length;
    expect(share('embed')).toBeCloseTo(0.6, 1);
    expect(share('chat')).toBeCloseTo(0.2, 1);

    const logs = all('heavy-tail', 1).map(({ workMs }) => Math.log(workMs));
    expect(mean(logs)).toBeCloseTo(Math.log(60), 1);
    expect(Math.sqrt(mean(logs.map((log) => (log - mean(logs)) ** 2)))).toBeCloseTo(1.4, 1);

    const entries = all('four-entries', 1).map(({ entry }) => entry);
    for (let entry = 0; entry < 4; entry++) {
      expect(entries.filter((one) => one === entry).length / entries.length).toBeCloseTo(0.25, 2);
    }
  });
});
