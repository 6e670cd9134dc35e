import { describe, expect, it } from 'vitest';
import type { SourceProgress } from '../../../node/core/transfer.ts';
import { Tally } from '../../../node/library/tally.ts';

const source = (kind: 'peer' | 'hub', name: string, bytes: number, state: SourceProgress['state'] = 'active') => ({
  kind,
  name,
  bytes,
  bytesPerSecond: 5,
  state,
});

describe('a tally', () => {
  it('adds up what each source gave over several downloads', () => {
    const tally = new Tally();
    tally.add('hub', 'hub', 3);
    tally.take({ sources: [source('peer', 'p', 10), source('hub', 'hub', 20, 'blamed')] });
    tally.next();
    tally.take({ sources: [source('peer', 'p', 1)] });
    tally.take({ sources: [source('peer', 'p', 2), source('peer', 'q', 4)] });
    expect([tally.bytes('peer'), tally.bytes('hub')]).toEqual([16, 23]);
    expect(tally.list()).toMatchObject([
      { name: 'hub', bytes: 23, state: 'blamed', bytesPerSecond: 0 },
      { name: 'p', bytes: 12, state: 'active', bytesPerSecond: 5 },
      { name: 'q', bytes: 4 },
    ]);
    tally.next();
    expect(tally.list().map(({ state }) => state)).toEqual(['blamed', 'idle', 'idle']);
  });

  it('tells a peer from a hub of the same name', () => {
    const tally = new Tally();
    tally.take({ sources: [source('peer', 'x', 1), source('hub', 'x', 2)] });
    tally.next();
    expect([tally.bytes('peer'), tally.bytes('hub')]).toEqual([1, 2]);
  });
});
