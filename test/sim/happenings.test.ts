import { describe, expect, it } from 'vitest';
import { Draws } from './draws.ts';
import { GroupState } from './happenings.ts';
import { scenarioNamed } from './scenarios.ts';

const group = scenarioNamed('noisy-neighbour').groups[1];
if (group === undefined) throw new Error('noisy-neighbour has lost its cloud');
const nodes = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const slow = { atS: 1, type: 'slow', group: 'cloud', count: 3 } as const;

describe('whom events meet', () => {
  it('gives their speed back to the nodes that lost it', () => {
    const state = new GroupState(group, nodes);
    const draws = new Draws(1, 'events');
    for (let time = 0; time < 20; time++) {
      const slowed = state.met({ ...slow, speed: 0.1 }, draws);
      expect(new Set(slowed).size).toBe(3);
      expect(new Set(state.met({ ...slow, speed: 1 }, draws))).toEqual(new Set(slowed));
    }
  });

  it('is chosen by the draws', () => {
    const met = (seed: number): readonly string[] =>
      new GroupState(group, nodes).met({ ...slow, speed: 0.1 }, new Draws(seed, 'events'));
    expect(met(1)).toEqual(met(1));
    expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => met(seed).join())).size).toBeGreaterThan(1);
  });

  it('kills nobody twice, and those who joined too', () => {
    const state = new GroupState(group, nodes);
    state.joined('i');
    const draws = new Draws(7, 'events');
    const kill = { atS: 1, type: 'kill', group: 'cloud', count: 2 } as const;
    const gone = Array.from({ length: 6 }, () => state.met(kill, draws)).flat();
    expect(gone.sort()).toEqual([...nodes, 'i']);
  });
});
