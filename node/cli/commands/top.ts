// `weft top`: nodes and requests, live at a terminal, else one reading a second as plain lines or JSON.
import { once } from 'node:events';
import type { Command } from 'commander';
import type {
  PeersAnswer,
  PsAnswer,
  RequestsAnswer,
  StatusAnswer,
  TransfersAnswer,
} from '../../../protocol/api/control.ts';
import { toWeftError } from '../../../protocol/errors.ts';
import { systemClock } from '../../core/clock.ts';
import type { Client } from '../client.ts';
import { connect } from '../connect.ts';
import { type CommandContext, printJson, type ReadingOptions } from '../context.ts';
import { followEvents } from '../follow-events.ts';
import { TOP_POLL_MS, TOP_REDRAW_MS_MIN, TOP_REQUESTS_MAX } from '../limits.ts';
import { readingOptions } from '../reading-command.ts';
import { TopScreen } from '../top-screen.ts';
import { type TopSnapshot, topLines, topWindow } from '../top-view.ts';
import { isRunning } from '../transfer-view.ts';

interface Options extends ReadingOptions {
  readonly once?: true;
}

export function define(command: Command, context: CommandContext): void {
  readingOptions(command)
    .option('--once', 'print one reading and end')
    .action(async (options: Options) => {
      const { stdin, stdout, env } = context;
      const isLive = stdin.isTTY && stdout.isTTY && env.TERM !== 'dumb' && !options.json && !options.once;
      return isLive ? watch(options, context) : print(options, context);
    });
}

async function read(client: Client, signal: AbortSignal): Promise<TopSnapshot> {
  const [status, { peers }, { models }, { requests }, { transfers }] = await Promise.all([
    client.get<StatusAnswer>('/api/v1/status', { signal }),
    client.get<PeersAnswer>('/api/v1/peers', { signal }),
    client.get<PsAnswer>('/api/v1/ps', { signal }),
    client.get<RequestsAnswer>(`/api/v1/requests?limit=${TOP_REQUESTS_MAX}`, { signal }),
    client.get<TransfersAnswer>('/api/v1/transfers', { signal }),
  ]);
  return { atMs: systemClock.wallNow(), status, peers, models, requests, transfers: transfers.filter(isRunning) };
}

/** One reading after the other, until the signal: for pipes and programs. */
async function print(options: Options, context: CommandContext): Promise<void> {
  const { stdout, signal } = context;
  const { client } = await connect(context, options);
  while (true) {
    const snapshot = await read(client, signal);
    if (options.json) printJson(context, snapshot);
    else stdout.write(`${topLines(snapshot).join('\n')}\n`);
    if (options.once) return;
    if (!options.json) stdout.write('\n');
    if (stdout.writableNeedDrain) await once(stdout, 'drain', { signal }).catch(() => undefined); // ended: seen below
    await pause(TOP_POLL_MS, signal);
    if (signal.aborted) return;
  }
}

/** The table at the terminal. A daemon that goes away is awaited: its last reading stays. */
async function watch(options: Options, context: CommandContext): Promise<void> {
  // A first reading before the screen is taken: what fails here is told like any other failure.
  const first = await read((await connect(context, options)).client, context.signal);
  const leaving = new AbortController();
  const signal = AbortSignal.any([context.signal, leaving.signal]);
  let wake = new AbortController();
  const onChange = () => wake.abort();
  using screen = new TopScreen(context, { onLeave: () => leaving.abort(), onResize: onChange });
  const following = wakeAtEvents(options, context, signal, onChange);
  let latest = { snapshot: first, problem: undefined as string | undefined };
  while (!signal.aborted) {
    screen.draw(topWindow(latest.snapshot, screen.window, latest.problem));
    // Events may come by the hundred; the screen changes a few times a second.
    await pause(TOP_REDRAW_MS_MIN, signal);
    await pause(TOP_POLL_MS - TOP_REDRAW_MS_MIN, AbortSignal.any([signal, wake.signal]));
    wake = new AbortController();
    if (signal.aborted) break;
    try {
      const { client } = await connect(context, options);
      latest = { snapshot: await read(client, signal), problem: undefined };
    } catch (error) {
      latest = { ...latest, problem: `${toWeftError(error).message} Trying again; q leaves.` };
    }
  }
  await following;
}

/** Calls back whenever something happens, for as long as the signal lets it. */
async function wakeAtEvents(
  options: Options,
  context: CommandContext,
  signal: AbortSignal,
  onChange: () => void,
): Promise<void> {
  const types = ['node', 'model', 'request'] as const;
  while (!signal.aborted) {
    try {
      for await (const _ of followEvents({ connect: () => connect(context, options), types, signal })) onChange();
    } catch {
      // The readings say what is wrong; without events the table is a second late, that is all.
      await pause(TOP_POLL_MS, signal);
    }
  }
}

/** Resolves after this time, or when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = systemClock.after(ms, done);
    timer.hold?.();
    signal.addEventListener('abort', done, { once: true });
  });
}
