import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CHUNK_BYTES } from '../../../models/limits.ts';
import { startHub } from '../../support/hub-server.ts';
import { ID, never, openNode, openPrep, type TestNode, temporary, tinyModel, Wire, withModel } from './support.ts';

/** Flips a bit of an installed file, as a tired disk does. */
async function flip(node: TestNode, digest: string, path: string, offset: number): Promise<void> {
  const file = join(node.store.byDigest(digest)?.folder ?? '', path);
  await using handle = await open(file, 'r+');
  const { buffer } = await handle.read(new Uint8Array(1), 0, 1, offset);
  await handle.write(Uint8Array.of((buffer[0] ?? 0) ^ 1), 0, 1, offset);
}

const check = (node: TestNode, repair: boolean, name?: string) => node.library.verify(name, { repair, signal: never });

async function scene() {
  const wire = new Wire();
  const prep = openPrep();
  const [giver, taker] = [await openNode({ wire, prep }), await openNode({ wire, prep })];
  const digest = await withModel(giver);
  await taker.library.pull({ model: ID }, { signal: never });
  return { wire, giver, taker, digest };
}

describe('verify', () => {
  it('finds nothing wrong with what is right, and says who signed', async () => {
    const { giver, taker, digest } = await scene();
    expect(await check(taker, true)).toMatchObject([
      {
        id: ID,
        digest,
        damaged: [],
        repaired: false,
        reason: undefined,
        signers: [{ key: giver.id, name: giver.name }],
      },
    ]);
    expect(taker.letGo).toEqual([]);
    await expect(check(taker, true, 'other/model')).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('tells of a flipped bit, and touches nothing when no repair is asked for', async () => {
    const { taker, digest } = await scene();
    await flip(taker, digest, 'onnx/model.onnx', CHUNK_BYTES + 5);
    const damaged = [{ path: 'onnx/model.onnx', chunks: 1, bytes: CHUNK_BYTES }];
    expect(await check(taker, false, 'tiny')).toMatchObject([{ damaged, repaired: false, reason: undefined }]);
    expect(taker.letGo).toEqual([]);
    expect(await taker.store.damage(digest, { signal: never })).toHaveLength(1);
  });

  it('brings the bad chunk from a peer, and only that, while the engine has let go', async () => {
    const { wire, taker, digest } = await scene();
    await flip(taker, digest, 'onnx/model.onnx', CHUNK_BYTES + 5);
    const offsets: bigint[] = [];
    const offered: number[] = [];
    wire.tamper = ({ method, request, ask }) => {
      if (method === 'read-file') {
        offsets.push((request as { offset: bigint }).offset);
        offered.push(taker.offers.length);
      }
      return ask();
    };
    expect(await check(taker, true, ID)).toMatchObject([{ repaired: true, damaged: [{ chunks: 1 }] }]);
    expect(offsets.every((offset) => offset >= CHUNK_BYTES && offset < 2 * CHUNK_BYTES)).toBe(true);
    expect(new Set(offered)).toEqual(new Set([0]));
    expect(taker.letGo).toEqual([digest]);
    expect(taker.offers).toHaveLength(1);
    expect(await check(taker, false)).toMatchObject([{ damaged: [] }]);
    expect(taker.library.transfers()[1]).toMatchObject({ kind: 'repair', phase: 'done', totalBytes: CHUNK_BYTES });
  });

  it('repairs what is missing, small files from the hub as well', async () => {
    const folder = await temporary();
    await tinyModel(folder);
    const hub = await startHub({ folder, task: 'other' });
    onTestFinished(() => hub.close());
    const node = await openNode({ hub: { endpoint: hub.url } });
    const { digest } = await node.library.pull({ model: ID }, { signal: never });
    const model = node.store.byDigest(digest)?.folder ?? '';
    // Both names of it.
    await rm(join(model, 'config.json'));
    await writeFile(join(model, 'LICENSE'), 'All rights reserved.');
    await flip(node, digest, 'onnx/model.onnx', 3);
    const [report] = await check(node, true);
    expect(report).toMatchObject({ repaired: true });
    expect(report?.damaged.map(({ path }) => path).sort()).toEqual(['LICENSE', 'config.json', 'onnx/model.onnx']);
    expect(await check(node, false)).toMatchObject([{ damaged: [] }]);
  });

  it('says why it could not repair, and the engine does not get the damaged model back', async () => {
    const { giver, taker, digest } = await scene();
    await flip(taker, digest, 'onnx/model.onnx', 5);
    giver.online = false;
    expect(await check(taker, true)).toMatchObject([
      { repaired: false, reason: expect.stringMatching(/No connected node/) },
    ]);
    expect(taker.offers).toEqual([]);
    giver.online = true;
    expect(await check(taker, true)).toMatchObject([{ repaired: true }]);
    expect(taker.offers).toHaveLength(1);
  });

  it('takes no bad chunk from a peer whose own copy is damaged', async () => {
    const { giver, taker, digest } = await scene();
    await flip(taker, digest, 'onnx/model.onnx', 5);
    await flip(giver, digest, 'onnx/model.onnx', 5);
    expect(await check(taker, true)).toMatchObject([{ repaired: false }]);
    expect(await taker.store.damage(digest, { signal: never })).toHaveLength(1);
  });
});

describe('a model that is deleted meanwhile', () => {
  it('is not offered again by the repair of it', async () => {
    const { wire, taker, digest } = await scene();
    await flip(taker, digest, 'onnx/model.onnx', 5);
    let removed = false;
    wire.tamper = async ({ method, ask }) => {
      if (method === 'read-file' && !removed) {
        removed = true;
        taker.withdraw(digest);
        await taker.store.remove(digest);
      }
      return ask();
    };
    await check(taker, true, ID);
    expect(removed).toBe(true);
    expect(taker.offers).toEqual([]);
  });

  it('does not end the check of all the others', async () => {
    const node = await openNode();
    await withModel(node, { id: 'owner/one' });
    const digest = await withModel(node, { id: 'owner/two' });
    const checking = check(node, false);
    await node.store.remove(digest);
    expect(await checking).toMatchObject([{ id: 'owner/one', damaged: [] }]);
  });
});
