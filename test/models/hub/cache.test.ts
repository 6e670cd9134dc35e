// Models in the cache of the hub's own tools, and links that lead out of it.
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { findCached } from '../../../models/hub/cache.ts';

const ID = 'owner/name';
const COMMIT = 'a'.repeat(40);
const SHA256 = 'b'.repeat(64);
const GIT = 'c'.repeat(40);

let cacheFolder: string;
let outside: string;

const at = (path: string): string => join(cacheFolder, 'models--owner--name', ...path.split('/'));

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

async function link(path: string, target: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, path);
}

beforeEach(async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'weft-cache-')));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  cacheFolder = join(folder, 'hub');
  outside = join(folder, 'canary');
  await put(outside, 'secret');
  await put(at('refs/main'), COMMIT);
  await put(at(`blobs/${SHA256}`), 'weights');
  await put(at(`blobs/${GIT}`), '{}');
  await link(at(`snapshots/${COMMIT}/config.json`), `../../blobs/${GIT}`);
  await link(at(`snapshots/${COMMIT}/onnx/model.onnx`), `../../../blobs/${SHA256}`);
});

const found = {
  revision: COMMIT,
  files: [
    { path: 'config.json', sizeBytes: 2, sha256: undefined },
    { path: 'onnx/model.onnx', sizeBytes: 7, sha256: SHA256 },
  ],
  refused: [],
};

describe('a cached model', () => {
  it('is found by branch, by commit, and by default, with its links resolved', async () => {
    for (const revision of [undefined, 'main', COMMIT]) {
      expect(await findCached(ID, revision, { cacheFolder })).toMatchObject(found);
    }
    const { files } = (await findCached(ID, undefined, { cacheFolder })) ?? { files: [] };
    expect(files.map(({ realPath }) => realPath)).toEqual([at(`blobs/${GIT}`), at(`blobs/${SHA256}`)]);
  });

  it('is found by a branch with slashes, and through a cache folder that is a link', async () => {
    await put(at('refs/refs/pr/1'), `${COMMIT}\n`);
    expect(await findCached(ID, 'refs/pr/1', { cacheFolder })).toMatchObject(found);
    const linked = `${cacheFolder}-link`;
    await symlink(cacheFolder, linked);
    expect(await findCached(ID, undefined, { cacheFolder: linked })).toMatchObject(found);
  });

  it('has plain files where the tools could make no links; their names claim nothing', async () => {
    await put(at(`snapshots/${COMMIT}/${SHA256}`), 'plain');
    const { files } = (await findCached(ID, undefined, { cacheFolder })) ?? { files: [] };
    expect(files).toContainEqual({
      path: SHA256,
      realPath: at(`snapshots/${COMMIT}/${SHA256}`),
      sizeBytes: 5,
      sha256: undefined,
    });
  });

  it('lacks files whose blobs are gone', async () => {
    await link(at(`snapshots/${COMMIT}/gone.bin`), '../../blobs/nothing');
    expect(await findCached(ID, undefined, { cacheFolder })).toMatchObject(found);
  });

  it.each([
    ['other/name', undefined],
    [ID, 'v1'],
    [ID, 'b'.repeat(40)],
    ['../name', undefined],
    ['owner/..', undefined],
    [ID, '../../../canary'],
    [ID, '/etc/passwd'],
  ])('is not found as %s at %s', async (id, revision) => {
    expect(await findCached(id, revision, { cacheFolder })).toBeUndefined();
  });

  it('is not found where there is no cache, or what a branch says is no commit', async () => {
    expect(await findCached(ID, undefined, { cacheFolder: join(cacheFolder, 'nothing') })).toBeUndefined();
    for (const text of ['../../..', '', 'x'.repeat(200), `${COMMIT}/..`]) {
      await put(at('refs/main'), text);
      expect(await findCached(ID, undefined, { cacheFolder })).toBeUndefined();
    }
    await rm(at('refs/main'));
    await symlink(outside, at('refs/main'));
    expect(await findCached(ID, undefined, { cacheFolder })).toBeUndefined();
  });
});

describe('a link in the cache', () => {
  const targets = (): Readonly<Record<string, string>> => ({
    relative: '../../../../canary',
    absolute: outside,
    'to a folder': '../../blobs',
    'to a link that leaves': 'relative',
  });

  it.each(['relative', 'absolute', 'to a folder', 'to a link that leaves'])('%s is left out', async (name) => {
    for (const [path, target] of Object.entries(targets())) await link(at(`snapshots/${COMMIT}/${path}`), target);
    const model = await findCached(ID, undefined, { cacheFolder });
    expect(model?.files.map(({ path }) => path)).not.toContain(name);
    expect(model?.refused).toContain(name);
  });

  it.each(['relative', 'absolute', 'to a link that leaves'])(
    '%s twin: is followed where nothing checks it',
    async (name) => {
      for (const [path, target] of Object.entries(targets())) await link(at(`snapshots/${COMMIT}/${path}`), target);
      const model = await findCached(ID, undefined, { cacheFolder, isInside: () => true });
      expect(model?.files).toContainEqual({ path: name, realPath: outside, sizeBytes: 6, sha256: undefined });
    },
  );

  it('for a whole snapshot, or a folder in one, is not followed', async () => {
    const elsewhere = join(dirname(outside), 'elsewhere');
    await put(join(elsewhere, 'file'), 'secret');
    await link(at(`snapshots/${COMMIT}/folder`), elsewhere);
    expect(await findCached(ID, undefined, { cacheFolder })).toMatchObject({ refused: ['folder'] });
    await symlink(elsewhere, at(`snapshots/${'d'.repeat(40)}`));
    expect(await findCached(ID, 'd'.repeat(40), { cacheFolder })).toBeUndefined();
  });

  it('beside a neighbour whose name begins alike leaves the cache', async () => {
    await put(`${cacheFolder}-other/file`, 'secret');
    await link(at(`snapshots/${COMMIT}/alike`), `${cacheFolder}-other/file`);
    expect((await findCached(ID, undefined, { cacheFolder }))?.refused).toEqual(['alike']);
  });
});
