// What the disk refuses, as errors that a person can act on. Every write of the store goes through diskError().
import { toWeftError, WeftError, type WeftErrorInit } from '../../protocol/errors.ts';

const FULL: WeftErrorInit = { code: 'disk_full', message: 'The disk has no room for more of the model.' };
const UNWRITABLE: WeftErrorInit = {
  code: 'forbidden',
  message: 'The folder of the models cannot be written.',
  remedy: 'Make it writable for the user that runs the node, or choose another one (WEFT_MODELS).',
};
const HANDLES: WeftErrorInit = {
  code: 'overloaded',
  message: 'This process may not open more files.',
  remedy: 'Raise its limit of open files (ulimit -n), or try again when less is going on.',
};

const BY_ERRNO: Readonly<Record<string, WeftErrorInit>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: FULL,
  EROFS: UNWRITABLE,
  EACCES: UNWRITABLE,
  EPERM: UNWRITABLE,
  EMFILE: HANDLES,
  ENFILE: HANDLES,
};

/** Turns what a file operation failed with into a WeftError; what is none of the disk's refusals becomes `internal`. */
export function diskError(cause: unknown): WeftError {
  const init = BY_ERRNO[(cause as NodeJS.ErrnoException | undefined)?.code ?? ''];
  return init === undefined ? toWeftError(cause) : new WeftError(init, { cause });
}

/** Runs what touches the disk, and throws what it fails with as {@link diskError} says. */
export async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw diskError(cause);
  }
}

/** A file of a model that isn't what it should be. */
export const corrupt = (message: string): WeftError => new WeftError({ code: 'model_corrupt', message });
