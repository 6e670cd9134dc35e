// The setting `signers` as the library takes it: files of public keys are read. For the composition root, at the start and
// after each change.
import { readFile, stat } from 'node:fs/promises';
import { readVerificationKeys } from '../../models/signing/openssf-key.ts';
import { WeftError } from '../../protocol/errors.ts';
import { SMALL_FILE_BYTES_MAX } from '../config/limits.ts';
import type { Settings } from '../config/settings.ts';
import type { Log } from '../core/log.ts';

export interface KnownSigners {
  /** Files are replaced by the names of the keys in them. */
  readonly signers: Settings['signers'];
  /** PEM texts of the keys that check OpenSSF bundles. */
  readonly signerKeys: readonly string[];
}

/**
 * Reads the files that a list of signers names. One that can't be read, or holds no key, stays in the list as it is: it
 * lets nobody in, and the log says why.
 */
export async function readSigners(
  { log }: { readonly log: Pick<Log, 'warn'> },
  signers: Settings['signers'],
): Promise<KnownSigners> {
  if (typeof signers === 'string') return { signers, signerKeys: [] };
  const names: string[] = [];
  const signerKeys: string[] = [];
  for (const entry of signers) {
    if (!/\.(pem|pub)$/i.test(entry)) {
      names.push(entry);
      continue;
    }
    try {
      const keys = readVerificationKeys([await readText(entry)]);
      names.push(...keys.map(({ name }) => name));
      signerKeys.push(...keys.map(({ pem }) => pem));
    } catch (error) {
      names.push(entry);
      log.warn(
        { file: entry, reason: error instanceof Error ? error.message : String(error) },
        'a key of the setting signers can not be read',
      );
    }
  }
  return { signers: names, signerKeys };
}

/** @throws WeftError `config_invalid`, or what the system says */
async function readText(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size <= SMALL_FILE_BYTES_MAX) return readFile(path, 'utf8');
  throw new WeftError({ code: 'config_invalid', message: 'The file is too large to hold keys.' });
}
