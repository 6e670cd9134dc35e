// The key of the HTTP API: the one that was set, else one made at the first start and kept in WEFT_HOME/api-key.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { API_KEY_FILE, API_KEY_PATTERN } from '../../protocol/daemon-record.ts';
import { WeftError } from '../../protocol/errors.ts';
import { readBounded, writeWhole } from './files.ts';
import { SMALL_FILE_BYTES_MAX } from './limits.ts';

/** Where the key lies in a data folder, if a file holds it. */
export const apiKeyPath = (folder: string): string => join(folder, API_KEY_FILE);

export interface ApiKey {
  readonly key: string;
  /** The file that holds it; undefined when it was set by a flag or the environment, and no file does. */
  readonly file: string | undefined;
}

export interface ApiKeyInit {
  /** The data folder. */
  readonly folder: string;
  /** From `WEFT_API_KEY` or a flag, checked. */
  readonly asked: string | undefined;
}

/**
 * The key that there is. For commands, which make none.
 * @throws WeftError `config_invalid` when the file holds no key
 */
export async function readApiKey(init: ApiKeyInit): Promise<ApiKey | undefined> {
  if (init.asked !== undefined) return { key: init.asked, file: undefined };
  const file = apiKeyPath(init.folder);
  const bytes = await readBounded(file, SMALL_FILE_BYTES_MAX);
  if (bytes === undefined) return undefined;
  const key = Buffer.from(bytes).toString('utf8').trim();
  if (!API_KEY_PATTERN.test(key)) {
    throw new WeftError({
      code: 'config_invalid',
      message: `The file ${file} holds no API key.`,
      remedy: 'Delete the file; the next start makes a new key.',
    });
  }
  return { key, file };
}

/**
 * The key, made if there is none: 256 random bits, in a file for its owner only.
 * @throws WeftError `config_invalid` or `home_unwritable`
 */
export async function loadApiKey(init: ApiKeyInit): Promise<ApiKey> {
  return (await readApiKey(init)) ?? makeApiKey(init.folder);
}

/**
 * A new key in place of the one in the file, which is worthless from then on.
 * @throws WeftError `config_invalid` when the key was set by a flag or the environment, `home_unwritable`
 */
export async function replaceApiKey(init: ApiKeyInit): Promise<ApiKey> {
  if (init.asked === undefined) return makeApiKey(init.folder);
  throw new WeftError({
    code: 'config_invalid',
    message: 'The API key was set by --api-key or WEFT_API_KEY: no file holds it.',
    remedy: 'Give the new key in the same way, and start the node again.',
    facts: { setting: 'apiKey' },
  });
}

/** The key that a running node answers to. */
export class CurrentApiKey {
  readonly #init: ApiKeyInit;
  #current: ApiKey;
  /** Replacements are made one after the other: or the file could end up with another key than the node has. */
  #lastChange: Promise<unknown> = Promise.resolve();

  /** @param current what {@link loadApiKey} gave */
  constructor(init: ApiKeyInit, current: ApiKey) {
    this.#init = init;
    this.#current = current;
  }

  get key(): string {
    return this.#current.key;
  }

  /** @throws WeftError as {@link replaceApiKey} does */
  replace(): Promise<string> {
    const done = this.#lastChange.then(async () => {
      this.#current = await replaceApiKey(this.#init);
      return this.#current.key;
    });
    this.#lastChange = done.catch(() => undefined); // Its caller hears of it; the next one is made all the same.
    return done;
  }
}

async function makeApiKey(folder: string): Promise<ApiKey> {
  const key = `weft_${randomBytes(32).toString('base64url')}`;
  const file = apiKeyPath(folder);
  await writeWhole(file, `${key}\n`);
  return { key, file };
}
