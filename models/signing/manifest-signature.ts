// A detached signature of a manifest by its publisher's key: who vouches for these bytes, and since when. Kept beside the
// manifest and sent along with it; what a signer is worth is decided in judge.ts.
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../manifest.ts';
import { AHEAD_MS_MAX, SIGNATURE_CHARS_MAX, SIGNATURES_MAX, TIME_MS_MAX } from './limits.ts';
import { comparableKey, ed25519KeyOf, spkiOf } from './signer-key.ts';

/** Signed together with what is said, so that a signature made for anything else never counts as one of these. */
const DOMAIN = 'weft-manifest-signature-v1\0';

const Said = z.strictObject({
  schema: z.literal(1),
  /** Digest of the manifest: `sha256:` and 64 hex digits. */
  model: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  /** Node id, or `ed25519:HEX` of a key that is no node's. */
  key: z.string().refine((key) => ed25519KeyOf(key) !== undefined),
  /** What the signer's clock said. */
  atMs: z.number().int().nonnegative().max(TIME_MS_MAX),
});
const SignatureText = Said.extend({ signature: z.string().regex(/^[0-9a-f]{128}$/) });
type SignatureText = z.infer<typeof SignatureText>;

/** Who has signed, in ms since 1970 by the signer's own clock. */
export interface ManifestSigner {
  /** Node id, or `ed25519:HEX` of a key that is no node's. */
  readonly key: string;
  readonly atMs: number;
}

/** What a signature is held against. */
export interface SignatureContext {
  /** Digest of the manifest beside which it was found: `sha256:` and 64 hex digits. */
  readonly digest: string;
  readonly nowMs: number;
}

/** Says what is wrong with a signature, or undefined. */
export type SignatureCheck = (said: SignatureText, text: string, context: SignatureContext) => string | undefined;

/** Every check of a signature that is well formed. All must pass; the tests leave out one at a time. */
export const SIGNATURE_CHECKS = {
  /** One text per signature: nothing can be hidden in spaces, in order, or in a name that stands twice. */
  canonical: (said, text) => (canonicalJson(said) === text ? undefined : 'It is not in canonical form.'),
  model: (said, _text, { digest }) => (said.model === digest ? undefined : 'It is of another manifest.'),
  time: (said, _text, { nowMs }) =>
    said.atMs <= nowMs + AHEAD_MS_MAX ? undefined : 'It is dated more than a day in the future.',
  signature: (said) => {
    const key = ed25519KeyOf(said.key);
    return key !== undefined && verify(null, signedBytes(said), keyObject(key), Buffer.from(said.signature, 'hex'))
      ? undefined
      : `${said.key} has not signed this.`;
  },
} as const satisfies Record<string, SignatureCheck>;

/**
 * Signs a manifest.
 * @param digest of the manifest: `sha256:` and 64 hex digits
 * @param init.node node id, or `ed25519:HEX`, of the key that `sign` signs with
 * @param init.sign the 64-byte Ed25519 signature of the bytes
 * @returns the signature's text, one line of canonical JSON
 * @throws Error when `sign` signs with another key: a defect of the caller's
 */
export async function signManifest(
  digest: string,
  init: {
    readonly node: string;
    readonly atMs: number;
    readonly sign: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  },
): Promise<string> {
  const said = Said.parse({ schema: 1, model: digest, key: init.node, atMs: init.atMs });
  const signature = Buffer.from(await init.sign(signedBytes(said))).toString('hex');
  const text = canonicalJson({ ...said, signature });
  if (typeof examine(text, { digest, nowMs: init.atMs }) === 'string') {
    throw new Error(`what should have been signed by ${init.node} is not`);
  }
  return text;
}

/** What the signatures of a manifest come to. */
export interface ReadSignatures {
  /** One per key, the latest; in the order in which they were found. */
  readonly valid: readonly ManifestSigner[];
  /** What is wrong with each of the others, in a sentence. */
  readonly invalid: readonly string[];
}

/**
 * Reads the signatures that were found beside a manifest. Never throws, whatever the texts are.
 * @param digest of the manifest: `sha256:` and 64 hex digits
 * @param texts the first 16 are read
 */
export function readSignatures(
  digest: string,
  texts: readonly string[],
  nowMs: number,
  checks: readonly SignatureCheck[] = Object.values(SIGNATURE_CHECKS),
): ReadSignatures {
  const valid = new Map<string, ManifestSigner>();
  const invalid: string[] = [];
  for (const text of texts.slice(0, SIGNATURES_MAX)) {
    const said = examine(text, { digest, nowMs }, checks);
    if (typeof said === 'string') {
      invalid.push(said);
      continue;
    }
    const { key, atMs } = said;
    const sameKey = comparableKey(key) ?? key;
    if (atMs > (valid.get(sameKey)?.atMs ?? -1)) valid.set(sameKey, { key, atMs });
  }
  return { valid: [...valid.values()], invalid };
}

/** Who has signed a manifest: only what is valid of {@link readSignatures}. */
export function verifySignatures(digest: string, texts: readonly string[], nowMs: number): readonly ManifestSigner[] {
  return readSignatures(digest, texts, nowMs).valid;
}

/** What a signature says, or what is wrong with it. */
function examine(
  text: string,
  context: SignatureContext,
  checks: readonly SignatureCheck[] = Object.values(SIGNATURE_CHECKS),
): SignatureText | string {
  const said = parse(text);
  if (said === undefined) return 'It is not a signature of this format.';
  for (const check of checks) {
    const problem = check(said, text, context);
    if (problem !== undefined) return problem;
  }
  return said;
}

function parse(text: string): SignatureText | undefined {
  if (text.length > SIGNATURE_CHARS_MAX) return undefined;
  try {
    return SignatureText.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // Not JSON: no signature.
  }
}

const signedBytes = ({ schema, model, key, atMs }: z.infer<typeof Said>): Buffer =>
  Buffer.from(DOMAIN + canonicalJson({ schema, model, key, atMs }));

const keyObject = (key: Buffer): KeyObject => createPublicKey({ key: spkiOf(key), format: 'der', type: 'spki' });
