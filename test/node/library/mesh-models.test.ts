// Who has which model: for people, for adverts, and for pulls.
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import type { Manifest } from '../../../models/manifest.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import { heldModels } from '../../../node/library/held.ts';
import { HELD_MODELS_MAX, VARIANTS_MAX } from '../../../node/library/limits.ts';
import { meshModels } from '../../../node/library/mesh-models.ts';
import { holdersOf, variantsOf } from '../../../node/library/variants.ts';
import type { HeldModel } from '../../../protocol/capability.ts';
import { MINILM, offer, peer, SMOL } from '../scheduler/builders.ts';

const OTHER = { id: SMOL.id, digest: `sha256:${'c'.repeat(64)}` };
const held = (model = SMOL, heldBytes = 50, sizeBytes = 100): HeldModel => ({ model, sizeBytes, heldBytes });

function holder(node: string, more: readonly HeldModel[], state: PeerRecord['state'] = 'connected'): PeerRecord {
  const record = peer(node, { offers: [], state });
  return { ...record, advert: { ...record.advert, held: more } };
}

describe('the models of a mesh', () => {
  it('are listed with every node that has files of them, the asking one first', () => {
    const models = meshModels(
      [
        { node: 'b', name: 'bee', offers: [offer({ sizeBytes: 100 })], held: [held(MINILM, 10)] },
        { node: 'a', name: 'ant', offers: [], held: [held(SMOL, 30), held(MINILM, 100)] },
        { node: 'c', name: 'cat', offers: [offer({ sizeBytes: 100, state: 'disk' })] },
      ],
      'a',
    );
    expect(models).toEqual([
      {
        ...SMOL,
        sizeBytes: 100,
        nodes: [
          { node: 'a', name: 'ant', self: true, heldBytes: 30, state: undefined },
          { node: 'b', name: 'bee', self: false, heldBytes: 100, state: 'loaded' },
          { node: 'c', name: 'cat', self: false, heldBytes: 100, state: 'disk' },
        ],
      },
      {
        ...MINILM,
        sizeBytes: 100,
        nodes: [
          { node: 'a', name: 'ant', self: true, heldBytes: 100, state: undefined },
          { node: 'b', name: 'bee', self: false, heldBytes: 10, state: undefined },
        ],
      },
    ]);
  });

  it('count a node once that offers and holds the same, and no node for more than all', () => {
    const [model] = meshModels(
      [{ node: 'a', name: 'ant', offers: [offer({ sizeBytes: 100 })], held: [held(SMOL, 999)] }],
      'b',
    );
    expect(model?.nodes).toEqual([{ node: 'a', name: 'ant', self: false, heldBytes: 100, state: 'loaded' }]);
    expect(
      meshModels([{ node: 'a', name: 'ant', offers: [], held: [held(SMOL, 999)] }], 'b')[0]?.nodes[0]?.heldBytes,
    ).toBe(100);
  });
});

describe('forms of a model', () => {
  it('come from nodes that are there, what most have whole first', () => {
    const peers = [
      peer('a', { offers: [offer({ model: OTHER })] }),
      holder('b', [held(SMOL, 100), held(OTHER, 100)]),
      holder('c', [held(SMOL, 20)]),
      peer('d', { offers: [offer()] }),
      peer('e', { offers: [offer({ model: OTHER })], state: 'gone' }),
      peer('f', { offers: [offer({ model: MINILM })] }),
      peer('g', { offers: [offer()], state: 'suspect' }),
    ];
    expect(variantsOf(SMOL.id.toUpperCase(), peers)).toMatchObject([
      { ref: SMOL, holders: ['b', 'd', 'g', 'c'], wholeCount: 3 },
      { ref: OTHER, holders: ['a', 'b'], wholeCount: 2 },
    ]);
    expect(variantsOf('owner/none', peers)).toEqual([]);
    expect(holdersOf(OTHER, peers)).toEqual(['a', 'b', 'c', 'd', 'g']);
  });

  it('are bounded, however many digests a peer names', () => {
    const many = Array.from({ length: 500 }, (_, index) => held({ id: SMOL.id, digest: `sha256:${index}` }));
    expect(variantsOf(SMOL.id, [holder('a', many)])).toHaveLength(VARIANTS_MAX);
  });
});

describe('what is held', () => {
  const model = (id: string, digest: string, sizes: readonly number[]): InstalledModel => ({
    ref: { id, digest },
    manifest: {
      files: sizes.map((sizeBytes, index) => ({ sizeBytes, sha256: `${digest}${index}` })),
    } as unknown as Manifest,
    folder: '',
    aliases: [],
  });
  const wanted = (one: InstalledModel) => ({ ...one, manifestJson: '', signatures: [] });

  it('are models that are not offered, and pulls of which something is here', () => {
    const heldBytes = (sha256: string, sizeBytes: number) => (sha256 === 'p0' ? sizeBytes : sha256 === 'p1' ? 5 : 0);
    expect(
      heldModels({
        installed: [model(SMOL.id, SMOL.digest, [10]), model('o/quiet', 'q', [7, 3])],
        offers: [offer()],
        wanted: [model('o/begun', 'p', [20, 30]), model('o/none', 'n', [9]), model('o/quiet', 'q', [7, 3])].map(wanted),
        heldBytes,
      }),
    ).toEqual([
      { model: { id: 'o/quiet', digest: 'q' }, sizeBytes: 10, heldBytes: 10 },
      { model: { id: 'o/begun', digest: 'p' }, sizeBytes: 50, heldBytes: 25 },
    ]);
  });

  it('is never whole before it is installed, whatever has come of it', () => {
    const begun = [wanted(model('o/begun', 'p', [20, 30]))];
    const held = heldModels({ installed: [], offers: [], wanted: begun, heldBytes: (_sha256, sizeBytes) => sizeBytes });
    expect(held).toMatchObject([{ sizeBytes: 50, heldBytes: 49 }]);
  });

  it('is bounded', () => {
    const installed = Array.from({ length: 200 }, (_, index) => model('o/n', String(index), [1]));
    expect(heldModels({ installed, offers: [], wanted: [], heldBytes: () => 0 })).toHaveLength(HELD_MODELS_MAX);
  });
});
