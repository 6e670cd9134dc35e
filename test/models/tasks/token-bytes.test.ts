import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenBytes } from '../../../models/tasks/token-bytes.ts';
import { runs } from '../../support/property.ts';
import { decodeWhole, hardText, loadSmol } from './tokenizers.ts';

const smol = loadSmol();

describe('a token by itself', () => {
  it('has the bytes that it adds to any text', () => {
    fc.assert(
      fc.property(hardText(20), (text) => {
        const ids = smol.library.encode(text).ids;
        const bytes = ids
          .map((id) => smol.tokenizer.piece(id))
          .flatMap((piece) => (piece.special ? [] : [...piece.bytes]));
        expect(Buffer.from(bytes).toString('utf8')).toBe(decodeWhole(smol, ids));
      }),
      runs(200),
    );
  });

  it('may be a part of a character, a special one, or none at all', () => {
    const [first] = smol.library.encode('語').ids;
    const part = smol.tokenizer.piece(first ?? -1);
    expect(part).toMatchObject({ text: '\ufffd', special: false });
    expect([...Buffer.from('語')].slice(0, part.bytes.length)).toEqual(part.bytes);
    expect(smol.tokenizer.piece(2)).toEqual({
      text: '<|im_end|>',
      bytes: [...Buffer.from('<|im_end|>')],
      special: true,
    });
    expect(smol.tokenizer.piece(1_000_000)).toEqual({ text: '', bytes: [], special: true });
  });

  it('of a vocabulary of words is what it adds behind others', () => {
    const tokens = ['▁the', 'fox', '<0xF0>'];
    const init = {
      vocabulary: { token: (id: number) => tokens[id], added: () => undefined },
      byteLevel: false,
      decode: (ids: readonly number[]) =>
        ids
          .map((id) => (tokens[id] ?? '').replace('▁', ' '))
          .join('')
          .replace(/^ /, ''),
    };
    expect(tokenBytes(0, init)).toMatchObject({ text: ' the', bytes: [...Buffer.from(' the')] });
    expect(tokenBytes(1, init)).toMatchObject({ text: 'fox' });
    expect(tokenBytes(2, init)).toEqual({ text: '\ufffd', bytes: [0xf0], special: false });
  });
});
