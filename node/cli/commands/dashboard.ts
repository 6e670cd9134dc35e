// `weft dashboard`: a link that signs a browser in to the node's own pages, and the browser, where there is one.
import type { Command } from 'commander';
import type { SignInLinkAnswer } from '../../../protocol/api/control.ts';
import { homeFolder } from '../../config/home.ts';
import { openerOf, openPage } from '../browser.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';
import { formatMs, printable } from '../format.ts';

interface Options extends ClientOptions {
  readonly json?: true;
  readonly open: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('--no-open', 'print the link only')
    .option('--json', 'print one JSON object, and open nothing')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action((options: Options) => dashboard(options, context));
}

async function dashboard(options: Options, context: CommandContext): Promise<void> {
  const { client } = await connect(context, options);
  const { url, expiresAtMs } = (await client.post<SignInLinkAnswer>('/api/v1/session/link', {}, context)).body;
  if (options.json) {
    return printJson(context, { url, expires_at: new Date(expiresAtMs).toISOString() });
  }
  const { stdout, stderr, env } = context;
  stdout.write(`${printable(url)}\n`);
  stderr.write(`\nSigns one browser in, once, within ${formatMs(expiresAtMs - Date.now())}.\n`);
  // Through a pipe a script asks, and no person.
  const opener = options.open && stdout.isTTY === true ? openerOf(env, process.platform) : undefined;
  if (opener === undefined) return;
  const opened = await openPage(opener, { url, folder: homeFolder({ env, asked: options.home }), env });
  stderr.write(
    opened
      ? 'It opens in your browser; where it does not, open the link.\n'
      : `No browser could be started (${opener.program}): open the link.\n`,
  );
}
