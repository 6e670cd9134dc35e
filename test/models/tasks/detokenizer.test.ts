import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Detokenizer } from '../../../models/tasks/detokenizer.ts';
import { parseTokenizerConfig, parseTokenizerJson } from '../../../models/tasks/tokenizer-json.ts';
import { runs } from '../../support/property.ts';
import { decodeWhole, hardText, loadSmol, type Subject, subjectOf } from './tokenizers.ts';

/** A vocabulary in the manner of Llama 2: words with ▁, and every byte as a token of its own. */
function byteFallback(): Subject {
  const words = ['<unk>', '<s>', '</s>', '▁', '▁the', '▁fox', 'fox', '.', '日', 'é', '\u{1f600}'];
  const bytes = Array.from(
    { length: 256 },
    (_value, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const vocab = Object.fromEntries([...words, ...bytes].map((token, id) => [token, id]));
  const special = ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content, special: true }));
  const json = {
    added_tokens: special,
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    model: { type: 'BPE', vocab, merges: [], unk_token: '<unk>', byte_fallback: true },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
  };
  return subjectOf(parseTokenizerJson(Buffer.from(JSON.stringify(json))), parseTokenizerConfig(Buffer.from('{}')));
}

const smol = loadSmol();
const llama = byteFallback();

/** Ids in groups of the sizes given, over and over. */
function pushAll(detokenizer: Detokenizer, ids: readonly number[], sizes: readonly number[]): string[] {
  const texts: string[] = [];
  for (let start = 0, turn = 0; start < ids.length; turn++) {
    const end = start + (sizes[turn % sizes.length] ?? 1);
    texts.push(detokenizer.push(ids.slice(start, end)));
    start = end;
  }
  return [...texts, detokenizer.flush()];
}

const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 });

describe('detokenising a byte-level vocabulary', () => {
  it('gives back any text, in whole characters', () => {
    fc.assert(
      fc.property(hardText(20), sizes, (text, groups) => {
        const ids = smol.library.encode(text).ids;
        const texts = pushAll(smol.tokenizer.detokenizer(), ids, groups);
        expect(texts.join('')).toBe(decodeWhole(smol, ids));
        for (const part of texts) expect(part.isWellFormed()).toBe(true);
      }),
      runs(150),
    );
  });

  it('adds up to whole decoding for any ids, special and unknown ones included', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(600), fc.nat(49_200)), { maxLength: 40 }), sizes, (ids, groups) => {
        expect(pushAll(smol.tokenizer.detokenizer(), ids, groups).join('')).toBe(decodeWhole(smol, ids));
      }),
      runs(500),
    );
  });

  it('holds an emoji back until its last byte has come', () => {
    const ids = smol.library.encode('👩‍👩‍👧').ids;
    expect(ids.length).toBeGreaterThan(5);
    const texts = pushAll(smol.tokenizer.detokenizer(), ids, [1]);
    expect(texts.filter((text) => text !== '').length).toBeLessThan(ids.length);
    expect(texts.join('')).toBe('👩‍👩‍👧');
    for (const text of texts) expect(text).not.toContain('\ufffd');
  });

  it('shows an incomplete character as one replacement at the end only', () => {
    const detokenizer = smol.tokenizer.detokenizer();
    const [first] = smol.library.encode('語').ids;
    expect(detokenizer.push([first ?? -1])).toBe('');
    expect(detokenizer.flush()).toBe('\ufffd');
  });

  it('shows no special token, and keeps a byte-order mark', () => {
    const ids = smol.library.encode('<|im_start|>\ufeffHi<|im_end|> there').ids;
    expect(pushAll(smol.tokenizer.detokenizer(), ids, [1]).join('')).toBe('\ufeffHi there');
  });

  it('shows added tokens that are not special as they are written', () => {
    const token = { id: 49_152, content: '<think>', special: false, lstrip: false, rstrip: false };
    const subject = subjectOf({ ...smol.json, added_tokens: [...smol.json.added_tokens, token] }, smol.config);
    const [half] = subject.library.encode('語').ids;
    const ids = [half ?? -1, 49_152, ...subject.library.encode('ok').ids];
    expect(pushAll(subject.tokenizer.detokenizer(), ids, [1])).toEqual(['', '\ufffd<think>', 'ok', '']);
    expect(decodeWhole(subject, ids)).toBe('\ufffd<think>ok');
  });

  it('takes no longer for later tokens than for early ones', () => {
    const ids = smol.library.encode('The quick brown fox jumps over the lazy dog. '.repeat(4_000)).ids;
    const detokenizer = smol.tokenizer.detokenizer();
    const timeMs = (part: readonly number[]): number => {
      const startMs = performance.now();
      for (const id of part) detokenizer.push([id]);
      return performance.now() - startMs;
    };
    timeMs(ids.slice(0, 10_000));
    const early = timeMs(ids.slice(10_000, 20_000));
    timeMs(ids.slice(20_000, 30_000));
    const late = timeMs(ids.slice(30_000, 40_000));
    // Decoding everything anew at each token would make this factor 3 and the test take minutes.
    expect(late).toBeLessThan(early * 20 + 200);
  });
});

describe('detokenising any other vocabulary', () => {
  const idsOf = (tokens: readonly (string | number)[]): number[] => {
    const vocab = llama.json.model.vocab as Readonly<Record<string, number>>;
    return tokens.map((token) => (typeof token === 'number' ? token + 11 : (vocab[token] ?? -1)));
  };

  it('joins words and bytes as whole decoding does', () => {
    const ids = idsOf(['<s>', '▁the', '▁fox', 0xf0, 0x9f, 0x98, 0x80, '日', '.', '</s>']);
    const texts = pushAll(llama.tokenizer.detokenizer(), ids, [1]);
    expect(texts).toEqual(['', 'the', ' fox', '', '', '', '😀', '日', '.', '', '']);
    expect(texts.join('')).toBe(decodeWhole(llama, ids));
  });

  it('adds up to whole decoding for words and whole characters in bytes', () => {
    const token = fc.oneof(
      fc.constantFrom(['▁the'], ['▁fox'], ['fox'], ['.'], ['日'], ['é'], ['<s>'], ['▁']),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }).map((character) => [...Buffer.from(character)]),
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 30 }), sizes, (tokens, groups) => {
        const ids = idsOf(tokens.flat());
        expect(pushAll(llama.tokenizer.detokenizer(), ids, groups).join('')).toBe(decodeWhole(llama, ids));
      }),
      runs(150),
    );
  });

  it('shows what it holds, however long no character comes of it', () => {
    const detokenizer = llama.tokenizer.detokenizer();
    const texts = idsOf(Array(100).fill(0x80)).map((id) => detokenizer.push([id]));
    expect(texts.join('').length).toBeGreaterThan(80);
  });
});
