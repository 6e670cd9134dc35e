import { describe, expect, it } from 'vitest';
import {
  ageOf,
  filterRows,
  heardAtMs,
  nodeRows,
  shortHardware,
  sortRows,
  whyNotManaged,
} from '../../../../../desktop/ui/views/nodes/list-model.ts';
import { peerOf, RECORDED, recordedMesh } from '../../../../support/recorded-answers.ts';

const rows = (peers = recordedMesh(6)['GET /api/v1/peers'].peers) =>
  nodeRows({
    status: RECORDED['GET /api/v1/status'],
    peers: { peers },
    ps: RECORDED['GET /api/v1/ps'],
    models: RECORDED['GET /api/v1/models'],
    nowMs: 1_000_000,
  });

describe('rows', () => {
  it('begin with the node itself, and tell what each has in memory', () => {
    const [self, first] = rows();
    expect(self).toMatchObject({ self: true, loaded: ['SmolLM2-135M-Instruct'], offered: 2, heardAtMs: undefined });
    expect(first).toMatchObject({ self: false, loaded: ['SmolLM2-135M-Instruct'], offered: 2, heardAtMs: 999_600 });
  });

  it('show no load and no link of a node that is gone', () => {
    expect(rows([peerOf(1, 'gone')])[1]).toMatchObject({ state: 'gone', load: undefined, link: undefined });
  });

  it('say of a node that it takes no work', () => {
    expect(rows([peerOf(0), { ...peerOf(1), withheld: 'unlent' }]).map(({ withheld }) => withheld)).toEqual([
      undefined,
      undefined,
      'unlent',
    ]);
  });

  it('keep the moment in which a peer was heard while nothing new is told of it', () => {
    const peer = peerOf(1);
    expect(heardAtMs(peer, 10_000)).toBe(9_600);
    expect(heardAtMs(peer, 90_000)).toBe(9_600);
    expect(heardAtMs({ ...peer }, 90_000)).toBe(89_600);
  });
});

describe('a filter', () => {
  it('wants every word, wherever it stands', () => {
    expect(filterRows(rows(), { shown: 'all', words: 'studio rtx' }).map(({ name }) => name)).toEqual(['studio']);
    expect(filterRows(rows(), { shown: 'all', words: 'studio apple' })).toEqual([]);
  });

  it('takes nodes by their state and version', () => {
    const peers = [peerOf(0), peerOf(1, 'suspect'), { ...peerOf(2), version: '0.0.9' }];
    const names = (shown: 'reached' | 'away' | 'older') =>
      filterRows(rows(peers), { shown, words: '' }).map(({ name }) => name);
    expect(names('reached')).toEqual(['workbench', 'studio', 'laptop-eva']);
    expect(names('away')).toEqual(['attic']);
    expect(names('older')).toEqual(['laptop-eva']);
  });
});

describe('sorting', () => {
  it('leaves the node itself first, and what tells nothing last', () => {
    const peers = [peerOf(2), { ...peerOf(0), load: undefined }, peerOf(1)];
    const order = (descending: boolean) => sortRows(rows(peers), { by: 'load', descending }).map(({ name }) => name);
    expect(order(false)).toEqual(['workbench', 'attic', 'laptop-eva', 'studio']);
    expect(order(true)).toEqual(['workbench', 'laptop-eva', 'attic', 'studio']);
    expect(sortRows(rows(peers), { by: 'name', descending: false }).map(({ name }) => name)).toEqual([
      'workbench',
      'attic',
      'laptop-eva',
      'studio',
    ]);
  });
});

describe('hardware', () => {
  it('is called by what tells it from others', () => {
    expect(shortHardware('NVIDIA GeForce RTX 4090')).toBe('RTX 4090');
    expect(shortHardware('Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz')).toBe('Intel Core i5-8250U');
    expect(shortHardware('AMD Ryzen 9 7950X 16-Core Processor')).toBe('AMD Ryzen 9 7950X 16-Core');
    expect(shortHardware('Apple M3 Max')).toBe('Apple M3 Max');
  });
});

describe('versions', () => {
  it('are compared by their numbers', () => {
    expect(ageOf('0.9.0', '0.10.0')).toBe('older');
    expect(ageOf('1.0.0', '0.10.9')).toBe('newer');
    expect(ageOf('0.1.0-rc.1', '0.1.0')).toBe('same');
    expect(ageOf('', '0.1.0')).toBe('unknown');
  });
});

describe('why a node cannot be managed', () => {
  const admin = { role: 'admin', version: '0.2.0' };
  const peer = { ...peerOf(0), version: '0.2.0', manageable: false };

  it('is told by what is known', () => {
    expect(whyNotManaged({ ...peer, manageable: true }, admin)).toBeUndefined();
    expect(whyNotManaged({ ...peer, manageable: true, state: 'gone' }, admin)).toBe('away');
    expect(whyNotManaged(peer, { ...admin, role: 'member' })).toBe('member');
    expect(whyNotManaged({ ...peer, version: '0.1.0' }, admin)).toBe('older');
    expect(whyNotManaged(peer, admin)).toBe('owner');
  });
});
