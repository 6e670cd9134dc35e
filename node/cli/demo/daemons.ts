// The daemons of the demonstration: `weft serve` as processes of their own, each on a data folder of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { StatusAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { readApiKey } from '../../config/api-key.ts';
import { readDaemonRecord } from '../../config/daemon-record.ts';
import type { Environment } from '../../config/home.ts';
import { type Clock, delay } from '../../core/clock.ts';
import { Client } from '../client.ts';
import { OUTPUT_CHARS_MAX, POLL_MS, READY_MS_MAX, STOP_MS_MAX } from './limits.ts';

export interface DaemonInit {
  readonly name: string;
  readonly offer: string;
  /** Data folder. */
  readonly home: string;
  /** Port of loopback on which peers are awaited. */
  readonly port: number;
  /** The address that peers are told. */
  readonly announce: string;
  readonly ticket?: string | undefined;
}

/** A daemon that answers. */
export interface DemoDaemon extends AsyncDisposable {
  readonly name: string;
  readonly home: string;
  readonly url: string;
  readonly pid: number;
  /** Node id. */
  readonly node: string;
  readonly client: Client;
  /** Ends the process at once, as a power cut would. */
  kill(): Promise<void>;
}

export interface DaemonComponents {
  readonly clock: Clock;
  /** Of this process; Weft's own settings in it are left out. */
  readonly env: Environment;
  /** bin/weft.js */
  readonly bin: string;
}

/** @throws WeftError `internal` with the end of what it printed, when it ends or hangs before it answers; `cancelled` */
export async function startDaemon(
  { clock, env, bin }: DaemonComponents,
  init: DaemonInit,
  signal: AbortSignal,
): Promise<DemoDaemon> {
  const child = spawn(process.execPath, [bin, 'serve', ...(init.ticket === undefined ? [] : ['--join', init.ticket])], {
    env: {
      ...Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('WEFT_'))),
      WEFT_HOME: init.home,
      WEFT_NAME: init.name,
      WEFT_OFFER: init.offer,
      WEFT_HOST: '127.0.0.1:0',
      WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${init.port}`,
      WEFT_ANNOUNCE: init.announce,
      WEFT_MDNS: 'false',
      // Five on one machine: each gets a little of it, and none measures itself while others work.
      WEFT_THREADS: '1',
      WEFT_MEASURE: 'false',
      // The answer with a loss in its middle is compared with the one without.
      WEFT_EXACT: 'true',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Where this process is ended by force, they end as well; their model processes go with them.
  const orphaned = (): void => void child.kill('SIGKILL');
  process.once('exit', orphaned);
  child.once('exit', () => process.off('exit', orphaned));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_CHARS_MAX);
    });
  }
  try {
    const { url, client, node } = await ready(child, init.home, clock, signal);
    const kill = () => end(child, clock, 'SIGKILL');
    const stop = () => end(child, clock, 'SIGTERM');
    const { name, home } = init;
    return { name, home, url, client, node, pid: child.pid ?? 0, kill, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await end(child, clock, 'SIGKILL');
    if (signal.aborted || error instanceof WeftError) throw error;
    const said = output.trim().split('\n').slice(-6).join('\n');
    const message = `The daemon of ${init.name} did not start${said === '' ? '.' : `; it printed:\n${said}`}`;
    throw new WeftError(
      { code: 'internal', message, remedy: 'Try `weft serve` by itself: it says what is wrong here.' },
      { cause: error },
    );
  }
}

async function ready(child: ChildProcess, home: string, clock: Clock, signal: AbortSignal) {
  const untilMs = clock.now() + READY_MS_MAX;
  for (;;) {
    signal.throwIfAborted();
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`It ended with ${child.exitCode ?? child.signalCode ?? 'no process'}.`);
    }
    const record = await readDaemonRecord(home);
    const key = await readApiKey({ folder: home, asked: undefined });
    if (record?.pid === child.pid && key !== undefined) {
      const client = new Client({ url: record.api, key: key.key });
      const { node } = await client.get<StatusAnswer>('/api/v1/status', { signal });
      return { url: record.api, client, node };
    }
    if (clock.now() > untilMs) throw new Error('It did not answer in time.');
    await delay(clock, POLL_MS, signal);
  }
}

/** Ends a process by the signal, or by force where that takes too long. */
async function end(child: ChildProcess, clock: Clock, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const overdue = clock.after(STOP_MS_MAX, () => void child.kill('SIGKILL'));
  await ended;
  overdue.cancel();
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port.');
  return address.port;
}
