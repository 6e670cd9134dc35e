// The lists of models, and the words of transfers.
import { describe, expect, it } from 'vitest';
import {
  catalogueRows,
  found,
  hereRows,
  type Known,
  meshRows,
  modelHref,
  ownerOf,
  placeOf,
} from '../../../../../desktop/ui/views/models/model-rows.ts';
import {
  fractionOf,
  measures,
  orderedSources,
  phaseWords,
} from '../../../../../desktop/ui/views/models/transfer-words.ts';
import type { PsAnswer, TransferState } from '../../../../../protocol/api/control.ts';

const SMALL = `sha256:${'1'.repeat(64)}`;
const LARGE = `sha256:${'2'.repeat(64)}`;

const holder = (node: string, heldBytes: number, state?: string) => ({
  node,
  name: node,
  self: node === 'desk',
  heldBytes,
  ...(state === undefined ? {} : { state }),
});

const resident = (digest: string, rest: Partial<PsAnswer['models'][number]> = {}): PsAnswer['models'][number] => ({
  id: 'owner/chat',
  digest,
  state: 'loaded',
  provider: 'cpu',
  residentBytes: 500,
  requestsInFlight: 0,
  pinned: false,
  ...rest,
});

function known(rest: Partial<Known> = {}): Known {
  return {
    mesh: [
      { id: 'owner/chat', digest: SMALL, sizeBytes: 100, nodes: [holder('attic', 100, 'loaded'), holder('desk', 100)] },
      { id: 'owner/chat', digest: LARGE, sizeBytes: 400, nodes: [holder('attic', 400), holder('desk', 40)] },
      { id: 'owner/far', digest: 'sha256:3', sizeBytes: 10, nodes: [holder('attic', 10), holder('cellar', 10)] },
    ],
    offers: [
      {
        id: 'owner/chat',
        aliases: [],
        task: 'text-generation',
        contextLength: 0,
        dimensions: 0,
        sizeBytes: 100,
        nodes: [],
        precision: 'q4',
        forms: [
          { form: 'q4', sizeBytes: 100, nodes: [] },
          { form: 'fp16', sizeBytes: 400, nodes: [] },
        ],
      },
    ],
    loaded: [],
    loading: new Map(),
    ...rest,
  };
}

describe('models here', () => {
  it('are those with files on this disk, each form by itself', () => {
    expect(hereRows(known())).toMatchObject([
      {
        id: 'owner/chat',
        digest: SMALL,
        address: SMALL,
        task: 'text-generation',
        form: 'q4',
        state: 'disk',
        elsewhere: 1,
      },
      { id: 'owner/chat', digest: LARGE, address: LARGE, form: 'fp16', state: 'partial' },
    ]);
  });

  it('tell what they do in memory; parts of a graph are not the whole', () => {
    const part = resident(SMALL, { part: { model: 'owner/chat', inputs: ['x'], outputs: ['y'] } });
    expect(hereRows(known({ loaded: [part] }))[0]).toMatchObject({ state: 'disk', residentBytes: 0 });
    const pinned = resident(SMALL, { pinned: true });
    expect(hereRows(known({ loaded: [pinned] }))[0]).toMatchObject({
      state: 'loaded',
      residentBytes: 500,
      pinned: true,
    });
    const aside = resident(SMALL, { state: 'quarantined', reason: 'It died twice.' });
    expect(hereRows(known({ loaded: [aside] }))[0]).toMatchObject({ state: 'quarantined', reason: 'It died twice.' });
    const loading = new Map([['owner/chat', { phase: 'verify', fraction: 0.4 }]]);
    expect(hereRows(known({ loading }))[0]).toMatchObject({ state: 'loading', loading: { fraction: 0.4 } });
  });
});

describe('models on the mesh', () => {
  it('tell who has how much of each, and what would bring it', () => {
    const [small, large, far] = meshRows(known({ loaded: [resident(SMALL)] }));
    expect(small).toMatchObject({
      here: true,
      nodes: [
        { name: 'desk', loaded: true },
        { name: 'attic', loaded: true },
      ],
    });
    expect(large).toMatchObject({ here: false, pullName: 'owner/chat:fp16', nodes: [{ share: 0.1 }, { share: 1 }] });
    expect(far).toMatchObject({ here: false, address: 'owner/far', pullName: 'owner/far' });
  });

  it('say of the catalogue what is here and what is near', () => {
    const entry = (id: string) => ({ name: id, id, task: 'text-generation', description: '' });
    const rows = catalogueRows(['OWNER/chat', 'owner/far', 'owner/none'].map(entry), known().mesh);
    expect(rows.map(({ here, nodes }) => [here, nodes])).toEqual([
      [true, 1],
      [false, 2],
      [false, 0],
    ]);
  });

  it('are found by words anywhere in their names', () => {
    expect(found(meshRows(known()), 'FAR own').map(({ id }) => id)).toEqual(['owner/far']);
    expect(found([{ id: 'a/b', name: 'short' }], 'hort')).toHaveLength(1);
    expect(found([{ id: 'a/b' }], 'c')).toEqual([]);
  });

  it('have addresses that the router gives back, whatever is in a name', () => {
    for (const id of ['owner/name', 'a b/ü=1', 'x#y/z?w', SMALL]) {
      const rest = decodeURI(modelHref(id).slice('/models/'.length));
      expect(placeOf(rest)).toEqual({ address: id, tab: undefined });
      expect(placeOf(`${rest}#cuts`)).toEqual({ address: id, tab: 'cuts' });
    }
    expect([ownerOf('owner/name'), ownerOf('name')]).toEqual(['owner', '']);
  });
});

const transfer = (rest: Partial<TransferState> = {}): TransferState => ({
  id: 'pull-1',
  kind: 'pull',
  model: 'owner/chat',
  phase: 'fetching',
  chosen: [],
  totalBytes: 1_000_000,
  doneBytes: 250_000,
  hereBytes: 0,
  bytesPerSecond: 50_000,
  etaSeconds: 15,
  sources: [],
  ...rest,
});

const source = (name: string, rest: Partial<TransferState['sources'][number]> = {}) => ({
  kind: 'peer' as const,
  name,
  bytes: 0,
  bytesPerSecond: 0,
  state: 'active' as const,
  ...rest,
});

describe('a transfer', () => {
  it('says from whom, how far, how fast and how long', () => {
    const sources = [
      source('a'),
      source('b', { state: 'idle' }),
      source('c', { state: 'blamed' }),
      source('hub', { kind: 'hub' }),
    ];
    expect(phaseWords(transfer({ sources }))).toBe('Fetching from 2 peers and 1 hub');
    expect(measures(transfer({ hereBytes: 100_000 }))).toEqual([
      '250 KB of 1 MB',
      '50 KB/s',
      '15 s left',
      '100 KB were here already',
    ]);
    expect(phaseWords(transfer({ kind: 'repair', phase: 'done' }))).toBe('Checked');
  });

  it('is whole only when it is', () => {
    expect(fractionOf(transfer())).toBe(0.25);
    expect(fractionOf(transfer({ doneBytes: 999_999 }))).toBe(0.99);
    expect(fractionOf(transfer({ totalBytes: 0 }))).toBeUndefined();
    expect(fractionOf(transfer({ phase: 'cancelled' }))).toBeUndefined();
    expect(fractionOf(transfer({ phase: 'done', totalBytes: 0 }))).toBe(1);
  });

  it('names those that give most first, and those that gave up last', () => {
    const sources = [
      source('bad', { state: 'blamed', bytes: 9 }),
      source('little', { bytes: 1 }),
      source('much', { bytes: 5 }),
    ];
    expect(orderedSources(sources).map(({ name }) => name)).toEqual(['much', 'little', 'bad']);
  });
});
