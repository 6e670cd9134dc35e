// Whether an update comes from whoever made this build. A feed's digests prove only that a file is the one that the feed
// names; and not every system checks who signed a program. So the feed itself is signed: an Ed25519 signature over version
// and digests, checked with the key that was built into the app, before anything is downloaded.
import { createPublicKey, verify } from 'node:crypto';
import type { UpdateOffer } from './host.ts';

/** What is signed: one line each, the files in the order of their names. Used by scripts/desktop-sign-update.js as well. */
export function signedText({ version, files }: Pick<UpdateOffer, 'version' | 'files'>): string {
  const lines = files.map(({ url, sha512 }) => `${url} ${sha512}`).sort();
  return ['weft-update-v1', version, ...lines, ''].join('\n');
}

/**
 * @param publicKey raw Ed25519 key, 32 bytes in base64
 * @returns false for an offer without a signature, with another one's, or with one that can't be read
 */
export function isSigned(offer: UpdateOffer, publicKey: string): boolean {
  const { signature } = offer;
  // A digest that could hold a line break could say something else than it seems to.
  if (signature === undefined || !isWellFormed(offer)) return false;
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toUrlForm(publicKey) }, format: 'jwk' });
    return verify(null, Buffer.from(signedText(offer)), key, Buffer.from(signature, 'base64'));
  } catch {
    return false; // Not a key, or not a signature.
  }
}

function isWellFormed({ version, files }: UpdateOffer): boolean {
  return (
    /^[\w.+-]+$/.test(version) &&
    files.length > 0 &&
    files.every(({ url, sha512 }) => /^[\w.+%/:@-]+$/.test(url) && /^[A-Za-z0-9+/]{86}==$/.test(sha512))
  );
}

const toUrlForm = (base64: string): string => Buffer.from(base64, 'base64').toString('base64url');
