// `weft invite`: a ticket for one more machine. The ticket alone goes to stdout, so that a script can take it.
import { type Command, InvalidArgumentError } from 'commander';
import type { InvitationAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';
import { formatMs } from '../format.ts';
import { TICKET_SECONDS_MAX } from '../limits.ts';

interface Options extends ClientOptions {
  readonly json?: true;
  readonly ttl?: number;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('--ttl <time>', 'how long the ticket can be used, such as 30m, 1h, 2d', seconds)
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action(async (options: Options) => {
      const { client } = await connect(context, options);
      const request = options.ttl === undefined ? {} : { ttl_seconds: options.ttl };
      const { body } = await client.post<InvitationAnswer>('/api/v1/invitations', request, context);
      const expiresAt = new Date(body.expiresAtMs);
      if (options.json) {
        return printJson(context, { ticket: body.ticket, expires_at: expiresAt.toISOString() });
      }
      context.stdout.write(`${body.ticket}\n`);
      context.stderr.write(
        `\nValid for ${formatMs(body.expiresAtMs - Date.now())}, for one machine. There, run one of these:\n` +
          '  weft serve --join TICKET    join and serve\n' +
          '  weft join TICKET            only join\n',
      );
    });
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Seconds of `90s`, `30m`, `1h`, `2d`. */
function seconds(text: string): number {
  const [, digits, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : UNIT_SECONDS[unit];
  if (digits === undefined || factor === undefined || Number(digits) === 0) {
    throw new InvalidArgumentError('Write a number and a unit: 90s, 30m, 1h or 2d.');
  }
  const asked = Number(digits) * factor;
  if (asked <= TICKET_SECONDS_MAX) return asked;
  throw new InvalidArgumentError(`A ticket lasts ${TICKET_SECONDS_MAX / 86_400}d at most.`);
}
