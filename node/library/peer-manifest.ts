// A model as peers have it: its manifest, verified by digest, and what was signed of it.
import { MANIFEST_BYTES_MAX } from '../../models/limits.ts';
import { canonicalJson, type Manifest, modelRef, parseManifest } from '../../models/manifest.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { unlessAborted } from '../core/waiting.ts';
import type { LibraryComponents } from './components.ts';
import { LIBRARY_GUARDS } from './guards.ts';
import { ASK_TIMEOUT_MS, SIGNATURE_CHARS_MAX, SIGNATURE_SOURCES_MAX, SIGNATURES_MAX } from './limits.ts';
import type { Variant } from './variants.ts';

/** A model that can be had from peers. */
export interface PeerModel {
  readonly variant: Variant;
  readonly manifest: Manifest;
  /** In canonical form. */
  readonly manifestJson: string;
}

export type PeerManifestComponents = Pick<LibraryComponents, 'log' | 'transfer' | 'guards'>;

/**
 * The manifest of a variant.
 * @throws WeftError `model_corrupt` when what came is another model's, or why nothing came
 */
export async function peerManifest(
  { transfer, guards }: PeerManifestComponents,
  variant: Variant,
  signal: AbortSignal,
): Promise<PeerModel> {
  const { ref, holders } = variant;
  const asked = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]);
  const json = await unlessAborted(transfer.fetchManifest(ref.digest, holders, asked), asked);
  if (json.length > MANIFEST_BYTES_MAX) throw lie(variant, 'is too large');
  const manifest = parseManifest(json);
  const isIt = guards?.digest ?? LIBRARY_GUARDS.digest;
  if (!isIt(modelRef(manifest), ref)) throw lie(variant, 'is not the one it was said to be');
  return { variant, manifest, manifestJson: canonicalJson(manifest) };
}

/** Manifests of those variants that can be had, in the same order, and why the others can't. */
export async function peerManifests(
  components: PeerManifestComponents,
  variants: readonly Variant[],
  signal: AbortSignal,
): Promise<{ readonly models: readonly PeerModel[]; readonly failed: readonly WeftError[] }> {
  const failed: WeftError[] = [];
  const models = await Promise.all(
    variants.map((variant) =>
      peerManifest(components, variant, signal).catch((thrown: unknown) => {
        const error = toWeftError(thrown);
        const { id, digest } = variant.ref;
        components.log.warn({ model: id, digest, code: error.code, reason: error.message }, NOT_HAD);
        failed.push(error);
        return undefined;
      }),
    ),
  );
  signal.throwIfAborted();
  return { models: models.filter((model) => model !== undefined), failed };
}

/** What was signed of a model, as some of its holders have it: texts that anyone may have written. Never throws. */
export async function peerSignatures(
  { transfer, log }: PeerManifestComponents,
  { ref, holders }: Variant,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const asked = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]);
  const found = await Promise.all(
    holders.slice(0, SIGNATURE_SOURCES_MAX).map(async (node) => {
      try {
        const texts = await unlessAborted(transfer.fetchSignatures(ref.digest, node, asked), asked);
        // Each holder has its share, so that one that sends rubbish doesn't drown what another has.
        return texts.filter(({ length }) => length <= SIGNATURE_CHARS_MAX).slice(0, SIGNATURES_MAX);
      } catch (thrown) {
        log.debug({ model: ref.id, node, reason: toWeftError(thrown).message }, 'a peer told no signatures');
        return [];
      }
    }),
  );
  // In turns, as only so many are read.
  const rows = Math.max(0, ...found.map(({ length }) => length));
  const inTurns = Array.from({ length: rows }, (_, row) => found.flatMap((texts) => texts.slice(row, row + 1)));
  return [...new Set(inTurns.flat())];
}

const NOT_HAD = 'the manifest of a model could not be had from peers';

const lie = ({ ref }: Variant, what: string): WeftError =>
  new WeftError({ code: 'model_corrupt', message: `The manifest of ${ref.id} that peers sent ${what}.` });
