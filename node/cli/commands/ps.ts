// `weft ps`: the models that the runners of this node hold, and those that they may not hold any more.
import type { Command } from 'commander';
import type { PsAnswer } from '../../../protocol/api/control.ts';
import type { CommandContext } from '../context.ts';
import { type Column, formatBytes, formatMs, orDash, printable, table } from '../format.ts';
import { defineReading } from '../reading-command.ts';

type Loaded = PsAnswer['models'][number];

export function define(command: Command, context: CommandContext): void {
  defineReading<PsAnswer>(command, context, {
    path: '/api/v1/ps',
    print: ({ models }) => {
      if (models.length > 0) context.stdout.write(table(COLUMNS, models));
      else context.stderr.write('No model is loaded here. A request loads one: try `weft run smollm2`.\n');
      for (const { id, reason } of models) {
        if (reason !== undefined) context.stdout.write(`\n${printable(id)} is quarantined: ${printable(reason)}\n`);
      }
    },
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
