// Offers with a condition: what a decline leads to, and that nobody can hold a request up, or draw it to himself, by declining.
import { describe, expect, it } from 'vitest';
import { NodeHealth } from '../../../node/dispatch/node-health.ts';
import { Quotes } from '../../../node/dispatch/quotes.ts';
import type { RoutingPolicy } from '../../../node/scheduler/policy.ts';
import type { PlacementRequest } from '../../../node/scheduler/snapshot.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { Plan } from '../../../protocol/plan.ts';
import { ManualClock } from './fakes.ts';
import { RUN, type Script, type TimedMeshInit, timedMesh } from './timed-mesh.ts';

const options = { signal: new AbortController().signal, requestId: 'req_test' };

const declines =
  (quotedMs: number, ms = 1): Script =>
  () => ({ ms, fails: 'declined', quotedMs });

/** Chooses as Weft's, and remembers what it was asked. */
function watched() {
  const asked: PlacementRequest[] = [];
  const policy: RoutingPolicy = {
    name: 'watched',
    choose(request, snapshot, random) {
      asked.push(request);
      return weftPolicy.choose(request, snapshot, random);
    },
  };
  return { asked, policy };
}

/** Sends everything to one node while it may, on a condition. */
const obstinate: RoutingPolicy = {
  name: 'obstinate',
  choose(request, snapshot, random) {
    const plan = weftPolicy.choose(request, snapshot, random);
    if (request.excluded.has('liar')) return plan;
    return { ...plan, kind: 'remote', node: 'liar', withinMs: 50 };
  },
};

/** One run, and everything that was told of it. */
async function run(init: TimedMeshInit) {
  const mesh = timedMesh({ hedgeShare: 0, ...init });
  const plans: Plan[] = [];
  const answer = await mesh.outcome(mesh.dispatcher.run(RUN, { ...options, onPlan: (plan) => plans.push(plan) }));
  expect(mesh.clock.timers).toBe(0);
  return { ...mesh, answer, plans };
}

describe('a decline', () => {
  it('brings the quote into the next placement, at once, and leaves no trace on the node', async () => {
    const { asked, policy } = watched();
    const mesh = await run({
      policy,
      nodes: { a: { claimedMs: 10, script: declines(300) }, b: { claimedMs: 40 }, self: { claimedMs: 500 } },
    });
    expect(mesh.answer).toMatchObject({ node: 'b', nodes: ['b'] });
    expect(asked.map(({ quoted }) => quoted)).toEqual([undefined, new Map([['a', 300]])]);
    expect(asked[1]?.excluded.size).toBe(0);
    expect(mesh.engine('a').options[0]?.withinMs).toBeGreaterThan(10);
    expect(mesh.telemetry.counts.get('weft_declines_total')).toBe(1);
    expect(mesh.telemetry.counts.get('weft_recoveries_total')).toBeUndefined();
    // It is asked again as soon as it is the soonest.
    mesh.engine('a').script = () => ({ ms: 10 });
    expect(await mesh.outcome(mesh.dispatcher.run(RUN, options))).toMatchObject({ node: 'a' });
  });

  it('is no plan that anybody hears of', async () => {
    const { plans } = await run({
      nodes: { a: { claimedMs: 10, script: declines(300) }, b: { claimedMs: 40 } },
    });
    expect(plans.map((plan) => plan.kind === 'remote' && plan.node)).toEqual(['b']);
  });

  it('from where it is still the soonest is followed by an offer without a condition', async () => {
    const busy =
      (ms: number): Script =>
      (_call, { withinMs }) =>
        withinMs === undefined ? { ms } : { ms: 1, fails: 'declined', quotedMs: ms };
    const mesh = await run({
      nodes: {
        a: { claimedMs: 10, script: busy(300) },
        b: { claimedMs: 40, script: busy(500) },
        c: { claimedMs: 900 },
      },
    });
    expect(mesh.answer.nodes).toEqual(['a']);
    expect(mesh.engine('a').options.map(({ withinMs }) => withinMs !== undefined)).toEqual([true, false]);
  });

  it('to an offer without a condition is a failure', async () => {
    const plain: RoutingPolicy = {
      name: 'plain',
      choose: (...asked) => ({ ...weftPolicy.choose(...asked), withinMs: undefined }),
    };
    const mesh = await run({
      policy: plain,
      nodes: { a: { claimedMs: 10, script: declines(20) }, b: { claimedMs: 40 } },
    });
    expect(mesh.answer.nodes).toEqual(['a', 'b']);
    expect(mesh.telemetry.counts.get('weft_recoveries_total')).toBe(1);
  });

  it('from everybody ends in an answer all the same', async () => {
    const busy: Script = (_call, { withinMs }) =>
      withinMs === undefined ? { ms: 200 } : { ms: 1, fails: 'declined', quotedMs: 200 };
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const nodes = Object.fromEntries(names.map((name, index) => [name, { claimedMs: 10 + index, script: busy }]));
    const mesh = await run({ nodes });
    expect(mesh.answer.nodes).toHaveLength(1);
    expect(mesh.telemetry.counts.get('weft_declines_total')).toBeLessThanOrEqual(3);
  });
});

describe('a peer that declines whatever it is offered', () => {
  const liar = { claimedMs: 1, script: declines(0) };

  it('holds no request up', async () => {
    const mesh = await run({ policy: obstinate, nodes: { liar, b: { claimedMs: 40 } } });
    expect(mesh.answer.node).toBe('b');
    expect(mesh.engine('liar').calls).toBeLessThanOrEqual(4);
  });

  it('would without the guard', async () => {
    const gullible = new Quotes(Number.POSITIVE_INFINITY);
    const error = new WeftError({ code: 'declined', message: '', facts: { quotedMs: '1000' } });
    for (let offer = 0; offer < 1_000; offer++) {
      // It grows with every condition: no word is ever broken.
      expect(gullible.add({ node: 'liar', error, withinMs: 50, tookMs: 1, linkMs: 2 })).toBe(true);
      expect(gullible.mayAsk).toBe(true);
    }
    const guarded = new Quotes();
    for (let offer = 0; offer < 3; offer++) guarded.add({ node: 'liar', error, withinMs: 50, tookMs: 1, linkMs: 2 });
    expect(guarded.mayAsk).toBe(false);
  });

  it('draws no request to itself by a quote below what it was asked for', () => {
    const quotes = new Quotes();
    const error = new WeftError({ code: 'declined', message: '', facts: { quotedMs: '0' } });
    quotes.add({ node: 'liar', error, withinMs: 50, tookMs: 1, linkMs: 2 });
    expect(quotes.quoted?.get('liar')).toBe(50);
  });

  it('is left alone after a while, though it says that it is idle, and longer each time', async () => {
    const spared = async (declinesInARowMax?: number): Promise<number> => {
      const mesh = timedMesh({
        hedgeShare: 0,
        ...(declinesInARowMax !== undefined && { declinesInARowMax }),
        nodes: { liar: { claimedMs: 1, script: declines(500) }, b: { claimedMs: 40 } },
      });
      for (let request = 0; request < 200; request++) {
        expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).node).toBe('b');
      }
      return mesh.engine('liar').calls;
    };
    expect(await spared()).toBeLessThan(60);
    // Without the guard it costs every request a round trip.
    expect(await spared(Number.POSITIVE_INFINITY)).toBe(200);
  });
});

describe('declines in a row', () => {
  it('count where the node could have known better, and not where offers crossed', () => {
    const clock = new ManualClock();
    const health = new NodeHealth({ clock }, { declinesInARowMax: 3 });
    // A burst: all were offered before the first decline was here.
    clock.advance(10);
    for (let offer = 0; offer < 20; offer++) health.declined('a', 5);
    expect(health.avoided().has('a')).toBe(false);
    for (let offer = 0; offer < 2; offer++) {
      clock.advance(10);
      health.declined('a', clock.now() - 1);
    }
    expect(health.avoided().get('a')).toBe('declined whatever it was offered');
    clock.advance(250);
    expect(health.avoided().has('a')).toBe(false);
  });

  it('are forgotten with the first request that it does', () => {
    const clock = new ManualClock();
    const health = new NodeHealth({ clock }, { declinesInARowMax: 2 });
    for (let offer = 0; offer < 10; offer++) {
      clock.advance(10);
      health.declined('a', clock.now());
      health.succeeded('a');
    }
    expect(health.avoided().has('a')).toBe(false);
  });
});

describe('a quote', () => {
  const declined = (facts: Record<string, string>) => new WeftError({ code: 'declined', message: '', facts });
  const offer = { node: 'a', withinMs: 50, tookMs: 1, linkMs: 2 };

  it.each([
    ['is missing', {}],
    ['is no number', { quotedMs: 'soon' }],
    ['is negative', { quotedMs: '-3' }],
  ])('that %s is a failure of the node', (_what, facts) => {
    expect(new Quotes().add({ ...offer, error: declined(facts) })).toBe(false);
  });

  it('that comes long after the work should have been done is one too', () => {
    expect(new Quotes().add({ ...offer, error: declined({ quotedMs: '100' }), tookMs: 5_000 })).toBe(false);
  });

  it('that its own node breaks is one too', () => {
    const quotes = new Quotes();
    expect(quotes.add({ ...offer, error: declined({ quotedMs: '80' }) })).toBe(true);
    expect(quotes.add({ ...offer, error: declined({ quotedMs: '200' }), withinMs: 60 })).toBe(true);
    expect(quotes.add({ ...offer, error: declined({ quotedMs: '900' }), withinMs: 300 })).toBe(false);
  });
});
