// Public keys that OpenSSF Model Signing bundles are held against, as a person has them: PEM files.
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { WeftError } from '../../protocol/errors.ts';
import { KEYS_MAX } from './limits.ts';

/** A key that can check a bundle. */
export interface VerificationKey {
  /** `openssf:` and the {@link hint}. */
  readonly name: string;
  /** SHA-256 of the PEM text, 64 hex digits: how bundles name the key that signed them. */
  readonly hint: string;
  /** SubjectPublicKeyInfo as PEM, in the one form that the digest is of. */
  readonly pem: string;
  /** The key's kind and digest, in the words of Sigstore's formats. */
  readonly details: string;
  /** Digest that this kind of key signs; null where the scheme brings its own. */
  readonly hash: string | null;
  readonly object: KeyObject;
}

/** Kinds of keys that the format knows, by the name of their curve. */
const KINDS: Readonly<Record<string, Pick<VerificationKey, 'details' | 'hash'>>> = {
  prime256v1: { details: 'PKIX_ECDSA_P256_SHA_256', hash: 'sha256' },
  secp384r1: { details: 'PKIX_ECDSA_P384_SHA_384', hash: 'sha384' },
  secp521r1: { details: 'PKIX_ECDSA_P521_SHA_512', hash: 'sha512' },
  ed25519: { details: 'PKIX_ED25519', hash: null },
};

const PEM_BLOCK = /-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]{1,2000}-----END PUBLIC KEY-----/g;

/**
 * Reads the public keys of PEM texts; what stands around them is left out.
 * @throws WeftError `config_invalid` for a text without a public key, a key of another kind, or too many of them
 */
export function readVerificationKeys(texts: readonly string[]): readonly VerificationKey[] {
  const blocks = texts.flatMap((text) => {
    const found = text.match(PEM_BLOCK);
    if (found === null) throw refuse('There is no public key (PEM) in it.');
    return found;
  });
  if (blocks.length > KEYS_MAX) throw refuse(`These are more than ${KEYS_MAX} keys.`);
  return blocks.map(readKey);
}

function readKey(block: string): VerificationKey {
  let object: KeyObject;
  try {
    object = createPublicKey(block);
  } catch (cause) {
    throw refuse('The public key (PEM) is damaged.', cause);
  }
  const curve = object.asymmetricKeyDetails?.namedCurve ?? object.asymmetricKeyType ?? 'unknown';
  const kind = Object.hasOwn(KINDS, curve) ? KINDS[curve] : undefined;
  if (kind === undefined) throw refuse(`Model signing knows no keys of this kind (${curve}).`);
  const pem = object.export({ type: 'spki', format: 'pem' }).toString();
  const hint = createHash('sha256').update(pem).digest('hex');
  return { name: `openssf:${hint}`, hint, pem, ...kind, object };
}

const refuse = (message: string, cause?: unknown): WeftError =>
  new WeftError(
    {
      code: 'config_invalid',
      message: `A key of a model's signer can't be used. ${message}`,
      remedy: 'Give a public key in PEM: ECDSA on P-256, P-384 or P-521, or Ed25519.',
    },
    { cause },
  );
