import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partText } from '../../protocol/part.ts';
import { runs } from '../support/property.ts';
import { parts } from './arbitraries.ts';

describe('the digest of a part', () => {
  it('does not depend on the order of its tensors', () => {
    fc.assert(
      fc.property(parts, ({ inputs, outputs }) => {
        const turned = { inputs: inputs.toReversed(), outputs: outputs.toReversed() };
        expect(partText(turned)).toBe(partText({ inputs, outputs }));
      }),
      runs(100),
    );
  });

  it('differs with any name, type or dimension', () => {
    const part = { inputs: [{ name: 'x', type: 'float32' as const, dims: [1, 'N'] }], outputs: ['y'] };
    const [input] = part.inputs;
    if (input === undefined) throw new Error('no input');
    const others = [
      part,
      { ...part, outputs: ['z'] },
      { ...part, outputs: ['y', 'z'] },
      { ...part, inputs: [] },
      ...[{ name: 'w' }, { type: 'int32' as const }, { dims: [1, 4] }, { dims: ['1', 'N'] }, { dims: [] }].map(
        (change) => ({ ...part, inputs: [{ ...input, ...change }] }),
      ),
      { ...part, inputs: [{ name: 'x', type: 'float32' as const }] },
    ];
    expect(new Set(others.map(partText)).size).toBe(others.length);
  });
});
