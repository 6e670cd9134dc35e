// Models of any files: which they become, what they are for, and what is said of them.
import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Inspected, type InspectRequest, inspectModel } from '../../../models/import/inspect.ts';
import { licenceOfCard } from '../../../models/import/licence.ts';
import { canonicalJson, type Manifest, parseManifest } from '../../../models/manifest.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { runs } from '../../support/property.ts';
import { tinyReranker } from '../../support/tiny-reranker.ts';
import { tinySpeech } from '../../support/tiny-speech.ts';
import { model, port, tinyGraph } from '../onnx/onnx-bytes.ts';
import { BUNDLED, MINILM, manifestOf, SMOLLM2 } from '../paths.ts';
import { temporaryFolder, tinyModel } from '../temporary.ts';

async function inspect(request: InspectRequest): Promise<Inspected & { readonly manifest: Manifest }> {
  const inspected = await inspectModel(request);
  return { ...inspected, manifest: parseManifest(inspected.manifestJson) };
}

/** Any graph: x → y. */
const anyGraph = model([
  [11, port('x', 1, ['n', 4])],
  [12, port('y', 1, ['n', 4])],
]);

describe('a folder in the hub’s layout', () => {
  it.each([SMOLLM2, MINILM])('gives its manifest, and every file where it is: %s', async (folder) => {
    const bytes: number[] = [];
    const known = manifestOf(folder);
    const { manifestJson, sources, reason, warnings } = await inspectModel(
      { path: folder, id: known.id },
      { onBytes: (count) => bytes.push(count) },
    );
    expect(manifestJson).toBe(canonicalJson(known));
    expect(sources).toEqual(known.files.map(({ path }) => ({ path, from: join(folder, path) })));
    expect([reason, warnings]).toEqual([expect.stringContaining(known.task), []]);
    const total = known.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    expect(bytes.reduce((sum, count) => sum + count, 0)).toBe(total);
  });

  it('is the same model when the graph in it is named', async () => {
    const { manifestJson } = await inspectModel({
      path: join(MINILM, 'onnx', 'model_int8.onnx'),
      id: manifestOf(MINILM).id,
    });
    expect(manifestJson).toBe(canonicalJson(manifestOf(MINILM)));
  });

  it('may have any name, and be reached by a link', async () => {
    const root = await temporaryFolder();
    const folder = await tinyModel(root);
    await rename(folder, join(root, '.staged 1'));
    await symlink(join(root, '.staged 1'), join(root, 'way'));
    const { manifest, sources } = await inspect({ path: join(root, 'way') });
    expect(manifest.id).toBe('local/staged-1');
    expect(sources.every(({ from }) => from.includes('.staged 1'))).toBe(true);
    expect((await inspect({ path: join(root, 'way'), id: 'owner/name' })).manifest.id).toBe('owner/name');
  });

  it.each(['name', '../name', 'owner/..', 'a/b/c', 'owner/na me', ''])('cannot be called %j', async (id) => {
    await expect(inspect({ path: MINILM, id })).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('leaves out what the store wrote beside it', async () => {
    const folder = await tinyModel(await temporaryFolder());
    for (const name of ['weft-manifest.json', 'weft-signatures.json', 'weft-origin.json'])
      await writeFile(join(folder, name), '{}');
    expect((await inspect({ path: folder })).sources.map(({ path }) => path)).not.toContain('weft-origin.json');
  });
});

describe('a graph by itself', () => {
  it('becomes onnx/NAME.onnx with its weights beside it, and nothing else of where it lay', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'My Net_q4.onnx'), tinyGraph('parts/w.bin'));
    await mkdir(join(folder, 'parts'));
    await writeFile(join(folder, 'parts', 'w.bin'), new Uint8Array(4));
    await writeFile(join(folder, 'private.json'), '{}');
    const { manifest, sources, warnings, reason } = await inspect({ path: join(folder, 'My Net_q4.onnx') });
    expect(manifest).toMatchObject({
      id: 'local/My-Net_q4',
      task: 'tensor',
      precision: 'q4',
      graph: 'onnx/My Net_q4.onnx',
      contextLength: 0,
      licence: { spdx: 'LicenseRef-unknown' },
    });
    expect(sources).toEqual([
      { path: 'onnx/My Net_q4.onnx', from: join(folder, 'My Net_q4.onnx') },
      { path: 'onnx/parts/w.bin', from: join(folder, 'parts', 'w.bin') },
    ]);
    expect(reason).toContain('no tokenizer.json');
    expect(warnings).toEqual([expect.stringContaining('no LICENSE')]);
  });

  it('takes tokenizer, settings and licence from beside it', async () => {
    const folder = await temporaryFolder();
    for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'LICENSE'])
      await cp(join(MINILM, name), join(folder, name));
    await cp(join(MINILM, 'onnx', 'model_int8.onnx'), join(folder, 'mini.onnx'));
    const { manifest } = await inspect({ path: join(folder, 'mini.onnx'), id: 'me/mini' });
    expect(manifest).toMatchObject({
      id: 'me/mini',
      task: 'feature-extraction',
      graph: 'onnx/mini.onnx',
      encoding: { dimensions: 384 },
      licence: { spdx: 'Apache-2.0', file: 'LICENSE' },
    });
    expect(manifest.files.map(({ path }) => path)).toEqual([
      ...['LICENSE', 'config.json', 'onnx/mini.onnx', 'tokenizer.json', 'tokenizer_config.json'],
    ]);
  });

  it('in a folder of any layout keeps its path there', async () => {
    const root = await temporaryFolder();
    await mkdir(join(root, 'export'));
    await writeFile(join(root, 'export', 'net.onnx'), anyGraph);
    expect((await inspect({ path: root })).manifest.graph).toBe('export/net.onnx');
    await writeFile(join(root, 'top.onnx'), anyGraph);
    expect((await inspect({ path: root })).manifest.graph).toBe('top.onnx');
    await writeFile(join(root, 'second.onnx'), anyGraph);
    await expect(inspect({ path: root })).rejects.toMatchObject({ remedy: expect.stringContaining('--graph') });
    expect((await inspect({ path: root, graph: 'export/net.onnx' })).manifest.graph).toBe('export/net.onnx');
  });

  it.each<[string, (folder: string) => Promise<string>]>([
    ['nothing', async (folder) => join(folder, 'none.onnx')],
    ['no graph', async (folder) => folder],
    [
      'a file of another kind',
      async (folder) => {
        await writeFile(join(folder, 'model.pt'), anyGraph);
        return join(folder, 'model.pt');
      },
    ],
    [
      'a link',
      async (folder) => {
        await writeFile(join(folder, 'real'), anyGraph);
        await symlink(join(folder, 'real'), join(folder, 'link.onnx'));
        return join(folder, 'link.onnx');
      },
    ],
  ])('is not %s', async (_what, make) => {
    await expect(inspect({ path: await make(await temporaryFolder()) })).rejects.toMatchObject({
      code: 'model_corrupt',
      remedy: expect.stringMatching(/\w/),
    });
  });
});

describe('the task', () => {
  it('is told from inputs, outputs and config, with a reason', async () => {
    const ranker = await tinyReranker(await temporaryFolder());
    expect(await inspect({ path: ranker.folder })).toMatchObject({
      manifest: { task: 'text-ranking' },
      reason: expect.stringContaining('one label'),
    });
    const speech = await tinySpeech(await temporaryFolder());
    expect(await inspect({ path: speech.folder })).toMatchObject({
      manifest: { task: 'automatic-speech-recognition', graphs: { encoder: {} } },
      reason: expect.stringContaining('Whisper'),
    });
  });

  it.each([
    ['another input', [11, port('pixel_values', 1, ['n', 3])], /takes "pixel_values"/],
    ['another output', [12, port('segments', 1, ['n', 3])], /gives "segments"/],
  ] as const)('is tensor for text with %s', async (_what, field, pattern) => {
    const folder = await tinyModel(await temporaryFolder());
    const ids = [11, port('input_ids', 7, ['n', 's'])] as const;
    const output = [12, port('y', 1, ['n'])] as const;
    await writeFile(join(folder, 'onnx', 'model.onnx'), model([ids, field, ...(field[0] === 12 ? [] : [output])]));
    const { manifest, reason, warnings } = await inspect({ path: folder });
    expect([manifest.task, manifest.encoding, warnings]).toEqual(['tensor', undefined, []]);
    expect(reason).toMatch(pattern);
  });

  it('is tensor where config and graph contradict each other, with a warning, unless it was asked for', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'config.json'), '{"hidden_size": 768}');
    const { manifest, reason, warnings } = await inspect({ path: folder });
    expect([manifest.task, manifest.contextLength]).toEqual(['tensor', 0]);
    expect(reason).toContain('looks like feature-extraction');
    expect(warnings).toEqual([expect.stringContaining('contradicts')]);
    await expect(inspect({ path: folder, task: 'feature-extraction' })).rejects.toMatchObject({
      message: expect.stringContaining('contradicts'),
    });
    expect((await inspect({ path: folder, task: 'tensor' })).warnings).toEqual([]);
  });

  it('is tensor where a setting has the wrong type, or a speech model lacks a part', async () => {
    const folder = await tinyModel(await temporaryFolder());
    await writeFile(join(folder, 'config.json'), 'not JSON');
    expect(await inspect({ path: folder })).toMatchObject({
      manifest: { task: 'tensor' },
      warnings: [/config.json/].map((pattern) => expect.stringMatching(pattern)),
    });
    const speech = await tinySpeech(await temporaryFolder());
    await rm(join(speech.folder, 'preprocessor_config.json'));
    const path = join(speech.folder, 'onnx', 'decoder_model_merged.onnx');
    expect(await inspect({ path })).toMatchObject({
      manifest: { task: 'tensor', graph: 'onnx/decoder_model_merged.onnx' },
      warnings: [expect.stringContaining('preprocessor_config.json')],
    });
  });

  it('may be asked for, and must then be one that the files can do', async () => {
    const folder = await tinyModel(await temporaryFolder());
    expect((await inspect({ path: folder, task: 'tensor' })).manifest.task).toBe('tensor');
    for (const task of ['text-generation', 'text-ranking', 'automatic-speech-recognition'])
      await expect(inspect({ path: folder, task })).rejects.toMatchObject({ code: 'model_corrupt' });
    await expect(inspect({ path: folder, task: 'magic' })).rejects.toMatchObject({ code: 'bad_request' });
  });
});

it('ends in a manifest or a typed error for any settings beside a graph', async () => {
  const folder = await tinyModel(await temporaryFolder());
  const names = [
    ...['hidden_size', 'num_attention_heads', 'num_hidden_layers', 'vocab_size', 'model_type', 'architectures'],
    ...['id2label', 'eos_token_id', 'pad_token_id', 'max_position_embeddings', 'head_dim', '__proto__'],
  ];
  const value = fc.oneof(fc.constantFrom(384, 0, -1, 1e300, 1.5, null, 'whisper', 'roberta'), fc.jsonValue());
  const settings = fc.dictionary(fc.constantFrom(...names), value).map((object) => JSON.stringify(object));
  await fc.assert(
    fc.asyncProperty(fc.oneof(settings, fc.json(), fc.string()), fc.boolean(), async (text, card) => {
      await writeFile(join(folder, 'config.json'), text);
      await writeFile(join(folder, 'README.md'), card ? `---\nlicense: ${text}\n---` : text);
      await inspect({ path: folder }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(WeftError);
        expect((error as WeftError).code).toBe('model_corrupt');
      });
    }),
    runs(60),
  );
});

describe('the licence', () => {
  it('is what somebody says, else what the text says, else what the card says', async () => {
    const folder = await tinyModel(await temporaryFolder());
    const licence = async (request: Partial<InspectRequest> = {}) =>
      (await inspect({ path: folder, ...request })).manifest.licence;
    await writeFile(join(folder, 'README.md'), '---\nlicense: mit\n---\n# Tiny');
    expect(await licence({ licence: 'WTFPL' })).toEqual({ spdx: 'WTFPL', file: 'LICENSE' });
    expect(await licence()).toEqual({ spdx: 'Apache-2.0', file: 'LICENSE' });
    await writeFile(join(folder, 'LICENSE'), 'Do what you like.');
    expect(await licence()).toEqual({ spdx: 'MIT', file: 'LICENSE' });
    await rm(join(folder, 'LICENSE'));
    expect(await licence()).toEqual({ spdx: 'MIT' });
    expect((await inspect({ path: folder })).sources.map(({ path }) => path)).not.toContain('README.md');
    await rm(join(folder, 'README.md'));
    expect(await inspect({ path: folder })).toMatchObject({
      manifest: { licence: { spdx: 'LicenseRef-unknown' } },
      warnings: [expect.stringContaining('LICENSE')],
    });
  });

  it.each([
    ['---\nlicense: apache-2.0\n---\n', 'Apache-2.0'],
    ['---\r\ntags: [a]\r\nlicense: "cc-by-sa-4.0"\r\n---\r\n', 'CC-BY-SA-4.0'],
    ['---\nlicense:\n- mit\n---', 'MIT'],
    ['---\nlicense: [bsd-3-clause]\n---', 'BSD-3-Clause'],
    ['---\nlicense: llama3.2\n---', 'LicenseRef-llama3.2'],
    ['---\nlicense: other\nlicense_name: my_licence\n---', 'LicenseRef-my-licence'],
    ['---\nlicense: other\n---', undefined],
    ['---\nlicense: unknown\n---', undefined],
    ['# no front matter\nlicense: mit', undefined],
    ['text\n---\nlicense: mit\n---\n', undefined],
    ['', undefined],
  ])('of the card %j is %s', (card, spdx) => {
    expect(licenceOfCard(card)).toBe(spdx);
  });
});

it('reads a bundled manifest as before: a licence with a file', async () => {
  const text = await readFile(join(BUNDLED, 'Xenova/all-MiniLM-L6-v2/weft-manifest.json'), 'utf8');
  expect(parseManifest(text).licence).toEqual({ spdx: 'Apache-2.0', file: 'LICENSE' });
  const { licence, ...rest } = parseManifest(text);
  expect(parseManifest(JSON.stringify({ ...rest, licence: { spdx: licence.spdx } })).licence).toEqual({
    spdx: 'Apache-2.0',
  });
  for (const id of ['../name', 'owner/..', './x', 'owner/.name']) {
    expect(() => parseManifest(JSON.stringify({ ...rest, licence, id }))).toThrow(/"id" is invalid/);
  }
});

it.skipIf(process.platform === 'win32')('what is neither a file nor a folder is told so', async () => {
  await expect(inspectModel({ path: '/dev/zero' })).rejects.toMatchObject({
    code: 'model_corrupt',
    message: 'That is neither a file nor a folder.',
  });
});
