// Pure decisions of a pull: which form of a model is taken, and whether a manifest is that of its files.
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../models/manifest.ts';
import { chooseVariant } from '../../../node/library/choose-variant.ts';
import { compareManifests } from '../../../node/library/compare-manifests.ts';

const MACHINE = { devices: [{ kind: 'cpu', name: 'test', memoryBytes: 1e9 }], memoryBytes: 1e9 } as const;

const file = (path: string, sizeBytes = 100, sha256 = path.padEnd(64, '0')) => ({
  path,
  sizeBytes,
  sha256,
  kind: 'small' as const,
  chunks: { sizeBytes: 4, sha256: [sha256] },
});
const form = (digest: string, graph: string, wholeCount: number, signedMs = 0, sizeBytes = 100) => ({
  digest,
  manifest: { graph, files: [file(graph, sizeBytes)] },
  wholeCount,
  signedMs,
});

describe('the form of a model', () => {
  const choose = (forms: readonly ReturnType<typeof form>[], variant?: string) =>
    chooseVariant(forms, MACHINE, { id: 'owner/name', ...(variant !== undefined && { variant }) });

  it('is the one that was named, else one that fits, then what most have, then what was signed last', () => {
    const forms = [
      form('a', 'onnx/model.onnx', 1, 50),
      form('b', 'onnx/model.onnx', 2, 10),
      form('c', 'onnx/model.onnx', 2, 20),
      form('d', 'onnx/model_q4.onnx', 9),
      form('e', 'onnx/model_fp16.onnx', 1, 0, 9e9),
    ];
    expect(choose(forms, 'q4').form?.digest).toBe('d');
    expect(choose(forms, 'fp32')).toMatchObject({
      form: { digest: 'c' },
      reasons: expect.arrayContaining([expect.stringContaining('signed last')]),
    });
    // Asked for by name, it is taken although it doesn't fit.
    expect(choose(forms, 'fp16').form?.digest).toBe('e');
  });

  it('is none where what was named is not there, or nothing fits; the error says so', () => {
    expect(choose([form('a', 'onnx/model.onnx', 1)], 'q4')).toMatchObject({
      form: undefined,
      error: { code: 'model_not_found' },
    });
    expect(choose([form('a', 'onnx/model.onnx', 1, 0, 9e9)])).toMatchObject({
      form: undefined,
      error: { code: 'out_of_memory' },
    });
  });

  it('may have a graph under a name that no hub would give it', () => {
    expect(choose([form('a', 'graphs/of-my-own.bin', 1)])).toMatchObject({ form: { digest: 'a' }, reasons: [] });
  });
});

describe('a manifest', () => {
  const said = {
    id: 'owner/name',
    graph: 'onnx/model.onnx',
    files: [file('onnx/model.onnx'), file('config.json')],
    inputs: [{ name: 'x', type: 'float32', dims: [1] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1] }],
    licence: { spdx: 'MIT' },
  } as unknown as Manifest;
  const refuses = (made: Partial<Manifest>, what: RegExp): void =>
    expect(() => compareManifests(said, { ...said, ...made })).toThrow(what);

  it('may differ in what the files do not decide', () => {
    compareManifests(said, {
      ...said,
      licence: { spdx: 'Apache-2.0' },
      contextLength: 7,
      files: said.files.slice(0, 1),
    });
    const otherChunks = said.files.map((one) => ({ ...one, chunks: { sizeBytes: 8, sha256: ['other'] } }));
    compareManifests(said, { ...said, files: otherChunks });
  });

  it('is refused where a file is another one, or more are needed', () => {
    const [graph = file('')] = said.files;
    refuses({ files: [{ ...graph, sha256: 'f'.repeat(64) }] }, /"onnx\/model.onnx" is another file/);
    refuses({ files: [{ ...graph, sizeBytes: 99 }] }, /is another file/);
    // Chunk by chunk, anything could have come under the digest of the whole.
    refuses({ files: [{ ...graph, chunks: { sizeBytes: 4, sha256: ['f'.repeat(64)] } }] }, /is another file/);
    refuses({ files: [...said.files, file('weights.bin')] }, /leaves out "weights.bin"/);
  });

  it('is refused where the graph is another one, or takes or gives something else', () => {
    refuses({ graph: 'config.json' }, /"graph" are not those of the graph/);
    refuses({ inputs: [] }, /"inputs"/);
    refuses({ outputs: [{ name: 'y', type: 'float32', dims: [2] }] }, /"outputs"/);
    refuses({ graphs: {} }, /"graphs"/);
  });
});
