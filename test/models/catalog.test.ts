import { describe, expect, it } from 'vitest';
import { aliasesOf, resolveModelId } from '../../models/catalog.ts';

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

  it.each([[''], ['constructor'], ['__proto__'], ['/']])('resolves %j to nothing', (name) =>
    expect(resolveModelId(name)).toBeUndefined(),
  );

  it('knows the short names of a model', () => {
    expect(aliasesOf(SMOL)).toEqual(['smollm2']);
    expect(aliasesOf('xenova/all-minilm-l6-v2')).toEqual(['minilm']);
    expect(aliasesOf('acme/other')).toEqual([]);
  });
});
