// `weft join` on a folder that no daemon holds: this process takes the folder, joins, and gives it free.
import type { JoinAnswer } from '../../protocol/api/control.ts';
import { joinOffline } from '../app/join.ts';
import { homeFolder, openHome } from '../config/home.ts';
import { loadSettings } from '../config/settings.ts';
import { createPinoLog } from '../telemetry/pino-log.ts';
import { type ClientOptions, type CommandContext, endSoon } from './context.ts';
import { logLines } from './log-lines.ts';

/** @throws WeftError what joining fails with, `home_locked`, `home_unwritable` or `config_invalid` */
export async function joinHere(ticket: string, options: ClientOptions, context: CommandContext): Promise<JoinAnswer> {
  const { env, stderr, signal } = context;
  const folder = homeFolder({ env, asked: options.home });
  const settings = loadSettings({ flags: {}, env, home: folder });
  await using home = await openHome({ folder });
  // What goes wrong is the command's own answer; of the rest only warnings matter here.
  const log = createPinoLog({ level: 'warn', destination: logLines(stderr) });
  try {
    const { mesh, members } = await joinOffline({ home, settings, ticket, log, signal });
    return { mesh, members: [...members] };
  } finally {
    endSoon(context);
  }
}
