// Who signed a model, whether that is enough for the owner of this node, and this node's own signature of what it publishes.
import type { Manifest } from '../../models/manifest.ts';
import { judgeSigners, type SignersVerdict } from '../../models/signing/judge.ts';
import { readSignatures, signManifest } from '../../models/signing/manifest-signature.ts';
import { verifyModelSigning } from '../../models/signing/openssf.ts';
import type { FileIdentity } from '../core/transfer.ts';
import type { LibraryComponents } from './components.ts';
import { SIGNATURE_CHARS_MAX, SIGNATURES_MAX } from './limits.ts';

export type SignaturesComponents = Pick<LibraryComponents, 'clock' | 'mesh' | 'membership' | 'settings' | 'sign'>;

/** Signatures that were found beside a model. */
export interface FoundSignatures {
  /** Those that are valid: they are kept, and given to whoever asks. */
  readonly texts: readonly string[];
  /** Who made them: a node id, `ed25519:HEX` or `openssf:HEX`. */
  readonly signed: readonly { readonly key: string }[];
  /** When the latest of the dated ones was made, in ms since 1970; 0 = there is none. */
  readonly latestMs: number;
  /** What is wrong with the others. */
  readonly invalid: readonly string[];
}

const NOTHING: FoundSignatures = { texts: [], signed: [], latestMs: 0, invalid: [] };

/** Files that a bundle is held against, by their names in the repository. */
export type SignedFile = FileIdentity & { readonly path: string };

/**
 * Reads texts that anyone may have written: signatures of the manifest, and OpenSSF bundles of its files.
 * @throws WeftError `config_invalid` when a key of the setting `signers` can't be read
 */
export function readFound(
  components: SignaturesComponents,
  { files }: Pick<Manifest, 'files'>,
  digest: string,
  texts: readonly string[],
): FoundSignatures {
  const bundles = texts.filter((text) => isBundle(text));
  const own = texts.filter((text) => !isBundle(text));
  const nowMs = components.clock.wallNow();
  const valid: { readonly text: string; readonly key: string; readonly atMs: number }[] = [];
  const invalid: string[] = [];
  // One by one: which of the texts are worth keeping is what is asked.
  for (const text of own.slice(0, SIGNATURES_MAX)) {
    const read = readSignatures(digest, [text], nowMs);
    invalid.push(...read.invalid);
    for (const signer of read.valid) valid.push({ text, ...signer });
  }
  return join([
    {
      texts: valid.map(({ text }) => text),
      signed: valid.map(({ key }) => ({ key })),
      latestMs: Math.max(0, ...valid.map(({ atMs }) => atMs)),
      invalid,
    },
    ...bundles.slice(0, BUNDLES_MAX).map((text) => readBundle(components, files, text)),
  ]);
}

/** As {@link readFound}, of one OpenSSF bundle. */
export function readBundle(
  { settings }: SignaturesComponents,
  files: readonly SignedFile[],
  text: string,
): FoundSignatures {
  const byPath = new Map(files.map(({ path, sha256, sizeBytes }) => [path, { sha256, sizeBytes }]));
  // The publisher signs all variants at once.
  const { status, key, reason } = verifyModelSigning(text, settings().signerKeys, byPath, { partial: true });
  if (status === 'valid' && key !== undefined) {
    return { ...NOTHING, texts: text.length <= SIGNATURE_CHARS_MAX ? [text] : [], signed: [{ key }] };
  }
  // A key that nobody has named, or a method that isn't known, says neither yes nor no.
  return status === 'invalid' ? { ...NOTHING, invalid: [reason ?? 'it is not valid'] } : NOTHING;
}

/** All of these together. */
export function join(found: readonly FoundSignatures[]): FoundSignatures {
  return {
    texts: found.flatMap(({ texts }) => texts).slice(0, SIGNATURES_MAX),
    signed: found.flatMap(({ signed }) => signed),
    latestMs: Math.max(0, ...found.map(({ latestMs }) => latestMs)),
    invalid: found.flatMap(({ invalid }) => invalid),
  };
}

/** This node vouches for a manifest that it made. */
export async function signAsPublisher(
  { clock, mesh, sign }: SignaturesComponents,
  digest: string,
): Promise<FoundSignatures> {
  const atMs = clock.wallNow();
  const text = await signManifest(digest, { node: mesh.self, atMs, sign });
  return { texts: [text], signed: [{ key: mesh.self }], latestMs: atMs, invalid: [] };
}

/**
 * Whether these are enough, by the setting `signers`.
 * @param invalidCounts a signature that isn't valid makes the whole suspect: it came with the files themselves. What a
 *   peer sends beside good ones may be anyone's, and must not keep a model away.
 */
export function judge(
  { mesh, membership, settings }: Pick<SignaturesComponents, 'mesh' | 'membership' | 'settings'>,
  model: string,
  found: Pick<FoundSignatures, 'signed' | 'invalid'>,
  invalidCounts: boolean,
): SignersVerdict {
  const members = new Map(membership.members().map(({ node, name }) => [node, name]));
  members.set(mesh.self, membership.self.name);
  const init = { model, setting: settings().signers, members, signed: found.signed };
  const verdict = judgeSigners({ ...init, invalid: [] });
  // They are told wherever nothing hangs on them, and where they explain a refusal.
  const told = invalidCounts || init.setting === 'any' || verdict.refusal !== undefined;
  return told ? judgeSigners({ ...init, invalid: found.invalid }) : verdict;
}

/** OpenSSF bundles of one model that are read, a few of each holder: each is verified against all of its files. */
const BUNDLES_MAX = 16;

/** A sigstore bundle says what it is; a signature of a manifest is short. */
const isBundle = (text: string): boolean => text.includes('"mediaType"') || text.includes('"dsseEnvelope"');
