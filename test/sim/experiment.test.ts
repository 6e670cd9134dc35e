import { describe, expect, it } from 'vitest';
import { type Arrival, arrivalsOf } from './arrivals.ts';
import { ORACLE, runScenario } from './experiment.ts';
import { scenarioNamed } from './scenarios.ts';
import type { World } from './world.ts';

const UNTIL_S = 10;

describe('an experiment', () => {
  it.each(['weft', 'round-robin', ORACLE])('gives %s every request of the seed, once', async (policy) => {
    const scenario = scenarioNamed('cold-models');
    const met: Arrival[] = [];
    const { requests, failed } = await runScenario(scenario, 3, policy, {
      untilS: UNTIL_S,
      onOutcome: (arrival) => met.push(arrival),
    });
    const expected = [...arrivalsOf(scenario, 3)].filter(({ atMs }) => atMs < UNTIL_S * 1_000);
    expect(met.toSorted((a, b) => a.atMs - b.atMs)).toEqual(expected);
    expect({ requests, failed }).toEqual({ requests: expected.length, failed: 0 });
  });

  it('repeats itself to the last event', async () => {
    const hash = async (seed: number): Promise<string | undefined> => {
      let world: World | undefined;
      const watch = (it: World): void => {
        world = it;
      };
      await runScenario(scenarioNamed('four-entries'), seed, 'weft', { untilS: 1, watch });
      return world?.eventHash;
    };
    expect(await hash(1)).toBe(await hash(1));
    expect(await hash(1)).not.toBe(await hash(2));
  });

  it('has the oracle ahead of what knows nothing', async () => {
    const scenario = scenarioNamed('near-weak-far-strong');
    const oracle = await runScenario(scenario, 1, ORACLE, { untilS: UNTIL_S });
    const random = await runScenario(scenario, 1, 'random', { untilS: UNTIL_S });
    expect(oracle.p99).toBeLessThan(random.p99);
  });

  it('lets the events of a scenario happen', async () => {
    let faults = 0;
    await runScenario(scenarioNamed('noisy-neighbour'), 1, 'least-connections', {
      untilS: 31,
      watch: (world) =>
        world.onEvent((kind) => {
          if (kind === 'fault') faults++;
        }),
    });
    expect(faults).toBeGreaterThanOrEqual(6);
  });

  it('knows its policies', async () => {
    await expect(runScenario(scenarioNamed('burst'), 1, 'guess')).rejects.toThrow('There is no policy guess.');
  });
});
