// `weft invite`: a ticket for one more machine. The ticket alone goes to stdout, so that a script can take it.
import { type Command, InvalidArgumentError } from 'commander';
import type { InvitationAnswer, InvitationCancelled, InvitationsAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';
import { formatMs, printable } from '../format.ts';
import { TICKET_SECONDS_MAX } from '../limits.ts';

interface Options extends ClientOptions {
  readonly json?: true;
  readonly ttl?: number;
  readonly list?: true;
  readonly cancel?: string;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('--ttl <time>', 'how long the ticket can be used, such as 30m, 1h, 2d', seconds)
    .option('--list', 'list the tickets of this node that nobody has used yet, by their ids')
    .option('--cancel <id>', 'let nobody in by this ticket any more')
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action(async (options: Options) => {
      if (
        (options.list === true ? 1 : 0) + Number(options.cancel !== undefined) + Number(options.ttl !== undefined) >
        1
      ) {
        throw new WeftError({
          code: 'bad_request',
          message: '--ttl, --list and --cancel are three things.',
          remedy: 'Write one of them.',
        });
      }
      const { client } = await connect(context, options);
      if (options.list) return list(client, options, context);
      if (options.cancel !== undefined) return cancel(client, options.cancel, options, context);
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

async function list(client: Client, { json }: Options, context: CommandContext): Promise<void> {
  const answer = await client.get<InvitationsAnswer>('/api/v1/invitations', context);
  if (json) return printJson(context, answer);
  if (answer.invitations.length === 0) context.stdout.write('No ticket is open.\n');
  for (const { id, expiresAtMs } of answer.invitations) {
    context.stdout.write(`${printable(id)}  ${formatMs(expiresAtMs - Date.now())} left\n`);
  }
}

async function cancel(client: Client, id: string, { json }: Options, context: CommandContext): Promise<void> {
  const { body } = await client.delete<InvitationCancelled>(`/api/v1/invitations/${encodeURIComponent(id)}`, context);
  if (json) return printJson(context, body);
  context.stdout.write('Nobody comes in by this ticket any more.\n');
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
