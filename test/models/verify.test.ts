import { appendFile, cp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildManifest } from '../../models/build-manifest.ts';
import type { Manifest } from '../../models/manifest.ts';
import { readVerified, verifyFile, verifyFiles } from '../../models/verify.ts';
import { temporaryFolder, tinyModel } from './temporary.ts';

const GRAPH = 'onnx/model.onnx';
const WEIGHTS = 'onnx/model.onnx_data';

async function model(): Promise<{ folder: string; manifest: Manifest }> {
  const folder = await tinyModel(await temporaryFolder());
  return { folder, manifest: await buildManifest(folder) };
}

const corrupt = (path: string) =>
  expect.objectContaining({
    code: 'model_corrupt',
    message: expect.stringContaining(`"${path}"`),
    remedy: expect.stringMatching(/install/),
    facts: { file: path },
  });

describe('verifying the files of a model', () => {
  it('accepts what the manifest says', async () => {
    const { folder, manifest } = await model();
    await verifyFiles(folder, manifest, 'all');
    expect(await readVerified(folder, manifest, 'config.json')).toHaveLength(553);
  });

  it('names a file in which one byte was changed', async () => {
    const { folder, manifest } = await model();
    const bytes = new Uint8Array(5 << 20).fill(7);
    bytes[3_000_000] = 8;
    await writeFile(join(folder, WEIGHTS), bytes);
    await expect(verifyFiles(folder, manifest, 'all')).rejects.toEqual(corrupt(WEIGHTS));
  });

  it('looks at large files only when asked for all', async () => {
    const { folder, manifest } = await model();
    await rm(join(folder, WEIGHTS));
    await verifyFiles(folder, manifest, 'small');
    await expect(verifyFiles(folder, manifest, 'all')).rejects.toEqual(corrupt(WEIGHTS));
  });

  it('names a file that is missing, longer, or a folder', async () => {
    const { folder, manifest } = await model();
    await appendFile(join(folder, 'config.json'), ' ');
    await expect(verifyFiles(folder, manifest, 'small')).rejects.toEqual(corrupt('config.json'));
    await expect(readVerified(folder, manifest, 'config.json')).rejects.toEqual(corrupt('config.json'));
    await rm(join(folder, 'config.json'));
    await expect(verifyFiles(folder, manifest, 'small')).rejects.toEqual(corrupt('config.json'));
    await mkdir(join(folder, 'config.json'));
    await expect(verifyFiles(folder, manifest, 'small')).rejects.toEqual(corrupt('config.json'));
  });

  it('follows no link, even to the right bytes', async () => {
    const { folder, manifest } = await model();
    await rename(join(folder, GRAPH), join(folder, 'moved.onnx'));
    await symlink(join(folder, 'moved.onnx'), join(folder, GRAPH));
    await expect(verifyFiles(folder, manifest, 'small')).rejects.toEqual(corrupt(GRAPH));
  });

  it('follows no link to a folder on the way', async () => {
    const { folder, manifest } = await model();
    await cp(join(folder, 'onnx'), join(folder, 'elsewhere'), { recursive: true });
    await rm(join(folder, 'onnx'), { recursive: true });
    await symlink(join(folder, 'elsewhere'), join(folder, 'onnx'));
    const graph = manifest.files.find((file) => file.path === GRAPH);
    if (graph === undefined) throw new Error('no graph');
    await expect(verifyFile(folder, graph)).rejects.toEqual(corrupt(GRAPH));
  });

  it('reads no file that the manifest lacks', async () => {
    const { folder, manifest } = await model();
    await expect(readVerified(folder, manifest, 'other.json')).rejects.toEqual(corrupt('other.json'));
  });
});
