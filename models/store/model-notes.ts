// What lies beside a model's manifest and is not part of its digest: who signed it, and where it came from.
import { join } from 'node:path';
import { z } from 'zod';
import { SIGNATURE_CHARS_MAX, SIGNATURES_MAX } from '../limits.ts';
import { ORIGIN_FILE, SIGNATURES_FILE } from '../manifest.ts';
import { openPlain, replaceDurably } from './durable.ts';
import type { ModelOrigin } from './staged-model.ts';

export interface ModelNotes {
  readonly signatures: readonly string[];
  readonly origin: ModelOrigin | undefined;
}

const Signatures = z.array(z.string());
const Origin = z.object({ brought: z.boolean(), from: z.string().max(1024), atMs: z.number() });

/** Reads both; what can't be read counts as not there: the model is whole without it. */
export async function readNotes(folder: string): Promise<ModelNotes> {
  const signatures = Signatures.safeParse(await readJson(join(folder, SIGNATURES_FILE)));
  const origin = Origin.safeParse(await readJson(join(folder, ORIGIN_FILE)));
  return { signatures: mergeSignatures([], signatures.data ?? []), origin: origin.data };
}

/** Those of both, each once, as far as there is room: those that were here first stay. */
export function mergeSignatures(here: readonly string[], more: readonly string[]): readonly string[] {
  const fitting = [...here, ...more].filter((text) => text.length <= SIGNATURE_CHARS_MAX);
  return [...new Set(fitting)].slice(0, SIGNATURES_MAX);
}

/** Puts a new file in the place of the old one. */
export async function writeSignatures(folder: string, signatures: readonly string[]): Promise<void> {
  await replaceDurably(join(folder, SIGNATURES_FILE), Buffer.from(JSON.stringify(signatures)));
}

/** As {@link writeSignatures}. */
export async function writeOrigin(folder: string, origin: ModelOrigin): Promise<void> {
  await replaceDurably(join(folder, ORIGIN_FILE), Buffer.from(JSON.stringify(origin)));
}

/** A text of JSON takes up to six bytes a character. */
const BYTES_MAX = 6 * SIGNATURES_MAX * SIGNATURE_CHARS_MAX;

async function readJson(path: string): Promise<unknown> {
  await using handle = await openPlain(path);
  if (handle === undefined || (await handle.stat()).size > BYTES_MAX) return undefined;
  try {
    return JSON.parse(await handle.readFile('utf8'));
  } catch {
    return undefined;
  }
}
