// OpenSSF Model Signing v1.0: verifies the bundle that lies beside a model (`model.sig`) with keys that the owner trusts.
// Of the format's methods the one with a public key; certificates and keyless signatures are told apart, not verified.
import { createHash, verify } from 'node:crypto';
import { JSON_DEPTH_MAX } from './limits.ts';
import { type KeyName, type Problem, readBundle, type SignedEnvelope } from './openssf-bundle.ts';
import { readVerificationKeys, type VerificationKey } from './openssf-key.ts';
import {
  coverage,
  HEAD_CHECKS,
  readHead,
  readStatement,
  type SignedFiles,
  STATEMENT_CHECKS,
  type Statement,
  type StatementCheck,
  type StatementContext,
  type StatementHead,
} from './openssf-statement.ts';
import { parseStrictJson } from './strict-json.ts';

const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** What a bundle comes to. */
export interface OpenSsfReport {
  /**
   * `valid`: one of the keys has signed these files. `invalid`: tampered with, or of other files. `unknown_key`: it may be
   * right, but none of the keys can tell. `unsupported`: of a method or version that isn't verified here.
   */
  readonly status: 'valid' | 'invalid' | 'unknown_key' | 'unsupported';
  /** `openssf:` and the SHA-256 of the key's PEM text in hex, as the bundle names it; undefined where it names none. */
  readonly key: string | undefined;
  /** Why it isn't valid, in a sentence. */
  readonly reason: string | undefined;
  /** Files whose bytes it signs; empty until the signature has been verified. Sorted. */
  readonly covered: readonly string[];
  /** The other ones, without Weft's own and the bundle itself. Sorted. */
  readonly uncovered: readonly string[];
}

export interface VerifyModelSigningOptions {
  /**
   * Files that count as unsigned even where the signer's own list of ignored paths has them: the graphs, and what they
   * name. Of the others ignored ones may be unsigned. @default all
   */
  readonly needed?: ReadonlySet<string>;
  /** Files may be signed that are not here: other variants of the same model. @default false */
  readonly partial?: boolean;
}

/** Says what is wrong with an envelope that this key should have signed, or undefined. */
type EnvelopeCheck = (envelope: SignedEnvelope, key: VerificationKey) => Problem | undefined;

/** Every check of a bundle that is well formed. All must pass; the tests leave out one at a time. */
export const MODEL_SIGNING_CHECKS: {
  readonly envelope: Readonly<Record<string, EnvelopeCheck>>;
  readonly head: Readonly<Record<string, (head: StatementHead) => Problem | undefined>>;
  readonly statement: Readonly<Record<string, StatementCheck>>;
} = {
  envelope: {
    /** A key says how it signs; a bundle that says otherwise was changed. */
    keyDetails: ({ key }, { details }) =>
      'keyDetails' in key && key.keyDetails !== details ? invalid('It names another kind of key.') : undefined,
    signature: ({ payloadType, payload, signature }, { hash, object }) =>
      verify(hash, preAuthEncoding(payloadType, payload), object, signature)
        ? undefined
        : invalid('The signature is not that of its key.'),
    payloadType: ({ payloadType }) =>
      payloadType === PAYLOAD_TYPE ? undefined : invalid('What it signs is no in-toto statement.'),
  },
  head: HEAD_CHECKS,
  statement: STATEMENT_CHECKS,
};

/**
 * Verifies a bundle against a model's files. Never throws for what the bundle holds.
 * @param keys PEM texts of the public keys that are trusted
 * @param files every file of the model, with digests that have been computed from its bytes
 * @throws WeftError `config_invalid` for a text that is no public key of a kind that the format knows
 * @see https://github.com/sigstore/model-transparency/blob/main/docs/model_signing_format.md
 */
export function verifyModelSigning(
  bundleText: string,
  keys: readonly string[],
  files: SignedFiles,
  options: VerifyModelSigningOptions = {},
  checks = MODEL_SIGNING_CHECKS,
): OpenSsfReport {
  const known = readVerificationKeys(keys);
  const bundleSha256 = sha256(bundleText);
  const envelope = readBundle(bundleText);
  const context: StatementContext = {
    files,
    needed: options.needed,
    partial: options.partial ?? false,
    bundleSha256,
  };
  const report = (problem: Pick<OpenSsfReport, 'status' | 'reason'>, key?: string, statement?: Statement) => ({
    ...problem,
    key,
    ...coverage(statement, context),
  });
  if ('status' in envelope) return report(envelope);
  const hint = hintOf(envelope.key);
  const name = `openssf:${hint}`;
  const key = known.find((one) => one.hint === hint);
  if (key === undefined)
    return report({ status: 'unknown_key', reason: 'None of the known keys has signed it.' }, name);
  const broken = first(checks.envelope, (check) => check(envelope, key));
  if (broken !== undefined) return report(broken, name);
  const json = readPayload(envelope.payload);
  const head = readHead(json);
  if (head === undefined) return report(invalid('What it signs is no in-toto statement.'), name);
  const otherKind = first(checks.head, (check) => check(head));
  if (otherKind !== undefined) return report(otherKind, name);
  const statement = readStatement(json);
  if (statement === undefined) return report(invalid('The list of signed files is malformed.'), name);
  const problem = first(checks.statement, (check) => check(statement, context));
  return report(problem ?? { status: 'valid', reason: undefined }, name, statement);
}

function first<Check>(
  checks: Readonly<Record<string, Check>>,
  run: (check: Check) => Problem | undefined,
): Problem | undefined {
  for (const check of Object.values(checks)) {
    const problem = run(check);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The digest that a bundle names its key by, of a key that it brings along too. */
const hintOf = (key: KeyName): string => ('hint' in key ? key.hint : sha256(Buffer.from(key.rawBytes, 'base64')));

/** What a DSSE envelope's signature is over: type and payload, each behind its length. */
function preAuthEncoding(payloadType: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.byteLength} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

/** The payload's JSON; undefined where it is none. */
function readPayload(payload: Buffer): unknown {
  try {
    return parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(payload), JSON_DEPTH_MAX);
  } catch {
    return undefined;
  }
}

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const invalid = (reason: string): Problem => ({ status: 'invalid', reason });
