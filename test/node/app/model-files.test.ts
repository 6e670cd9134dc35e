// What peers get of this node's files, with and without the setting `share`.
import { describe, expect, it } from 'vitest';
import { canonicalJson, type Manifest, modelRef } from '../../../models/manifest.ts';
import { modelFiles } from '../../../node/app/model-files.ts';

const digestOf = (letter: string): string => letter.repeat(64);

function manifestOf(id: string, tokenizer: string, graph: string): Manifest {
  const file = (path: string, sha256: string) => ({
    path,
    sizeBytes: 3,
    sha256,
    kind: 'small' as const,
    chunks: { sizeBytes: 4, sha256: [sha256] },
  });
  return {
    schema: 1,
    id,
    task: 'tensor',
    precision: 'fp32',
    graph: 'onnx/model.onnx',
    files: [file('tokenizer.json', tokenizer), file('onnx/model.onnx', graph)],
    inputs: [{ name: 'x', type: 'float32', dims: [1] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1] }],
    contextLength: 0,
    licence: { spdx: 'MIT' },
  };
}

const offered = manifestOf('owner/offered', digestOf('a'), digestOf('b'));
const kept = manifestOf('owner/kept', digestOf('c'), digestOf('d'));
const wanted = manifestOf('owner/wanted', digestOf('e'), digestOf('f'));
const installed = [offered, kept].map((manifest) => ({ ref: modelRef(manifest), manifest, folder: '', aliases: [] }));

function filesOf(share: boolean) {
  return modelFiles(
    {
      store: {
        list: () => installed,
        byDigest: (digest) => installed.find(({ ref }) => ref.digest === digest),
        signatures: () => ['signed'],
        holding: () => ({ sizeBytes: 3, chunkBytes: 4, chunks: 'all' }),
        read: async () => ({ bytes: Uint8Array.of(1, 2, 3), sizeBytes: 3 }),
      },
      library: {
        wantedModel: (digest) =>
          digest === modelRef(wanted).digest
            ? { ref: modelRef(wanted), manifest: wanted, manifestJson: canonicalJson(wanted), signatures: ['early'] }
            : undefined,
      },
      isOffered: (digest) => digest === modelRef(offered).digest,
    },
    () => share,
  );
}

/** Which of these a peer gets: manifests by model, then signatures, then files by their letter. */
async function given(share: boolean): Promise<string[]> {
  const files = filesOf(share);
  const models = [offered, kept, wanted];
  const read = await Promise.all(
    [...'abcdef'].map(async (letter) => (await files.read(digestOf(letter), 0, 3)) && letter),
  );
  return [
    ...models.filter((model) => files.manifestJson(modelRef(model).digest) !== undefined).map(({ id }) => id),
    ...models.flatMap((model) =>
      [...files.signatures(modelRef(model).digest)].slice(0, 1).map(() => `${model.id} signed`),
    ),
    ...read.filter((letter) => letter !== undefined),
    ...[...'abcdef']
      .filter((letter) => files.holding(digestOf(letter)) !== undefined)
      .map((letter) => `holds ${letter}`),
  ];
}

describe('files for peers', () => {
  it('are all that is here or on its way, where they are shared', async () => {
    const all = [...'abcdef'];
    const ids = ['owner/offered', 'owner/kept', 'owner/wanted'];
    const wantedAll = [...ids, ...ids.map((id) => `${id} signed`), ...all, ...all.map((letter) => `holds ${letter}`)];
    expect(await given(true)).toEqual(wantedAll);
  });

  it('are what it takes to coordinate the models that are offered, where they are not', async () => {
    expect(await given(false)).toEqual(['owner/offered', 'owner/offered signed', 'a', 'holds a']);
  });
});
