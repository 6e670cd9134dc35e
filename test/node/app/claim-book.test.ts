// Claims of a node and of its peers, as adverts tell them.
import { describe, expect, it } from 'vitest';
import { ClaimBook } from '../../../node/app/claim-book.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import { settleMs } from '../../../node/scheduler/claims.ts';
import { CLAIM_BROKEN_MS, CLAIM_MS } from '../../../node/scheduler/limits.ts';
import type { ModelIntent, ModelState } from '../../../protocol/capability.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { offer, peer, SMOL } from '../scheduler/builders.ts';

const { digest } = SMOL;
const never = new AbortController().signal;

function scene({ rttMs = 0 } = {}) {
  const clock = new ManualClock();
  let peers: PeerRecord[] = [];
  let tell: (() => void) | undefined;
  let announced = 0;
  const claims = new ClaimBook({
    clock,
    mesh: {
      self: 'm',
      peers: () => peers,
      onPeers: (listener) => {
        tell = listener;
        return () => {
          tell = undefined;
        };
      },
      announce: () => announced++,
    },
  });
  claims.start();
  let sequence = 0;
  const says = (
    node: string,
    intents: readonly Omit<ModelIntent, 'digest'>[],
    { state = 'disk', there = true }: { state?: ModelState; there?: boolean } = {},
  ): void => {
    const record = peer(node, { offers: [offer({ state })], state: there ? 'connected' : 'gone' });
    const advert = { ...record.advert, sequence: ++sequence, intents: intents.map((one) => ({ digest, ...one })) };
    const link = { ...record.link, rttMs };
    peers = [...peers.filter((other) => other.advert.node !== node), { ...record, advert, link }];
    tell?.();
  };
  return { clock, claims, says, announced: () => announced };
}

describe('claims', () => {
  it('are published at once, grow older, and are published as gone', () => {
    const { clock, claims, announced } = scene();
    claims.claim('load', digest);
    expect(announced()).toBe(1);
    clock.advance(70);
    claims.claim('load', digest);
    expect(announced()).toBe(1);
    expect(claims.intents()).toEqual([{ digest, kind: 'load', sinceMs: 70 }]);
    claims.withdraw('load', digest);
    expect(claims.intents()).toEqual([]);
    expect(announced()).toBe(2);
  });

  it('may be acted upon after two round trips and more', () => {
    const { clock, claims, says } = scene({ rttMs: 200 });
    says('a', []);
    expect(claims.waitMs('load', digest)).toBeUndefined();
    claims.claim('load', digest);
    expect(claims.waitMs('load', digest)).toBe(settleMs(200));
    clock.advance(settleMs(200));
    expect(claims.waitMs('load', digest)).toBe(0);
  });

  it('of others grow older from when their advert came, whatever their clocks say', () => {
    const { clock, claims, says } = scene();
    clock.advance(86_400_000);
    says('a', [{ kind: 'load', sinceMs: 100 }]);
    clock.advance(50);
    expect(claims.others(digest)).toMatchObject([{ node: 'a', kind: 'load', ageMs: 150 }]);
    expect(claims.others('another')).toEqual([]);
  });

  it('of others end with their owners, with their age, and when they are withdrawn', () => {
    const { clock, claims, says } = scene();
    says('a', [{ kind: 'load', sinceMs: 0 }]);
    says('b', [{ kind: 'load', sinceMs: 0 }], { there: false });
    expect(claims.others(digest).map(({ node }) => node)).toEqual(['a']);
    says('a', []);
    expect(claims.others(digest)).toEqual([]);
    says('a', [{ kind: 'load', sinceMs: 0 }]);
    clock.advance(CLAIM_MS + 1);
    expect(claims.others(digest)).toEqual([]);
  });

  it('that came to nothing are not believed again for a while; those that were kept are', () => {
    const { clock, claims, says } = scene();
    says('liar', [{ kind: 'load', sinceMs: 0 }]);
    says('slow', [{ kind: 'load', sinceMs: 0 }]);
    clock.advance(CLAIM_MS + 1);
    says('liar', [{ kind: 'load', sinceMs: 0 }]);
    says('slow', [], { state: 'loaded' });
    says('slow', [{ kind: 'load', sinceMs: 0 }]);
    expect(claims.others(digest).map(({ node }) => node)).toEqual(['slow']);
    says('liar', []);
    clock.advance(CLAIM_BROKEN_MS + 1);
    says('liar', [{ kind: 'load', sinceMs: 0 }]);
    expect(claims.others(digest).map(({ node }) => node)).toContain('liar');
  });

  it('that are told far too old from the start count for nothing', () => {
    const { claims, says } = scene();
    says('a', [{ kind: 'load', sinceMs: 1e12 }]);
    expect(claims.others(digest)).toEqual([]);
  });
});

describe('taking a claim', () => {
  const alone = { signal: never, mayGo: (claims: readonly unknown[]) => claims.length === 0 };

  it('waits, and gives it when nobody goes first', async () => {
    const { clock, claims, says } = scene();
    const taken = claims.take('pull', digest, alone);
    // Younger, and of a greater name.
    says('z', [{ kind: 'pull', sinceMs: 0 }]);
    clock.advance(settleMs(0));
    const giveBack = await taken;
    expect(claims.intents()).toHaveLength(1);
    giveBack?.();
    expect(claims.intents()).toEqual([]);
  });

  it('is refused at once where somebody has one, and afterwards where one goes first', async () => {
    const { clock, claims, says } = scene();
    says('z', [{ kind: 'pull', sinceMs: 5_000 }]);
    expect(await claims.take('pull', digest, alone)).toBeUndefined();
    says('z', []);
    const taken = claims.take('pull', digest, alone);
    says('a', [{ kind: 'pull', sinceMs: 0 }]);
    clock.advance(settleMs(0));
    expect(await taken).toBeUndefined();
    expect(claims.intents()).toEqual([]);
  });

  it('ends with its signal, and leaves nothing behind', async () => {
    const { claims } = scene();
    const controller = new AbortController();
    const taken = claims.take('pull', digest, { ...alone, signal: controller.signal });
    controller.abort(new Error('the node stops'));
    await expect(taken).rejects.toThrow('the node stops');
    expect(claims.intents()).toEqual([]);
  });
});
