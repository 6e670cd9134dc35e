// The nodes that may have parts of a graph: how fast each is beside the device of the table, and who takes none.
import { describe, expect, it } from 'vitest';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import { cutNodes } from '../../../node/dispatch/cut-nodes.ts';
import { GUESS_LOAD_FIXED_MS, NEWCOMER_FACTOR } from '../../../node/scheduler/limits.ts';
import type { Advert } from '../../../protocol/capability.ts';
import type { CutTable } from '../../../protocol/cut-table.ts';
import { MINILM, offer, PROFILE, peer, SMOL, snapshot } from '../scheduler/builders.ts';
import { TABLE } from './cut-world.ts';

/** What the offer's profile gives for one row. */
const UNIT_MS = PROFILE.fixedMs + PROFILE.perTokenMs;
const MEASURED: CutTable = { ...TABLE, wholeMs: UNIT_MS };

const timed = (model: typeof SMOL, factor: number) =>
  offer({ model, profile: { ...PROFILE, fixedMs: PROFILE.fixedMs * factor, perTokenMs: PROFILE.perTokenMs * factor } });

const said = (record: PeerRecord, changes: Partial<Advert>): PeerRecord => ({
  ...record,
  advert: { ...record.advert, ...changes },
});

function nodesOf(peers: readonly PeerRecord[], table = MEASURED, own = [offer()]) {
  const { self, peers: others } = cutNodes(snapshot({ self: { offers: own }, peers }), {
    table,
    excluded: new Map(),
    inNeed: false,
    corrections: { compute: () => 1 },
    correctedAs: 'parts',
    holds: () => false,
  });
  return { self, others };
}

describe('nodes for parts', () => {
  it('are as fast as their profile of this graph beside the table', () => {
    const { self, others } = nodesOf([peer('slow', { offers: [timed(SMOL, 4)] })]);
    expect(self.speed).toBe(1);
    expect(others[0]?.speed).toBeCloseTo(4, 6);
  });

  it('are compared with the node that the table is of, this one too', () => {
    const table = { ...MEASURED, node: 'server' };
    const server = peer('server', { offers: [offer(), offer({ model: MINILM })] });
    const twin = peer('twin', { offers: [timed(MINILM, 2)] });
    const { self, others } = nodesOf([server, twin], table, [timed(MINILM, 10)]);
    expect(self.speed).toBeCloseTo(10, 6);
    expect(others.map(({ speed }) => Math.round(speed))).toEqual([1, 2]);
    // Nothing in common with it, or it is gone: slow, as any newcomer.
    expect(nodesOf([server], table, []).self.speed).toBe(NEWCOMER_FACTOR);
    expect(nodesOf([twin], table, [timed(MINILM, 10)]).self.speed).toBe(NEWCOMER_FACTOR);
  });

  it('fetch the weights first where the model is not there', () => {
    const { self, others } = nodesOf([peer('has'), peer('fetches', { offers: [] })], MEASURED, []);
    const [has, fetches] = others.map(({ loadMs }) => loadMs(100e6));
    expect(has).toBeLessThan(fetches as number);
    expect(self.loadMs(100e6)).toBeGreaterThan(has as number);
    expect(nodesOf([]).self.loadMs(0)).toBe(GUESS_LOAD_FIXED_MS);
  });

  it('are not those that say they take none', () => {
    const peers = [
      peer('any', { offers: [] }),
      said(peer('none'), { parts: 'none' }),
      said(peer('held'), { parts: 'held' }),
      said(peer('lacks', { offers: [] }), { parts: 'held' }),
    ];
    expect(nodesOf(peers).others.map(({ node }) => node)).toEqual(['any', 'held']);
  });
});
