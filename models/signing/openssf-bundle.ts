// Reads a Sigstore bundle as OpenSSF Model Signing writes it: one DSSE envelope, signed with a key that the bundle only
// names. What the envelope's payload says is read in openssf-statement.ts.
import { BUNDLE_V03_MEDIA_TYPE, bundleFromJSON, isBundleWithDsseEnvelope } from '@sigstore/bundle';
import { z } from 'zod';
import { BUNDLE_CHARS_MAX, JSON_DEPTH_MAX } from './limits.ts';
import { parseStrictJson } from './strict-json.ts';

/** What all Sigstore bundles have in common, whatever their version. */
const MEDIA_TYPE = /^application\/vnd\.dev\.sigstore\.bundle[.+]/;

/** How a bundle names its key: by digest, or (until release 1.0 of the library) by bringing it along. */
export type KeyName =
  | { readonly hint: string }
  /** The key's PEM text, in Base64, and its kind in Sigstore's words. */
  | { readonly rawBytes: string; readonly keyDetails: string };

/** What is signed, by whom, and the signature. */
export interface SignedEnvelope {
  readonly key: KeyName;
  readonly payloadType: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

/** Why a bundle can't be read: it is broken, or of a kind that isn't read here. */
export interface Problem {
  readonly status: 'invalid' | 'unsupported';
  readonly reason: string;
}

/** Base64 of one form only: other texts for the same bytes are no proof of anything, and no use either. */
const Base64 = z.string().refine((text) => text !== '' && Buffer.from(text, 'base64').toString('base64') === text);

/**
 * Everything that a bundle of this method may hold. Reading it as protobuf JSON passes over what it doesn't know, so its shape
 * is held against this first. The id of the key is empty: nothing signs it.
 */
const PublicKeyBundle = z.strictObject({
  mediaType: z.literal(BUNDLE_V03_MEDIA_TYPE),
  verificationMaterial: z.strictObject({
    publicKey: z.union([
      z.strictObject({ hint: z.string().regex(/^[0-9a-f]{64}$/) }),
      z.strictObject({ rawBytes: Base64, keyDetails: z.string().max(64) }),
    ]),
    tlogEntries: z.array(z.never()).max(0).optional(),
  }),
  dsseEnvelope: z.strictObject({
    payload: Base64,
    payloadType: z.string().max(256),
    signatures: z.array(z.strictObject({ sig: Base64, keyid: z.literal('').nullish() })).length(1),
  }),
});

/** Enough of any bundle to see which method it is of. */
const AnyBundle = z.object({
  mediaType: z.string(),
  verificationMaterial: z.object({
    certificate: z.unknown().optional(),
    x509CertificateChain: z.unknown().optional(),
    tlogEntries: z.array(z.unknown()).nullish(),
  }),
  messageSignature: z.unknown().optional(),
});

/** Reads a bundle; never throws, whatever the text is. */
export function readBundle(text: string): SignedEnvelope | Problem {
  if (text.length > BUNDLE_CHARS_MAX) return invalid('It is too large.');
  let json: unknown;
  try {
    json = parseStrictJson(text, JSON_DEPTH_MAX);
  } catch {
    return invalid('It is not JSON.');
  }
  const any = AnyBundle.safeParse(json);
  if (!any.success || !MEDIA_TYPE.test(any.data.mediaType)) return invalid('It is no Sigstore bundle.');
  const other = otherMethod(any.data);
  if (other !== undefined) return { status: 'unsupported', reason: other };
  const shape = PublicKeyBundle.safeParse(json);
  if (!shape.success) {
    const at = shape.error.issues[0]?.path.join('.') ?? '';
    return invalid(at === '' ? 'It holds something that does not belong there.' : `Its "${at}" is invalid.`);
  }
  return readEnvelope(json, shape.data.verificationMaterial.publicKey);
}

function readEnvelope(json: unknown, key: KeyName): SignedEnvelope | Problem {
  try {
    const bundle = bundleFromJSON(json);
    const [signature, ...more] = isBundleWithDsseEnvelope(bundle) ? bundle.content.dsseEnvelope.signatures : [];
    if (isBundleWithDsseEnvelope(bundle) && signature !== undefined && more.length === 0) {
      const { payloadType, payload } = bundle.content.dsseEnvelope;
      return { key, payloadType, payload, signature: signature.sig };
    }
  } catch {
    return invalid('It is no complete Sigstore bundle.');
  }
  return invalid('It has no signed envelope.');
}

/** Which other method this is, in a sentence. */
function otherMethod(bundle: z.infer<typeof AnyBundle>): string | undefined {
  const { certificate, x509CertificateChain, tlogEntries } = bundle.verificationMaterial;
  if (bundle.mediaType !== BUNDLE_V03_MEDIA_TYPE) return 'It is of another version than 0.3.';
  if (certificate !== undefined) return 'It is signed keyless (with an identity), which is not verified here.';
  if (x509CertificateChain !== undefined) return 'It is signed with a certificate, which is not verified here.';
  if (tlogEntries?.length) return 'It has entries of a transparency log, which are not verified here.';
  return bundle.messageSignature === undefined ? undefined : 'It signs one file, not a model.';
}

const invalid = (reason: string): Problem => ({ status: 'invalid', reason });
