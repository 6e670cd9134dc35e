import { execFileSync } from 'node:child_process';
import { cp, link, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MANIFEST_FILE, modelRef } from '../../../models/manifest.ts';
import type { ModelStore } from '../../../models/store.ts';
import { temporaryFolder } from '../temporary.ts';
import { openStore } from './fixtures.ts';
import { fetchAll, installModel, manifestOf, ORIGIN, sample } from './samples.ts';

const GRAPH = sample(20, 200_000);
const CONFIG = sample(21, 300);
const OTHER = sample(22, 70_000);
const FILES = { 'onnx/model.onnx': GRAPH, 'config.json': CONFIG };

const inode = async (path: string): Promise<number> => (await stat(path)).ino;
const refusing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

describe('installing a model', () => {
  it('lays real files out in the layout of the hub, each of them stored once', async () => {
    const { store, root } = await openStore();
    const model = await installModel(store, FILES);
    expect(model).toMatchObject({ folder: join(root, 'owner', 'name'), ref: modelRef(manifestOf(FILES)) });
    for (const [path, file] of Object.entries(FILES)) {
      const target = join(model.folder, path);
      expect((await lstat(target)).isFile()).toBe(true);
      expect(await readFile(target)).toEqual(Buffer.from(file.bytes));
      expect(await inode(target)).toBe(await inode(join(root, '.blobs', file.sha256)));
      expect(store.fileByDigest(file.sha256)).toEqual({ path: target, sizeBytes: file.bytes.byteLength });
    }
    expect(await readdir(join(root, '.staged'))).toEqual([]);
    expect(store.list()).toEqual([model]);
    const { store: later, lines } = await openStore({ root });
    expect(later.list()).toEqual([model]);
    expect(later.origin(model.ref.digest)).toEqual(ORIGIN);
    expect(lines).toEqual([]);
  });

  it('takes a second model of the same file without another copy, and removal leaves what the other has', async () => {
    const { store, root } = await openStore();
    const first = await installModel(store, FILES);
    const second = await installModel(store, { ...FILES, 'more.bin': OTHER }, { id: 'owner/second' });
    expect(await inode(join(first.folder, 'config.json'))).toBe(await inode(join(second.folder, 'config.json')));
    expect((await store.storage()).usedBytes).toBeLessThan(1.2 * (200_000 + 300 + 70_000));
    await store.remove(second.ref.digest);
    expect([store.has(GRAPH.sha256), store.has(OTHER.sha256)]).toEqual([true, false]);
    expect((await readdir(join(root, '.blobs'))).sort()).toEqual([GRAPH.sha256, CONFIG.sha256].sort());
    expect(await readFile(join(first.folder, 'onnx/model.onnx'))).toEqual(Buffer.from(GRAPH.bytes));
    await store.remove(first.ref.digest);
    expect(await readdir(join(root, '.blobs'))).toEqual([]);
    expect(store.has(GRAPH.sha256)).toBe(false);
  });

  it('changes nothing where another process keeps the folder', async () => {
    const { store, root } = await openStore();
    const model = await installModel(store, FILES);
    const { store: looking } = await openStore({ root, readOnly: true });
    expect(looking.list()).toEqual([model]);
    const { sha256, bytes } = OTHER;
    const changes = [
      () => looking.partial({ sha256, sizeBytes: bytes.byteLength }),
      () => looking.room(1),
      () => looking.reserve([]),
      () => looking.remove(model.ref.digest),
      () => looking.repairing(model.ref.digest, 'config.json', [0]),
      () => looking.cleanUp({ dryRun: false, partial: false }),
    ];
    for (const change of changes) await expect(change()).rejects.toMatchObject({ code: 'forbidden' });
    expect(await looking.cleanUp({ dryRun: true, partial: false })).toMatchObject({ freedBytes: 0 });
    expect(store.list()).toEqual([model]);
  });

  it('forgets files that no model has, and keeps another origin from then on', async () => {
    const { store, root } = await openStore();
    const model = await installModel(store, FILES);
    await fetchAll(store, OTHER);
    const kept = store.keep([OTHER.sha256]);
    await store.forget([OTHER.sha256, GRAPH.sha256]);
    expect([store.has(OTHER.sha256), store.has(GRAPH.sha256)]).toEqual([true, true]);
    kept.release();
    await store.forget([OTHER.sha256, GRAPH.sha256]);
    expect([store.has(OTHER.sha256), store.has(GRAPH.sha256)]).toEqual([false, true]);
    const origin = { ...ORIGIN, brought: !ORIGIN.brought };
    await store.setOrigin(model.ref.digest, origin);
    const { store: later } = await openStore({ root });
    expect([store, later].map((one) => one.origin(model.ref.digest))).toEqual([origin, origin]);
  });

  it('gives the model that is there when it is installed again, also by two at once', async () => {
    const { store, root } = await openStore();
    await fetchAll(store, GRAPH);
    await fetchAll(store, CONFIG);
    const stage = () => store.stage(Object.entries(FILES).map(([path, { sha256 }]) => ({ path, sha256 })));
    const staged = await Promise.all([stage(), stage()]);
    const extras = { signatures: [], origin: ORIGIN };
    const models = await Promise.all(staged.map((one) => one.install(manifestOf(FILES), extras)));
    expect(models[0]).toBe(models[1]);
    expect(await readdir(join(root, '.staged'))).toEqual([]);
    expect(await readdir(join(root, 'owner'))).toEqual(['name']);
  });

  it('puts variants beside one another, and finds them by name', async () => {
    const { store, root } = await openStore();
    const q4 = await installModel(store, FILES, { precision: 'q4' });
    const int8 = await installModel(store, { ...FILES, 'onnx/model.onnx': OTHER }, { precision: 'int8' });
    const revised = await installModel(store, { ...FILES, 'x.bin': OTHER }, { precision: 'int8' });
    expect((await readdir(join(root, 'owner'))).sort()).toEqual([
      'name',
      'name@int8',
      `name@int8-${revised.ref.digest.slice(7, 15)}`,
    ]);
    const { store: later, lines } = await openStore({ root });
    expect(lines).toEqual([]);
    expect(later.list()).toHaveLength(3);
    expect(later.find('owner/name')).toEqual(q4);
    expect(later.find('name')).toEqual(q4);
    expect(later.find('Owner/Name:Q4')).toEqual(q4);
    expect(later.find('owner/name:int8')).toEqual(int8);
    expect(later.find(`owner/name:int8-${revised.ref.digest.slice(7, 15)}`)).toEqual(revised);
    expect(later.find('owner/name:onnx/model.onnx')).toEqual(q4);
    expect(later.find('owner/name:fp16')).toBeUndefined();
    expect(later.find('elsewhere:q4')).toBeUndefined();
    await store.remove(q4.ref.digest);
    expect(store.find('owner/name')).toEqual(int8);
  });

  it('leaves out what the manifest does not list', async () => {
    const { store } = await openStore();
    for (const file of [GRAPH, CONFIG, OTHER]) await fetchAll(store, file);
    const paths = Object.entries({ ...FILES, 'README.md': OTHER });
    const staged = await store.stage(paths.map(([path, { sha256 }]) => ({ path, sha256 })));
    const { folder } = await staged.install(manifestOf(FILES), { signatures: [], origin: ORIGIN });
    expect((await readdir(folder)).sort()).toEqual([
      'config.json',
      'onnx',
      'weft-manifest.json',
      'weft-origin.json',
      'weft-signatures.json',
    ]);
  });

  it('takes the place of a broken one, and leaves a folder alone that is no model', async () => {
    const { store, root } = await openStore();
    const { folder } = await installModel(store, FILES);
    await rm(join(folder, 'config.json'));
    await store.open();
    expect(store.problems()).toHaveLength(1);
    expect((await installModel(store, FILES)).folder).toBe(folder);
    expect((await readdir(root)).sort()).toEqual(['.blobs', '.partial', '.staged', 'owner']);
    await mkdir(join(root, 'owner', 'mine'));
    await writeFile(join(root, 'owner', 'mine', 'notes.txt'), 'mine');
    const beside = await installModel(store, FILES, { id: 'owner/mine' });
    expect(beside.folder).toBe(join(root, 'owner', 'mine@fp32'));
    expect(await readdir(join(root, 'owner', 'mine'))).toEqual(['notes.txt']);
  });

  it.each<[string, (manifest: ReturnType<typeof manifestOf>) => unknown]>([
    ['a file is missing', (manifest) => manifest.files.push({ ...manifest.files[0], path: 'a' } as never)],
    ['a size differs', (manifest) => Object.assign(manifest.files[1] ?? {}, { sizeBytes: 5 })],
    ['a digest differs', (manifest) => Object.assign(manifest.files[0] ?? {}, { sha256: OTHER.sha256 })],
    ['there are chunks too few', (manifest) => manifest.files[0]?.chunks.sha256.pop()],
    ['a path leaves the folder', (manifest) => Object.assign(manifest.files[0] ?? {}, { path: '../evil' })],
  ])('is refused where %s, and nothing of it is installed', async (_what, alter) => {
    const { store, root } = await openStore();
    await fetchAll(store, GRAPH);
    await fetchAll(store, CONFIG);
    const staged = await store.stage(Object.entries(FILES).map(([path, { sha256 }]) => ({ path, sha256 })));
    const manifest = structuredClone(manifestOf(FILES));
    alter(manifest);
    const installing = staged.install(manifest, { signatures: [], origin: ORIGIN });
    await expect(installing).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(store.list()).toEqual([]);
    await staged.discard();
    await staged.discard();
    expect(await readdir(join(root, '.staged'))).toEqual([]);
    await expect(readdir(join(root, 'owner'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is refused to a manifest that lies about chunks, which peers would be blamed for', async () => {
    const { store } = await openStore();
    const real = sample(23, 5 << 20, 4 << 20);
    const partial = await store.partial(real.unknown);
    await partial.write(0, real.chunk(0));
    await partial.write(1, real.chunk(1));
    await partial.finish();
    const lying = { ...real, known: { ...real.known, chunks: sample(24, 5 << 20, 4 << 20).known.chunks } };
    const staged = await store.stage([{ path: 'a', sha256: real.sha256 }]);
    const extras = { signatures: [], origin: ORIGIN };
    await expect(staged.install(manifestOf({ a: lying }), extras)).rejects.toMatchObject({ code: 'model_corrupt' });
    await staged.install(manifestOf({ a: real }), extras);
  });

  it.each(['../evil', '/evil', 'a/../../evil', 'a\\evil', 'c:evil', '', '.', 'a//b', 'a\0b'])(
    'lays nothing out at %j',
    async (path) => {
      const { store, root } = await openStore();
      await fetchAll(store, CONFIG);
      await expect(store.stage([{ path, sha256: CONFIG.sha256 }])).rejects.toMatchObject({ code: 'model_corrupt' });
      expect((await readdir(root)).sort()).toEqual(['.blobs', '.partial']);
    },
  );

  it('lays no link out that has come into the place of a file', async () => {
    const { store, root } = await openStore();
    await fetchAll(store, CONFIG);
    const [blob, secret] = [join(root, '.blobs', CONFIG.sha256), join(root, 'secret')];
    await writeFile(
      secret,
      CONFIG.bytes.map((byte) => byte ^ 1),
    );
    await rm(blob);
    await symlink(secret, blob);
    await expect(store.stage([{ path: 'a', sha256: CONFIG.sha256 }])).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(await store.read(CONFIG.sha256, 0, 10)).toBeUndefined();
    // Its twin: by its path alone the secret would have been copied into the model.
    await cp(blob, join(root, 'copied'), { dereference: true });
    expect(await readFile(join(root, 'copied'))).toEqual(await readFile(secret));
  });

  it('refuses folders of the store that are links', async () => {
    const { store, root } = await openStore();
    const elsewhere = await temporaryFolder();
    await mkdir(root);
    await symlink(elsewhere, join(root, '.partial'));
    await expect(store.partial(CONFIG.known)).rejects.toMatchObject({ code: 'forbidden' });
    await symlink(elsewhere, join(root, '.blobs'));
    await expect(store.put(CONFIG.bytes)).rejects.toMatchObject({ code: 'forbidden' });
    expect(await readdir(elsewhere)).toEqual([]);
  });
});

describe('where the disk cannot link', () => {
  it.each(['EPERM', 'EXDEV', 'ENOTSUP', 'EMLINK'])(
    'files are copied, and stored once in the end (%s)',
    async (code) => {
      const { store, root } = await openStore({ link: refusing(code) });
      const model = await installModel(store, FILES);
      expect(await readdir(join(root, '.blobs'))).toEqual([]);
      expect(store.has(GRAPH.sha256)).toBe(true);
      expect((await store.read(GRAPH.sha256, 5, 10))?.bytes).toEqual(GRAPH.bytes.subarray(5, 15));
      const second = await installModel(store, FILES, { id: 'owner/second' });
      expect(await readFile(join(second.folder, 'onnx/model.onnx'))).toEqual(Buffer.from(GRAPH.bytes));
      await store.remove(model.ref.digest);
      expect(store.has(GRAPH.sha256)).toBe(true);
    },
  );

  it('what else it refuses is said', async () => {
    const { store } = await openStore({ link: refusing('ENOSPC') });
    await fetchAll(store, CONFIG);
    await expect(store.stage([{ path: 'a', sha256: CONFIG.sha256 }])).rejects.toMatchObject({ code: 'disk_full' });
  });
});

describe('models of before there were blobs', () => {
  it('count as they are, and their files are linked instead of fetched', async () => {
    const { store: before, root } = await openStore();
    const old = await installModel(before, FILES);
    for (const name of ['.blobs', '.partial', '.staged']) await rm(join(root, name), { recursive: true });
    await rm(join(old.folder, 'weft-origin.json'));
    await rm(join(old.folder, 'weft-signatures.json'));
    const { store } = await openStore({ root });
    expect(store.list()).toEqual([old]);
    expect([store.origin(old.ref.digest), store.signatures(old.ref.digest)]).toEqual([undefined, []]);
    expect([store.has(GRAPH.sha256), store.has(OTHER.sha256)]).toEqual([true, false]);
    expect(store.holding(GRAPH.sha256)).toMatchObject({ chunks: 'all' });
    expect((await store.read(GRAPH.sha256, 0, 9))?.bytes).toEqual(GRAPH.bytes.subarray(0, 9));
    const model = await installModel(store, FILES, { id: 'owner/new' });
    expect(await inode(join(model.folder, 'onnx/model.onnx'))).toBe(await inode(join(old.folder, 'onnx/model.onnx')));
    await store.remove(old.ref.digest);
    expect(await readFile(join(model.folder, 'onnx/model.onnx'))).toEqual(Buffer.from(GRAPH.bytes));
  });
});

describe('files that lie elsewhere', () => {
  const adopted = async (init?: Parameters<typeof openStore>[0]) => {
    const folder = await temporaryFolder();
    const path = join(folder, 'file');
    await writeFile(path, GRAPH.bytes);
    return { ...(await openStore(init)), folder, path };
  };

  it('are linked, through a link to them too, and stay where they are', async () => {
    const { store, root, folder, path } = await adopted();
    await symlink(path, join(folder, 'snapshot'));
    await store.adopt(join(folder, 'snapshot'), GRAPH.unknown);
    expect(await inode(join(root, '.blobs', GRAPH.sha256))).toBe(await inode(path));
    expect((await lstat(join(root, '.blobs', GRAPH.sha256))).isFile()).toBe(true);
    await store.adopt('/nowhere', GRAPH.unknown);
    expect(await readdir(join(root, '.staged'))).toEqual([]);
    expect((await store.read(GRAPH.sha256, 0, 9))?.bytes).toEqual(GRAPH.bytes.subarray(0, 9));
  });

  it('are copied where they may be changed, or the disk cannot link', async () => {
    for (const init of [{}, { link: refusing('EXDEV') }]) {
      const { store, root, path } = await adopted(init);
      await store.adopt(path, GRAPH.unknown, { copy: true });
      await writeFile(path, 'changed');
      expect(await readFile(join(root, '.blobs', GRAPH.sha256))).toEqual(Buffer.from(GRAPH.bytes));
    }
  });

  it('are refused when they are not what they should be, and nothing stays of them', async () => {
    const { store, root, path, folder } = await adopted();
    await expect(store.adopt(path, { ...GRAPH.unknown, sizeBytes: 5 })).rejects.toMatchObject({
      code: 'model_corrupt',
    });
    await expect(store.adopt(path, { ...GRAPH.unknown, sha256: OTHER.sha256 })).rejects.toMatchObject({
      code: 'model_corrupt',
    });
    await expect(store.adopt(join(folder, 'no'), GRAPH.unknown)).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(store.adopt(folder, GRAPH.unknown)).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(store.has(OTHER.sha256)).toBe(false);
    for (const name of ['.blobs', '.staged']) expect(await readdir(join(root, name))).toEqual([]);
  });

  it('small ones come from memory', async () => {
    const { store, root } = await openStore();
    expect(await store.put(CONFIG.bytes)).toEqual(CONFIG.unknown);
    expect(await store.put(CONFIG.bytes)).toEqual(CONFIG.unknown);
    expect(CONFIG.bytes).toHaveLength(300);
    expect(await readFile(join(root, '.blobs', CONFIG.sha256))).toEqual(Buffer.from(CONFIG.bytes));
  });

  it('are hashed when they are read out after a restart and no manifest says their chunks', async () => {
    const { store, root } = await openStore();
    const large = sample(25, 5 << 20, 4 << 20);
    await store.put(large.bytes);
    const { store: later } = await openStore({ root });
    expect(later.holding(large.sha256)).toEqual({ sizeBytes: 5 << 20, chunkBytes: 4 << 20, chunks: 'all' });
    expect((await later.read(large.sha256, 4 << 20, 5))?.bytes).toEqual(large.bytes.subarray(4 << 20, (4 << 20) + 5));
    const { store: damaged } = await openStore({ root });
    await writeFile(join(root, '.blobs', large.sha256), new Uint8Array(5 << 20));
    expect(await damaged.read(large.sha256, 0, 5)).toBeUndefined();
  });
});

describe('signatures', () => {
  it('are kept beside the model, each once, and grow to a bound', async () => {
    const { store, root } = await openStore();
    await fetchAll(store, CONFIG);
    const staged = await store.stage([{ path: 'a', sha256: CONFIG.sha256 }]);
    const model = await staged.install(manifestOf({ a: CONFIG }), { signatures: ['one', 'one'], origin: ORIGIN });
    const { digest } = model.ref;
    await store.addSignatures(digest, ['two', 'one']);
    await store.addSignatures('sha256:none', ['two']);
    expect(store.signatures(digest)).toEqual(['one', 'two']);
    const { store: later } = await openStore({ root });
    expect(later.signatures(digest)).toEqual(['one', 'two']);
    await later.addSignatures(digest, ['x'.repeat(100_000), ...Array.from({ length: 100 }, (_, at) => `s${at}`)]);
    expect(later.signatures(digest)).toHaveLength(64);
    expect(later.signatures(digest).slice(0, 3)).toEqual(['one', 'two', 's0']);
    expect((await readdir(model.folder)).sort()).toEqual([
      'a',
      MANIFEST_FILE,
      'weft-origin.json',
      'weft-signatures.json',
    ]);
  });

  it('that cannot be read count for nothing', async () => {
    const { store, root } = await openStore();
    const model = await installModel(store, { a: CONFIG });
    await writeFile(join(model.folder, 'weft-signatures.json'), '{"no": "array"}');
    await writeFile(join(model.folder, 'weft-origin.json'), 'no json');
    const { store: later, lines } = await openStore({ root });
    expect([later.signatures(model.ref.digest), later.origin(model.ref.digest)]).toEqual([[], undefined]);
    expect([later.list().length, lines]).toEqual([1, []]);
  });
});

describe('what a stop leaves', () => {
  it('is deleted at the next start, unless that only looks', async () => {
    const { store, root } = await openStore();
    const one = await installModel(store, FILES);
    const other = await installModel(store, { a: OTHER, b: CONFIG }, { id: 'owner/other' });
    await mkdir(join(root, '.staged', 'model-abc', 'onnx'), { recursive: true });
    await writeFile(join(root, '.staged', 'file-abc'), 'x');
    // As removing the second one leaves it, with its file.
    await rename(other.folder, join(root, '.removed-owner-other'));
    const { store: looking } = await openStore({ root, readOnly: true });
    expect(looking.list()).toEqual([one]);
    expect((await readdir(join(root, '.staged'))).sort()).toEqual(['file-abc', 'model-abc']);
    const { store: later } = await openStore({ root });
    expect(later.list()).toEqual([one]);
    expect(await readdir(join(root, '.staged'))).toEqual([]);
    expect((await readdir(root)).sort()).toEqual(['.blobs', '.partial', '.staged', 'owner']);
    expect((await readdir(join(root, '.blobs'))).sort()).toEqual([GRAPH.sha256, CONFIG.sha256].sort());
  });

  it('of what is being done is left alone by a second scan', async () => {
    const { store } = await openStore();
    for (const file of Object.values(FILES)) await fetchAll(store, file);
    const partial = await store.partial(OTHER.known);
    await partial.write(0, OTHER.chunk(0));
    const staged = await store.stage(Object.entries(FILES).map(([path, { sha256 }]) => ({ path, sha256 })));
    await store.open();
    expect(partial.has(0)).toBe(true);
    expect(await partial.write(1, OTHER.chunk(1))).toBe(true);
    await partial.finish();
    await staged.install(manifestOf(FILES), { signatures: [], origin: ORIGIN });
    const [from] = [store as ModelStore];
    expect(from.list()).toHaveLength(1);
  });
});

it('a file that is linked elsewhere is never written', async () => {
  const { store, root } = await openStore();
  await fetchAll(store, OTHER);
  const mine = join(root, 'mine');
  await link(join(root, '.blobs', OTHER.sha256), mine);
  const model = await installModel(store, { a: OTHER });
  await store.addSignatures(model.ref.digest, ['x']);
  await store.remove(model.ref.digest);
  expect(await readFile(mine)).toEqual(Buffer.from(OTHER.bytes));
});

it.skipIf(process.platform === 'win32')('a pipe in the place of a file is waited for by nobody', async () => {
  const { store, root } = await openStore();
  const model = await installModel(store, FILES);
  await mkdir(join(root, '.partial'), { recursive: true });
  const pipes = [join(model.folder, 'weft-signatures.json'), join(root, '.partial', `${OTHER.sha256}.journal`)];
  for (const path of pipes) await rm(path, { force: true });
  execFileSync('mkfifo', pipes);
  await writeFile(join(root, '.partial', `${OTHER.sha256}.data`), 'x');
  const { store: later } = await openStore({ root });
  expect(later.list()).toEqual([model]);
  await fetchAll(later, OTHER);
  expect(later.has(OTHER.sha256)).toBe(true);
  await rm(join(root, '.blobs', GRAPH.sha256));
  await rm(join(model.folder, 'onnx/model.onnx'));
  execFileSync('mkfifo', [join(model.folder, 'onnx/model.onnx')]);
  expect(await later.read(GRAPH.sha256, 0, 100)).toBeUndefined();
});

it('a model whose folder is gone can be removed, and brought again', async () => {
  const { store, root } = await openStore();
  const model = await installModel(store, FILES);
  await rm(model.folder, { recursive: true });
  await store.remove(model.ref.digest);
  expect(store.list()).toEqual([]);
  expect(await readdir(join(root, '.blobs'))).toEqual([]);
  expect((await installModel(store, FILES)).folder).toBe(model.folder);
});

it('ids that differ by case get folders that differ by more', async () => {
  const { store, root } = await openStore();
  const first = await installModel(store, FILES);
  const second = await installModel(store, { 'onnx/model.onnx': OTHER }, { id: 'owner/Name' });
  const third = await installModel(store, { 'onnx/model.onnx': CONFIG }, { id: 'Owner/name' });
  const folders = [first, second, third].map(({ folder }) => folder.toLowerCase());
  // Where the disk doesn't tell cases apart, one would take the place of the other.
  expect(new Set(folders).size).toBe(3);
  const { store: later } = await openStore({ root });
  expect(new Set(later.list().map(({ ref }) => ref.id))).toEqual(new Set(['owner/name', 'owner/Name', 'Owner/name']));
});

describe('paths that no disk takes', () => {
  it.each([
    ['a name that is too long', [`onnx/${'m'.repeat(256)}`]],
    ['a file that is a folder of another', ['onnx', 'onnx/model.onnx']],
    ['a path twice', ['model.onnx', 'model.onnx']],
    ['paths that differ by case', ['model.onnx', 'MODEL.onnx']],
    ['paths that differ by how a letter is written', ['mod\u00e8l.onnx', 'mode\u0300l.onnx']],
    ['a file of the store as a folder', [`${MANIFEST_FILE}/x`]],
  ])('are refused as what they are: %s', async (_what, paths) => {
    const { store, root } = await openStore();
    await fetchAll(store, GRAPH);
    const files = paths.map((path) => ({ path, sha256: GRAPH.sha256 }));
    await expect(store.stage(files)).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(await readdir(join(root, '.staged')).catch(() => [])).toEqual([]);
  });
});

it.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
  'a folder that nobody may read, such as lost+found, keeps no model away',
  async () => {
    const { store, root } = await openStore();
    const model = await installModel(store, FILES);
    await mkdir(join(root, 'lost+found'), { mode: 0 });
    const { store: later } = await openStore({ root });
    expect(later.list()).toEqual([model]);
    await later.room(1);
    expect((await later.storage()).usedBytes).toBeGreaterThan(200_000);
  },
);
