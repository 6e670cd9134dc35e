import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hubIdOf, namesSameModel, pathOf } from '../../../node/cli/model-argument.ts';

describe('what is to be brought', () => {
  it.each(['./model', '../a/b', '/models/a', 'folder/model.onnx', 'model.onnx', 'Model.ONNX'])(
    'is a path: %s',
    (text) => {
      expect(pathOf(text)).toBe(resolve(text));
      expect(hubIdOf(text)).toBe(undefined);
    },
  );

  it.each([
    ['owner/name', 'owner/name'],
    ['owner/name:q4', 'owner/name'],
    ['owner/name:onnx/model_q4.onnx', 'owner/name'],
    ['owner/name@main', 'owner/name'],
    ['hf.co/owner/name:q4', 'owner/name'],
    ['https://huggingface.co/owner/name', 'owner/name'],
    ['smollm2', 'HuggingFaceTB/SmolLM2-135M-Instruct'],
  ])('is a name: %s', (text, id) => {
    expect(pathOf(text)).toBe(undefined);
    expect(hubIdOf(text)).toBe(id);
  });

  it('is neither', () => {
    expect(pathOf('nope')).toBe(undefined);
    expect(hubIdOf('nope')).toBe(undefined);
  });

  it('is the same model by whatever name', () => {
    expect(namesSameModel('smollm2', 'HuggingFaceTB/SmolLM2-135M-Instruct')).toBe(true);
    expect(namesSameModel('Owner/Name:q4', 'owner/name')).toBe(true);
    expect(namesSameModel('owner/name', 'owner/other')).toBe(false);
    expect(namesSameModel('nope', 'Nope')).toBe(true);
  });
});
