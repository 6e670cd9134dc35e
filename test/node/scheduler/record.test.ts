import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RECORD_NODES_MAX, RECORD_TEXT_MAX } from '../../../node/scheduler/limits.ts';
import { POLICY_NAMES, policyNamed } from '../../../node/scheduler/policies.ts';
import type { RoutingPolicy } from '../../../node/scheduler/policy.ts';
import { recordOf, replay } from '../../../node/scheduler/record.ts';
import type { PlacementRequest, Snapshot } from '../../../node/scheduler/snapshot.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import type { PlanRecord } from '../../../protocol/plan-record.ts';
import { runs } from '../../support/property.ts';
import { IDLE, MINILM, offer, PROFILE, peer, request, snapshot } from './builders.ts';

/** As it comes out of a trace. */
function kept(asked: PlacementRequest, given: Snapshot): PlanRecord {
  return JSON.parse(JSON.stringify(recordOf(asked, given))) as PlanRecord;
}

const draw = (): number => 0.4;

const world = (): Snapshot => ({
  ...snapshot({
    self: { offers: [offer()], load: { ...IDLE, requestsInFlight: 1, queuedMs: 90 } },
    peers: [
      peer('a', { load: { ...IDLE, queuedMs: 12 }, heardAgoMs: 7 }),
      peer('b', { offers: [offer({ state: 'disk' })], callsInFlight: 2 }),
      peer('s', { state: 'suspect' }),
      peer('avoided'),
      peer('unknown', {
        link: { rttMs: undefined, rttFloorMs: undefined, goodputBytesPerSecond: undefined, path: undefined },
      }),
      peer('stranger', { offers: [offer({ model: MINILM })] }),
    ],
    avoided: new Map([['avoided', 'failed a moment ago (peer_lost)']]),
  }),
  corrections: { compute: (node) => (node === 'a' ? 1.7 : 1), samples: (node) => (node === 'a' ? 4 : 0) },
});

const asked = (): PlacementRequest =>
  request({
    excluded: new Map([['e', 'excluded after failure (peer_lost)']]),
    quoted: new Map([['b', 700]]),
    cached: new Map([['a', 12]]),
    leftMs: 900,
  });

describe('a record', () => {
  it('survives JSON, and gives the same plan again', () => {
    const record = kept(asked(), world());
    expect(record).toEqual(recordOf(asked(), world()));
    const { rejected: _, ...plan } = weftPolicy.choose(asked(), world(), draw);
    expect(replay(record, weftPolicy, draw)).toMatchObject(plan);
  });

  it('holds what the decision knew, and only of nodes that offer the model', () => {
    const record = kept(asked(), world());
    expect(record.self).toBe('self');
    expect(record.nodes.map(({ node }) => node)).toEqual(['self', 'a', 'b', 's', 'avoided', 'unknown']);
    expect(record.nodes[0]?.link).toBeUndefined();
    expect(record.nodes[1]).toMatchObject({
      correction: { factor: 1.7, samples: 4 },
      cachedTokens: 12,
      name: 'name of a',
    });
    expect(record.nodes[2]).toMatchObject({ quotedMs: 700, offer: { state: 'disk' } });
    expect(record.nodes[4]).toMatchObject({ avoided: 'failed a moment ago (peer_lost)' });
    expect(record.request).toMatchObject({ leftMs: 900, excluded: [{ node: 'e' }] });
  });

  it.each(POLICY_NAMES)('is decided upon by %s', (name) => {
    const policy = policyNamed(name) as RoutingPolicy;
    const plan = replay(kept(asked(), world()), policy, draw);
    expect(plan.policy).toBe(name);
    expect(plan.price.totalMs).toBeGreaterThan(0);
  });

  it('keeps the cheapest of many nodes, and short texts', () => {
    const peers = Array.from({ length: 300 }, (_, index) =>
      peer(`n${index}`, { offers: [offer({ profile: { ...PROFILE, fixedMs: 300 - index } })] }),
    );
    const avoided = new Map([['n299', 'x'.repeat(5_000)]]);
    const given = snapshot({ peers, avoided });
    const record = kept(request(), given);
    expect(record.nodes).toHaveLength(RECORD_NODES_MAX);
    expect(record.nodes.some(({ node }) => node === 'n298')).toBe(true);
    expect(replay(record, weftPolicy, draw).node).toBe(weftPolicy.choose(request(), given, draw).node);
    const short = recordOf(request(), snapshot({ peers: [peer('n299')], avoided }));
    expect(short.nodes[0]?.avoided).toHaveLength(RECORD_TEXT_MAX);
  });

  it('says why where nobody could', () => {
    const record = kept(request(), snapshot({ peers: [peer('g', { state: 'gone' })] }));
    expect(() => replay(record, weftPolicy, draw)).toThrow(expect.objectContaining({ code: 'no_capable_node' }));
  });

  it('gives the plan of the same prices again, whatever nodes say of themselves', () => {
    const number = fc.oneof(fc.double(), fc.double({ min: 0, max: 1_000, noNaN: true }), fc.constant(0));
    const said = fc.record({
      queuedMs: number,
      requestsInFlight: number,
      fixedMs: number,
      perTokenMs: number,
      samples: number,
      heardAgoMs: number,
      rttMs: fc.option(number, { nil: undefined }),
      goodput: fc.option(number, { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(said, { minLength: 1, maxLength: 12 }), (nodes) => {
        const peers = nodes.map((node, index) =>
          peer(`n${index}`, {
            offers: [
              offer({
                profile: { ...PROFILE, fixedMs: node.fixedMs, perTokenMs: node.perTokenMs, samples: node.samples },
              }),
            ],
            load: { ...IDLE, queuedMs: node.queuedMs, requestsInFlight: node.requestsInFlight },
            link: { rttMs: node.rttMs, rttFloorMs: node.rttMs, goodputBytesPerSecond: node.goodput, path: undefined },
            heardAgoMs: node.heardAgoMs,
          }),
        );
        const given = snapshot({ peers });
        const plan = weftPolicy.choose(request(), given, draw);
        const again = replay(kept(request(), given), weftPolicy, draw);
        expect({ ...again, rejected: [] }).toEqual({ ...plan, rejected: [] });
      }),
      runs(300),
    );
  });
});
