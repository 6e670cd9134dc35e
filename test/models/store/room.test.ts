import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkRoom } from '../../../models/store/disk-use.ts';
import { openStore } from './fixtures.ts';
import { CHUNK, fetchAll, installModel, manifestOf, ORIGIN, sample, writeAll } from './samples.ts';

const ONE = sample(50, 200_000);
const TWO = sample(51, 100_000);
const THREE = sample(52, 3 * CHUNK);
const DAY = 24 * 3_600_000;

describe('room for models', () => {
  it('is what the disk has beside a reserve, and what was begun', () => {
    const use = { usedBytes: 0, quotaBytes: undefined, freeBytes: 1_064 << 20 };
    checkRoom(use, 1_000 << 20, 0);
    expect(() => checkRoom(use, (1_000 << 20) + 1, 0)).toThrow(/room for 1.05 GB, and 1.05 GB are to come/);
    expect(() => checkRoom(use, 500 << 20, 501 << 20)).toThrow(expect.objectContaining({ code: 'disk_full' }));
  });

  it('is what the quota leaves', async () => {
    let quotaBytes: number | undefined = 500_000;
    const { store } = await openStore({ quotaBytes: () => quotaBytes });
    await store.room(500_000);
    await installModel(store, { a: ONE });
    const { usedBytes, freeBytes } = await store.storage();
    expect(usedBytes).toBeGreaterThanOrEqual(200_000);
    expect(usedBytes).toBeLessThan(205_000);
    expect(freeBytes).toBeGreaterThan(0);
    await expect(store.room(300_000)).rejects.toMatchObject({
      code: 'disk_full',
      facts: { wantedBytes: '300000', freeBytes: String(500_000 - usedBytes) },
    });
    await store.room(250_000);
    // What is still to come of a file that is open counts, and its holes don't.
    const partial = await store.partial(THREE.known);
    await partial.write(2, THREE.chunk(2));
    await expect(store.room(250_000)).rejects.toMatchObject({ code: 'disk_full' });
    await store.room(50_000);
    quotaBytes = undefined;
    await store.room(250_000);
  });

  it('is found out for a folder that does not exist yet', async () => {
    const { store } = await openStore();
    expect(await store.storage()).toMatchObject({ usedBytes: 0, quotaBytes: undefined });
    await expect(store.room(2 ** 60)).rejects.toMatchObject({ code: 'disk_full' });
  });

  it('counts nothing that lies behind a link', async () => {
    const { store, root } = await openStore();
    await mkdir(root);
    await symlink('/usr', join(root, 'link'));
    expect((await store.storage()).usedBytes).toBe(0);
  });
});

describe('cleaning up', () => {
  it('deletes what nothing needs, once it is old', async () => {
    const now = Date.now();
    let ahead = 0;
    const { store, root } = await openStore({ now: () => now + ahead });
    await installModel(store, { a: ONE });
    await fetchAll(store, TWO);
    const partial = await store.partial(THREE.known);
    await partial.write(0, THREE.chunk(0));
    await partial.close();
    await mkdir(join(root, '.staged', 'model-old'), { recursive: true });
    await writeFile(join(root, '.staged', 'model-old', 'x'), 'four');
    expect(await store.cleanUp({ dryRun: true, partial: false })).toEqual({
      freedBytes: 4,
      removed: [{ what: 'leftovers of an installation (model-old)', bytes: 4 }],
    });
    ahead = 8 * DAY;
    const would = await store.cleanUp({ dryRun: true, partial: false });
    expect(would.removed.map(({ what }) => what)).toEqual([
      'leftovers of an installation (model-old)',
      `a file that is not whole (sha256:${THREE.sha256.slice(0, 12)})`,
      `a file of no model (sha256:${TWO.sha256.slice(0, 12)})`,
    ]);
    expect(would.freedBytes).toBeGreaterThanOrEqual(100_000 + CHUNK);
    expect(store.partials()).toHaveLength(1);
    ahead = 0;
    // The day before yesterday is late enough when that is asked for.
    await utimes(join(root, '.partial', `${THREE.sha256}.data`), new Date(now), new Date(now - 2 * DAY));
    const some = await store.cleanUp({ dryRun: false, partial: false, olderThanMs: DAY });
    expect(some.removed.map(({ what }) => what.slice(0, 12))).toEqual(['leftovers of', 'a file that ']);
    expect([store.partials(), store.has(TWO.sha256)]).toEqual([[], true]);
    expect((await store.cleanUp({ dryRun: false, partial: true })).freedBytes).toBe(100_000);
    expect([store.has(ONE.sha256), store.has(TWO.sha256), store.list().length]).toEqual([true, false, 1]);
    expect(await readdir(join(root, '.blobs'))).toEqual([ONE.sha256]);
    expect(await store.cleanUp({ dryRun: false, partial: true })).toEqual({ freedBytes: 0, removed: [] });
  });

  it('leaves alone what is being done', async () => {
    const { store } = await openStore();
    const kept = store.keep([ONE.sha256, TWO.sha256]);
    const twice = store.keep([ONE.sha256]);
    await fetchAll(store, ONE);
    const resting = await store.partial(TWO.known);
    await resting.write(0, TWO.chunk(0));
    await resting.close();
    const open = await store.partial(THREE.known);
    await open.write(0, THREE.chunk(0));
    const all = { dryRun: false, partial: true };
    expect(await store.cleanUp(all)).toEqual({ freedBytes: 0, removed: [] });
    kept.release();
    kept.release();
    expect((await store.cleanUp(all)).removed).toHaveLength(1);
    expect([store.has(ONE.sha256), store.partials().length]).toEqual([true, 1]);
    const staged = await store.stage([{ path: 'a', sha256: ONE.sha256 }]);
    twice.release();
    expect(await store.cleanUp(all)).toEqual({ freedBytes: 0, removed: [] });
    await staged.install(manifestOf({ a: ONE }), { signatures: [], origin: ORIGIN });
    await writeAll(open, THREE);
    await open.finish();
    expect((await store.cleanUp(all)).freedBytes).toBe(3 * CHUNK);
    expect(store.has(ONE.sha256)).toBe(true);
  });

  it('of files that a pull still needs is not done by a removal either', async () => {
    const { store } = await openStore();
    const model = await installModel(store, { a: ONE, b: TWO });
    const kept = store.keep([ONE.sha256]);
    await store.remove(model.ref.digest);
    expect([store.has(ONE.sha256), store.has(TWO.sha256)]).toEqual([true, false]);
    kept.release();
    await store.cleanUp({ dryRun: false, partial: true });
    expect(store.has(ONE.sha256)).toBe(false);
  });

  it('at every start deletes halves of begun files, and what has no place there', async () => {
    const { store, root } = await openStore();
    const partial = await store.partial(ONE.known);
    await partial.write(0, ONE.chunk(0));
    await partial.close();
    const folder = join(root, '.partial');
    await writeFile(join(folder, `${TWO.sha256}.data`), 'x');
    await writeFile(join(folder, `${THREE.sha256}.journal`), 'x');
    await writeFile(join(folder, 'what.ever'), 'x');
    await mkdir(join(folder, 'folder'));
    const { store: later } = await openStore({ root });
    expect((await readdir(folder)).sort()).toEqual([`${ONE.sha256}.data`, `${ONE.sha256}.journal`]);
    expect(later.partials()).toHaveLength(1);
  });
});
