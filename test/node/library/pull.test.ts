import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CHUNK_BYTES } from '../../../models/limits.ts';
import { canonicalJson, type Manifest, modelRef } from '../../../models/manifest.ts';
import type { RemoteAnswer } from '../../../node/core/dispatcher.ts';
import { FILES_AT_ONCE_MAX } from '../../../node/library/limits.ts';
import { type Hub, type HubServerInit, startHub } from '../../support/hub-server.ts';
import { until } from '../../support/wait.ts';
import {
  graphOf,
  hashOf,
  ID,
  leftIn,
  never,
  offerOf,
  openNode,
  openPrep,
  type TestNode,
  temporary,
  tinyModel,
  Wire,
  withModel,
} from './support.ts';

async function openHub(init: Partial<HubServerInit> = {}): Promise<Hub> {
  const hub = await startHub({ folder: await temporary(), task: 'other', ...init });
  onTestFinished(() => hub.close());
  return hub;
}

/** A hub with the tiny model. */
async function hubWithModel(init: Partial<HubServerInit> = {}): Promise<Hub> {
  const folder = await temporary();
  await tinyModel(folder);
  return openHub({ folder, ...init });
}

/** A node that gives the tiny model, and one that takes it. */
async function pair(taking: Parameters<typeof openNode>[0] = {}) {
  const wire = new Wire();
  const prep = openPrep();
  const giver = await openNode({ wire, prep });
  const digest = await withModel(giver);
  return { wire, prep, giver, digest, taker: await openNode({ wire, prep, ...taking }) };
}

/** The large file of a model that a node has. */
function weightsOf(node: TestNode, digest: string) {
  const file = node.store.byDigest(digest)?.manifest.files.find(({ sizeBytes }) => sizeBytes > CHUNK_BYTES);
  if (file === undefined) throw new Error('The model of this test has weights.');
  return file;
}

interface Read {
  readonly sha256: string;
  readonly offset: bigint;
}

/** Lets of the large file only the first chunk through, until it is opened; notes what is asked for. */
function gate(wire: Wire, sha256: string) {
  const reads: { readonly offset: bigint; readonly to: string }[] = [];
  const opened = Promise.withResolvers<void>();
  wire.tamper = async ({ to, method, request, ask }) => {
    const { sha256: file, offset } = request as Read;
    if (method !== 'read-file' || file !== sha256) return ask();
    reads.push({ offset, to });
    if (offset >= BigInt(CHUNK_BYTES)) await opened.promise;
    return ask();
  };
  return { reads, open: () => opened.resolve() };
}

const firstChunk = (node: TestNode, sha256: string) =>
  until('the first chunk', () => node.store.partials().some((file) => file.sha256 === sha256 && file.heldBytes > 0));

describe('a pull from the hub', () => {
  it('brings, checks, signs, installs and offers a model', async () => {
    const hub = await hubWithModel();
    const node = await openNode({ hub: { endpoint: hub.url } });
    const outcome = await node.library.pull({ model: ID }, { signal: never });
    expect(outcome).toMatchObject({
      id: ID,
      wasHere: false,
      hereBytes: 0,
      peerBytes: 0,
      hubBytes: outcome.sizeBytes,
      signers: [{ key: node.id, name: node.name, standing: 'member' }],
    });
    expect(outcome.chosen[0]).toContain('onnx/model.onnx');
    expect(node.offers.map(({ model }) => model)).toEqual([{ id: ID, digest: outcome.digest }]);
    expect(await node.store.damage(outcome.digest, { signal: never })).toEqual([]);
    expect(node.store.origin(outcome.digest)).toMatchObject({ brought: false, from: new URL(hub.url).host });
    expect(node.store.signatures(outcome.digest)).toHaveLength(1);
    const phases = node.told.map(({ phase }) => phase);
    expect([...new Set(phases)]).toEqual(['resolving', 'fetching', 'checking', 'installing', 'done']);
    expect(node.told.at(-1)).toMatchObject({ totalBytes: outcome.sizeBytes, doneBytes: outcome.sizeBytes });
    // And is here the next time, without a word to the hub.
    const asked = hub.requests.length;
    expect(await node.library.pull({ model: ID.toUpperCase() }, { signal: never })).toMatchObject({
      wasHere: true,
      hereBytes: outcome.sizeBytes,
      hubBytes: 0,
      signers: [{ key: node.id }],
    });
    expect(hub.requests.length).toBe(asked);
  });

  it('makes the manifest that an import of the same files makes, so that nodes share', async () => {
    const folder = await temporary();
    const files = await tinyModel(folder);
    const hub = await openHub({ folder });
    const node = await openNode({ hub: { endpoint: hub.url } });
    const { digest } = await node.library.pull({ model: ID }, { signal: never });
    expect(await node.library.import({ path: files, id: ID }, { signal: never })).toMatchObject({
      digest,
      wasHere: true,
    });
  });

  it('is shared by all who want the same at once', async () => {
    const hub = await hubWithModel();
    const node = await openNode({ hub: { endpoint: hub.url } });
    const [first, second] = await Promise.all([
      node.library.pull({ model: ID }, { signal: never }),
      node.library.pull({ model: `hf.co/${ID}` }, { signal: never }),
    ]);
    expect(second).toEqual(first);
    expect(hub.fileBytes).toBe(first.sizeBytes);
    expect(node.library.transfers()).toHaveLength(1);
  });

  it('of one edition and then another fetches what they share once, and keeps both', async () => {
    const folder = await temporary();
    await tinyModel(folder, { graphs: { model: graphOf(2, 1000), model_q4: graphOf(3, 1000) } });
    const hub = await openHub({ folder });
    const node = await openNode({ hub: { endpoint: hub.url } });
    const full = await node.library.pull({ model: `${ID}:fp32` }, { signal: never });
    const small = await node.library.pull({ model: `${ID}:q4` }, { signal: never });
    expect(small.digest).not.toBe(full.digest);
    expect(small.chosen[0]).toContain('onnx/model_q4.onnx');
    expect(node.offers).toHaveLength(2);
    expect(await node.library.pull({ model: `${ID}:q4` }, { signal: never })).toMatchObject({
      digest: small.digest,
      wasHere: true,
    });
  });

  it('names what the hub has when the edition is not there, and knows no other names', async () => {
    const hub = await hubWithModel();
    const { library } = await openNode({ hub: { endpoint: hub.url } });
    const pull = (model: string) => library.pull({ model }, { signal: never });
    await expect(pull(`${ID}:q4`)).rejects.toMatchObject({
      code: 'model_not_found',
      message: expect.stringContaining('onnx/model.onnx'),
    });
    await expect(pull('owner/none')).rejects.toMatchObject({ code: 'model_not_found' });
    await expect(pull('what?')).rejects.toMatchObject({ code: 'model_not_found' });
    await expect(pull('./relative')).rejects.toMatchObject({ code: 'bad_request' });
    expect(library.transfers().map(({ phase }) => phase)).toEqual(['failed', 'failed']);
  });

  it('refuses before anything is fetched when the disk has no room', async () => {
    const hub = await hubWithModel();
    const node = await openNode({ hub: { endpoint: hub.url }, quotaBytes: 5 << 20 });
    await expect(node.library.pull({ model: ID }, { signal: never })).rejects.toMatchObject({ code: 'disk_full' });
    expect(hub.fileBytes).toBe(0);
  });

  it('keeps what has come when it is left; the next goes on with that', async () => {
    const hub = await hubWithModel();
    const node = await openNode({ hub: { endpoint: hub.url } });
    const leaving = new AbortController();
    // One of three chunks doesn't come.
    hub.lie({ kind: 'stall', on: /[0-9a-f]{64}/, times: 1 });
    const left = node.library.pull({ model: ID }, { signal: leaving.signal });
    await until('a chunk', () => node.store.partials().some(({ heldBytes }) => heldBytes >= CHUNK_BYTES));
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    hub.honest();
    const before = hub.fileBytes;
    const outcome = await node.library.pull({ model: ID }, { signal: never });
    expect(outcome.hereBytes).toBeGreaterThanOrEqual(CHUNK_BYTES);
    // A piece that was on its way when the first one left may still count.
    expect(hub.fileBytes - before).toBeLessThan(outcome.hubBytes + CHUNK_BYTES);
  });

  it("takes files over from the cache of the hub's own tools", async () => {
    const folder = await temporary();
    const files = await tinyModel(folder);
    const hub = await openHub({ folder });
    const cache = await hubCache(files, await hub.commit(ID));
    const node = await openNode({ hub: { endpoint: hub.url }, settings: { hubCache: cache } });
    const outcome = await node.library.pull({ model: ID }, { signal: never });
    // Small files have no digest there, and are asked for.
    expect(outcome.hereBytes).toBeGreaterThan(9 << 20);
    expect(hub.fileBytes).toBe(outcome.hubBytes);
    expect(outcome.hubBytes).toBeLessThan(1000);
  });

  it('makes do with that cache where the hub is not asked', async () => {
    const files = await tinyModel(await temporary());
    const cache = await hubCache(files, 'a'.repeat(40));
    const settings = { hubCache: cache, offline: true };
    const node = await openNode({ settings });
    expect(await node.library.pull({ model: ID }, { signal: never })).toMatchObject({ hubBytes: 0, peerBytes: 0 });
    await rm(cache, { recursive: true });
    const other = await openNode({ settings });
    await expect(other.library.pull({ model: ID }, { signal: never })).rejects.toMatchObject({
      code: 'hub_unreachable',
    });
  });
});

/** The cache of the hub's own tools with this model in it: blobs, and a snapshot of links to them. */
async function hubCache(files: string, commit: string): Promise<string> {
  const cache = await temporary();
  const repository = join(cache, `models--${ID.replace('/', '--')}`);
  const snapshot = join(repository, 'snapshots', commit);
  await mkdir(join(repository, 'refs'), { recursive: true });
  await mkdir(join(repository, 'blobs'), { recursive: true });
  await mkdir(join(snapshot, 'onnx'), { recursive: true });
  await writeFile(join(repository, 'refs', 'main'), commit);
  for (const path of ['LICENSE', 'config.json', 'onnx/model.onnx']) {
    const bytes = await readFile(join(files, path));
    const blob = path.endsWith('.onnx') ? hashOf(bytes) : hashOf(bytes).slice(0, 40);
    await cp(join(files, path), join(repository, 'blobs', blob));
    await symlink(join(repository, 'blobs', blob), join(snapshot, path));
  }
  return cache;
}

describe('a pull from peers', () => {
  it('brings what another node imported, and says from where', async () => {
    const { giver, taker, digest } = await pair();
    const outcome = await taker.library.pull({ model: 'tiny' }, { signal: never });
    expect(outcome).toMatchObject({
      id: ID,
      digest,
      peerBytes: outcome.sizeBytes,
      hubBytes: 0,
      signers: [{ key: giver.id, name: giver.name, standing: 'member' }],
    });
    expect(taker.store.origin(digest)).toMatchObject({ from: giver.name });
    expect(await taker.store.damage(digest, { signal: never })).toEqual([]);
    expect(taker.store.signatures(digest)).toEqual(giver.store.signatures(digest));
    expect(taker.library.transfers()[0]?.sources).toMatchObject([{ kind: 'peer', name: giver.id }]);
  });

  it('opens a bounded number of files at once, small ones first', async () => {
    const wire = new Wire();
    const prep = openPrep();
    const giver = await openNode({ wire, prep });
    const path = await tinyModel(await temporary());
    for (let index = 0; index < FILES_AT_ONCE_MAX + 5; index++)
      await writeFile(join(path, `extra${index}.json`), `${index}`);
    const { digest } = await giver.library.import({ path, id: ID }, { signal: never });
    const sizes: number[][] = [];
    const taker = await openNode({
      wire,
      prep,
      transfer: (real) => ({
        fetch: (...args) => real.fetch(...args),
        fetchManifest: (...args) => real.fetchManifest(...args),
        fetchSignatures: (...args) => real.fetchSignatures(...args),
        peer: (node) => real.peer(node),
        download: (downloads, options) => {
          sizes.push(downloads.map(({ file }) => file.sizeBytes));
          return real.download(downloads, options);
        },
      }),
    });
    const outcome = await taker.library.pull({ model: ID }, { signal: never });
    expect(outcome).toMatchObject({ digest, peerBytes: outcome.sizeBytes });
    expect(sizes.map(({ length }) => length)).toEqual([FILES_AT_ONCE_MAX, 7, 1]);
    expect(sizes.at(-1)?.[0]).toBeGreaterThan(CHUNK_BYTES);
  });

  it('keeps what has come when the last waiter leaves; the next goes on with it', async () => {
    const { wire, giver, taker, digest } = await pair();
    const { sha256 } = weightsOf(giver, digest);
    const gated = gate(wire, sha256);
    const leaving = new AbortController();
    const left = taker.library.pull({ model: ID }, { signal: leaving.signal });
    await firstChunk(taker, sha256);
    // Peers may already have the chunk that is here.
    expect(taker.library.held()).toMatchObject([{ model: { id: ID, digest } }]);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    const fresh = gate(wire, sha256);
    fresh.open();
    const outcome = await taker.library.pull({ model: ID }, { signal: never });
    gated.open();
    expect(fresh.reads.map(({ offset }) => offset)).not.toContain(0n);
    expect(outcome.hereBytes).toBeGreaterThanOrEqual(CHUNK_BYTES);
    expect(outcome.hereBytes + outcome.peerBytes).toBe(outcome.sizeBytes);
    expect(taker.library.held()).toEqual([]);
  });

  it('goes on for who stays', async () => {
    const { wire, giver, taker, digest } = await pair();
    const { sha256 } = weightsOf(giver, digest);
    const gated = gate(wire, sha256);
    const leaving = new AbortController();
    const left = taker.library.pull({ model: ID }, { signal: leaving.signal });
    const stays = taker.library.pull({ model: ID }, { signal: never });
    await firstChunk(taker, sha256);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    gated.open();
    expect(await stays).toMatchObject({ digest, wasHere: false });
  });

  it('ends with the node, and keeps what has come', async () => {
    const { wire, giver, taker, digest } = await pair();
    const { sha256 } = weightsOf(giver, digest);
    const gated = gate(wire, sha256);
    const ended = expect(taker.library.pull({ model: ID }, { signal: never })).rejects.toMatchObject({
      code: 'stopping',
    });
    await firstChunk(taker, sha256);
    await taker.library.stop();
    await ended;
    gated.open();
    expect(taker.store.partials()).toMatchObject([{ sha256 }]);
    expect(await leftIn(taker, '.staged')).toEqual([]);
    expect(taker.offers).toEqual([]);
  });

  it('draws from all who have it, those that are not whole themselves included', async () => {
    const { wire, prep, giver, digest } = await pair();
    const { sha256 } = weightsOf(giver, digest);
    const gated = gate(wire, sha256);
    const half = await openNode({ wire, prep });
    const pulling = half.library.pull({ model: ID }, { signal: never });
    await firstChunk(half, sha256);
    giver.online = false;
    const taker = await openNode({ wire, prep });
    const taking = taker.library.pull({ model: ID }, { signal: never });
    await firstChunk(taker, sha256);
    giver.online = true;
    gated.open();
    const [outcome] = await Promise.all([taking, pulling]);
    expect(outcome.digest).toBe(digest);
    expect(gated.reads.filter(({ to }) => to === half.id).length).toBeGreaterThan(0);
  });

  it('goes on with a peer where the hub dies', async () => {
    const hub = await hubWithModel();
    const { wire, giver, taker, digest } = await pair({ hub: { endpoint: hub.url } });
    const { sha256 } = weightsOf(giver, digest);
    // The peer holds its chunks back until the hub has failed.
    const gated = gate(wire, sha256);
    const told = hub.lie({ kind: 'fail', on: /[0-9a-f]{64}/, status: 404 });
    const pulling = taker.library.pull({ model: ID }, { signal: never });
    await firstChunk(taker, sha256);
    await until('the hub was asked', () => told.times > 0);
    gated.open();
    expect(await pulling).toMatchObject({ digest, hubBytes: 0, wasHere: false });
  });

  it('goes on with the hub where the only peer leaves', async () => {
    const hub = await hubWithModel();
    const { wire, giver, taker, digest } = await pair({ hub: { endpoint: hub.url } });
    const { sha256 } = weightsOf(giver, digest);
    gate(wire, sha256);
    const tampered = wire.tamper;
    wire.tamper = async (call) => {
      if (call.method === 'read-file' && (call.request as Read).sha256 === sha256) giver.online = false;
      return tampered(call);
    };
    const outcome = await taker.library.pull({ model: ID }, { signal: never });
    expect(outcome.digest).toBe(digest);
    expect(outcome.hubBytes).toBeGreaterThanOrEqual(2 * CHUNK_BYTES);
  });

  it('says who failed, and how, when no source is left', async () => {
    const { wire, giver, taker, digest } = await pair();
    const { sha256 } = weightsOf(giver, digest);
    wire.tamper = ({ method, request, ask }) => {
      if (method === 'read-file' && (request as Read).sha256 === sha256) giver.online = false;
      return ask();
    };
    await expect(taker.library.pull({ model: ID }, { signal: never })).rejects.toMatchObject({
      message: expect.stringMatching(new RegExp(`${giver.name}.*The peer is gone.*From the hub`, 's')),
    });
    const [status] = taker.library.transfers();
    expect(status).toMatchObject({ phase: 'failed', error: { message: expect.stringContaining(giver.name) } });
  });

  it('takes the form that a person named, else the one that most have', async () => {
    const wire = new Wire();
    const prep = openPrep();
    const [a, b, c, taker] = await Promise.all(Array.from({ length: 4 }, () => openNode({ wire, prep })));
    if (!a || !b || !c || !taker) throw new Error('four nodes');
    const common = await withModel(a, { graphs: { model: graphOf(4, 500) } });
    await withModel(b, { graphs: { model: graphOf(4, 500) } });
    const rare = await withModel(c, { graphs: { model_q4: graphOf(5, 500) } });
    const other = await withModel(c, { graphs: { model: graphOf(6, 500) } });
    expect(new Set([common, rare, other]).size).toBe(3);
    expect(await taker.library.pull({ model: `${ID}:q4` }, { signal: never })).toMatchObject({ digest: rare });
    expect(await taker.library.pull({ model: `${ID}:fp32` }, { signal: never })).toMatchObject({
      digest: common,
      chosen: expect.arrayContaining([expect.stringContaining('whole on most nodes (2)')]),
    });
  });
});

describe('a model that requests keep asking other nodes for', () => {
  it('is brought from peers, marked so, and becomes a person’s own when one asks for it', async () => {
    const wire = new Wire();
    const prep = openPrep();
    const giver = await openNode({ wire, prep });
    const digest = await withModel(giver);
    let tell: ((seen: RemoteAnswer) => void) | undefined;
    const node = await openNode({
      wire,
      prep,
      components: {
        demand: {
          onRemote: (listener) => {
            tell = listener;
            return () => undefined;
          },
          decide: ({ requests }) => ({ bring: requests.length > 1, reason: 'enough' }),
          inUse: () => false,
          lastUsedMs: () => undefined,
        },
      },
    });
    node.library.start();
    const seen = { model: { id: ID, digest }, node: giver.id, ms: 100, inputTokens: 1, outputTokens: 1 };
    tell?.(seen);
    expect(node.library.transfers()).toEqual([]);
    tell?.(seen);
    await until('it is here', () => node.offers.length > 0);
    expect(node.store.origin(digest)).toMatchObject({ brought: true, from: giver.name });
    expect(await node.library.pull({ model: ID }, { signal: never })).toMatchObject({ digest, wasHere: true });
    expect(node.store.origin(digest)).toMatchObject({ brought: false, from: giver.name });
  });
});

describe('editions that members made up', () => {
  /** Two nodes tell of an edition of the giver's model that only they know, so that most nodes seem to have it. */
  async function liars(change: (manifest: Manifest) => Manifest, settings: Parameters<typeof openNode>[0] = {}) {
    const scene = await pair(settings);
    const { wire, giver, digest } = scene;
    const real = giver.store.byDigest(digest)?.manifest;
    if (real === undefined) throw new Error('The giver of this test has a model.');
    const manifest = change(real);
    const ref = modelRef(manifest);
    for (let count = 0; count < 2; count++) {
      const liar = await openNode({ wire, prep: scene.prep });
      liar.lies.push(offerOf(ref, manifest));
    }
    wire.tamper = async ({ method, request, ask }) =>
      method === 'manifest' && (request as { digest: string }).digest === ref.digest
        ? { manifestJson: canonicalJson(manifest), signatures: [] }
        : ask();
    return scene;
  }
  const longName = (manifest: Manifest): Manifest => ({
    ...manifest,
    files: [...manifest.files, { ...(manifest.files[0] as Manifest['files'][number]), path: 'x'.repeat(300) }],
  });
  const missingFile = (manifest: Manifest): Manifest => ({
    ...manifest,
    files: manifest.files.map((file) =>
      file.path === 'config.json'
        ? { ...file, sha256: 'a'.repeat(64), chunks: { ...file.chunks, sha256: ['a'.repeat(64)] } }
        : file,
    ),
  });

  const petabyte = (manifest: Manifest): Manifest => ({
    ...manifest,
    files: manifest.files.map((file) => (file.path === manifest.graph ? { ...file, sizeBytes: 2 ** 50 } : file)),
  });

  it.each([
    ['whose files no disk takes', longName],
    ['of a petabyte', petabyte],
    ['whose files nobody has', missingFile],
  ])('keep nobody from the real one: %s', async (_what, change) => {
    const { taker, digest } = await liars(change);
    expect(await taker.library.pull({ model: ID }, { signal: never })).toMatchObject({ digest, hubBytes: 0 });
  });

  it('are left alone where the owner wants to know who signed', async () => {
    const { taker, giver, digest } = await liars(missingFile);
    taker.set({ signers: [giver.id] });
    expect(await taker.library.pull({ model: ID }, { signal: never })).toMatchObject({ digest, hubBytes: 0 });
  });
});

it('cleaning up takes nothing from under a pull that is reading small files', async () => {
  const hub = await hubWithModel();
  const node = await openNode({ hub: { endpoint: hub.url } });
  hub.lie({ kind: 'slow', on: /LICENSE/, bytesPerSecond: 100 });
  const pulling = node.library.pull({ model: ID }, { signal: never });
  await until('the first of them is here', async () => (await leftIn(node, '.blobs')).length > 0);
  const cleaned = await node.library.cleanUp({ dryRun: false, partial: true });
  await expect(pulling).resolves.toMatchObject({ id: ID, wasHere: false });
  expect(cleaned.freedBytes).toBe(0);
});

it('two pulls at once do not take more than the quota that each of them fits in', async () => {
  const folder = await temporary();
  await tinyModel(folder, { id: 'owner/one', graphs: { model: graphOf(11, 9 << 20) } });
  await tinyModel(folder, { id: 'owner/two', graphs: { model: graphOf(12, 9 << 20) } });
  const hub = await openHub({ folder });
  const quotaBytes = 14 << 20;
  const node = await openNode({ hub: { endpoint: hub.url }, quotaBytes });
  const pulls = ['owner/one', 'owner/two'].map((model) => node.library.pull({ model }, { signal: never }));
  const ended = await Promise.allSettled(pulls);
  expect((await node.store.storage()).usedBytes).toBeLessThanOrEqual(quotaBytes);
  expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(ended.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'disk_full' } });
});

it('brings an empty file like any other', async () => {
  const wire = new Wire();
  const prep = openPrep();
  const [giver, taker] = [await openNode({ wire, prep }), await openNode({ wire, prep })];
  const path = await tinyModel(await temporary());
  await writeFile(join(path, 'LICENSE'), '');
  const { digest } = await giver.library.import({ path, id: ID }, { signal: never });
  expect(giver.store.byDigest(digest)?.manifest.files.map(({ sizeBytes }) => sizeBytes)).toContain(0);
  expect(await taker.library.pull({ model: ID }, { signal: never })).toMatchObject({ digest, wasHere: false });
});

it.each([
  ['texts that are no signatures', (index: number) => `rubbish ${index}`],
  ['bundles that say nothing', (index: number) => JSON.stringify({ mediaType: 'x', dsseEnvelope: index })],
])('a holder that tells many signatures does not drown those of another: %s', async (_what, rubbish) => {
  const wire = new Wire();
  const prep = openPrep();
  const liar = await openNode({ wire, prep });
  const giver = await openNode({ wire, prep });
  const digest = await withModel(giver);
  const manifest = giver.store.byDigest(digest)?.manifest as Manifest;
  liar.lies.push(offerOf({ id: ID, digest }, manifest));
  wire.tamper = async ({ to, method, ask }) =>
    to === liar.id && method === 'manifest'
      ? { manifestJson: canonicalJson(manifest), signatures: Array.from({ length: 64 }, (_, index) => rubbish(index)) }
      : ask();
  const taker = await openNode({ wire, prep, settings: { signers: [giver.id] } });
  expect(await taker.library.pull({ model: ID }, { signal: never })).toMatchObject({
    digest,
    signers: [{ key: giver.id }],
  });
});
