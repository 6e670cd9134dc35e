import { describe, expect, it } from 'vitest';
import { KnownOffers } from '../../../node/scheduler/known-offers.ts';
import { KNOWN_MODELS_MAX } from '../../../node/scheduler/limits.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import { MINILM, offer, PROFILE, peer, request, SMOL, snapshot } from './builders.ts';

const fast = offer({ profile: { ...PROFILE, decodeMs: 1, perTokenMs: 0.1 } });

/** A list of offers that says how often somebody looks into it. */
function counted() {
  let looks = 0;
  const offers = [offer()];
  const find: typeof offers.find = (...args: Parameters<typeof offers.find>) => {
    looks++;
    return Array.prototype.find.apply(offers, args);
  };
  return { advert: { offers: Object.assign(offers, { find }) }, looks: () => looks };
}

describe('offers that are kept at hand', () => {
  it('are looked up once for each advert and model', () => {
    const known = new KnownOffers();
    const { advert, looks } = counted();
    for (let decision = 0; decision < 3; decision++) {
      expect(known.of('self', SMOL, 2).look(1, advert, SMOL)).toBe(true);
      expect(known.of('self', MINILM, 2).look(1, advert, MINILM)).toBe(false);
    }
    expect(looks()).toBe(2);
    expect(known.of('other', SMOL, 2).look(1, advert, SMOL)).toBe(true);
    expect(looks()).toBe(3);
  });

  it('are looked up again when a node says something new, or stands elsewhere in the list', () => {
    const plan = (peers: ReturnType<typeof peer>[]) => weftPolicy.choose(request(), snapshot({ peers }), () => 0);
    const [a, b] = [peer('a'), peer('b', { offers: [fast] })];
    expect(plan([a, b])).toMatchObject({ node: 'b', price: { computeMs: 22 } });
    expect(plan([b, a])).toMatchObject({ node: 'b', price: { computeMs: 22 } });
    expect(plan([a, peer('b', { offers: [offer({ state: 'quarantined' })] })]).node).toBe('a');
    expect(plan([peer('a', { offers: [fast] }), peer('b', { offers: [] })]).node).toBe('a');
    expect(plan([a, b]).node).toBe('b');
    expect(plan([a]).node).toBe('a');
  });

  it('are forgotten of nodes that are gone, and of all but so many models', () => {
    const known = new KnownOffers();
    const { advert, looks } = counted();
    known.of('self', SMOL, 3).look(2, advert, SMOL);
    expect(known.of('self', SMOL, 2).offers).toHaveLength(2);
    known.of('self', SMOL, 3).look(2, advert, SMOL);
    expect(looks()).toBe(2);
    for (let model = 0; model < KNOWN_MODELS_MAX; model++) {
      known.of('self', { id: 'm', digest: `sha256:${model}` }, 3);
    }
    known.of('self', SMOL, 3).look(2, advert, SMOL);
    expect(looks()).toBe(3);
  });
});
