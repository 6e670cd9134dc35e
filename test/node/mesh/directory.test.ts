import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Directory } from '../../../node/mesh/directory.ts';
import { MESH_LIMITS, type MeshLimits } from '../../../node/mesh/limits.ts';
import type { Advert } from '../../../protocol/capability.ts';
import { runs } from '../../support/property.ts';
import { ManualClock } from './manual-clock.ts';
import { LOAD, makeAdvert } from './support.ts';

const FIRST_HAND = { firstHand: true };
const HEARSAY = { firstHand: false };

function advert(overrides: Partial<Advert> = {}): Advert {
  return { ...makeAdvert('peer'), incarnation: 10, sequence: 1, addresses: [], load: LOAD, ...overrides };
}

function directory(limits: Partial<MeshLimits['directory']> = {}) {
  const clock = new ManualClock();
  const entries = new Directory(
    { clock },
    { limits: { ...MESH_LIMITS, directory: { ...MESH_LIMITS.directory, ...limits } } },
  );
  return { clock, entries };
}

describe('Directory', () => {
  it('keeps the newest word of a peer', () => {
    const { entries } = directory();
    expect(entries.accept(advert({ sequence: 2, name: 'b' }), FIRST_HAND)).toBe(true);
    expect(entries.accept(advert({ sequence: 1, name: 'a' }), FIRST_HAND)).toBe(false);
    expect(entries.accept(advert({ sequence: 2, name: 'x' }), FIRST_HAND)).toBe(false);
    expect(entries.accept(advert({ sequence: 3, name: 'c' }), FIRST_HAND)).toBe(true);
    expect(entries.get('peer')?.advert.name).toBe('c');
  });

  it('buries what an earlier incarnation said', () => {
    const { entries } = directory();
    entries.accept(advert({ incarnation: 11, sequence: 1 }), FIRST_HAND);
    expect(entries.accept(advert({ incarnation: 10, sequence: 99 }), FIRST_HAND)).toBe(false);
  });

  it('ends at the same advert in whatever order words arrive', () => {
    const words = fc.array(fc.record({ incarnation: fc.integer({ min: 0, max: 5 }), sequence: fc.nat(5) }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(words, (said) => {
        const { entries } = directory();
        for (const word of said) entries.accept(advert(word), FIRST_HAND);
        const newest = said.toSorted((a, b) => b.incarnation - a.incarnation || b.sequence - a.sequence)[0];
        expect(entries.get('peer')?.advert).toMatchObject({ ...newest });
      }),
      runs(200),
    );
  });

  it('lets nobody speak over a peer that is connected', () => {
    const { entries } = directory();
    entries.accept(advert(), FIRST_HAND);
    entries.setState('peer', 'connected');
    expect(entries.accept(advert({ incarnation: 999, name: 'forged' }), HEARSAY)).toBe(false);
    entries.setState('peer', 'gone');
    expect(entries.accept(advert({ incarnation: 999, name: 'moved' }), HEARSAY)).toBe(true);
    // Its own word counts again as soon as it comes, even if it is older than the hearsay.
    expect(entries.accept(advert({ incarnation: 10, sequence: 2, name: 'itself' }), FIRST_HAND)).toBe(true);
    expect(entries.get('peer')?.advert.name).toBe('itself');
  });

  it('takes load from answers', () => {
    const { entries } = directory();
    entries.accept(advert(), FIRST_HAND);
    entries.setLoad('peer', { ...LOAD, requestsInFlight: 7 });
    expect(entries.get('peer')?.load.requestsInFlight).toBe(7);
    entries.setLoad('unknown', LOAD);
    expect(entries.get('unknown')).toBeUndefined();
  });

  it('forgets a peer that has been gone for long, and no other', () => {
    const { entries, clock } = directory({ goneKeptMs: 1_000 });
    entries.accept(advert({ node: 'gone' }), FIRST_HAND);
    entries.accept(advert({ node: 'here' }), FIRST_HAND);
    entries.setState('here', 'connected');
    expect(entries.expire()).toBe(false);
    clock.stall(1_001);
    expect(entries.expire()).toBe(true);
    expect([...entries.entries()].map(({ node }) => node)).toEqual(['here']);
  });

  it('makes room by forgetting whoever has been gone longest, and takes no more than it holds', () => {
    const { entries, clock } = directory({ peersMax: 3 });
    for (const node of ['first', 'second', 'third']) {
      entries.accept(advert({ node }), FIRST_HAND);
      clock.stall(10);
    }
    entries.setState('first', 'connected');
    expect(entries.accept(advert({ node: 'fourth' }), FIRST_HAND)).toBe(true);
    expect([...entries.entries()].map(({ node }) => node)).toEqual(['first', 'third', 'fourth']);
    for (const node of ['third', 'fourth']) entries.setState(node, 'connected');
    expect(entries.accept(advert({ node: 'fifth' }), FIRST_HAND)).toBe(false);
  });
});
