import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceKeyOf, loadDeviceKey } from '../../../node/trust/device-key.ts';
import { publicKeyOf, signMessage, verifySignature } from '../../../node/trust/ed25519.ts';
import { nodeIdOf, publicKeyOfNode } from '../../../node/trust/node-id.ts';
import { MemoryStore } from './fakes.ts';

const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('device key', () => {
  it('is made on first use and stays the same', async () => {
    const store = new MemoryStore();
    const first = await loadDeviceKey(store);
    const second = await loadDeviceKey(store);
    expect(second).toEqual(first);
    expect(first.node).toMatch(/^12D3KooW/);
    expect(await loadDeviceKey(new MemoryStore())).not.toEqual(first);
  });

  it('has the node id and public key that libp2p gives the same seed', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const privateKey = await generateKeyPairFromSeed('Ed25519', seed);
        const { node, publicKey } = deviceKeyOf(seed);
        expect(node).toBe(peerIdFromPrivateKey(privateKey).toString());
        expect(Buffer.from(publicKey)).toEqual(Buffer.from(privateKey.publicKey.raw));
      }),
      { numRuns: 20 },
    );
  });

  it('refuses a damaged document instead of taking on another identity', async () => {
    const store = new MemoryStore();
    await store.write('device-key', new Uint8Array(31));
    await expect(loadDeviceKey(store)).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('node id', () => {
  it('gives back its public key, and nothing for any other text', () => {
    fc.assert(
      fc.property(seeds, fc.string({ maxLength: 60 }), (key, text) => {
        expect(Buffer.from(publicKeyOfNode(nodeIdOf(key)) ?? [])).toEqual(Buffer.from(key));
        expect(publicKeyOfNode(text)).toBeUndefined();
      }),
    );
    // A peer id of another kind of key, and one whose last character is no base58.
    expect(publicKeyOfNode('QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N')).toBeUndefined();
    expect(publicKeyOfNode(`${nodeIdOf(new Uint8Array(32)).slice(0, -1)}0`)).toBeUndefined();
  });
});

describe('signatures', () => {
  it('hold for exactly the bytes and the key that made them', () => {
    const seed = new Uint8Array(32).fill(7);
    const message = new TextEncoder().encode('a statement');
    const signature = signMessage(seed, message);
    expect(verifySignature(publicKeyOf(seed), message, signature)).toBe(true);
    expect(verifySignature(publicKeyOf(seed), new TextEncoder().encode('a statemenT'), signature)).toBe(false);
    expect(verifySignature(publicKeyOf(new Uint8Array(32)), message, signature)).toBe(false);
    expect(verifySignature(new Uint8Array(31), message, signature)).toBe(false);
    expect(verifySignature(publicKeyOf(seed), message, signature.subarray(1))).toBe(false);
  });
});
