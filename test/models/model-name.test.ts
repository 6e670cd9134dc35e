import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { catalogue } from '../../models/catalog.ts';
import { formatModelName, isModelId, type ModelName, parseModelName } from '../../models/model-name.ts';
import { runs } from '../support/property.ts';

const SMOL = 'HuggingFaceTB/SmolLM2-135M-Instruct';
const hub = (id: string, rest: { readonly revision?: string; readonly variant?: string } = {}): ModelName => ({
  kind: 'hub',
  id,
  ...rest,
});
const path = (written: string): ModelName => ({ kind: 'path', path: written });

describe('names of models to bring', () => {
  it.each<[string, ModelName]>([
    ['acme/Tiny-1', hub('acme/Tiny-1')],
    ['  acme/tiny  ', hub('acme/tiny')],
    ['acme/tiny:q4f16', hub('acme/tiny', { variant: 'q4f16' })],
    ['acme/tiny:onnx/model_q4.onnx', hub('acme/tiny', { variant: 'onnx/model_q4.onnx' })],
    ['acme/tiny:model.onnx', hub('acme/tiny', { variant: 'model.onnx' })],
    ['acme/tiny@v1.0', hub('acme/tiny', { revision: 'v1.0' })],
    ['acme/tiny@refs/pr/2', hub('acme/tiny', { revision: 'refs/pr/2' })],
    ['acme/tiny@main:int8', hub('acme/tiny', { revision: 'main', variant: 'int8' })],
    ['acme/tiny:int8@main', hub('acme/tiny', { revision: 'main', variant: 'int8' })],
    ['hf:acme/tiny', hub('acme/tiny')],
    ['hf://acme/tiny@main', hub('acme/tiny', { revision: 'main' })],
    ['hf:acme/tiny.onnx', hub('acme/tiny.onnx')],
    ['hf.co/acme/tiny', hub('acme/tiny')],
    ['HF.co/acme/tiny:q4', hub('acme/tiny', { variant: 'q4' })],
    [
      'huggingface.co/acme/tiny@main:onnx/model.onnx',
      hub('acme/tiny', { revision: 'main', variant: 'onnx/model.onnx' }),
    ],
    ['https://huggingface.co/acme/tiny', hub('acme/tiny')],
    ['https://www.huggingface.co/acme/tiny/', hub('acme/tiny')],
    ['https://huggingface.co/acme/tiny?library=onnx#usage', hub('acme/tiny')],
    ['http://hf.co/acme/tiny:q8', hub('acme/tiny', { variant: 'q8' })],
    ['https://huggingface.co/acme/tiny/tree/main', hub('acme/tiny', { revision: 'main' })],
    [
      'https://huggingface.co/acme/tiny/tree/refs%2Fpr%2F2/cpu_and_mobile/cpu-int4',
      hub('acme/tiny', { revision: 'refs/pr/2', variant: 'cpu_and_mobile/cpu-int4' }),
    ],
    [
      'https://huggingface.co/acme/tiny/blob/main/onnx/model_q4.onnx?download=true',
      hub('acme/tiny', { revision: 'main', variant: 'onnx/model_q4.onnx' }),
    ],
    [
      'https://huggingface.co/acme/tiny/resolve/v2/model.onnx',
      hub('acme/tiny', { revision: 'v2', variant: 'model.onnx' }),
    ],
    ['https://huggingface.co/acme/tiny/blob/main/README.md', hub('acme/tiny', { revision: 'main' })],
    ['huggingfacetb/smollm2-135m-instruct', hub(SMOL)],
    ['SmolLM2', hub(SMOL)],
    ['smollm2:q4', hub(SMOL, { variant: 'q4' })],
    ['smollm2@main', hub(SMOL, { revision: 'main' })],
    ['smollm2-135m-instruct', hub(SMOL)],
    ['qwen3:0.6b', hub('onnx-community/Qwen3-0.6B-ONNX')],
    ['qwen3-0.6b:q4', hub('onnx-community/Qwen3-0.6B-ONNX', { variant: 'q4' })],
    ['qwen3:0.6b@main:q4', hub('onnx-community/Qwen3-0.6B-ONNX', { revision: 'main', variant: 'q4' })],
    ['/models/tiny', path('/models/tiny')],
    ['./tiny', path('./tiny')],
    ['../tiny', path('../tiny')],
    ['.', path('.')],
    ['..\\tiny', path('..\\tiny')],
    ['~/models/tiny', path('~/models/tiny')],
    ['C:\\models\\tiny.onnx', path('C:\\models\\tiny.onnx')],
    ['d:/models/tiny', path('d:/models/tiny')],
    ['\\\\server\\models', path('\\\\server\\models')],
    ['models/tiny.onnx', path('models/tiny.onnx')],
    ['models/deep/Tiny.ONNX', path('models/deep/Tiny.ONNX')],
    ['./модель/größe 1.onnx', path('./модель/größe 1.onnx')],
  ])('reads %j', (text, name) => expect(parseModelName(text)).toEqual(name));

  it.each([
    [''],
    ['  '],
    ['tiny'],
    ['tiny.onnx'],
    ['constructor'],
    ['__proto__'],
    ['smollm2:'],
    ['smollm2:q4:q8'],
    ['acme/'],
    ['acme//tiny'],
    ['acme/tiny/more'],
    ['acme/..'],
    ['acme/a..b'],
    ['acme/a--b'],
    ['acme/.tiny'],
    ['-acme/tiny'],
    ['acme/tiny.git'],
    ['acme/tiny:'],
    ['acme/tiny@'],
    ['acme/tiny:../secret'],
    ['acme/tiny:onnx/../../secret.onnx'],
    ['acme/tiny:/etc/passwd'],
    ['acme/tiny:a b'],
    ['acme/tiny@-rf'],
    ['acme/tiny@a..b'],
    ['acme/tiny@main.lock'],
    ['acme/tiny@a@b'],
    ['acme/tiny:q4:q8'],
    ['acme/ti\u0000ny'],
    ['./ti\u0000ny'],
    ['/models/\u001b[31mred'],
    ['./a\nb'],
    ['./\ud800'],
    ['асме/tiny'],
    [`acme/${'a'.repeat(97)}`],
    [`acme/tiny:${'a'.repeat(257)}`],
    [`/${'a'.repeat(4096)}`],
    ['hf:tiny'],
    ['hf.co/tiny'],
    ['https://huggingface.co/'],
    ['https://huggingface.co/datasets/acme/tiny'],
    ['https://huggingface.co/acme/tiny/discussions/3'],
    ['https://huggingface.co/acme/tiny/tree'],
    ['https://huggingface.co/acme/tiny/blob/main/%2e%2e/%2e%2e/secret.onnx'],
    ['https://huggingface.co/acme/tiny/blob/main/%zz.onnx'],
    ['https://huggingface.co/acme/tiny/tree/%00'],
    ['https://example.com/acme/tiny'],
    ['https://huggingface.co.example.com/acme/tiny'],
    ['file:///models/tiny.onnx'],
  ])('refuses %j', (text) => expect(parseModelName(text)).toBeUndefined());

  it('reads every short name of the catalogue', () => {
    for (const { name, id } of catalogue()) expect(parseModelName(name)).toEqual(hub(id));
  });

  it('reads what it writes, whatever the parts are', () => {
    const part = fc.oneof(fc.stringMatching(/^[\w.-]{1,12}$/), fc.constantFrom('hf.co', 'x.onnx', 'main', 'C', '~'));
    const way = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const text = fc
      .tuple(
        fc.constantFrom('', 'hf:', 'hf://', 'https://hf.co/', './', 'c:/'),
        part,
        part,
        fc.option(way),
        fc.option(way),
      )
      .map(([mark, owner, name, revision, variant]) =>
        [mark, owner, '/', name, revision === null ? '' : `@${revision}`, variant === null ? '' : `:${variant}`].join(
          '',
        ),
      );
    let read = 0;
    fc.assert(
      fc.property(text, (written) => {
        const name = parseModelName(written);
        if (name === undefined) return;
        read++;
        expect(parseModelName(formatModelName(name))).toEqual(name);
      }),
      runs(1_000),
    );
    expect(read).toBeGreaterThan(100);
  });

  it('never throws, and gives nothing that leads out of a folder', () => {
    const words = fc.constantFrom(
      '..',
      '.',
      '/',
      '\\',
      ':',
      '@',
      'hf.co',
      'https://',
      '%2e',
      '%',
      '.onnx',
      'a',
      '\0',
      '~',
    );
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(words, { maxLength: 12 }).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        const name = parseModelName(text);
        if (name === undefined) return;
        expect(parseModelName(formatModelName(name))).toEqual(name);
        if (name.kind === 'path') {
          expect(name.path).not.toMatch(/\p{Cc}/u);
          return;
        }
        expect(isModelId(name.id)).toBe(true);
        const { id, revision = 'main', variant = 'q4' } = name;
        for (const text of [id, revision, variant]) {
          expect(text).toMatch(/^[\w+][\w.+/-]*$/);
          expect(text.split('/')).not.toContain('..');
        }
      }),
      runs(2_000),
    );
  });
});
