import { link, lstat, mkdir, readdir, readFile, rename, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canonicalJson, modelRef } from '../../../models/manifest.ts';
import { Reservations } from '../../../models/store/reservations.ts';
import { openStore } from './fixtures.ts';
import { CHUNK, fetchAll, installModel, manifestOf, sample, sha256, writeAll } from './samples.ts';

const GRAPH = sample(70, 2 * CHUNK);
const WEIGHTS = sample(71, 4 * CHUNK + 100);
const MANIFEST = manifestOf({ 'onnx/model.onnx': GRAPH, 'onnx/weights': WEIGHTS });
const { digest: DIGEST } = modelRef(MANIFEST);
const never = { signal: new AbortController().signal };
const DAY = 24 * 3_600_000;

const folderIn = (root: string): string => join(root, '.parts', DIGEST.slice('sha256:'.length));
const dataIn = (root: string): string => join(root, '.partial', `${WEIGHTS.sha256}.data`);

/** Another who says the same file has other chunks. */
function liar() {
  const bytes = (index: number) => new Uint8Array(WEIGHTS.chunk(index).byteLength).fill(index);
  const { sha256: digest, sizeBytes, chunks } = WEIGHTS.known;
  const sha256s = chunks.sha256.map((_, index) => sha256(bytes(index)));
  return { bytes, known: { sha256: digest, sizeBytes, chunks: { sizeBytes: CHUNK, sha256: sha256s } } };
}

/** A store with chunk 1 of the weights, for a part. */
async function withPart(init: Parameters<typeof openStore>[0] = {}) {
  const opened = await openStore(init);
  const { store, root } = opened;
  const model = await store.beginParts(MANIFEST, ['signed']);
  const file = await store.partFile(DIGEST, 'onnx/weights');
  expect(await file.write(1, WEIGHTS.chunk(1))).toBe(true);
  await file.close();
  return { ...opened, model, path: join(folderIn(root), 'onnx', 'weights') };
}

const chunkAt = async (path: string, index: number): Promise<Uint8Array> =>
  (await readFile(path)).subarray(index * CHUNK, (index + 1) * CHUNK);

describe('a file of a part', () => {
  it('lies where the manifest says, of full size, and what comes for others comes for it', async () => {
    const { store, root, model, path } = await withPart();
    expect(model).toEqual({ manifest: MANIFEST, signatures: ['signed'], folder: folderIn(root) });
    expect(store.partModel(DIGEST)).toEqual(model);
    expect((await stat(path)).size).toBe(WEIGHTS.bytes.byteLength);
    expect(await chunkAt(path, 1)).toEqual(Buffer.from(WEIGHTS.chunk(1)));
    // A pull goes on with it, in the same file.
    const partial = await store.partial(WEIGHTS.known);
    expect([partial.has(0), partial.has(1)]).toEqual([false, true]);
    await partial.write(0, WEIGHTS.chunk(0));
    expect(await chunkAt(path, 0)).toEqual(Buffer.from(WEIGHTS.chunk(0)));
    // It isn't taken for good before somebody has looked.
    const file = await store.partFile(DIGEST, 'onnx/weights');
    expect([file.has(0), file.has(1)]).toEqual([false, true]);
    await file.check(undefined, never);
    expect([file.has(0), [...file.bitmap()]]).toEqual([true, [3]]);
    expect(file.bytesOf([0, 4])).toBe(CHUNK + 100);
    await file.close();
    // Nor is it ever written over.
    await writeAll(partial, WEIGHTS);
    await partial.finish();
    expect(await readFile(path)).toEqual(Buffer.from(WEIGHTS.bytes));
    expect(store.list()).toEqual([]);
  });

  it('refuses what is not the chunk', async () => {
    const { store } = await withPart();
    const file = await store.partFile(DIGEST, 'onnx/weights');
    expect(await file.write(0, WEIGHTS.chunk(2))).toBe(false);
    expect(await file.write(9, WEIGHTS.chunk(2))).toBe(false);
    expect([file.has(0), file.has(9)]).toEqual([false, false]);
    await file.close();
    await expect(store.partFile(DIGEST, 'other')).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(store.partFile('sha256:0', 'onnx/weights')).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('that was damaged on the disk has to come again', async () => {
    const { store, root, path } = await withPart();
    await store.close();
    const bytes = await readFile(path);
    bytes[CHUNK + 5] = (bytes[CHUNK + 5] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const again = await openStore({ root });
    const file = await again.store.partFile(DIGEST, 'onnx/weights');
    expect(file.has(1)).toBe(false);
    await file.check([0, 1], never);
    expect(file.has(1)).toBe(false);
    expect(await file.write(1, WEIGHTS.chunk(1))).toBe(true);
    expect(await chunkAt(path, 1)).toEqual(Buffer.from(WEIGHTS.chunk(1)));
    await file.close();
  });

  it('that a whole model has is a second name of that one, and refused while it is damaged', async () => {
    const { store, root } = await openStore();
    const other = await installModel(store, { weights: WEIGHTS, 'other.txt': sample(72, 10) });
    await store.beginParts(MANIFEST, []);
    const file = await store.partFile(DIGEST, 'onnx/weights');
    await file.check(undefined, never);
    expect(file.has(4)).toBe(true);
    await file.close();
    const path = join(other.folder, 'weights');
    expect((await stat(path)).ino).toBe((await stat(file.path)).ino);
    await store.close();
    const bytes = await readFile(path);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const again = (await openStore({ root })).store;
    const late = await again.partFile(DIGEST, 'onnx/weights');
    await expect(late.check([0], never)).rejects.toMatchObject({ code: 'model_corrupt' });
    await late.check([1], never);
    expect([late.has(0), late.has(1)]).toEqual([false, true]);
  });

  it('of which nothing is needed is a hole, until something is', async () => {
    const { store, root } = await openStore();
    await store.beginParts(MANIFEST, []);
    await store.hollowPartFile(DIGEST, 'onnx/weights');
    const path = join(folderIn(root), 'onnx', 'weights');
    expect(await stat(path)).toMatchObject({ size: WEIGHTS.bytes.byteLength, blocks: 0 });
    expect(await store.hasPart(DIGEST, new Map([['onnx/weights', new Set<number>()]]))).toBe(true);
    expect(await store.hasPart(DIGEST, new Map([['onnx/weights', new Set([1])]]))).toBe(false);
    const file = await store.partFile(DIGEST, 'onnx/weights');
    await file.write(1, WEIGHTS.chunk(1));
    await file.close();
    await store.hollowPartFile(DIGEST, 'onnx/weights');
    expect(await chunkAt(path, 1)).toEqual(Buffer.from(WEIGHTS.chunk(1)));
    expect(await store.hasPart(DIGEST, new Map([['onnx/weights', new Set([1])]]))).toBe(true);
    expect(await store.hasPart('sha256:0', new Map())).toBe(false);
  });

  it('needs a disk that can give files two names, unless it is whole', async () => {
    const none = () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTSUP' }));
    const { store } = await openStore({ link: none });
    await store.beginParts(MANIFEST, []);
    await expect(store.partFile(DIGEST, 'onnx/weights')).rejects.toMatchObject({ code: 'forbidden' });
    await fetchAll(store, GRAPH);
    const file = await store.partFile(DIGEST, 'onnx/model.onnx');
    expect(await readFile(file.path)).toEqual(Buffer.from(GRAPH.bytes));
  });

  it('is not laid through a link', async () => {
    const { store, root } = await openStore();
    await store.beginParts(MANIFEST, []);
    const elsewhere = join(root, 'elsewhere');
    await mkdir(elsewhere);
    await symlink(elsewhere, join(folderIn(root), 'onnx'));
    await expect(store.partFile(DIGEST, 'onnx/weights')).rejects.toMatchObject({ code: 'forbidden' });
    expect(await readdir(elsewhere)).toEqual([]);
  });
});

describe('somebody who says that the same file has other chunks', () => {
  it('gets a file of his own, and the part keeps what it reads', async () => {
    const { store, root, path } = await withPart();
    const { ino } = await stat(dataIn(root));
    const evil = liar();
    const partial = await store.partial(evil.known);
    expect(await partial.write(1, evil.bytes(1))).toBe(true);
    await partial.close();
    expect(await chunkAt(path, 1)).toEqual(Buffer.from(WEIGHTS.chunk(1)));
    expect((await stat(dataIn(root))).ino).not.toBe(ino);
  });

  it('twin: where no part reads it, it is written over', async () => {
    const { store, root } = await openStore();
    const first = await store.partial(WEIGHTS.known);
    await first.write(1, WEIGHTS.chunk(1));
    await first.close();
    const { ino } = await stat(dataIn(root));
    const evil = liar();
    const partial = await store.partial(evil.known);
    await partial.write(1, evil.bytes(1));
    await partial.close();
    expect((await stat(dataIn(root))).ino).toBe(ino);
    expect(await chunkAt(dataIn(root), 1)).toEqual(Buffer.from(evil.bytes(1)));
  });

  it('a name that nobody knows is never written to, beside that of a part', async () => {
    const { store, root } = await withPart();
    const other = join(root, 'other');
    await link(dataIn(root), other);
    const partial = await store.partial(WEIGHTS.known);
    expect(partial.has(1)).toBe(false);
    await partial.write(0, WEIGHTS.chunk(0));
    expect(await chunkAt(other, 0)).toEqual(Buffer.alloc(CHUNK));
    await partial.close();
  });
});

describe('the folder of parts', () => {
  it('is there after a restart; what is none is deleted', async () => {
    const { store, root, model } = await withPart();
    await store.close();
    const strange = join(root, '.parts', '0'.repeat(64));
    await mkdir(strange);
    await writeFile(join(strange, 'weft-manifest.json'), canonicalJson(MANIFEST));
    await mkdir(join(root, '.parts', 'empty'));
    const looking = await openStore({ root, readOnly: true });
    expect(looking.store.partModel(DIGEST)).toEqual(model);
    expect(await readdir(join(root, '.parts'))).toHaveLength(3);
    await expect(looking.store.beginParts(MANIFEST, [])).rejects.toMatchObject({ code: 'forbidden' });
    const again = await openStore({ root });
    expect(again.store.partModel(DIGEST)).toEqual(model);
    expect(await readdir(join(root, '.parts'))).toEqual([DIGEST.slice('sha256:'.length)]);
    expect(again.store.list()).toEqual([]);
  });

  it('goes at the next start when the model is there whole, and with it when it is removed', async () => {
    const { store, root } = await withPart();
    await fetchAll(store, GRAPH);
    await fetchAll(store, WEIGHTS);
    await installModel(store, { 'onnx/model.onnx': GRAPH, 'onnx/weights': WEIGHTS });
    expect(store.partModel(DIGEST)).toBeDefined();
    await store.close();
    const again = (await openStore({ root })).store;
    expect(again.partModel(DIGEST)).toBeUndefined();
    expect(await readdir(join(root, '.parts'))).toEqual([]);
    await again.beginParts(MANIFEST, []);
    await again.remove(DIGEST);
    expect(await readdir(join(root, '.parts'))).toEqual([]);
    expect(await readdir(join(root, '.blobs'))).toEqual([]);
  });

  it.each(['../above', 'weft-manifest.json', 'ONNX/MODEL.onnx'])(
    'is not made for a model with a file %s',
    async (path) => {
      const { store, root } = await openStore();
      const manifest = manifestOf({ 'onnx/model.onnx': GRAPH, [path]: WEIGHTS });
      await expect(store.beginParts(manifest, [])).rejects.toMatchObject({ code: 'model_corrupt' });
      expect(await readdir(root).catch(() => [])).toEqual([]);
    },
  );

  it('keeps each signature once', async () => {
    const { store } = await withPart();
    expect((await store.beginParts(MANIFEST, ['signed', 'more'])).signatures).toEqual(['signed', 'more']);
  });
});

describe('cleaning up', () => {
  it('deletes parts that were not asked for within days, and the files that they alone kept', async () => {
    const now = Date.now();
    let later = 0;
    const { store, root } = await withPart({ now: () => now + later });
    const orphan = await store.partial(sample(73, 100).known);
    await orphan.write(0, sample(73, 100).chunk(0));
    await orphan.close();
    await store.hasPart(DIGEST, new Map());
    later = 8 * DAY;
    // Asked for meanwhile: it stays, with its files, and others go.
    await store.hasPart(DIGEST, new Map());
    later = 14 * DAY;
    const clean = () => store.cleanUp({ dryRun: false, partial: false });
    expect((await clean()).removed.map(({ what }) => what)).toEqual([
      expect.stringContaining('a file that is not whole'),
    ]);
    expect((await lstat(dataIn(root))).nlink).toBe(2);
    later = 16 * DAY;
    expect((await clean()).removed.map(({ what }) => what)).toEqual([
      expect.stringContaining('the parts of owner/name'),
      expect.stringContaining('a file that is not whole'),
    ]);
    expect(await readdir(join(root, '.partial'))).toEqual([]);
    expect(store.partModel(DIGEST)).toBeUndefined();
  });

  it('leaves what is open or kept, and whole files of parts that stay', async () => {
    const { store } = await withPart();
    await fetchAll(store, GRAPH);
    const old = new Date(Date.now() - 30 * DAY);
    const clean = () => store.cleanUp({ dryRun: false, partial: true });
    const kept = store.keep([GRAPH.sha256]);
    expect((await clean()).removed).toEqual([]);
    kept.release();
    const file = await store.partFile(DIGEST, 'onnx/weights');
    expect((await clean()).removed).toEqual([]);
    await file.close();
    await utimes(join(store.partModel(DIGEST)?.folder ?? '', 'weft-manifest.json'), old, old);
    await store.hasPart(DIGEST, new Map());
    expect((await store.cleanUp({ dryRun: false, partial: false })).removed).toEqual([]);
    expect((await clean()).removed).toHaveLength(3);
    expect(store.has(GRAPH.sha256)).toBe(false);
  });

  it('of a folder that somebody has taken away does not fail', async () => {
    const { store, root } = await withPart();
    await rename(join(root, '.parts'), join(root, 'taken'));
    expect(await store.hasPart(DIGEST, new Map([['onnx/weights', new Set([1])]]))).toBe(false);
    await store.cleanUp({ dryRun: false, partial: true });
    await store.beginParts(MANIFEST, []);
    const file = await store.partFile(DIGEST, 'onnx/weights');
    expect(file.has(1)).toBe(false);
    await file.close();
  });
});

describe('room that is promised', () => {
  it('for some of a file is less than for all of it, and who wants all of it wants more', () => {
    const missing = ({ sizeBytes }: { readonly sizeBytes: number }) => sizeBytes;
    const reservations = new Reservations(missing);
    const open = [{ sha256: 'a', sizeBytes: 1000 }];
    expect(reservations.bytes(open)).toBe(1000);
    let left = 100;
    const some = reservations.add([{ sha256: 'a', sizeBytes: 1000, missingBytes: () => left }]);
    expect(reservations.bytes(open)).toBe(100);
    left = 40;
    expect(reservations.bytes(open)).toBe(40);
    const all = reservations.add([{ sha256: 'a', sizeBytes: 1000 }]);
    expect(reservations.bytes(open)).toBe(1000);
    all.release();
    expect(reservations.bytes(open)).toBe(40);
    expect(reservations.missing([{ sha256: 'b', sizeBytes: 10, missingBytes: () => 3 }])).toBe(3);
    some.release();
    expect(reservations.bytes(open)).toBe(1000);
  });
});
