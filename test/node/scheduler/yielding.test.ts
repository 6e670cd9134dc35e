// Nodes that would rather have others do the work.
import { describe, expect, it } from 'vitest';
import { recordOf, replay } from '../../../node/scheduler/record.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import type { ServiceProfile } from '../../../protocol/capability.ts';
import { offer, PROFILE, peer, request, snapshot } from './builders.ts';

const times = (factor: number): ServiceProfile => ({
  ...PROFILE,
  fixedMs: PROFILE.fixedMs * factor,
  perTokenMs: PROFILE.perTokenMs * factor,
  decodeMs: PROFILE.decodeMs * factor,
});

const never = (): number => 0.5;
const chosen = (seen: ReturnType<typeof snapshot>): string => weftPolicy.choose(request(), seen, never).node;

describe('a node on battery', () => {
  const own = { offers: [offer()], yields: ['battery'] as const };

  it('leaves its own requests to a peer that is not much slower', () => {
    const peers = [peer('other', { offers: [offer({ profile: times(2) })] })];
    expect(chosen(snapshot({ self: { offers: [offer()] }, peers }))).toBe('self');
    expect(chosen(snapshot({ self: own, peers }))).toBe('other');
  });

  it('does them itself where everybody else is far slower, or nobody else can', () => {
    const peers = [peer('other', { offers: [offer({ profile: times(6) })] })];
    expect(chosen(snapshot({ self: own, peers }))).toBe('self');
    expect(chosen(snapshot({ self: own }))).toBe('self');
  });

  it('is left alone by others, who are told the time that it would really take', () => {
    const saver = peer('saver');
    const record = { ...saver, advert: { ...saver.advert, yields: ['owner'] as const } };
    const slower = peer('slower', { offers: [offer({ profile: times(2) })] });
    const seen = snapshot({ peers: [record, slower] });
    const plan = weftPolicy.choose(request(), seen, never);
    expect(plan.node).toBe('slower');
    const passedOver = plan.others.find(({ node }) => node === 'saver');
    expect(passedOver?.price.totalMs).toBeLessThan(plan.price.totalMs);
    expect(replay(recordOf(request(), seen), weftPolicy, never).node).toBe('slower');
  });
});
