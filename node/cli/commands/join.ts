// `weft join TICKET`: through the daemon where one runs on this data folder, else by this process itself.
import type { Command } from 'commander';
import type { JoinAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';
import { printable } from '../format.ts';
import { JOIN_MS_MAX } from '../limits.ts';

interface Options extends ClientOptions {
  readonly json?: true;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<ticket>', 'what `weft invite` printed on a member of the mesh')
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder of the node that joins (WEFT_HOME)')
    .action(async (ticket: string, options: Options) => {
      const { answer, serving } = await join(ticket, options, context);
      if (options.json) return printJson(context, answer);
      const names = answer.members.map(({ name }) => name).join(', ');
      context.stdout.write(`Joined. Members: ${printable(names)}\n`);
      context.stderr.write(`\nNext: ${serving ? 'weft peers' : 'weft serve'}\n`);
    });
}

async function join(
  ticket: string,
  options: Options,
  context: CommandContext,
): Promise<{ answer: JoinAnswer; serving: boolean }> {
  const connection = await connect(context, options).catch((error: unknown) => {
    if (error instanceof WeftError && error.code === 'daemon_not_running') return undefined;
    throw error;
  });
  if (connection !== undefined) {
    const { body } = await connection.client.post<JoinAnswer>(
      '/api/v1/join',
      { ticket },
      { signal: context.signal, timeoutMs: JOIN_MS_MAX },
    );
    return { answer: body, serving: true };
  }
  // Loaded here alone: with it comes the whole network stack.
  const { joinHere } = await import('../join-here.ts');
  return { answer: await joinHere(ticket, options, context), serving: false };
}
