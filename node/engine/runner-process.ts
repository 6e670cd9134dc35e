// One runner process as its daemon sees it: started, asked, watched, ended. It lives once; what starts the next one is
// the slot that made it (runner-slot.ts).

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { WeftError } from '../../protocol/errors.ts';
import { CallClient } from '../core/calls.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { RUNTIME_ENV } from '../core/runtime-env.ts';
import { SocketWriter } from './frame-socket.ts';
import { LifelineReader, type RunnerReading } from './lifeline-reader.ts';
import { RUNNER_KILL_WAIT_MS, RUNNER_START_TIMEOUT_MS, RUNNER_STOP_GRACE_MS, STDERR_TAIL_CHARS } from './limits.ts';
import { mebibytes } from './mebibytes.ts';

/** How runners are started and watched; the same for all of an engine. */
export interface RunnerLaunch {
  readonly nodePath: string;
  readonly execArgv: readonly string[];
  /** Path of the runner's entry: runner/main.ts, or what it was built into. */
  readonly entry: string;
  readonly args: readonly string[];
  /** How often the lifeline is asked, and how long it may be silent, in milliseconds. */
  readonly liveness: { readonly intervalMs: number; readonly timeoutMs: number };
}

export interface RunnerProcessComponents {
  readonly clock: Clock;
  readonly log: Log;
  /**
   * The process is lost: killed, crashed, or silent and therefore killed. Called once, before its open calls fail with
   * this error, and not at all when the end was asked for.
   */
  readonly onLost: (error: WeftError) => void;
  /** What the process says of itself, with every heartbeat. */
  readonly onReading?: (reading: RunnerReading) => void;
  /** The process is gone from the operating system, asked for or not. */
  readonly onGone: () => void;
}

/** After the link breaks, until the operating system says how the process ended. */
const EXIT_REPORT_MS = 250;

/** A running child. */
export class RunnerProcess {
  /** Undefined when the process could not be started. */
  readonly pid: number | undefined;
  readonly startedAtMs: number;
  readonly client: CallClient;
  /** Resolves once the process is gone, or was given up on. */
  readonly gone: Promise<void>;

  readonly #components: RunnerProcessComponents;
  readonly #launch: RunnerLaunch;
  readonly #child: ChildProcess;
  readonly #frames: Socket;
  readonly #lifeline: Socket;
  readonly #markGone: () => void;
  #state: 'running' | 'stopping' | 'lost' = 'running';
  #heartbeat: Timer | undefined;
  #answered = false;
  #unanswered = 0;
  #stderrTail = '';
  #capBytes = 0;
  #lastWords: WeftError | undefined;

  /** @throws WeftError `runner_lost` when this machine has no room for one more process */
  constructor(components: RunnerProcessComponents, launch: RunnerLaunch) {
    this.#components = components;
    this.#launch = launch;
    const { clock } = components;
    this.startedAtMs = clock.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    this.#markGone = resolve;

    const child = spawn(launch.nodePath, [...launch.execArgv, launch.entry, ...launch.args], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...RUNTIME_ENV },
      windowsHide: true,
    });
    this.#child = child;
    this.pid = child.pid;
    child.on('error', (cause) => this.#onExit(`could not be started (${(cause as NodeJS.ErrnoException).code})`));
    // Both are duplex: `pipe` is a socket pair (a named pipe on Windows). Out of file handles, Node makes none of them.
    const [, , , frames, lifeline] = (child.stdio ?? []) as unknown as (Socket | undefined)[];
    if (frames === undefined || lifeline === undefined) {
      this.#state = 'lost';
      throw lost('could not be started');
    }
    this.#frames = frames;
    this.#lifeline = lifeline;
    this.client = new CallClient({ writer: new SocketWriter(frames), clock });

    child.on('exit', (code, signal) =>
      this.#onExit(signal === null ? `ended with code ${code}` : `ended by ${signal}`),
    );
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderrTail = (this.#stderrTail + text).slice(-STDERR_TAIL_CHARS);
    });
    this.#frames.on('data', (chunk: Uint8Array) => this.#onBytes(chunk));
    const reader = new LifelineReader({
      onReading: (reading) => components.onReading?.(reading),
      onOver: (resident, cap) => {
        this.#lastWords = overCap(resident, cap);
      },
    });
    this.#lifeline.setEncoding('latin1').on('data', (text: string) => {
      this.#answered = true;
      this.#unanswered = 0;
      reader.push(text);
    });
    for (const socket of [this.#frames, this.#lifeline]) {
      socket.on('error', (error) =>
        components.log.debug({ pid: this.pid, error: error.message }, 'runner link failed'),
      );
      socket.on('close', () => this.#onLinkClosed());
    }
    this.#beat();
  }

  /**
   * The process ends itself when it takes more than this, whatever it is doing. Told with every heartbeat, and at once
   * when it changes.
   */
  limitMemory(bytes: number): void {
    if (bytes === this.#capBytes) return;
    this.#capBytes = bytes;
    this.#tellCap();
  }

  /** Kills the process now. Its calls fail with this error. */
  kill(error: WeftError): void {
    this.#lose(error);
  }

  /** Lets the process end by itself, kills it when it doesn't within the grace, and waits until it is gone. */
  async stop(): Promise<void> {
    const { clock } = this.#components;
    if (this.#state === 'running') {
      this.#state = 'stopping';
      this.#heartbeat?.cancel();
      this.client.close(new WeftError({ code: 'stopping', message: 'The runner is being ended.' }));
      this.#frames.end();
    }
    const grace = clock.after(RUNNER_STOP_GRACE_MS, () => this.#child.kill('SIGKILL'));
    const giveUp = clock.after(RUNNER_STOP_GRACE_MS + RUNNER_KILL_WAIT_MS, () => {
      this.#components.log.error({ pid: this.pid }, 'a runner does not end');
      this.#markGone();
    });
    await this.gone;
    grace.cancel();
    giveUp.cancel();
    this.#frames.destroy();
    this.#lifeline.destroy();
  }

  #onBytes(chunk: Uint8Array): void {
    try {
      this.client.push(chunk);
    } catch (cause) {
      this.#lose(
        new WeftError({ code: 'runner_lost', message: 'The runner sent bytes that are no frame.' }, { cause }),
      );
    }
  }

  /** Counts answers that are missing, not time: a daemon that was itself held up doesn't blame its runners. */
  #beat(): void {
    const { clock } = this.#components;
    const { intervalMs, timeoutMs } = this.#launch.liveness;
    const allowedMs = this.#answered ? timeoutMs : Math.max(timeoutMs, RUNNER_START_TIMEOUT_MS);
    if (this.#unanswered * intervalMs >= allowedMs) {
      const how = this.#answered ? 'stopped answering' : 'did not start in time';
      this.#lose(new WeftError({ code: 'runner_timeout', message: `The runner ${how}.`, facts: { how } }));
      return;
    }
    this.#unanswered++;
    this.#tellCap();
    this.#heartbeat = clock.after(intervalMs, () => this.#beat());
  }

  #tellCap(): void {
    if (this.#lifeline.writable && this.#lifeline.writableLength === 0) this.#lifeline.write(`${this.#capBytes}\n`);
  }

  #onLinkClosed(): void {
    if (this.#state !== 'running') return;
    // Dead, as good as always: the operating system says how in a moment. If not, there is no use for it without a link.
    this.#child.kill('SIGKILL');
    this.#components.clock.after(EXIT_REPORT_MS, () => this.#lose(lost('closed its link')));
  }

  #onExit(how: string): void {
    if (this.#state === 'running') {
      // Its last words may still be in the pipe.
      if (this.#lifeline.closed) this.#report(how);
      else {
        this.#lifeline.once('close', () => this.#report(how));
        this.#components.clock.after(EXIT_REPORT_MS, () => this.#report(how));
      }
    }
    this.#components.onGone();
    this.#markGone();
  }

  #report(how: string): void {
    if (this.#state !== 'running') return;
    const error = this.#lastWords ?? lost(how);
    this.#components.log.warn({ pid: this.pid, how: error.facts.how, stderr: this.#stderrTail }, 'a runner ended');
    this.#lose(error);
  }

  #lose(error: WeftError): void {
    if (this.#state !== 'running') return;
    this.#state = 'lost';
    this.#heartbeat?.cancel();
    this.#child.kill('SIGKILL');
    this.#components.onLost(error);
    this.client.close(error);
    this.#frames.destroy();
    this.#lifeline.destroy();
  }
}

/** With the fact `residentBytes`, by which it is told from other losses. */
function overCap(resident: number, cap: number): WeftError {
  const how = `took ${mebibytes(resident)} of memory, more than the ${mebibytes(cap)} that it was given`;
  const facts = { how, residentBytes: String(resident), limitBytes: String(cap) };
  return new WeftError({ code: 'runner_lost', message: `The runner ${how}.`, facts });
}

const lost = (how: string): WeftError =>
  new WeftError({ code: 'runner_lost', message: `The runner ${how}.`, facts: { how } });
