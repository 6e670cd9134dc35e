import { expect, it } from 'vitest';
import { fnv1a } from '../../../node/core/fnv1a.ts';

// From the test vectors of its authors (draft-eastlake-fnv).
it.each([
  ['', 0x811c9dc5],
  ['a', 0xe40c292c],
  ['foobar', 0xbf9cf968],
])('gives the published hash of "%s"', (text, hash) => {
  expect(fnv1a(text)).toBe(hash);
});
