// `weft ps`: the models that the runners of this node hold, and those that they may not hold any more.
import type { Command } from 'commander';
import type { PsAnswer } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type ClientOptions, type CommandContext, printJson } from '../context.ts';
import { type Column, formatBytes, formatMs, orDash, printable, table } from '../format.ts';

type Loaded = PsAnswer['models'][number];

interface Options extends ClientOptions {
  readonly json?: true;
}

export function define(command: Command, context: CommandContext): void {
  command
    .option('--json', 'print one JSON object')
    .option('--home <folder>', 'data folder of the daemon to ask (WEFT_HOME)')
    .action(async (options: Options) => {
      const { client } = await connect(context, options);
      const answer = await client.get<PsAnswer>('/api/v1/ps', context);
      if (options.json) return printJson(context, answer);
      if (answer.models.length === 0) {
        context.stderr.write('No model is loaded here. A request loads one: try `weft run smollm2`.\n');
        return;
      }
      context.stdout.write(table(COLUMNS, answer.models));
      for (const { id, reason } of answer.models) {
        if (reason !== undefined) context.stdout.write(`\n${printable(id)} is quarantined: ${printable(reason)}\n`);
      }
    });
}

const COLUMNS: readonly Column<Loaded>[] = [
  { title: 'NAME', value: ({ id }) => id },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'SIZE', value: ({ residentBytes }) => formatBytes(residentBytes), align: 'right' },
  { title: 'PROCESSOR', value: ({ provider }) => provider },
  { title: 'RUNNING', value: ({ requestsInFlight }) => String(requestsInFlight), align: 'right' },
  { title: 'PID', value: ({ runnerPid }) => orDash(runnerPid, String), align: 'right' },
  { title: 'UNTIL', value: ({ idleUntilMs }) => orDash(idleUntilMs, (ms) => `in ${formatMs(ms)}`) },
];
