// Ed25519 over raw 32-byte keys, by node:crypto, which wants them wrapped in DER. Used by everything in this layer that
// signs or checks.
import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import type { Random } from '../core/clock.ts';

export const KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** What stands before the 32 bytes in PKCS #8 and in SubjectPublicKeyInfo (RFC 8410, section 7 and 4). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** Unpredictable bytes: all that this layer wants of {@link Random}. */
export type RandomBytes = Pick<Random, 'bytes'>;

/** The operating system's. */
export const secureRandom: RandomBytes = { bytes: (length) => randomBytes(length) };

const privateKeyObject = (seed: Uint8Array) =>
  createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });

/** The public key of a 32-byte seed. */
export function publicKeyOf(seed: Uint8Array): Uint8Array {
  const spki = createPublicKey(privateKeyObject(seed)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(spki.subarray(SPKI_PREFIX.byteLength));
}

/** The 64-byte signature of a message. */
export function signMessage(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKeyObject(seed)));
}

/** Says whether a signature is right; takes about 0.1 ms. */
export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

/** False for anything that isn't this key's signature of these bytes, malformed keys included. */
export const verifySignature: VerifySignature = (publicKey, message, signature) => {
  if (publicKey.byteLength !== KEY_BYTES || signature.byteLength !== SIGNATURE_BYTES) return false;
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
};
