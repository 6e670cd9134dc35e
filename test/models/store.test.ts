import { mkdir, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildManifest } from '../../models/build-manifest.ts';
import { canonicalJson, MANIFEST_FILE, type Manifest, modelRef } from '../../models/manifest.ts';
import { ModelStore, metadataFiles } from '../../models/store.ts';
import { BUNDLED, MINILM, manifestOf, SMOLLM2 } from './paths.ts';
import { temporaryFolder, tinyModel } from './temporary.ts';

class Lines {
  readonly lines: string[] = [];
  warn(_fields: Readonly<Record<string, unknown>>, message: string): void {
    this.lines.push(message);
  }
}

async function opened(init: { roots?: string[]; cacheFolder?: string }): Promise<{ store: ModelStore; log: Lines }> {
  const log = new Lines();
  const cacheFolder = init.cacheFolder ?? join(await temporaryFolder(), 'cache');
  const store = new ModelStore({ log }, { roots: init.roots ?? [], cacheFolder });
  await store.open();
  return { store, log };
}

async function installedTiny(root: string, id?: string): Promise<{ folder: string; manifest: Manifest }> {
  const folder = await tinyModel(root, id);
  const manifest = await buildManifest(folder);
  await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
  return { folder, manifest };
}

async function metadataOf(folder: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const { path } of metadataFiles(manifestOf(folder))) files.set(path, await readFile(join(folder, path)));
  return files;
}

describe('installed models', () => {
  it('finds the bundled ones by id, short name, digest and file digest', async () => {
    const { store, log } = await opened({ roots: [BUNDLED] });
    expect(store.list().map((model) => model.ref.id)).toEqual([
      'HuggingFaceTB/SmolLM2-135M-Instruct',
      'Xenova/all-MiniLM-L6-v2',
    ]);
    const smol = store.find('smollm2');
    expect(smol).toMatchObject({ folder: SMOLLM2, aliases: ['smollm2'], ref: modelRef(manifestOf(SMOLLM2)) });
    expect(store.find('xenova/ALL-minilm-l6-v2')?.folder).toBe(MINILM);
    expect(store.find('nothing')).toBeUndefined();
    expect(store.byDigest(smol?.ref.digest ?? '')).toBe(smol);
    expect(store.metadata(smol?.ref.digest ?? '')?.folder).toBe(SMOLLM2);
    const sha256 = '8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6';
    expect(store.fileByDigest(sha256)).toEqual({
      path: join(MINILM, 'onnx', 'model_int8.onnx'),
      sizeBytes: 22_928_619,
    });
    expect(store.fileByDigest(`../../${sha256}`)).toBeUndefined();
    expect([store.problems(), log.lines]).toEqual([[], []]);
  });

  it('skips broken folders, says why, and takes the others', async () => {
    const root = await temporaryFolder();
    const { folder: short } = await installedTiny(root, 'a/short');
    await truncate(join(short, 'onnx/model.onnx_data'), 100);
    const { folder: junk } = await installedTiny(root, 'b/junk');
    await writeFile(join(junk, MANIFEST_FILE), '{"schema": 1}');
    const { folder: renamed } = await installedTiny(root, 'c/renamed');
    await writeFile(join(renamed, MANIFEST_FILE), JSON.stringify(manifestOf(MINILM)));
    const { folder: linked } = await installedTiny(root, 'd/linked');
    await rm(join(linked, 'config.json'));
    await symlink(join(MINILM, 'config.json'), join(linked, 'config.json'));
    await installedTiny(root, 'e/whole');
    await mkdir(join(root, 'f', 'no-model'), { recursive: true });
    const { store, log } = await opened({ roots: [join(root, 'missing'), root] });
    expect(store.list().map((model) => model.ref.id)).toEqual(['e/whole']);
    expect(store.problems().map(({ id, error }) => [id, error.code])).toEqual([
      ['a/short', 'model_corrupt'],
      ['b/junk', 'model_corrupt'],
      ['c/renamed', 'model_corrupt'],
      ['d/linked', 'model_corrupt'],
    ]);
    expect(log.lines).toHaveLength(4);
  });

  it('lets the earlier root win when two hold the same model', async () => {
    const [first, second] = [await temporaryFolder(), await temporaryFolder()];
    const { folder } = await installedTiny(first);
    await installedTiny(second);
    const { store } = await opened({ roots: [first, second] });
    expect(store.list().map((model) => model.folder)).toEqual([folder]);
  });

  it('sees what has changed when it is opened again', async () => {
    const root = await temporaryFolder();
    const { store } = await opened({ roots: [root] });
    expect(store.list()).toEqual([]);
    const { folder } = await installedTiny(root);
    await store.open();
    expect(store.list()).toHaveLength(1);
    await rm(folder, { recursive: true });
    await store.open();
    expect(store.list()).toEqual([]);
  });
});

describe('removing a model', () => {
  const digestOf = (store: ModelStore, id: string): string => store.find(id)?.ref.digest ?? '';

  it('deletes its folder, and an owner that has no other; the rest stays', async () => {
    const root = await temporaryFolder();
    const { manifest } = await installedTiny(root, 'a/one');
    await installedTiny(root, 'b/two');
    await installedTiny(root, 'b/three');
    const { store, log } = await opened({ roots: [root] });
    const size = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    expect(await store.remove(digestOf(store, 'a/one'))).toBe(size);
    await store.remove(digestOf(store, 'b/two'));
    expect(store.list().map(({ ref }) => ref.id)).toEqual(['b/three']);
    expect((await readdir(root)).sort()).toEqual(['b']);
    expect(await readdir(join(root, 'b'))).toEqual(['three']);
    await store.open();
    expect(store.list().map(({ ref }) => ref.id)).toEqual(['b/three']);
    expect([store.problems(), log.lines]).toEqual([[], []]);
    await expect(store.remove(modelRef(manifest).digest)).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('keeps the files that another model has as well', async () => {
    const root = await temporaryFolder();
    const { manifest } = await installedTiny(root, 'a/one');
    await installedTiny(root, 'b/two');
    const { store } = await opened({ roots: [root] });
    await store.remove(digestOf(store, 'a/one'));
    for (const { sha256, path } of manifest.files) {
      expect(store.fileByDigest(sha256)?.path).toBe(join(root, 'b', 'two', ...path.split('/')));
    }
    await store.remove(digestOf(store, 'b/two'));
    for (const { sha256 } of manifest.files) expect(store.fileByDigest(sha256)).toBeUndefined();
  });

  it('is refused for one that came with Weft, whose copy may go', async () => {
    const [own, bundledRoot] = [await temporaryFolder(), await temporaryFolder()];
    await installedTiny(bundledRoot, 'a/one');
    const { folder } = await installedTiny(bundledRoot, 'b/two');
    await installedTiny(own, 'b/two');
    const cacheFolder = join(await temporaryFolder(), 'cache');
    const store = new ModelStore({ log: new Lines() }, { roots: [own, bundledRoot], cacheFolder, bundledRoot });
    await store.open();
    await expect(store.remove(digestOf(store, 'a/one'))).rejects.toMatchObject({ code: 'forbidden' });
    await store.remove(digestOf(store, 'b/two'));
    await store.open();
    expect(store.find('b/two')?.folder).toBe(folder);
    expect(store.list().map((model) => store.isBundled(model))).toEqual([true, true]);
  });

  it('that was cut short is finished at the next start', async () => {
    const root = await temporaryFolder();
    const { folder } = await installedTiny(root, 'a/one');
    await rename(folder, join(root, '.removed-a-one'));
    const { store } = await opened({ roots: [root] });
    expect(store.list()).toEqual([]);
    expect(await readdir(root)).toEqual(['a']);
  });

  it('follows no link out of the folder', async () => {
    const [root, elsewhere] = [await temporaryFolder(), await temporaryFolder()];
    const { folder } = await installedTiny(root, 'a/one');
    await writeFile(join(elsewhere, 'precious'), 'data');
    await symlink(elsewhere, join(folder, 'link'));
    await symlink(elsewhere, join(root, '.removed-link'));
    const { store } = await opened({ roots: [root] });
    await store.remove(digestOf(store, 'a/one'));
    expect(await readdir(elsewhere)).toEqual(['precious']);
  });
});

describe('metadata of models that are elsewhere', () => {
  it('keeps what a tokenizer needs, and finds it again after a restart', async () => {
    const cacheFolder = join(await temporaryFolder(), 'cache');
    const { store } = await opened({ cacheFolder });
    const manifest = manifestOf(SMOLLM2);
    const { digest } = modelRef(manifest);
    expect(store.metadata(digest)).toBeUndefined();
    const files = await metadataOf(SMOLLM2);
    expect([...files.keys()].sort()).toEqual(['tokenizer.json', 'tokenizer_config.json']);
    const [kept, same] = await Promise.all([
      store.cacheMetadata(canonicalJson(manifest), files),
      store.cacheMetadata(JSON.stringify(manifest, null, 2), files),
    ]);
    expect(same).toBe(kept);
    expect(await readFile(join(kept.folder, 'tokenizer.json'))).toEqual(files.get('tokenizer.json'));
    expect(await readdir(cacheFolder)).toEqual([digest.replace('sha256:', '')]);
    const { store: later, log } = await opened({ cacheFolder });
    expect(later.metadata(digest)).toEqual({ manifest, folder: kept.folder });
    expect(later.fileByDigest('59c4eccb4362f92c9bb95a0fc52961f9f3a95a121ee143f8cb0bed294641a4e3')?.sizeBytes).toBe(
      1515167,
    );
    expect(later.list()).toEqual([]);
    expect(log.lines).toEqual([]);
  });

  it('keeps nothing of a copy in which a byte differs, or a file is missing or too many', async () => {
    const cacheFolder = join(await temporaryFolder(), 'cache');
    const { store } = await opened({ cacheFolder });
    const json = canonicalJson(manifestOf(MINILM));
    const good = await metadataOf(MINILM);
    const altered = Uint8Array.from(good.get('tokenizer.json') ?? []);
    altered[1000] = (altered[1000] ?? 0) ^ 1;
    const missing = new Map(good);
    missing.delete('tokenizer_config.json');
    for (const files of [
      new Map(good).set('tokenizer.json', altered),
      missing,
      new Map(good).set('../../evil', new Uint8Array(1)),
    ]) {
      await expect(store.cacheMetadata(json, files)).rejects.toMatchObject({ code: 'model_corrupt' });
    }
    await expect(readdir(cacheFolder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('clears what a stop left half-written, and drops a damaged copy', async () => {
    const cacheFolder = join(await temporaryFolder(), 'cache');
    const { store } = await opened({ cacheFolder });
    const manifest = manifestOf(MINILM);
    const { folder } = await store.cacheMetadata(canonicalJson(manifest), await metadataOf(MINILM));
    await mkdir(join(cacheFolder, '.new-abc'));
    const bytes = await readFile(join(folder, 'tokenizer.json'));
    bytes[99] = (bytes[99] ?? 0) ^ 1;
    await writeFile(join(folder, 'tokenizer.json'), bytes);
    const { store: later, log } = await opened({ cacheFolder });
    expect(later.metadata(modelRef(manifest).digest)).toBeUndefined();
    expect(log.lines).toEqual(['dropped a cached tokenizer']);
    expect(await readdir(cacheFolder)).toEqual([]);
    await later.cacheMetadata(canonicalJson(manifest), await metadataOf(MINILM));
    expect(later.metadata(modelRef(manifest).digest)?.folder).toBe(folder);
  });
});
