// Makes OpenSSF Model Signing bundles, right ones and wrong ones, the way the format's own library writes them.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** A key that signs models. */
export interface Signer {
  readonly privateKey: KeyObject;
  /** Its public key as PEM. */
  readonly pem: string;
  /** SHA-256 of the PEM text, in hex. */
  readonly hint: string;
  readonly hash: string | null;
  readonly details: string;
}

export const CURVES = {
  'P-256': ['sha256', 'PKIX_ECDSA_P256_SHA_256'],
  'P-384': ['sha384', 'PKIX_ECDSA_P384_SHA_384'],
  'P-521': ['sha512', 'PKIX_ECDSA_P521_SHA_512'],
  Ed25519: [null, 'PKIX_ED25519'],
} as const;

/** A new key. */
export function newSigner(curve: keyof typeof CURVES = 'P-256'): Signer {
  const pair = curve === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: curve });
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const [hash, details] = CURVES[curve];
  return { privateKey: pair.privateKey, pem, hint: sha256(pem), hash, details };
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export type Files = Map<string, { sha256: string; sizeBytes: number }>;

/** Files with these contents. */
export const filesOf = (contents: Readonly<Record<string, string>>): Files =>
  new Map(
    Object.entries(contents).map(([path, text]) => [
      path,
      { sha256: sha256(text), sizeBytes: Buffer.byteLength(text) },
    ]),
  );

interface Resource {
  readonly name: string;
  readonly algorithm: string;
  readonly digest: string;
}

export const resourcesOf = (files: Files): Resource[] =>
  [...files].map(([name, file]) => ({ name, algorithm: 'sha256', digest: file.sha256 }));

/** The statement of a model's files. */
export function statementOf(resources: readonly Resource[], ignored: readonly string[] = ['.git', 'model.sig']) {
  const whole = createHash('sha256');
  for (const { digest } of resources) whole.update(digest, 'hex');
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'a-model', digest: { sha256: whole.digest('hex') } }],
    predicateType: 'https://model_signing/signature/v1.0',
    predicate: {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: ignored },
      resources: [...resources],
    },
  };
}

export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** A bundle with this payload, rightly signed. */
export function bundleOf(signer: Signer, payload: string, payloadType = PAYLOAD_TYPE) {
  const bytes = Buffer.from(payload);
  const encoded = Buffer.concat([
    Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${bytes.byteLength} `),
    bytes,
  ]);
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: signer.hint }, tlogEntries: [] },
    dsseEnvelope: {
      payload: bytes.toString('base64'),
      payloadType,
      signatures: [{ sig: sign(signer.hash, encoded, signer.privateKey).toString('base64'), keyid: '' }],
    },
  };
}

/** The same in the form of the library's first releases, which brought the key along. */
export function olderBundleOf(signer: Signer, payload: string, details = signer.details) {
  const { dsseEnvelope, ...bundle } = bundleOf(signer, payload);
  const signatures = dsseEnvelope.signatures.map(({ sig }) => ({ sig, keyid: null }));
  const publicKey = { rawBytes: Buffer.from(signer.pem).toString('base64'), keyDetails: details };
  return { ...bundle, verificationMaterial: { publicKey }, dsseEnvelope: { ...dsseEnvelope, signatures } };
}
