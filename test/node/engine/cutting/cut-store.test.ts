// Tables on disk: found again by exactly what they are of, and none that is damaged.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../../node/core/log.ts';
import { CutStore, parseTable } from '../../../../node/engine/cutting/cut-store.ts';
import { TABLES_KEPT_MAX } from '../../../../node/engine/cutting/limits.ts';
import type { CutTable } from '../../../../protocol/cut-table.ts';
import { temporaryFolder } from '../support.ts';

const TABLE: CutTable = {
  model: { id: 'test/table', digest: 'sha256:00' },
  shapes: 'x:float32[1,4]',
  segments: [
    { share: 0.25, weightBytes: 10, nodes: 2 },
    { share: 0.75, weightBytes: 20, nodes: 1 },
  ],
  shared: [{ bytes: 5, segments: [0, 1] }],
  tensors: [
    { name: 'x', type: 'float32', dims: [1, 4], bytes: 16, from: -1, to: [0] },
    { name: 'a', type: 'int8', dims: ['batch', 4], bytes: 4, from: 0, to: [1] },
    { name: 'y', type: 'float32', bytes: 16, from: 1, to: [], output: true },
  ],
  wholeMs: 12.5,
  partFixedMs: 0.25,
  partMsPerMb: 0.5,
  device: 'cpu',
  version: '1',
  measuredAtMs: 1000,
};
const KEY = { digest: 'sha256:00', shapes: 'x:float32[1,4]', device: 'cpu', version: '1' };

const open = (folder: string) => CutStore.open({ log: silentLog }, { folder });

describe('a store of tables', () => {
  it('finds a table again by model, shapes, device and version, and by nothing less', async () => {
    await using folder = await temporaryFolder();
    await (await open(folder.path)).keep(TABLE, false);
    const store = await open(folder.path);
    expect(store.find(KEY)).toEqual(TABLE);
    for (const other of [{ digest: 'sha256:01' }, { shapes: undefined }, { device: 'cuda' }, { version: '2' }]) {
      expect(store.find({ ...KEY, ...other })).toBeUndefined();
    }
  });

  it('finds one whose inputs were made up without its shapes', async () => {
    await using folder = await temporaryFolder();
    const store = await open(folder.path);
    await store.keep(TABLE, true);
    expect(store.find({ ...KEY, shapes: undefined })).toEqual(TABLE);
    expect(store.find(KEY)).toBeUndefined();
  });

  it('puts a newer table in place of an older one', async () => {
    await using folder = await temporaryFolder();
    const store = await open(folder.path);
    await store.keep(TABLE, false);
    await store.keep({ ...TABLE, wholeMs: 20 }, false);
    expect(store.find(KEY)?.wholeMs).toBe(20);
    expect(await readdir(folder.path)).toHaveLength(1);
  });

  it.each([
    ['cut off', (text: string) => text.slice(0, -20)],
    ['of another time', (text: string) => text.replace('"schema":1', '"schema":2')],
    ['with a share above the whole', (text: string) => text.replace('"share":0.75', '"share":7.5')],
    ['with a type that is none', (text: string) => text.replace('"type":"int8"', '"type":"__proto__"')],
    ['of another model', (text: string) => text.replace('sha256:00', 'sha256:11')],
    ['with a segment that can not be', (text: string) => text.replace('"segments":[0,1]', '"segments":[0,64]')],
  ])('takes a file %s for none', async (_what, damage) => {
    await using folder = await temporaryFolder();
    await (await open(folder.path)).keep(TABLE, false);
    const [name = ''] = await readdir(folder.path);
    const text = await readFile(join(folder.path, name), 'utf8');
    expect(damage(text)).not.toBe(text);
    await writeFile(join(folder.path, name), damage(text));
    const store = await open(folder.path);
    expect(store.find(KEY)).toBeUndefined();
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('clears away what a crash has left, and leaves what is not its own', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, `${'0'.repeat(32)}.json.12345678.tmp`), '{');
    await writeFile(join(folder.path, 'notes.txt'), 'mine');
    await open(folder.path);
    expect(await readdir(folder.path)).toEqual(['notes.txt']);
  });

  it('forgets the oldest', async () => {
    await using folder = await temporaryFolder();
    const store = await open(folder.path);
    for (let at = 0; at <= TABLES_KEPT_MAX; at++)
      await store.keep({ ...TABLE, version: `${at}`, measuredAtMs: at }, false);
    expect(await readdir(folder.path)).toHaveLength(TABLES_KEPT_MAX);
    expect(store.find({ ...KEY, version: '0' })).toBeUndefined();
    expect((await open(folder.path)).find({ ...KEY, version: `${TABLES_KEPT_MAX}` })).toBeDefined();
  });

  it('goes on without a disk', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'file'), '');
    const store = await open(join(folder.path, 'file'));
    await store.keep(TABLE, false);
    expect(store.find(KEY)).toEqual(TABLE);
  });
});

describe('parseTable', () => {
  it('reads what was written', () => {
    expect(parseTable(JSON.stringify(TABLE))).toEqual(TABLE);
  });

  it.each(['', '{}', 'null', JSON.stringify({ ...TABLE, segments: [] }), JSON.stringify({ ...TABLE, more: 1 })])(
    'refuses %s',
    (text) => {
      expect(() => parseTable(text)).toThrow(expect.objectContaining({ code: 'internal' }));
    },
  );
});
