import { link, open, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { openStore } from './fixtures.ts';
import { CHUNK, installModel, sample, writeAll } from './samples.ts';

const GRAPH = sample(30, 5 * CHUNK + 7);
const CONFIG = sample(31, 300);
const FILES = { 'onnx/model.onnx': GRAPH, 'config.json': CONFIG };
const PATH = 'onnx/model.onnx';
const signal = new AbortController().signal;

const pathOf = (model: InstalledModel): string => join(model.folder, ...PATH.split('/'));

async function flip(path: string, at: number): Promise<void> {
  await using handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
}

describe('finding damage', () => {
  it('finds none where there is none, and tells of the bytes', async () => {
    const { store } = await openStore();
    const { ref } = await installModel(store, FILES);
    let bytes = 0;
    const onBytes = (count: number): void => {
      bytes += count;
    };
    expect(await store.damage(ref.digest, { signal, onBytes })).toEqual([]);
    expect(bytes).toBe(GRAPH.bytes.byteLength + 300);
  });

  it.each<[string, (path: string) => Promise<unknown>, number[]]>([
    ['a flipped bit', (path) => flip(path, 2 * CHUNK + 1), [2]],
    ['flipped bits at both ends', (path) => flip(path, 0).then(() => flip(path, 5 * CHUNK + 6)), [0, 5]],
    ['a torn end', (path) => truncate(path, 3 * CHUNK + 5), [3, 4, 5]],
    ['an end too many', (path) => writeFile(path, 'x', { flag: 'a' }), []],
    ['a file that is gone', (path) => rm(path), [0, 1, 2, 3, 4, 5]],
    [
      'a link',
      async (path) => {
        await writeFile(`${path}.other`, GRAPH.bytes);
        await rm(path);
        await symlink(`${path}.other`, path);
      },
      [0, 1, 2, 3, 4, 5],
    ],
    [
      'a folder that is a link',
      async (path) => {
        const folder = join(path, '..');
        await rm(folder, { recursive: true });
        await symlink(join(folder, '..'), folder);
      },
      [0, 1, 2, 3, 4, 5],
    ],
  ])('finds %s, and the file is whole after a repair', async (_what, damage, bad) => {
    const { store } = await openStore();
    const model = await installModel(store, FILES);
    // The damage is this file's alone: elsewhere there is no good copy.
    await rm(join(model.folder, '../../.blobs'), { recursive: true });
    await store.open();
    await damage(pathOf(model));
    expect(await store.damage(model.ref.digest, { signal })).toEqual([{ path: PATH, bad }]);
    const partial = await store.repairing(model.ref.digest, PATH, bad);
    expect([0, 1, 2, 3, 4, 5].filter((index) => !partial.has(index))).toEqual(bad);
    expect(await writeAll(partial, GRAPH)).toBe(bad.length);
    await partial.finish();
    expect(await store.damage(model.ref.digest, { signal })).toEqual([]);
    expect(await readFile(pathOf(model))).toEqual(Buffer.from(GRAPH.bytes));
    expect((await stat(pathOf(model))).isFile()).toBe(true);
  });

  it('ends when it is cancelled', async () => {
    const { store } = await openStore();
    const { ref } = await installModel(store, FILES);
    await expect(store.damage(ref.digest, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    });
    const controller = new AbortController();
    const options = { signal: controller.signal, onBytes: () => controller.abort() };
    await expect(store.damage(ref.digest, options)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await store.damage(ref.digest, { signal })).toEqual([]);
    await expect(store.damage('sha256:none', { signal })).rejects.toMatchObject({ code: 'model_not_found' });
  });
});

describe('repairing', () => {
  it('replaces the file under every name that it has in models, and changes no other', async () => {
    const { store, root } = await openStore();
    const model = await installModel(store, FILES);
    const second = await installModel(store, FILES, { id: 'owner/second' });
    const mine = join(root, 'mine');
    await link(pathOf(model), mine);
    await flip(mine, 5);
    const damaged = await readFile(mine);
    for (const { ref } of [model, second]) {
      expect(await store.damage(ref.digest, { signal })).toEqual([{ path: PATH, bad: [0] }]);
    }
    expect(await store.read(GRAPH.sha256, 0, 10)).toBeUndefined();
    expect(store.holding(GRAPH.sha256)?.chunks).toEqual(new Uint8Array([0b111110]));
    const partial = await store.repairing(model.ref.digest, PATH, [0]);
    expect(await partial.write(0, new Uint8Array(damaged.subarray(0, CHUNK)))).toBe(false);
    expect(await writeAll(partial, GRAPH)).toBe(1);
    await partial.finish();
    for (const { ref } of [model, second]) expect(await store.damage(ref.digest, { signal })).toEqual([]);
    const inodes = [pathOf(model), pathOf(second), join(root, '.blobs', GRAPH.sha256)].map(async (path) => {
      return (await stat(path)).ino;
    });
    expect(new Set(await Promise.all(inodes)).size).toBe(1);
    expect(await readFile(mine)).toEqual(damaged);
    expect((await store.read(GRAPH.sha256, 0, 10))?.bytes).toEqual(GRAPH.bytes.subarray(0, 10));
    expect(store.holding(GRAPH.sha256)?.chunks).toBe('all');
    expect(await readdir(join(model.folder, 'onnx'))).toEqual(['model.onnx']);
  });

  it('in place would change every other name of the file: the twin of the one above', async () => {
    const { store, root } = await openStore();
    const model = await installModel(store, FILES);
    const mine = join(root, 'mine');
    await link(pathOf(model), mine);
    await flip(pathOf(model), 5);
    expect(await readFile(mine)).not.toEqual(Buffer.from(GRAPH.bytes));
  });

  it('takes good chunks from other copies, so that nothing need be fetched', async () => {
    const { store, root } = await openStore();
    const model = await installModel(store, FILES);
    const copy = pathOf(model);
    const bytes = await readFile(copy);
    await rm(copy);
    await writeFile(copy, bytes);
    await flip(copy, CHUNK);
    await flip(join(root, '.blobs', GRAPH.sha256), 3 * CHUNK);
    const partial = await store.repairing(model.ref.digest, PATH, [1]);
    expect([0, 1, 2, 3, 4, 5].every((index) => partial.has(index))).toBe(true);
    await partial.finish();
    expect(await store.damage(model.ref.digest, { signal })).toEqual([]);
  });

  it('is left half done, and gone on with', async () => {
    const { store } = await openStore();
    const model = await installModel(store, FILES);
    await flip(pathOf(model), 5);
    const partial = await store.repairing(model.ref.digest, PATH, [0]);
    await partial.close();
    expect(store.partials()).toHaveLength(1);
    expect(store.list()).toHaveLength(1);
    const again = await store.repairing(model.ref.digest, PATH, [0]);
    expect(await writeAll(again, GRAPH)).toBe(1);
    await again.finish();
    expect(await store.damage(model.ref.digest, { signal })).toEqual([]);
  });

  it('is refused for what came with Weft, what is no file of the model, and what is no model', async () => {
    const { store: maker, root } = await openStore();
    const model = await installModel(maker, FILES);
    const { store } = await openStore({ root: `${root}-own`, roots: [`${root}-own`, root], bundledRoot: root });
    const { digest } = model.ref;
    await expect(store.repairing(digest, PATH, [])).rejects.toMatchObject({ code: 'forbidden' });
    await expect(store.repairing(digest, '../x', [])).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(store.repairing('sha256:no', PATH, [])).rejects.toMatchObject({ code: 'model_not_found' });
  });
});
