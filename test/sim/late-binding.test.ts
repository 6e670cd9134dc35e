// Requests wait where they came from while all nodes are busy: none is behind a long one while another node is idle.
import { describe, expect, it } from 'vitest';
import type { RoutingPolicy } from '../../node/scheduler/policy.ts';
import { weftPolicy } from '../../node/scheduler/weft-policy.ts';
import { Draws } from './draws.ts';
import { type SimModel, type SimNodeSpec, World } from './world.ts';

const HEAVY: SimModel = {
  id: 'heavy',
  workMs: { median: 60, sigma: 1.4 },
  inBytes: 4_000,
  outBytes: 4_000,
  loadMs: 600,
  memoryMb: 400,
};
const NODES = 4;
const REQUESTS = 600;
/** Before them it isn't known how widely this work spreads. */
const FIRST = 200;
const RPS = 20;

const node = (name: string, changes: Partial<SimNodeSpec> = {}): SimNodeSpec => ({
  name,
  speed: 1,
  slots: 1,
  rttMs: [1, 4],
  mbit: 1_000,
  memoryMb: 4_000,
  loaded: [HEAVY.id],
  disk: [],
  ...changes,
});

/** Milliseconds of every request, longest first, and what they would take with one queue for all nodes. */
async function latencies(seed: number, policy: RoutingPolicy): Promise<{ weft: number[]; queue: number[] }> {
  const world = new World({ seed, models: [HEAVY], policy: () => policy, hedgeShare: 0 });
  world.addEntry(node('entry', { loaded: [], rttMs: [0, 0] }));
  for (let index = 0; index < NODES; index++) world.addNode(node(`node-${index}`));
  const draws = new Draws(seed, 'late binding');
  const weft: number[] = [];
  const queue: number[] = [];
  const freeMs = new Float64Array(NODES);
  let atMs = 0;
  for (let request = 0; request < REQUESTS; request++) {
    atMs += draws.exponential(1_000 / RPS);
    const workMs = draws.lognormal(HEAVY.workMs.median, HEAVY.workMs.sigma);
    const first = freeMs.indexOf(Math.min(...freeMs));
    const endMs = Math.max(atMs, freeMs[first] ?? 0) + workMs;
    freeMs[first] = endMs;
    if (request >= FIRST) queue.push(endMs - atMs);
    world.clock.after(atMs, () => {
      void world.submit('entry', HEAVY.id, workMs).then(({ ok, latencyMs }) => {
        if (request >= FIRST) weft.push(ok ? latencyMs : Number.POSITIVE_INFINITY);
      });
    });
  }
  await world.clock.run(atMs + 600_000);
  const descending = (values: number[]): number[] => values.toSorted((a, b) => b - a);
  return { weft: descending(weft), queue: descending(queue) };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('late binding', () => {
  const over = async (policy: RoutingPolicy): Promise<number> => {
    const ratios: number[] = [];
    for (const seed of [1, 2, 3, 4, 5]) {
      const { weft, queue } = await latencies(seed, policy);
      expect(weft).toHaveLength(REQUESTS - FIRST);
      ratios.push(mean(weft) / mean(queue));
    }
    return mean(ratios);
  };

  it('comes near one queue for all nodes, whatever nobody knows of service times', async () => {
    expect(await over(weftPolicy)).toBeLessThan(1.15);
  });

  it('is what does it: requests that are bound at once end up behind long ones', async () => {
    expect(await over({ ...weftPolicy, bindsLate: false })).toBeGreaterThan(1.2);
  });
});
