import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { CHUNK_BYTES } from '../../../models/limits.ts';
import { canonicalJson, modelRef, sizeOf } from '../../../models/manifest.ts';
import { checkOnnxFile } from '../../../models/onnx/check.ts';
import { readModel } from '../../../models/onnx/model-file.ts';
import { extractPart } from '../../../models/onnx/partition/extract.ts';
import { usedBytes } from '../../../models/store/disk-use.ts';
import type { Download, DownloadOptions, DownloadProgress, Transfer } from '../../../node/core/transfer.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GraphPart } from '../../../protocol/part.ts';
import { run, type Tensors } from '../../models/onnx/partition/support.ts';
import { carelessPrep, graphOfAnotherDomain } from './hostile.ts';
import {
  boundOf,
  fileAt,
  giving,
  LAYERS,
  layers,
  meter,
  rangesOf,
  sameBytes,
  storedTwice,
  type Where,
  WIDTH,
} from './layered.ts';
import { ID, leftIn, never, offerOf, openNode, openPrep, temporary, tinyModel, Wire } from './support.ts';

const MIDDLE = layers(2, 4);

interface Read {
  readonly sha256: string;
  readonly offset: bigint;
}

describe.each<Where>(['inside', 'beside'])('parts of a model whose weights lie %s the graph', (where) => {
  it('come alone: three nodes fetch no more than their parts and the structure', async () => {
    const { wire, manifest, folder, digest, open: openOne, prepare } = await giving(where);
    const x = new Tensor('float32', new Float32Array(2 * WIDTH).fill(1 / WIDTH), [2, WIDTH]);
    let tensors: Tensors = { x };
    for (const [from, to] of [
      [0, 2],
      [2, 4],
      [4, LAYERS],
    ] as const) {
      const node = await openOne();
      const counted = meter(wire);
      const part = layers(from, to);
      const prepared = await prepare(node, part);
      const ranges = rangesOf(folder, manifest, part);
      const wanted = ranges.reduce((sum, { length }) => sum + length, 0);
      expect(counted.bytes).toBeGreaterThanOrEqual(wanted);
      expect(counted.bytes).toBeLessThanOrEqual(boundOf(folder, manifest, [part]));
      expect(counted.bytes).toBeLessThan(0.75 * sizeOf(manifest));
      expect(await usedBytes(node.root)).toBeLessThan(counted.bytes + CHUNK_BYTES);
      // What lies there is what lies in the whole model.
      expect(prepared.manifestJson).toBe(canonicalJson(manifest));
      expect(await sameBytes(ranges, folder, prepared.folder)).toBe(true);
      expect(rangesOf(prepared.folder, manifest, part)).toEqual(ranges);
      const files = join(prepared.folder, 'onnx');
      // As a runner takes it: checked, opened, run.
      checkOnnxFile(join(files, 'model.onnx'));
      tensors = await run(extractPart(readModel(join(files, 'model.onnx')), part), tensors, files);
      // And it is no model for anyone.
      expect([node.store.list(), node.offers]).toEqual([[], []]);
      const [held] = node.library.held();
      expect(held).toMatchObject({ model: { digest }, sizeBytes: sizeOf(manifest), heldBytes: counted.bytes });
      expect(node.told.at(-1)).toMatchObject({ phase: 'done', totalBytes: counted.bytes, doneBytes: counted.bytes });
      // The next one has everything from the giver: two sources may send the last chunks twice.
      node.online = false;
    }
    const onnx = join(folder, 'onnx');
    const whole = await run(readModel(join(onnx, 'model.onnx')), { x }, onnx);
    expect(tensors.y?.data).toEqual(whole.y?.data);
  });

  it('share what they have in common, on one node too', async () => {
    const { wire, manifest, folder, open: openOne, prepare } = await giving(where);
    const node = await openOne();
    const counted = meter(wire);
    const parts = [layers(0, 2), layers(1, 3), layers(0, 2)];
    const prepared = await Promise.all(parts.map((part) => prepare(node, part)));
    expect(new Set(prepared.map((one) => one.folder)).size).toBe(1);
    expect(counted.bytes).toBeLessThanOrEqual(boundOf(folder, manifest, parts));
    expect(node.library.transfers()).toHaveLength(2);
    for (const part of parts) {
      expect(await sameBytes(rangesOf(folder, manifest, part), folder, prepared[0]?.folder ?? '')).toBe(true);
    }
    // Once they are there, nobody is asked, and nothing is told.
    const { calls } = counted;
    expect(await prepare(node, layers(0, 2))).toEqual(prepared[0]);
    expect([counted.calls, node.library.transfers().length]).toEqual([calls, 2]);
  });

  it('are there after a restart, and what was damaged comes anew', async () => {
    const { wire, manifest, folder, open: openOne, prepare } = await giving(where);
    const node = await openOne();
    const before = await prepare(node, MIDDLE);
    await node.library.stop();
    await node.store.close();
    node.online = false;
    const ranges = rangesOf(folder, manifest, MIDDLE);
    const [range] = ranges;
    if (range === undefined) throw new Error('The part has weights.');
    const data = await open(join(before.folder, 'onnx', range.location), 'r+');
    await data.write(Buffer.from([1, 2, 3]), 0, 3, range.offset);
    await data.close();
    const again = await openOne({ root: node.root });
    const counted = meter(wire);
    expect(await prepare(again, MIDDLE)).toEqual(before);
    expect(counted.bytes).toBe(CHUNK_BYTES);
    expect(await sameBytes(ranges, folder, before.folder)).toBe(true);
    expect(again.store.list()).toEqual([]);
  });

  it('are what a pull of the whole goes on with', async () => {
    const { wire, digest, manifest, open: openOne, prepare } = await giving(where);
    const node = await openOne();
    const counted = meter(wire);
    const { folder } = await prepare(node, MIDDLE);
    const part = counted.bytes;
    const outcome = await node.library.pull({ model: ID }, { signal: never });
    expect(outcome).toMatchObject({ digest, hereBytes: part, peerBytes: sizeOf(manifest) - part });
    expect(await node.store.damage(digest, { signal: never })).toEqual([]);
    const whole = node.store.byDigest(digest)?.folder;
    expect(await prepare(node, MIDDLE)).toEqual({ folder: whole, manifestJson: canonicalJson(manifest) });
    expect(whole).not.toBe(folder);
    // Deleted, its parts are deleted too.
    await node.store.remove(digest);
    expect(await usedBytes(node.root)).toBe(0);
  });
});

describe('bringing a part', () => {
  it('takes it from whoever has it, who leaves in the middle; what came stays', async () => {
    const { wire, giver, manifest, folder, open: openOne, prepare } = await giving('beside');
    const [first, taker] = [await openOne(), await openOne()];
    await prepare(first, MIDDLE);
    const counted = meter(wire);
    const inner = wire.tamper;
    const weights = fileAt(manifest, 'onnx/model.onnx_data').sha256;
    giver.online = false;
    let left = 3;
    wire.tamper = async (call) => {
      if (call.method === 'read-file' && (call.request as Read).sha256 === weights && --left < 0) first.online = false;
      return inner(call);
    };
    await expect(prepare(taker, MIDDLE)).rejects.toMatchObject({ code: 'peer_unreachable' });
    const came = counted.bytes;
    expect(came).toBeGreaterThan(0);
    expect(taker.told.at(-1)).toMatchObject({ phase: 'failed', error: { code: 'peer_unreachable' } });
    wire.tamper = inner;
    giver.online = true;
    const prepared = await prepare(taker, MIDDLE);
    expect(counted.bytes).toBe(boundOf(folder, manifest, [MIDDLE]));
    expect(await sameBytes(rangesOf(folder, manifest, MIDDLE), folder, prepared.folder)).toBe(true);
  });

  it('takes nothing of what a peer sends that is not the file, and blames it', async () => {
    const { wire, giver, manifest, folder, open: openOne, prepare } = await giving('inside');
    const honest = await openOne();
    await prepare(honest, MIDDLE);
    const taker = await openOne();
    wire.tamper = async ({ to, method, ask }) => {
      const answer = await ask();
      if (to !== giver.id || method !== 'read-file') return answer;
      const { bytes } = answer as { readonly bytes: Uint8Array };
      return { ...(answer as object), bytes: bytes.map((byte) => byte ^ 1) };
    };
    const prepared = await prepare(taker, MIDDLE);
    expect(await sameBytes(rangesOf(folder, manifest, MIDDLE), folder, prepared.folder)).toBe(true);
    const states = taker.told.flatMap(({ sources }) => sources.map(({ name, state }) => `${name} ${state}`));
    expect(states).toContain(`${giver.id} blamed`);
    // Alone, it is no help.
    honest.online = false;
    taker.online = false;
    const late = await openOne();
    await expect(prepare(late, MIDDLE)).rejects.toMatchObject({ code: 'model_corrupt' });
  });

  it('ends when the last of those who wait is gone, and keeps what has come', async () => {
    const { wire, manifest, open: openOne, prepare } = await giving('beside');
    const node = await openOne();
    const weights = fileAt(manifest, 'onnx/model.onnx_data').sha256;
    const reached = Promise.withResolvers<void>();
    wire.tamper = async ({ method, request, ask }) => {
      if (method !== 'read-file' || (request as Read).sha256 !== weights) return ask();
      reached.resolve();
      return new Promise(() => undefined);
    };
    const [one, other] = [new AbortController(), new AbortController()];
    const waiting = [prepare(node, MIDDLE, one.signal), prepare(node, MIDDLE, other.signal)];
    await reached.promise;
    one.abort();
    await expect(waiting[0]).rejects.toMatchObject({ code: 'cancelled' });
    expect(node.library.transfers()[0]).toMatchObject({ phase: 'fetching' });
    other.abort();
    await expect(waiting[1]).rejects.toMatchObject({ code: 'cancelled' });
    const counted = meter(wire);
    await prepare(node, MIDDLE);
    // The graph's own file was there.
    expect([...counted.sha256s]).toEqual([weights]);
  });

  it('ends when the node stops', async () => {
    const { wire, open: openOne, prepare } = await giving('beside');
    const node = await openOne();
    const reached = Promise.withResolvers<void>();
    wire.tamper = ({ method, ask }) => {
      if (method !== 'read-file') return ask();
      reached.resolve();
      return new Promise(() => undefined);
    };
    const waiting = prepare(node, MIDDLE);
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: 'stopping' }),
      reached.promise.then(() => node.library.stop()),
    ]);
  });

  it('needs room for the part, and not for the whole', async () => {
    const { wire, folder, manifest, open: openOne, prepare } = await giving('beside');
    const bound = boundOf(folder, manifest, [MIDDLE]);
    const small = await openOne({ quotaBytes: bound - CHUNK_BYTES });
    const counted = meter(wire);
    await expect(prepare(small, MIDDLE)).rejects.toMatchObject({ code: 'disk_full' });
    // Refused before the weights came.
    expect(counted.bytes).toBe(fileAt(manifest, manifest.graph).sizeBytes);
    const large = await openOne({ quotaBytes: bound + CHUNK_BYTES });
    await prepare(large, MIDDLE);
    await expect(large.library.pull({ model: ID }, { signal: never })).rejects.toMatchObject({ code: 'disk_full' });
  });

  it('leaves room to others for what it does not bring', async () => {
    const { wire, folder, manifest, open: openOne, prepare } = await giving('beside');
    const bound = boundOf(folder, manifest, [MIDDLE]);
    const node = await openOne({ quotaBytes: bound + 3 * CHUNK_BYTES });
    const weights = fileAt(manifest, 'onnx/model.onnx_data').sha256;
    const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    wire.tamper = async ({ method, request, ask }) => {
      if (method === 'read-file' && (request as Read).sha256 === weights) {
        reached.resolve();
        await opened.promise;
      }
      return ask();
    };
    const waiting = prepare(node, MIDDLE);
    await reached.promise;
    await node.store.room(CHUNK_BYTES);
    // What it does bring is promised.
    await expect(node.store.room(8 * CHUNK_BYTES)).rejects.toMatchObject({ code: 'disk_full' });
    opened.resolve();
    await waiting;
  });

  it('asks those that the caller names, whatever they say of themselves', async () => {
    const { giver, digest, open: openOne, prepare } = await giving('beside');
    const node = await openOne();
    giver.withdraw(digest);
    giver.set({ share: false });
    await expect(prepare(node, MIDDLE)).rejects.toMatchObject({ code: 'model_not_found' });
    expect((await prepare(node, MIDDLE, never, [giver.id])).folder).toContain(digest.slice('sha256:'.length));
  });

  it('fetches nothing on a node that brings nothing by itself, but gives what is there', async () => {
    const { wire, open: openOne, prepare } = await giving('beside');
    const node = await openOne({ settings: { bring: false } });
    const counted = meter(wire);
    await expect(prepare(node, MIDDLE)).rejects.toMatchObject({ code: 'model_not_found' });
    expect(counted.calls).toBe(0);
    node.set({ bring: true });
    await prepare(node, MIDDLE);
    node.set({ bring: false });
    await prepare(node, MIDDLE);
    await expect(prepare(node, layers(4, 5))).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('refuses a part that the graph does not have, or that can not be', async () => {
    const { open: openOne, prepare } = await giving('beside');
    const node = await openOne();
    const without: GraphPart = { inputs: [{ name: 'h9', type: 'float32' }], outputs: ['y'] };
    await expect(prepare(node, without)).rejects.toMatchObject({ code: 'tensor_invalid' });
    await expect(prepare(node, { inputs: [], outputs: ['y'] })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(prepare(node, { inputs: [], outputs: [] })).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('does not wait for pulls, one of the same model among them', async () => {
    const { wire, manifest, digest, open: openOne, prepare } = await giving('beside');
    const node = await openOne();
    const reached = Promise.withResolvers<void>();
    const weights = fileAt(manifest, 'onnx/model.onnx_data').sha256;
    let held = true;
    wire.tamper = ({ method, request, ask }) => {
      if (!held || method !== 'read-file' || (request as Read).sha256 !== weights) return ask();
      reached.resolve();
      return new Promise(() => undefined);
    };
    const leaving = new AbortController();
    const pulling = node.library.pull({ model: ID }, { signal: leaving.signal });
    await reached.promise;
    held = false;
    expect((await prepare(node, MIDDLE)).folder).toContain(digest.slice('sha256:'.length));
    leaving.abort();
    await expect(pulling).rejects.toMatchObject({ code: 'cancelled' });
    expect(await node.library.pull({ model: ID }, { signal: never })).toMatchObject({ digest });
  });

  it.each<
    [string, (real: Transfer, downloads: readonly Download[], options: DownloadOptions) => Promise<DownloadProgress>]
  >([
    [
      'fails',
      async (real, downloads, options) => {
        await real.download(downloads, options);
        throw new WeftError({ code: 'peer_unreachable', message: 'Nobody has it.' });
      },
    ],
    [
      'ends early',
      (real, downloads, options) => {
        const [first] = downloads;
        const wanted = [...(first?.wanted ?? [])].filter((index) => first?.sink.has(index) === false).slice(0, 1);
        return real.download(first === undefined ? [] : [{ ...first, wanted: new Set(wanted) }], options);
      },
    ],
  ])('goes by what lies there, where a download %s', async (_how, download) => {
    const { folder, manifest, open: openOne, prepare } = await giving('beside');
    const transfer = (real: Transfer): Transfer =>
      Object.assign(Object.create(real), {
        fetchManifest: (...args: Parameters<Transfer['fetchManifest']>) => real.fetchManifest(...args),
        peer: (node: string) => real.peer(node),
        download: (...args: Parameters<Transfer['download']>) => download(real, ...args),
      }) as Transfer;
    const { folder: own } = await prepare(await openOne({ transfer }), MIDDLE);
    expect(await sameBytes(rangesOf(folder, manifest, MIDDLE), folder, own)).toBe(true);
  });

  it('fails where downloads bring nothing', async () => {
    const { open: openOne, prepare } = await giving('beside');
    const nothing = { totalBytes: 0, doneBytes: 0, bytesPerSecond: 0, sources: [] };
    const transfer = (real: Transfer): Transfer =>
      Object.assign(Object.create(real), {
        fetchManifest: (...args: Parameters<Transfer['fetchManifest']>) => real.fetchManifest(...args),
        peer: (node: string) => real.peer(node),
        download: async () => nothing,
      }) as Transfer;
    await expect(prepare(await openOne({ transfer }), MIDDLE)).rejects.toMatchObject({ code: 'internal' });
  });

  it('is refused where nobody reads graphs', async () => {
    const { model, open: openOne } = await giving('beside');
    const node = await openOne({ components: { graphs: undefined } as never });
    const asked = node.library.partFiles.prepare(model, MIDDLE, { signal: never, from: [] });
    await expect(asked).rejects.toMatchObject({ code: 'model_not_found' });
  });
});

describe('the signers that a node wants', () => {
  const nobody = { settings: { signers: ['ed25519:00'] } };

  it('are wanted of parts as of whole models: nothing is fetched of what is refused', async () => {
    const { wire, open: openOne, prepare } = await giving('beside');
    const node = await openOne(nobody);
    const counted = meter(wire);
    await expect(prepare(node, MIDDLE)).rejects.toMatchObject({ code: 'signature_invalid' });
    expect([counted.bytes, await leftIn(node, '.partial')]).toEqual([0, []]);
    // The giver signed what it imported.
    const member = await openOne({ settings: { signers: 'members' } });
    await prepare(member, MIDDLE);
    // And what is here isn't given any more once the settings refuse it.
    member.set({ signers: ['ed25519:00'] });
    await expect(prepare(member, MIDDLE)).rejects.toMatchObject({ code: 'signature_invalid' });
  });

  it('twin: where nobody judges, it comes', async () => {
    const { open: openOne, prepare } = await giving('beside');
    const signers = () => ({ signers: [], warnings: [], refusal: undefined });
    const node = await openOne({ ...nobody, components: { guards: { signers: signers as never } } });
    expect(await prepare(node, MIDDLE)).toBeDefined();
  });
});

describe('a hostile graph', () => {
  async function hostile() {
    const wire = new Wire();
    const giver = await openNode({ wire, prep: carelessPrep() });
    const path = await tinyModel(await temporary(), { graphs: { model: graphOfAnotherDomain() } });
    const { digest } = await giver.library.import({ path, id: ID }, { signal: never });
    return { wire, model: { id: ID, digest } };
  }
  const part: GraphPart = { inputs: [{ name: 'x', type: 'float32' }], outputs: ['y'] };

  it('is refused in the prep process, told to nobody, and not fetched again', async () => {
    const { wire, model } = await hostile();
    const node = await openNode({ wire, components: { graphs: openPrep() } });
    const counted = meter(wire);
    const ask = () => node.library.partFiles.prepare(model, part, { signal: never, from: [] });
    await expect(ask()).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(node.library.wantedModel(model.digest)).toBeUndefined();
    const { bytes } = counted;
    await expect(ask()).rejects.toMatchObject({ code: 'model_corrupt' });
    expect(counted.bytes).toBe(bytes);
  });

  it('twin: where nobody looks, it is given out', async () => {
    const { wire, model } = await hostile();
    const careless = { partFiles: async () => ({ files: [], weightBytes: 0 }) };
    const node = await openNode({ wire, components: { graphs: careless } });
    expect(await node.library.partFiles.prepare(model, part, { signal: never, from: [] })).toBeDefined();
  });
});

describe('a manifest that says other chunks of a file', () => {
  it('does not change what a part of another model reads', async () => {
    const { wire, digest, manifest, folder, open: openOne, prepare } = await giving('beside');
    const node = await openOne();
    const prepared = await prepare(node, MIDDLE);
    // The same file by its digest; the chunks are what the attacker would have others compute with.
    const evil = await storedTwice(manifest);
    const liar = await openOne();
    const manifestJson = canonicalJson(evil.manifest);
    const ref = modelRef(evil.manifest);
    liar.lies.push(offerOf(ref, evil.manifest));
    wire.tamper = async ({ to, method, request, ask }) => {
      if (to !== liar.id) return ask();
      if (method === 'manifest') return { manifestJson, signatures: [] };
      return evil.answer(method, request) ?? ask();
    };
    await node.library.partFiles.prepare(ref, MIDDLE, { signal: never, from: [liar.id] });
    const ranges = rangesOf(folder, manifest, MIDDLE);
    expect(await sameBytes(ranges, folder, prepared.folder)).toBe(true);
    const own = node.store.partModel(ref.digest)?.folder ?? '';
    expect(await sameBytes(ranges, folder, own)).toBe(false);
    expect(digest).not.toBe(ref.digest);
  });
});

describe('cleaning up', () => {
  it('deletes parts that nobody asked for lately, and their files; those of young ones stay', async () => {
    const { open: openOne, prepare } = await giving('beside');
    const node = await openOne();
    const { folder } = await prepare(node, MIDDLE);
    const clean = (options: { dryRun: boolean; partial: boolean }) => node.library.cleanUp(options);
    expect(await clean({ dryRun: false, partial: false })).toMatchObject({ removed: [] });
    const said = await clean({ dryRun: true, partial: true });
    expect(said.removed.map(({ what }) => what)).toEqual([
      expect.stringMatching(/^the parts of owner\/tiny/),
      expect.stringMatching(/^a file that is not whole/),
      expect.stringMatching(/^a file that is not whole/),
    ]);
    expect(said.freedBytes).toBeGreaterThan(3 * CHUNK_BYTES);
    expect((await stat(folder)).isDirectory()).toBe(true);
    expect(await clean({ dryRun: false, partial: true })).toEqual(said);
    expect(await usedBytes(node.root)).toBe(0);
    // Asked for again, it comes again.
    expect(await prepare(node, MIDDLE)).toMatchObject({ folder });
  });

  it('leaves alone what is being brought', async () => {
    const { wire, manifest, open: openOne, prepare } = await giving('beside');
    const node = await openOne();
    const weights = fileAt(manifest, 'onnx/model.onnx_data').sha256;
    const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    wire.tamper = async ({ method, request, ask }) => {
      if (method === 'read-file' && (request as Read).sha256 === weights) {
        reached.resolve();
        await opened.promise;
      }
      return ask();
    };
    const waiting = prepare(node, MIDDLE);
    await reached.promise;
    expect((await node.library.cleanUp({ dryRun: false, partial: true })).removed).toEqual([]);
    opened.resolve();
    await waiting;
  });
});
