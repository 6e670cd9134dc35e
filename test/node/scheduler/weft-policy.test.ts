import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import {
  CONDITION_CANDIDATES_MAX,
  HOT_DETOUR_SHARE,
  OTHERS_MAX,
  REJECTIONS_MAX,
  RISK_DEVIATIONS,
  SPREAD_UNKNOWN,
} from '../../../node/scheduler/limits.ts';
import type { Corrections, PlacementRequest, Snapshot } from '../../../node/scheduler/snapshot.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import type { Advert, ModelOffer } from '../../../protocol/capability.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { Price, WholePlan } from '../../../protocol/plan.ts';
import { runs } from '../../support/property.ts';
import { IDLE, MINILM, offer, PROFILE, peer, request, SMOL, snapshot, UNMEASURED } from './builders.ts';

/** The same of each node and model. */
function corrections(nodes: Readonly<Record<string, number>>, spread?: number): Corrections {
  return {
    compute: (node) => nodes[node] ?? 1,
    samples: (node) => (nodes[node] === undefined ? 0 : 9),
    ...(spread === undefined ? {} : { spread: () => spread }),
  };
}

const choose = (asked: PlacementRequest, given: Snapshot): WholePlan => weftPolicy.choose(asked, given, () => 0);

const fast = offer({ profile: { ...PROFILE, decodeMs: 1, perTokenMs: 0.1 } });

describe('the choice', () => {
  it('works here when nobody else offers the model', () => {
    const plan = choose(request(), snapshot({ self: { offers: [offer()] }, peers: [peer('a', { offers: [] })] }));
    expect(plan).toMatchObject({ kind: 'local', node: 'self', others: [] });
    expect(plan.rejected).toEqual([{ node: 'a', reason: 'does not offer this model' }]);
  });

  it('tells of those that offer nothing why they do, as far as they say', () => {
    const saying = (node: string, yields: Advert['yields'], state: PeerRecord['state'] = 'connected'): PeerRecord => {
      const record = peer(node, { offers: [] });
      return { ...record, state, advert: { ...record.advert, ...(yields === undefined ? {} : { yields }) } };
    };
    const peers = [saying('a', ['owner', 'paused']), saying('b', ['unlent']), saying('c', ['owner'])];
    const plan = choose(
      request(),
      snapshot({ self: { offers: [offer()] }, peers: [...peers, saying('d', ['paused'], 'gone')] }),
    );
    expect(plan.rejected).toEqual([
      { node: 'a', reason: 'computes for nobody else now: its owner has paused sharing' },
      { node: 'b', reason: 'computes for nobody else: its owner lends it to nobody' },
      { node: 'c', reason: 'does not offer this model' },
      { node: 'd', reason: 'does not offer this model' },
    ]);
    expect(() => choose(request(), snapshot({ peers }))).toThrow(
      expect.objectContaining({
        facts: expect.objectContaining({ rejected: expect.stringContaining('paused sharing') }),
      }),
    );
  });

  it('works here when the price there is the same but for the link', () => {
    const plan = choose(request(), snapshot({ self: { offers: [offer()] }, peers: [peer('a')] }));
    expect(plan).toMatchObject({ kind: 'local', node: 'self' });
    expect(plan.others.map((candidate) => candidate.node)).toEqual(['a']);
  });

  it('goes to a faster peer, and says what here would have cost', () => {
    const plan = choose(request(), snapshot({ self: { offers: [offer()] }, peers: [peer('a', { offers: [fast] })] }));
    expect(plan).toMatchObject({ kind: 'remote', node: 'a', price: { upMs: 1.0008, computeMs: 22, downMs: 1 } });
    expect(plan.others).toEqual([expect.objectContaining({ node: 'self', samples: 20 })]);
    expect(plan.others[0]?.price.totalMs).toBe(130);
  });

  it('leaves a faster peer that has a queue', () => {
    const busy = peer('a', { offers: [fast], load: { ...IDLE, queuedMs: 500 } });
    expect(choose(request(), snapshot({ self: { offers: [offer()] }, peers: [busy] })).kind).toBe('local');
  });

  it('counts calls that a peer has not spoken of yet as waiting there', () => {
    const busy = peer('a', { offers: [fast], callsInFlight: 6, load: { ...IDLE, latencyMs: 22 } });
    expect(choose(request(), snapshot({ self: { offers: [offer()] }, peers: [busy] })).kind).toBe('local');
  });

  it('prefers a loaded model to a cold one of the same speed', () => {
    const peers = [peer('a', { offers: [offer({ state: 'disk' })] }), peer('b')];
    const plan = choose(request(), snapshot({ peers }));
    expect(plan.node).toBe('b');
    expect(plan.others[0]?.price.loadMs).toBe(PROFILE.loadMs);
  });

  it('weighs embeddings by the bytes that come back', () => {
    const encoder = offer({ model: MINILM, dimensions: 384, state: 'loaded' });
    const thin = { rttMs: 2, rttFloorMs: 2, goodputBytesPerSecond: 1e6, path: 'direct' as const };
    const plan = choose(
      request({ model: MINILM, answerRows: 1000, outputTokens: 0 }),
      snapshot({ peers: [peer('a', { offers: [encoder], link: thin }), peer('b', { offers: [encoder] })] }),
    );
    expect(plan.node).toBe('b');
    expect(plan.others[0]?.price.downMs).toBeCloseTo(1 + 1536);
  });

  it('prices a node without samples above the slowest that has some, and tries it when a request explores', () => {
    const slow = offer({ profile: { ...PROFILE, decodeMs: 50 } });
    const peers = [peer('a', { offers: [slow] }), peer('new', { offers: [offer({ profile: UNMEASURED })] })];
    const usual = choose(request(), snapshot({ self: { offers: [offer()] }, peers }));
    expect(usual.node).toBe('self');
    expect(usual.others.map((candidate) => candidate.node)).toEqual(['a', 'new']);
    expect(choose(request({ explore: true }), snapshot({ self: { offers: [offer()] }, peers })).node).toBe('new');
  });

  it('tries a node without samples once the others have long queues', () => {
    const peers = [peer('new', { offers: [offer({ profile: UNMEASURED })] })];
    const self = { offers: [offer()], load: { ...IDLE, queuedMs: 2_000 } };
    expect(choose(request(), snapshot({ self, peers })).node).toBe('new');
  });

  it('takes defaults for a link that was never measured', () => {
    const unknown = { rttMs: undefined, rttFloorMs: undefined, goodputBytesPerSecond: undefined, path: undefined };
    const plan = choose(request({ requestBytes: 12_500 }), snapshot({ peers: [peer('a', { link: unknown })] }));
    expect(plan.price).toMatchObject({ upMs: 26, downMs: 25 });
  });

  it('names every node that cannot, with its reason', () => {
    const excluded = new Map([['e', 'excluded after failure (peer_lost)']]);
    const peers = [
      peer('q', { offers: [offer({ state: 'quarantined' })] }),
      peer('g', { state: 'gone' }),
      peer('e'),
      peer('n', { offers: [] }),
      peer('o', { offers: [offer({ model: { ...SMOL, digest: `sha256:${'c'.repeat(64)}` } })] }),
    ];
    let thrown: unknown;
    try {
      choose(request({ excluded }), snapshot({ peers }));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(WeftError);
    expect(thrown).toMatchObject({ code: 'no_capable_node', status: 503, facts: { model: SMOL.id } });
    expect((thrown as WeftError).facts.rejected).toBe(
      'name of q: quarantined: its runner died repeatedly with this model; name of g: gone: not connected; ' +
        'name of e: excluded after failure (peer_lost); name of o: offers other bytes under this name; ' +
        'this node: does not offer this model; name of n: does not offer this model',
    );
  });

  it('asks a suspect or lately failed node only when there is no other', () => {
    const suspect = peer('s', { offers: [fast], state: 'suspect' });
    const failed = peer('f', { offers: [fast] });
    const avoided = new Map([['f', 'failed a moment ago (peer_lost)']]);
    const plan = choose(request(), snapshot({ peers: [suspect, failed, peer('ok')], avoided }));
    expect(plan.node).toBe('ok');
    expect(plan.others).toEqual([]);
    expect(plan.rejected).toContainEqual({ node: 's', reason: 'suspect: overdue; asked only in need' });
    expect(plan.rejected).toContainEqual({ node: 'f', reason: 'failed a moment ago (peer_lost); asked only in need' });
    expect(choose(request(), snapshot({ peers: [suspect] })).node).toBe('s');
    expect(choose(request(), snapshot({ peers: [failed], avoided })).node).toBe('f');
  });

  it('is not led by figures that are no numbers', () => {
    const liar = { fixedMs: Number.NaN, perTokenMs: -1e9, decodeMs: -5, loadMs: Number.NaN, samples: 9 };
    const lies = { ...IDLE, queuedMs: Number.NEGATIVE_INFINITY };
    const peers = [peer('liar', { offers: [offer({ profile: liar })], load: lies }), peer('honest')];
    const plan = choose(request(), snapshot({ peers }));
    expect(plan.node).toBe('honest');
    expect(plan.others[0]?.price.totalMs).toBeGreaterThan(1e9);
  });
});

describe('the choice, by what was measured from here', () => {
  const boast = offer({ profile: { ...PROFILE, fixedMs: 0, perTokenMs: 0.01, decodeMs: 0.01 } });

  it('believes measurements rather than a boast', () => {
    const peers = [peer('liar', { offers: [boast] }), peer('honest')];
    expect(choose(request(), snapshot({ peers })).node).toBe('liar');
    const known = corrections({ liar: 5_000, honest: 1 });
    const plan = choose(request(), snapshot({ peers, corrections: known }));
    expect(plan).toMatchObject({ node: 'honest', correction: 1, samples: 20 });
    expect(plan.others[0]).toMatchObject({ node: 'liar', correction: 5_000 });
  });

  it('asks in one look-up where it can', () => {
    const peers = [peer('liar', { offers: [boast] }), peer('honest')];
    const asked: string[] = [];
    const known: Corrections = {
      compute: () => Number.NaN,
      samples: () => Number.NaN,
      forModel: (digest) => {
        asked.push(digest);
        return new Map([['liar', { factor: 5_000, samples: 3 }]]);
      },
    };
    expect(choose(request(), snapshot({ peers, corrections: known })).node).toBe('honest');
    expect(asked).toEqual([SMOL.digest]);
  });

  it('leaves a boaster that was never measured after its first calls, and without measuring does not', () => {
    const self = { offers: [offer()] };
    const peers = (callsInFlight: number) => [
      peer('liar', { offers: [boast], callsInFlight, load: { ...IDLE, requestsInFlight: callsInFlight } }),
    ];
    const known = corrections({});
    expect(choose(request(), snapshot({ self, peers: peers(0), corrections: known })).node).toBe('liar');
    expect(choose(request(), snapshot({ self, peers: peers(1), corrections: known })).node).toBe('self');
    // The attack succeeds where nothing is measured.
    expect(choose(request(), snapshot({ self, peers: peers(50) })).node).toBe('liar');
  });

  it('takes no price for a number that is none, however it is said', () => {
    const self = { offers: [offer()] };
    for (const absurd of [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300, Number.NEGATIVE_INFINITY, 0]) {
      const profile = { fixedMs: absurd, perTokenMs: absurd, decodeMs: absurd, loadMs: absurd, samples: 9 };
      const load = { requestsInFlight: absurd, queuedMs: absurd, latencyMs: absurd, memoryFreeBytes: absurd };
      const liar = peer('liar', {
        offers: [offer({ profile, dimensions: absurd, sizeBytes: absurd })],
        load,
        heardAgoMs: absurd,
        link: { rttMs: absurd, rttFloorMs: absurd, goodputBytesPerSecond: absurd, path: 'direct' },
      });
      const known = { ...corrections({ liar: absurd }), spread: () => absurd };
      const plan = choose(
        request({ quoted: new Map([['other', absurd]]), cached: new Map([['liar', absurd]]) }),
        snapshot({ self, peers: [liar, peer('other')], corrections: known }),
      );
      for (const { totalMs } of [plan.price, ...plan.others.map(({ price }) => price)]) {
        expect(totalMs).toBeGreaterThan(0);
        expect(totalMs).toBeLessThan(Number.POSITIVE_INFINITY);
      }
    }
  });

  it('takes nodes for equals that differ by no more than chance, and for unequal ones that differ by more', () => {
    const peers = [
      peer('lucky', { offers: [offer({ profile: { ...PROFILE, decodeMs: 9 } })], load: { ...IDLE, queuedMs: 8 } }),
      peer('idle'),
    ];
    expect(choose(request(), snapshot({ peers, corrections: corrections({}, 0.3) })).node).toBe('idle');
    expect(choose(request(), snapshot({ peers, corrections: corrections({}, 0.01) })).node).toBe('lucky');
  });

  it('prefers the surer of two that are predicted to take as long', () => {
    const brisk = offer({ profile: { ...PROFILE, decodeMs: 4, perTokenMs: 0.4 } });
    const peers = [
      peer('queued', { offers: [brisk], load: { ...IDLE, requestsInFlight: 1, queuedMs: 62 } }),
      peer('idle'),
    ];
    const plan = choose(request(), snapshot({ peers }));
    expect(plan.node).toBe('idle');
    expect(plan.others[0]?.price.totalMs).toBeLessThan(plan.price.totalMs);
  });

  it('expects a longer wait behind a late request, the wider their times spread', () => {
    const peers = [
      peer('busy', {
        offers: [fast],
        callsInFlight: 1,
        heardAgoMs: 60,
        load: { ...IDLE, requestsInFlight: 1, queuedMs: 22 },
      }),
      peer('idle', { offers: [offer({ profile: { ...PROFILE, decodeMs: 2, perTokenMs: 0.2 } })] }),
    ];
    const within = (spread: number) => choose(request(), snapshot({ peers, corrections: corrections({}, spread) }));
    expect(within(0.1).node).toBe('busy');
    expect(within(1.4).node).toBe('idle');
  });
});

describe('the choice, by what else is known of the request', () => {
  it('takes a quote for what queue, load and computing take together', () => {
    const peers = [peer('a'), peer('b', { load: { ...IDLE, queuedMs: 30 } })];
    const plan = choose(request({ quoted: new Map([['a', 500]]) }), snapshot({ peers }));
    expect(plan.node).toBe('b');
    expect(plan.others[0]?.price).toMatchObject({ queueMs: 370, computeMs: 130, totalMs: 502.0008 });
  });

  it('prefers the node that holds the beginning, unless its queue outweighs that', () => {
    const cached = new Map([['holder', 400]]);
    const busy = (queuedMs: number) => [peer('holder', { load: { ...IDLE, queuedMs } }), peer('other')];
    const asked = request({ inputTokens: 450, cached });
    const plan = choose(asked, snapshot({ peers: busy(0) }));
    expect(plan).toMatchObject({ node: 'holder', price: { computeMs: 160 } });
    expect(choose(asked, snapshot({ peers: busy(1_000) })).node).toBe('other');
  });

  it('counts the bytes of calls that are still on their way, on a thin link', () => {
    const link = { rttMs: 2, rttFloorMs: 2, goodputBytesPerSecond: 1e6, path: 'direct' as const };
    const peers = [peer('near', { link, callsInFlight: 3 }), peer('far', { link: { ...link, rttMs: 600 } })];
    expect(choose(request({ requestBytes: 300_000 }), snapshot({ peers })).node).toBe('far');
    expect(
      choose(request({ requestBytes: 300 }), snapshot({ peers: [peer('near', { link }), peers[1] as never] })).node,
    ).toBe('near');
  });
});

describe('the condition', () => {
  const alike = [peer('a'), peer('b', { load: { ...IDLE, queuedMs: 40 } })];

  it('lets the executor decline where the next best would clearly be sooner', () => {
    const plan = choose(request(), snapshot({ peers: alike }));
    const next = (plan.others[0]?.price.totalMs ?? 0) - 2;
    expect(plan.node).toBe('a');
    expect(plan.withinMs).toBeGreaterThan(next);
    expect(plan.withinMs).toBeLessThan(next * 1.2);
  });

  it('is in the figures of the executor, which knows of no correction', () => {
    const known = corrections({ a: 2, b: 2 }, 0.01);
    const plan = choose(request(), snapshot({ peers: alike, corrections: known }));
    const next = (plan.others[0]?.price.totalMs ?? 0) - 2 - 130;
    expect(plan.price.computeMs).toBe(260);
    expect(plan.withinMs).toBeGreaterThan(next);
    expect(plan.withinMs).toBeLessThan(next * 1.2);
  });

  it('is none for the last one, for this node, for one that has quoted, and among very many', () => {
    expect(choose(request(), snapshot({ peers: [peer('a')] })).withinMs).toBeUndefined();
    const self = { offers: [fast] };
    expect(choose(request(), snapshot({ self, peers: alike })).withinMs).toBeUndefined();
    const quoted = new Map([['a', 131]]);
    expect(choose(request({ quoted }), snapshot({ peers: alike }))).toMatchObject({ node: 'a' });
    expect(choose(request({ quoted }), snapshot({ peers: alike })).withinMs).toBeUndefined();
    const many = Array.from({ length: CONDITION_CANDIDATES_MAX + 1 }, (_, index) => peer(`n${index}`));
    expect(choose(request(), snapshot({ peers: many })).withinMs).toBeUndefined();
    expect(choose(request(), snapshot({ peers: many.slice(1) })).withinMs).toBeGreaterThan(0);
  });
});

describe('hot and cold', () => {
  const pool = (hot: Partial<Parameters<typeof peer>[1]>) => [
    peer('a', { load: { ...IDLE, requestsInFlight: 9 }, ...hot }),
    ...Array.from({ length: 8 }, (_, index) =>
      peer(`cold${index}`, { link: { rttMs: 6, rttFloorMs: 6, goodputBytesPerSecond: 100e6, path: 'direct' } }),
    ),
  ];

  it('passes over the best where it has the most in flight and a cold one is nearly as good', () => {
    expect(choose(request(), snapshot({ peers: pool({}) })).node).toBe('cold0');
    expect(choose(request(), snapshot({ peers: pool({ load: IDLE }) })).node).toBe('a');
  });

  it('does not pass over a far better one: the strong always have the most in flight', () => {
    expect(choose(request(), snapshot({ peers: pool({ offers: [fast] }) })).node).toBe('a');
  });

  it('has nobody hot where all have as much in flight', () => {
    const peers = ['a', 'b', 'c'].map((node) => peer(node, { load: { ...IDLE, requestsInFlight: 7 } }));
    expect(choose(request(), snapshot({ peers })).node).toBe('a');
  });
});

const profileArbitrary = fc.record({
  fixedMs: fc.integer({ min: 0, max: 50 }),
  perTokenMs: fc.integer({ min: 0, max: 5 }),
  decodeMs: fc.integer({ min: 0, max: 20 }),
  loadMs: fc.integer({ min: 0, max: 900 }),
  samples: fc.integer({ min: 0, max: 3 }),
});
const offersArbitrary: fc.Arbitrary<ModelOffer[]> = fc.array(
  fc
    .record({
      model: fc.constantFrom(SMOL, MINILM),
      state: fc.constantFrom('disk' as const, 'loading' as const, 'loaded' as const, 'quarantined' as const),
      profile: profileArbitrary,
    })
    .map(offer),
  { maxLength: 2 },
);
const loadArbitrary = fc.record({
  requestsInFlight: fc.integer({ min: 0, max: 4 }),
  queuedMs: fc.integer({ min: 0, max: 100 }),
  latencyMs: fc.integer({ min: 0, max: 100 }),
  memoryFreeBytes: fc.constant(1e9),
});
const caseArbitrary = fc
  .record({
    self: fc.record({ offers: offersArbitrary, load: loadArbitrary }),
    peers: fc.array(
      fc.record({
        offers: offersArbitrary,
        load: loadArbitrary,
        state: fc.constantFrom('connected' as const, 'suspect' as const, 'gone' as const),
        callsInFlight: fc.integer({ min: 0, max: 5 }),
      }),
      { maxLength: 20 },
    ),
    excluded: fc.array(fc.integer({ min: 0, max: 19 }), { maxLength: 5 }),
    avoided: fc.array(fc.integer({ min: 0, max: 19 }), { maxLength: 5 }),
    explore: fc.boolean(),
  })
  .map(({ self, peers, excluded, avoided, explore }) => ({
    asked: request({ explore, excluded: new Map(excluded.map((index) => [`node${index}`, 'excluded'])) }),
    snapshot: snapshot({
      self,
      peers: peers.map((init, index) => peer(`node${index}`, init)),
      avoided: new Map(avoided.map((index) => [`node${index}`, 'failed'])),
    }),
  }));

/** As the policy compares: with what the queue may take longer. */
function scoreOf({ totalMs, queueMs, computeMs }: Price): number {
  const deviation = Math.exp(SPREAD_UNKNOWN ** 2 / 2) * Math.sqrt(Math.expm1(SPREAD_UNKNOWN ** 2));
  return totalMs + RISK_DEVIATIONS * deviation * Math.sqrt(queueMs * computeMs);
}

function chosen(asked: ReturnType<typeof request>, given: Snapshot): ReturnType<typeof choose> | undefined {
  try {
    return choose(asked, given);
  } catch (error) {
    expect(error).toMatchObject({ code: 'no_capable_node' });
    return undefined;
  }
}

describe('the choice, for any mesh', () => {
  it('chooses nearly the least price, never a rejected node, and fails only when nobody can', () => {
    fc.assert(
      fc.property(caseArbitrary, ({ asked, snapshot: given }) => {
        const plan = chosen(asked, given);
        const able = [
          { node: 'self', offers: given.self.offers, state: 'connected' },
          ...given.peers.map((entry) => ({ node: entry.advert.node, offers: entry.advert.offers, state: entry.state })),
        ].filter(
          ({ node, offers, state }) =>
            state !== 'gone' &&
            !asked.excluded.has(node) &&
            // The first offer of a digest counts.
            (offers.find((entry) => entry.model.digest === SMOL.digest)?.state ?? 'quarantined') !== 'quarantined',
        );
        if (plan === undefined) {
          expect(able).toEqual([]);
          return;
        }
        const well = able.filter(({ node, state }) => state === 'connected' && !given.avoided.has(node));
        const pool = (well.length > 0 ? well : able).map(({ node }) => node);
        expect(pool).toContain(plan.node);
        expect(plan.rejected.map(({ node }) => node)).not.toContain(plan.node);
        expect(plan.others.length).toBe(Math.min(OTHERS_MAX, pool.length - 1));
        const others = plan.others.map(({ price }) => scoreOf(price));
        const totals = [scoreOf(plan.price), ...others];
        for (const [index, score] of others.entries()) {
          expect(score).toBeGreaterThanOrEqual((others[index - 1] ?? 0) * (1 - 1e-9));
        }
        expect(scoreOf(plan.price)).toBeLessThanOrEqual(Math.min(...totals) * (1 + HOT_DETOUR_SHARE) * (1 + 1e-9));
        expect(totals.every(Number.isFinite)).toBe(true);
        expect(new Set([plan.node, ...plan.others.map(({ node }) => node)]).size).toBe(totals.length);
      }),
      runs(300),
    );
  });

  it('chooses the same whatever the order in which peers are listed', () => {
    fc.assert(
      fc.property(caseArbitrary, ({ asked, snapshot: given }) => {
        const plan = chosen(asked, given);
        expect(chosen(asked, given)).toEqual(plan);
        const turned = chosen(asked, { ...given, peers: given.peers.toReversed() });
        expect({ ...turned, rejected: [] }).toEqual({ ...plan, rejected: [] });
      }),
      runs(300),
    );
  });

  it('places a request among 1,000 peers in a few milliseconds', () => {
    const peers = Array.from({ length: 1000 }, (_, index) =>
      peer(`node${index}`, {
        offers: index % 3 === 0 ? [] : [offer({ profile: { ...PROFILE, fixedMs: 5 + ((index * 7919) % 1000) } })],
      }),
    );
    const given = snapshot({ peers });
    const times = Array.from({ length: 50 }, () => {
      const begun = performance.now();
      const plan = choose(request(), given);
      expect(plan.rejected.length).toBe(REJECTIONS_MAX);
      return performance.now() - begun;
    });
    // The median of 50: this guards against a quadratic search (50 ms and more), not against a slow machine.
    expect(times.sort((a, b) => a - b)[25]).toBeLessThan(10);
  });
});
