// The headers that say what stays and where a graph is cut, there and back.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CutWords,
  formatCut,
  formatRaw,
  LOCAL_NAMES_MAX,
  parseCut,
  parseRaw,
  type RawLocal,
} from '../../protocol/api/locality.ts';
import { runs } from '../support/property.ts';

const name = fc.string({ minLength: 1, unit: 'grapheme' });
const raw: fc.Arbitrary<RawLocal> = fc.oneof(
  fc.constant(true as const),
  fc.array(name, { minLength: 1, maxLength: LOCAL_NAMES_MAX }),
);
const cut: fc.Arbitrary<CutWords> = fc.oneof(
  fc.constantFrom('auto' as const, 'never' as const),
  fc
    .array(fc.oneof(fc.nat(), name, fc.constantFrom('auto', '12', 'tensor:1', 'a,b', ' ', '%')), {
      minLength: 1,
      maxLength: LOCAL_NAMES_MAX,
    })
    .map((at) => ({ at })),
  fc.record({ at: fc.constant([3, '/a;on=b']), on: fc.array(name, { minLength: 1, maxLength: LOCAL_NAMES_MAX }) }),
  fc.record({ on: fc.array(name, { minLength: 1, maxLength: LOCAL_NAMES_MAX }) }),
  fc.constantFrom<CutWords>({ steady: true }, { compress: true }, { at: [2], on: ['a'], steady: true, compress: true }),
);

describe('the headers of what stays here', () => {
  it('say again what was written into them, whatever tensors are called', () => {
    fc.assert(
      fc.property(raw, (value) => {
        expect(parseRaw(formatRaw(value))).toEqual(value);
      }),
      runs(200),
    );
    fc.assert(
      fc.property(cut, (value) => {
        const small =
          typeof value === 'string' || value.at?.every((at) => typeof at === 'string' || at < 1e9) !== false;
        if (small) expect(parseCut(formatCut(value))).toEqual(value);
      }),
      runs(200),
    );
  });

  it('are ASCII, as headers must be', () => {
    expect(formatRaw(['größe, 1'])).toBe('local:gr%C3%B6%C3%9Fe%2C%201');
    expect(formatCut({ at: [3, '/a/Add', '7'] })).toBe('3,tensor:%2Fa%2FAdd,tensor:7');
  });

  it('take what a person writes by hand', () => {
    expect(parseRaw('local:x, mask')).toEqual(['x', 'mask']);
    expect(parseCut('3, /a/Add_output_0, tensor:12')).toEqual({ at: [3, '/a/Add_output_0', '12'] });
    expect(parseCut('3; steady; on=a, b')).toEqual({ at: [3], steady: true, on: ['a', 'b'] });
    expect(parseCut('auto;compress')).toEqual({ compress: true });
  });

  it.each(['', 'Local', 'remote', 'local:', 'local:x,', 'local:%', `local:${'x,'.repeat(LOCAL_NAMES_MAX)}x`])(
    'take no %j for what stays',
    (text) => expect(parseRaw(text)).toBeUndefined(),
  );

  it.each([
    '',
    '1,',
    ',1',
    '%zz',
    'tensor:',
    'auto;',
    '1;fast',
    '1;on=',
    '1;steady;steady',
    'never;steady',
    ';steady',
    `${'1,'.repeat(LOCAL_NAMES_MAX)}1`,
  ])('take no %j for a cut', (text) => expect(parseCut(text)).toBeUndefined());
});
