import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { graphOf, ID, leftIn, never, openNode, temporary, tinyModel } from './support.ts';

const SMALL = { graphs: { model: graphOf(8, 600) } };

describe('an import', () => {
  it('of a folder is checked, signed by this node, stored as its own copy, and offered', async () => {
    const node = await openNode();
    const path = await tinyModel(await temporary(), SMALL);
    const outcome = await node.library.import({ path, id: ID, licence: 'MIT' }, { signal: never });
    expect(outcome).toMatchObject({
      id: ID,
      task: 'tensor',
      wasHere: false,
      reason: expect.stringContaining('tensor'),
    });
    expect(outcome).not.toHaveProperty('signers');
    expect(node.offers).toHaveLength(1);
    expect(node.store.signatures(outcome.digest)).toHaveLength(1);
    expect(node.store.origin(outcome.digest)).toMatchObject({ brought: false, from: 'import' });
    // What a person does with the files later is nothing to the model.
    await writeFile(join(path, 'onnx', 'model.onnx'), 'changed');
    expect(await node.store.damage(outcome.digest, { signal: never })).toEqual([]);
  });

  it('of the same files again finds them here', async () => {
    const node = await openNode();
    const path = await tinyModel(await temporary(), SMALL);
    const first = await node.library.import({ path, id: ID }, { signal: never });
    expect(await node.library.import({ path, id: ID }, { signal: never })).toMatchObject({
      digest: first.digest,
      wasHere: true,
    });
    expect(node.offers).toHaveLength(1);
    expect(node.library.transfers().map(({ kind, phase }) => [kind, phase])).toEqual([
      ['import', 'done'],
      ['import', 'done'],
    ]);
  });

  it('is what a pull of a path does, and tells no path to those who watch', async () => {
    const node = await openNode();
    const path = await tinyModel(await temporary(), SMALL);
    const outcome = await node.library.pull({ model: join(path, 'onnx', 'model.onnx') }, { signal: never });
    expect(outcome).toMatchObject({
      id: 'local/tiny',
      hereBytes: outcome.sizeBytes,
      signers: [{ key: node.id, standing: 'member' }],
    });
    expect(JSON.stringify(node.told)).not.toContain(path);
    expect(await node.store.damage(outcome.digest, { signal: never })).toEqual([]);
  });

  it('refuses what is no model, and leaves nothing of it', async () => {
    const node = await openNode();
    const folder = await temporary();
    await writeFile(join(folder, 'broken.onnx'), 'not a graph');
    const bring = (path: string, id?: string) => node.library.import({ path, ...(id && { id }) }, { signal: never });
    await expect(bring(join(folder, 'broken.onnx'))).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(bring('models/here')).rejects.toMatchObject({ code: 'bad_request' });
    await expect(bring(folder, '../up')).rejects.toMatchObject({ code: 'bad_request' });
    expect([await leftIn(node, '.blobs'), await leftIn(node, '.staged'), node.offers]).toEqual([[], [], []]);
  });

  it('refuses what the disk has no room for', async () => {
    const node = await openNode({ quotaBytes: 1000 });
    const path = await tinyModel(await temporary(), { graphs: { model: graphOf(9, 5000) } });
    await expect(node.library.import({ path, id: ID }, { signal: never })).rejects.toMatchObject({ code: 'disk_full' });
    expect(await leftIn(node, '.blobs')).toEqual([]);
  });
});
