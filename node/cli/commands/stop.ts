// `weft stop MODEL` unloads a model here; `weft stop` asks the daemon to stop, and waits until it is gone.
import type { Command } from 'commander';
import type { UnloadAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { type DaemonRecord, findDaemon, isLaterRun, readDaemonRecord } from '../../config/daemon-record.ts';
import { homeFolder } from '../../config/home.ts';
import { isLocked } from '../../config/home-lock.ts';
import { delay, systemClock } from '../../core/clock.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { printable } from '../format.ts';
import { STOP_POLL_MS, STOP_WAIT_MS, UNLOAD_MS_MAX } from '../limits.ts';
import { readingOptions } from '../reading-command.ts';

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .argument('[model]', 'unload this one; without it the node itself stops')
    .action((model: string | undefined, options: ReadingOptions) =>
      model === undefined ? stopDaemon(options, context) : unload(model, options, context),
    );
}

async function unload(model: string, options: ReadingOptions, context: CommandContext): Promise<void> {
  const { client } = await connect(context, options);
  const { body } = await client.post<UnloadAnswer>(
    '/api/v1/models/unload',
    { model },
    { signal: context.signal, timeoutMs: UNLOAD_MS_MAX },
  );
  if (options.json) return printJson(context, body);
  context.stdout.write(`${printable(body.id)} ${body.wasLoaded ? 'is unloaded' : 'was not loaded here'}.\n`);
}

async function stopDaemon(options: ReadingOptions, context: CommandContext): Promise<void> {
  const folder = homeFolder({ env: context.env, asked: options.home });
  if (!isLocked(folder)) {
    if (options.json) return printJson(context, { wasRunning: false });
    return void context.stderr.write(`No daemon runs with the data folder ${printable(folder)}.\n`);
  }
  const daemon = await findDaemon(folder);
  const { client } = await connect(context, options);
  await client.post('/api/v1/stop', {}, context);
  await gone(folder, daemon, context.signal);
  if (options.json) printJson(context, { wasRunning: true });
  else context.stdout.write('Stopped.\n');
}

/** Resolves when the folder is free, or held by a later run: a service manager may start the next one at once. */
async function gone(folder: string, daemon: DaemonRecord, signal: AbortSignal): Promise<void> {
  const until = systemClock.now() + STOP_WAIT_MS;
  while (isLocked(folder) && !isLaterRun(await readDaemonRecord(folder), daemon)) {
    if (systemClock.now() >= until) {
      throw new WeftError({
        code: 'deadline_exceeded',
        message: 'The daemon was asked to stop, and still runs.',
        remedy: `Look at its output; \`kill -9 ${daemon.pid}\` ends it, and its runners with it.`,
      });
    }
    await delay(systemClock, STOP_POLL_MS, signal).catch(() => {
      throw new WeftError({
        code: 'cancelled',
        message: 'Nobody waits for the daemon any more; it stops all the same.',
      });
    });
  }
}
