// Names of keys.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comparableKey, ed25519KeyOf } from '../../../models/signing/signer-key.ts';
import { nodeIdOf } from '../../../node/trust/node-id.ts';
import { runs } from '../../support/property.ts';

const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex');

describe('the name of a key', () => {
  it('gives the key: of a node by its id, of another in hex', () => {
    fc.assert(
      fc.property(bytes, (key) => {
        expect(ed25519KeyOf(nodeIdOf(key))?.equals(key)).toBe(true);
        expect(ed25519KeyOf(`ed25519:${hex(key)}`)?.equals(key)).toBe(true);
        expect(comparableKey(nodeIdOf(key))).toBe(`ed25519:${hex(key)}`);
        expect(comparableKey(`ED25519:${hex(key).toUpperCase()}`)).toBe(`ed25519:${hex(key)}`);
      }),
      runs(100),
    );
  });

  it('is none for any other text', () => {
    const node = nodeIdOf(new Uint8Array(32).fill(7));
    const texts = ['', node.slice(1), `${node}1`, ` ${node.slice(1)}`, node.toLowerCase()];
    texts.push(
      `${node.slice(0, -1)}0`,
      `2${node.slice(1)}`,
      'Qm'.padEnd(52, 'a'),
      'ed25519:',
      `ed25519:${'a'.repeat(63)}`,
    );
    texts.push(`ed25519:${'g'.repeat(64)}`, `ed448:${'a'.repeat(64)}`, `openssf:${'a'.repeat(65)}`, 'any', 'members');
    for (const text of texts) {
      expect(ed25519KeyOf(text), text).toBeUndefined();
      expect(comparableKey(text), text).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary', minLength: 52, maxLength: 52 })), (text) => {
        expect(ed25519KeyOf(text)).toBeUndefined();
      }),
      runs(200),
    );
  });

  it('of a model signing key is compared as it is', () => {
    expect(comparableKey(`openssf:${'ab'.repeat(32)}`)).toBe(`openssf:${'ab'.repeat(32)}`);
    expect(ed25519KeyOf(`openssf:${'ab'.repeat(32)}`)).toBeUndefined();
  });
});
