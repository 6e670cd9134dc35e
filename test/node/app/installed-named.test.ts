import { describe, expect, it } from 'vitest';
import { installedNamed } from '../../../node/app/installed-named.ts';

type Models = Parameters<typeof installedNamed>[0];
type Model = ReturnType<Models['list']>[number];

const model = (id: string, digit: string, graph: string): Model =>
  ({
    ref: { id, digest: `sha256:${digit.repeat(64)}` },
    manifest: { graph, files: [{ path: graph, sizeBytes: 9, sha256: digit.repeat(64) }] },
  }) as unknown as Model;

const full = model('Owner/Name', '1', 'onnx/model.onnx');
const q4 = model('Owner/Name', '2', 'onnx/model_q4.onnx');
const other = model('owner/other', '3', 'onnx/model_int8.onnx');

const models: Models = {
  list: () => [full, q4, other],
  find: (name) => [full, q4, other].find(({ ref }) => ref.id === name),
  byDigest: (digest) => [full, q4, other].find(({ ref }) => ref.digest === digest),
};

describe('an installed model', () => {
  it.each<[string, Model | undefined]>([
    ['Owner/Name', full],
    [q4.ref.digest, q4],
    ['Owner/Name:q4', q4],
    ['owner/name:onnx/model_q4.onnx', q4],
    ['hf.co/owner/name:model_q4', q4],
    ['Owner/Name:fp32', full],
    ['owner/other:q8', other],
    ['hf.co/owner/other', other],
    ['Owner/Name:int8', undefined],
    ['owner/none:q4', undefined],
    ['./owner/name', undefined],
    ['nope', undefined],
  ])('is found by %s', (name, found) => {
    expect(installedNamed(models, name)).toBe(found);
  });
});
