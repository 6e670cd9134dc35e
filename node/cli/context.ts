// What a command gets to work with, and the little that all of them need of it.
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { WeftError } from '../../protocol/errors.ts';
import type { Environment } from '../config/home.ts';
import { END_MS_MAX, STDIN_BYTES_MAX } from './limits.ts';

/** A stream of the process, or a test's own. */
export type Input = Readable & {
  readonly isTTY?: boolean;
  /** At a terminal: keys come one by one, and Ctrl-C as a key. */
  setRawMode?(raw: boolean): unknown;
};
export type Output = Writable & {
  readonly isTTY?: boolean;
  /** Size of a terminal's window in characters; `resize` is emitted when it changes. */
  readonly columns?: number;
  readonly rows?: number;
};

export interface CommandContext {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Environment;
  /** Aborts at Ctrl-C and at a plain `kill`: the command ends in good order. */
  readonly signal: AbortSignal;
  /** Ends the process at once, by default with the code that it has: only for what can't be ended in good order. */
  readonly exit: (exitCode?: number) => void;
  /** Begins the same command line anew in place of this process: everything that it holds must have been let go. */
  readonly startAnew: () => Promise<void>;
}

/** Options that every command which talks to a daemon has. */
export interface ClientOptions {
  readonly home?: string;
}

/** Options of a command that reads. */
export interface ReadingOptions extends ClientOptions {
  readonly json?: true;
}

/** Prints a value as JSON for programs: one object, one line. */
export function printJson(context: CommandContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Everything that a pipe brings, as text. @throws WeftError `body_too_large`, `cancelled` */
export async function readPipe({ stdin, signal }: CommandContext): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  const onAbort = () => stdin.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    stdin.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= STDIN_BYTES_MAX) text += decoder.decode(chunk, { stream: true });
      else stdin.destroy();
    });
    await finished(stdin, { writable: false, error: false }).catch((error: unknown) => {
      if (bytes <= STDIN_BYTES_MAX && !signal.aborted) throw error;
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  if (signal.aborted) throw new WeftError({ code: 'cancelled', message: 'Ended while reading from the pipe.' });
  if (bytes > STDIN_BYTES_MAX) {
    throw new WeftError({ code: 'body_too_large', message: 'The pipe brought more than a request can hold.' });
  }
  return text + decoder.decode();
}

/**
 * For a command that has used the network and stopped all of it: lets the process end even where a library's timer is
 * left behind. libp2p's address manager starts one of a second when its last listener closes.
 */
export function endSoon({ exit }: CommandContext): void {
  setTimeout(() => exit(), END_MS_MAX).unref();
}
