import { describe, expect, it } from 'vitest';
import { POLICY_NAMES, policyNamed } from '../../../node/scheduler/policies.ts';
import type { RoutingPolicy } from '../../../node/scheduler/policy.ts';
import { IDLE, offer, PROFILE, peer, request, snapshot } from './builders.ts';

const PUBLISHED = POLICY_NAMES.filter((name) => name !== 'weft');

function named(name: string): RoutingPolicy {
  const policy = policyNamed(name);
  if (policy === undefined) throw new RangeError(name);
  return policy;
}

/** Draws that go round. */
function draws(...values: number[]): () => number {
  let at = 0;
  return () => values[at++ % values.length] ?? 0;
}

const nodes = (...calls: number[]) =>
  calls.map((callsInFlight, index) =>
    peer(`n${index}`, { callsInFlight, load: { ...IDLE, requestsInFlight: callsInFlight } }),
  );

const chosen = (policy: RoutingPolicy, peers: ReturnType<typeof nodes>, random = draws(0)): string =>
  policy.choose(request(), snapshot({ peers }), random).node;

describe('policies by name', () => {
  it('has Weft’s and five published ones, and no others', () => {
    expect(POLICY_NAMES).toEqual(['weft', 'round-robin', 'random', 'least-connections', 'power-of-two', 'prequal']);
    for (const name of POLICY_NAMES) expect(policyNamed(name)?.name).toBe(name);
    expect(policyNamed('best')).toBeUndefined();
    expect(policyNamed('toString')).toBeUndefined();
  });

  it.each(PUBLISHED)('%s makes a plan with its name, prices and the others, among capable nodes only', (name) => {
    const peers = [...nodes(0, 0), peer('gone', { state: 'gone' }), peer('none', { offers: [] })];
    const plan = named(name).choose(request(), snapshot({ peers }), draws(0.3, 0.9));
    expect(['n0', 'n1']).toContain(plan.node);
    expect(plan).toMatchObject({ kind: 'remote', policy: name, price: { computeMs: 130 } });
    expect(plan.withinMs).toBeUndefined();
    expect(plan.others).toHaveLength(1);
    expect(plan.rejected).toHaveLength(3);
  });

  it.each(PUBLISHED)('%s fails where nobody can', (name) => {
    expect(() => named(name).choose(request(), snapshot({ peers: [peer('x', { offers: [] })] }), draws(0))).toThrow(
      expect.objectContaining({ code: 'no_capable_node' }),
    );
  });
});

describe('round-robin', () => {
  it('goes through all by id, whoever comes and goes, and each has its own turn', () => {
    const policy = named('round-robin');
    const peers = nodes(0, 0, 0);
    expect([1, 2, 3, 4].map(() => chosen(policy, peers))).toEqual(['n0', 'n1', 'n2', 'n0']);
    expect(chosen(policy, peers.slice(2))).toBe('n2');
    expect(chosen(policy, peers.toReversed())).toBe('n0');
    expect(chosen(named('round-robin'), peers)).toBe('n0');
  });
});

describe('random', () => {
  it('goes where the draw says', () => {
    const peers = nodes(0, 0, 0);
    expect([0, 0.4, 0.9, 0.999999].map((value) => chosen(named('random'), peers, draws(value)))).toEqual([
      'n0',
      'n1',
      'n2',
      'n2',
    ]);
  });
});

describe('least connections', () => {
  it('takes the one with the fewest calls from here, this node by what runs on it', () => {
    expect(chosen(named('least-connections'), nodes(3, 1, 2))).toBe('n1');
    const self = { offers: [offer()], load: { ...IDLE, requestsInFlight: 5 } };
    const plan = named('least-connections').choose(request(), snapshot({ self, peers: nodes(3, 4) }), draws(0));
    expect(plan.node).toBe('n0');
  });

  it('draws among equals, each as likely', () => {
    const policy = named('least-connections');
    let state = 1;
    const random = (): number => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    const times = new Map<string, number>();
    for (let run = 0; run < 3_000; run++) {
      const node = chosen(policy, nodes(1, 0, 0, 0), random);
      times.set(node, (times.get(node) ?? 0) + 1);
    }
    expect([...times.keys()].sort()).toEqual(['n1', 'n2', 'n3']);
    for (const count of times.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });
});

describe('power of two choices', () => {
  it('takes the less busy of two that it draws, never the same one twice', () => {
    const policy = named('power-of-two');
    expect(chosen(policy, nodes(5, 1, 0), draws(0, 0))).toBe('n1');
    expect(chosen(policy, nodes(0, 1, 5), draws(0.9, 0.9))).toBe('n1');
    expect(chosen(policy, nodes(7), draws(0.5))).toBe('n0');
  });
});

describe('prequal', () => {
  const loaded = (node: string, requestsInFlight: number, queuedMs: number) =>
    peer(node, { load: { ...IDLE, requestsInFlight, queuedMs } });

  it('takes the cold probe that is soonest', () => {
    const peers = [loaded('a', 1, 50), loaded('b', 1, 5), loaded('c', 1, 80)];
    expect(chosen(named('prequal'), peers, draws(0.1, 0.5, 0.9))).toBe('b');
  });

  it('passes over a hot probe however soon it is', () => {
    const fast = offer({ profile: { ...PROFILE, decodeMs: 0.1, perTokenMs: 0.1 } });
    const hot = peer('hot', { offers: [fast], load: { ...IDLE, requestsInFlight: 30 } });
    const cold = Array.from({ length: 9 }, (_, index) => loaded(`cold${index}`, 1, 50 + index));
    const policy = named('prequal');
    const random = draws(...Array.from({ length: 10 }, (_, index) => (index + 0.5) / 10));
    // Every node was probed before.
    for (let run = 0; run < 10; run++) chosen(policy, [hot, ...cold], random);
    const peers = [hot, ...cold];
    const seen = new Set(Array.from({ length: 12 }, () => chosen(policy, peers, random)));
    expect(seen.has('hot')).toBe(false);
  });

  it('counts what it has sent to a node until it probes it again, and uses no probe for ever', () => {
    const peers = [loaded('a', 0, 0), loaded('b', 0, 1)];
    const policy = named('prequal');
    const seen = Array.from({ length: 40 }, (_, run) => chosen(policy, peers, draws(run % 2 === 0 ? 0.1 : 0.9)));
    expect(new Set(seen)).toEqual(new Set(['a', 'b']));
  });

  it('forgets nodes that are gone', () => {
    const policy = named('prequal');
    expect(chosen(policy, nodes(0, 0), draws(0.1))).toBe('n0');
    expect(chosen(policy, nodes(0, 0).slice(1), draws(0.1))).toBe('n1');
  });
});
