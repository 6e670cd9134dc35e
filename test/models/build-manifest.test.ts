import { createHash } from 'node:crypto';
import { readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildManifest } from '../../models/build-manifest.ts';
import { canonicalJson, modelRef } from '../../models/manifest.ts';
import { tinyGraph } from './onnx/onnx-bytes.ts';
import { MINILM, manifestOf, SMOLLM2 } from './paths.ts';
import { temporaryFolder, tinyModel } from './temporary.ts';

describe('building a manifest', () => {
  it.each([
    ['SmolLM2', SMOLLM2, 'sha256:22fb52cae02ebba2ff2256d81090f22cdb29d9ada86aa6517d2c521c244afbea'],
    ['MiniLM', MINILM, 'sha256:02ee3f596cef6c0dd4cf875df4fcc17d78d0a8c9c90c262f5dd3d4673c53049a'],
  ])('gives the one that is committed beside %s', async (_name, folder, digest) => {
    const manifest = await buildManifest(folder);
    expect(canonicalJson(manifest)).toBe(canonicalJson(manifestOf(folder)));
    expect(modelRef(manifest).digest).toBe(digest);
  });

  it('takes generation from config and graph', () => {
    expect(manifestOf(SMOLLM2)).toMatchObject({
      id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
      task: 'text-generation',
      precision: 'q4',
      contextLength: 8192,
      generation: { layers: 30, kvHeads: 3, headSize: 64, vocabularySize: 49152, eosIds: [2] },
      licence: { spdx: 'Apache-2.0', file: 'LICENSE' },
    });
  });

  it('lists the graph, its weights and what the tokenizer needs, and digests them by chunks', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'README.md'), 'no part of the model');
    const manifest = await buildManifest(folder);
    expect(manifest.id).toBe('owner/tiny');
    expect(manifest.files.map((file) => [file.path, file.kind])).toEqual([
      ['LICENSE', 'small'],
      ['config.json', 'small'],
      ['onnx/model.onnx', 'small'],
      ['onnx/model.onnx_data', 'large'],
      ['tokenizer.json', 'small'],
      ['tokenizer_config.json', 'small'],
    ]);
    const data = await readFile(join(folder, 'onnx/model.onnx_data'));
    const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    expect(manifest.files[3]).toMatchObject({
      sizeBytes: 5 << 20,
      sha256: sha256(data),
      chunks: { sizeBytes: 4 << 20, sha256: [sha256(data.subarray(0, 4 << 20)), sha256(data.subarray(4 << 20))] },
    });
  });

  it('names the same model whatever the order of the fields in its JSON', () => {
    const manifest = manifestOf(MINILM);
    const reversed = Object.fromEntries(Object.entries(manifest).reverse()) as typeof manifest;
    expect(modelRef(reversed)).toEqual(modelRef(manifest));
  });

  it.each([['../secret'], ['/etc/passwd'], ['a\\b'], ['.hidden'], ['a//b'], ['C:x']])(
    'refuses weights at %j',
    async (location) => {
      const folder = await tinyModel(await temporaryFolder());
      await writeFile(join(folder, 'onnx/model.onnx'), tinyGraph(location));
      await expect(buildManifest(folder)).rejects.toMatchObject({
        code: 'model_corrupt',
        message: expect.stringMatching(/outside/),
      });
    },
  );

  it('refuses a link in place of a file', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await unlink(join(folder, 'config.json'));
    await symlink(join(MINILM, 'config.json'), join(folder, 'config.json'));
    await expect(buildManifest(folder)).rejects.toMatchObject({
      code: 'model_corrupt',
      message: expect.stringMatching(/"config.json"/),
    });
  });

  it('refuses a folder whose graph or weights are missing', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await expect(buildManifest(folder, { graph: 'onnx/other.onnx' })).rejects.toMatchObject({
      message: expect.stringContaining('"onnx/other.onnx" is missing'),
    });
    await rm(join(folder, 'onnx/model.onnx_data'));
    await expect(buildManifest(folder)).rejects.toMatchObject({
      message: expect.stringContaining('"model.onnx_data" are missing'),
    });
  });

  it('refuses a folder without a licence, and a licence that it does not know', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'LICENSE'), 'Do what you like.');
    await expect(buildManifest(folder)).rejects.toMatchObject({ remedy: expect.stringMatching(/--licence/) });
    expect((await buildManifest(folder, { licence: 'WTFPL' })).licence.spdx).toBe('WTFPL');
    await rm(join(folder, 'LICENSE'));
    await expect(buildManifest(folder)).rejects.toMatchObject({ message: expect.stringMatching(/no LICENSE/) });
  });

  it.each([
    ['model', 'fp32'],
    ['model_quantized', 'int8'],
    ['model_q8f16', 'q8f16'],
    ['model_qint8_avx512_vnni', 'int8'],
    ['model_O4', 'fp16'],
  ])('reads the precision from the name %s', async (name, precision) => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'onnx', `${name}.onnx`), tinyGraph('model.onnx_data'));
    expect((await buildManifest(folder, { graph: `onnx/${name}.onnx` })).precision).toBe(precision);
  });

  it('asks which graph is meant when there are several', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'onnx/model_fp16.onnx'), tinyGraph('model.onnx_data'));
    await expect(buildManifest(folder)).rejects.toMatchObject({ remedy: expect.stringMatching(/--graph/) });
    expect((await buildManifest(folder, { graph: 'onnx/model_fp16.onnx' })).precision).toBe('fp16');
  });

  it('refuses settings that contradict the graph, or are of the wrong type', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'config.json'), '{"hidden_size": 768}');
    await expect(buildManifest(folder)).rejects.toMatchObject({ message: expect.stringMatching(/contradicts/) });
    await writeFile(join(folder, 'config.json'), '{"hidden_size": "many"}');
    await expect(buildManifest(folder)).rejects.toMatchObject({
      code: 'model_corrupt',
      message: expect.stringMatching(/config.json/),
    });
  });
});
