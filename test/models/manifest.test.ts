// Names that a manifest may have, for itself and its files: every disk must have a place for them.
import { describe, expect, it } from 'vitest';
import { parseManifest } from '../../models/manifest.ts';

const sha256 = 'a'.repeat(64);

function manifestWith(path: string, id = 'owner/name'): string {
  return JSON.stringify({
    schema: 1,
    id,
    task: 'tensor',
    precision: 'fp32',
    graph: path,
    files: [{ path, sizeBytes: 1, sha256, kind: 'small', chunks: { sizeBytes: 4, sha256: [sha256] } }],
    inputs: [{ name: 'x', type: 'float32', dims: [1] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1] }],
    contextLength: 0,
    licence: { spdx: 'MIT' },
  });
}

describe('a manifest', () => {
  it.each(['onnx/model.onnx', 'console/com10.onnx', 'a.b/c d.onnx', 'onnx/null.onnx'])('may name a file %j', (path) => {
    expect(parseManifest(manifestWith(path)).graph).toBe(path);
  });

  it.each([
    '../model.onnx',
    '/model.onnx',
    'onnx\\model.onnx',
    'C:model.onnx',
    'onnx/CON',
    'nul.onnx',
    'lpt1.txt/model.onnx',
    'onnx./model.onnx',
    'onnx/model.onnx ',
  ])('may not name a file %j', (path) => {
    expect(() => parseManifest(manifestWith(path))).toThrow(/inside the model folder|graph/);
  });

  it.each(['../name', 'owner/..', 'owner', 'owner/con', 'aux.x/name', 'owner/name.', '.hidden/name'])(
    'may not be called %j',
    (id) => {
      expect(() => parseManifest(manifestWith('model.onnx', id))).toThrow(/"id"/);
    },
  );
});
