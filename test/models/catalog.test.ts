import { describe, expect, it } from 'vitest';
import { aliasesOf, catalogue, catalogueEntry, resolveModelId } from '../../models/catalog.ts';
import { isModelId } from '../../models/model-name.ts';

const SMOL = 'HuggingFaceTB/SmolLM2-135M-Instruct';

describe('names of models', () => {
  it.each([['smollm2'], ['SmolLM2'], [' smollm2 '], [SMOL], [SMOL.toLowerCase()], ['smollm2-135m-instruct']])(
    'resolves %j to the hub id',
    (name) => expect(resolveModelId(name)).toBe(SMOL),
  );

  it('resolves ids beyond the catalogue when they are known, in their own spelling', () => {
    expect(resolveModelId('acme/other')).toBeUndefined();
    expect(resolveModelId('ACME/other', ['acme/Other'])).toBe('acme/Other');
    expect(resolveModelId('other', ['acme/Other'])).toBe('acme/Other');
  });

  it('resolves no last part that two models share', () => {
    expect(resolveModelId('other', ['acme/Other', 'emca/other'])).toBeUndefined();
  });

  it('takes a known model of that name before a model of the catalogue that is not known', () => {
    const theirs = 'onnx-community/whisper-base';
    expect(resolveModelId('whisper-base')).toBe(theirs);
    expect(resolveModelId('whisper-base', ['acme/whisper-base'])).toBe('acme/whisper-base');
    expect(resolveModelId('whisper-base', ['acme/whisper-base', theirs])).toBe(theirs);
    expect(resolveModelId('whisper-base', ['acme/whisper-base', 'emca/whisper-base'])).toBe(theirs);
  });

  it('takes a size behind a colon', () => {
    expect(resolveModelId('Qwen3:0.6b')).toBe('onnx-community/Qwen3-0.6B-ONNX');
    expect(resolveModelId('qwen3:')).toBeUndefined();
  });

  it.each([[''], ['constructor'], ['__proto__'], ['/']])('resolves %j to nothing', (name) =>
    expect(resolveModelId(name)).toBeUndefined(),
  );

  it('knows the short names of a model', () => {
    expect(aliasesOf(SMOL)).toEqual(['smollm2']);
    expect(aliasesOf('xenova/all-minilm-l6-v2')).toEqual(['minilm']);
    expect(aliasesOf('acme/other')).toEqual([]);
  });

  it('are one for each model, fit for a command line, and described in a line', () => {
    const all = catalogue();
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    expect(new Set(all.map(({ id }) => id.toLowerCase())).size).toBe(all.length);
    for (const { name, id, description } of all) {
      expect(name).toMatch(/^[a-z][a-z0-9.-]*$/);
      expect(isModelId(id)).toBe(true);
      expect(description).toMatch(/^\S.{10,100}\S$/);
      expect(catalogueEntry(name)?.id).toBe(id);
      expect(resolveModelId(name)).toBe(id);
    }
  });
});
