// `weft gc`: deletes files that no model needs.
import type { Command } from 'commander';
import type { CleanUpAnswer, CleanUpRequest } from '../../../protocol/api/control.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { formatBytes, printable } from '../format.ts';
import { CLEAN_UP_MS_MAX } from '../limits.ts';
import { readingOptions } from '../reading-command.ts';

interface Options extends ReadingOptions {
  readonly dryRun?: true;
  readonly partial?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .option('--dry-run', 'say what would be deleted, and delete nothing')
    .option('--partial', 'delete pulls that were interrupted lately, too')
    .action(async (options: Options) => {
      const { client } = await connect(context, options);
      const request: CleanUpRequest = { dryRun: options.dryRun ?? false, partial: options.partial ?? false };
      const call = { signal: context.signal, timeoutMs: CLEAN_UP_MS_MAX };
      const { body } = await client.post<CleanUpAnswer>('/api/v1/models/gc', request, call);
      if (options.json) printJson(context, body);
      else context.stdout.write(summary(body, request.dryRun === true));
    });
}

function summary({ freedBytes, removed, storage }: CleanUpAnswer, isDry: boolean): string {
  const lines = removed.map(({ what, bytes }) => `${formatBytes(bytes).padStart(8)}  ${printable(what)}`);
  const outcome =
    removed.length === 0
      ? 'Nothing is left over.'
      : `${formatBytes(freedBytes)} ${isDry ? 'would be freed' : 'freed'}.`;
  const { usedBytes, quotaBytes, freeBytes } = storage;
  const quota = quotaBytes === undefined ? '' : ` of ${formatBytes(quotaBytes)}`;
  const now = `Models take ${formatBytes(usedBytes)}${quota}; ${formatBytes(freeBytes)} of the disk are free.`;
  return [...lines, outcome, now].map((line) => `${line}\n`).join('');
}
