// `weft restart`: has the daemon end and begin anew, and waits until the new run answers.
import type { Command } from 'commander';
import { WeftError } from '../../../protocol/errors.ts';
import { type DaemonRecord, findDaemon, isLaterRun, readDaemonRecord } from '../../config/daemon-record.ts';
import { homeFolder } from '../../config/home.ts';
import { delay, systemClock } from '../../core/clock.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { printable } from '../format.ts';
import { RESTART_WAIT_MS, STOP_POLL_MS } from '../limits.ts';
import { readingOptions } from '../reading-command.ts';

export function define(command: Command, context: CommandContext): void {
  readingOptions(command).action((options: ReadingOptions) => restart(options, context));
}

async function restart(options: ReadingOptions, context: CommandContext): Promise<void> {
  const folder = homeFolder({ env: context.env, asked: options.home });
  const before = await findDaemon(folder);
  const { client } = await connect(context, options);
  await client.post('/api/v1/restart', {}, context);
  const { api, version } = await laterRun(folder, before, context.signal);
  if (options.json) printJson(context, { api, version });
  else context.stdout.write(`Restarted: Weft ${printable(version)} answers at ${printable(api)}.\n`);
}

/** Its record, which is written once it answers. */
async function laterRun(folder: string, before: DaemonRecord, signal: AbortSignal): Promise<DaemonRecord> {
  const until = systemClock.now() + RESTART_WAIT_MS;
  for (;;) {
    const record = await readDaemonRecord(folder);
    if (record !== undefined && isLaterRun(record, before)) return record;
    if (systemClock.now() >= until) {
      throw new WeftError({
        code: 'deadline_exceeded',
        message: 'The daemon was asked to restart, and does not answer yet.',
        remedy: 'Look at its output; `weft serve` starts it where it has ended.',
      });
    }
    await delay(systemClock, STOP_POLL_MS, signal).catch(() => {
      throw new WeftError({
        code: 'cancelled',
        message: 'Nobody waits for the daemon any more; it restarts all the same.',
      });
    });
  }
}
