// `weft key`: says where the API key lies, shows it when asked to, and replaces it.
import type { Command } from 'commander';
import { toWeftError, WeftError } from '../../../protocol/errors.ts';
import { apiKeyPath, readApiKey, replaceApiKey } from '../../config/api-key.ts';
import { homeFolder, openHome } from '../../config/home.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';

interface Options extends ClientOptions {
  readonly show?: true;
  readonly json?: true;
}

export function define(command: Command, context: CommandContext): void {
  const options = (): Options => command.opts<Options>();
  command
    .configureHelp({ showGlobalOptions: true })
    .option('--show', 'print the key itself')
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder (WEFT_HOME)')
    .action(() => where(options(), context));
  command
    .command('new')
    .description('Replace the key: the old one is worthless at once.')
    .action(() => renew(options(), context));
}

async function where(options: Options, context: CommandContext): Promise<void> {
  const folder = folderOf(options, context);
  const found = await readApiKey({ folder, asked: askedKey(context) });
  if (found === undefined) {
    throw new WeftError({
      code: 'not_found',
      message: `There is no API key in ${folder} yet.`,
      remedy: 'The first `weft serve` makes one; so does `weft key new`.',
    });
  }
  print({ ...found }, options, context);
}

async function renew(options: Options, context: CommandContext): Promise<void> {
  const folder = folderOf(options, context);
  const fresh = await renewed(options, folder, context);
  const { stdout } = context;
  if (!options.json && !options.show) stdout.write('The old key is worthless from now on.\n');
  print({ key: fresh, file: apiKeyPath(folder) }, options, context);
}

/** The daemon replaces it where one runs: else it would go on asking for the old one. */
async function renewed(options: Options, folder: string, context: CommandContext): Promise<string> {
  try {
    const { client } = await connect(context, options);
    return (await client.post<{ readonly key: string }>('/api/v1/key', {}, context)).body.key;
  } catch (error) {
    if (toWeftError(error).code !== 'daemon_not_running') throw error;
  }
  // Held meanwhile, so that no daemon starts with the old key.
  await using home = await openHome({ folder });
  return (await replaceApiKey({ folder: home.folder, asked: askedKey(context) })).key;
}

function print(
  { key, file }: { readonly key: string; readonly file: string | undefined },
  { show, json }: Options,
  context: CommandContext,
): void {
  const { stdout } = context;
  if (json) printJson(context, { file: file ?? null, ...(show ? { key } : {}) });
  else if (show) stdout.write(`${key}\n`);
  else if (file === undefined) stdout.write('The API key is the one in WEFT_API_KEY; no file holds it.\n');
  else stdout.write(`The API key lies in ${file}; \`weft key --show\` prints it.\n`);
}

const folderOf = ({ home }: Options, { env }: CommandContext): string => homeFolder({ env, asked: home });

const askedKey = ({ env }: CommandContext): string | undefined => env.WEFT_API_KEY || undefined;
