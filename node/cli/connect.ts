// From a data folder to the daemon that holds it. For every command but `weft serve`.
import { WeftError } from '../../protocol/errors.ts';
import { readApiKey } from '../config/api-key.ts';
import { findDaemon } from '../config/daemon-record.ts';
import { homeFolder } from '../config/home.ts';
import { Client } from './client.ts';
import type { ClientOptions, CommandContext } from './context.ts';

/** A daemon that was found: its API, and the file that holds its key where one does. */
export interface Connection {
  readonly client: Client;
  readonly keyFile: string | undefined;
}

/**
 * Finds the daemon of the data folder that is asked for, or set by WEFT_HOME, or this platform's own.
 * @throws WeftError `daemon_not_running`, `unauthorized` when there is no key to be found, `config_invalid`
 */
export async function connect(context: CommandContext, options: ClientOptions): Promise<Connection> {
  const folder = homeFolder({ env: context.env, asked: options.home });
  const { api } = await findDaemon(folder);
  const key = await readApiKey({ folder, asked: context.env.WEFT_API_KEY || undefined });
  if (key === undefined) {
    throw new WeftError({
      code: 'unauthorized',
      message: 'The daemon was given its API key when it was started, and this command was not.',
      remedy: 'Set WEFT_API_KEY to the same key.',
    });
  }
  const keyRemedy =
    key.file === undefined
      ? 'WEFT_API_KEY holds another key than the daemon has: correct it, or unset it where the data folder has the key.'
      : `${key.file} holds another key than the daemon has: set WEFT_API_KEY to the one that it was started with.`;
  return { client: new Client({ url: api, key: key.key, keyRemedy }), keyFile: key.file };
}
