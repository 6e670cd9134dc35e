// Entry of the command line: bin/weft.js calls `main`, from the bundle or as it is. Connects the process (arguments,
// environment, streams, signals, exit code) with the commands, which know nothing of it.
import { CommanderError } from 'commander';
import type { CommandContext } from './context.ts';
import { runProgram } from './program.ts';
import { watchSignals } from './signals.ts';
import { VERSION } from './version.ts';

/** What a shell reports for a program that wrote into a pipe which nobody reads. */
const EXIT_BROKEN_PIPE = 141;
/** A full disk behind `weft list > file`, or a terminal that is gone. */
const EXIT_NOT_WRITTEN = 1;
/** A command line that can't be understood; config/exit-codes.ts has the codes of all other failures. */
const EXIT_USAGE = 2;

/** Runs the process's command line to its end, and sets its exit code. Ends nothing by force but at a second Ctrl-C. */
export async function main(host: NodeJS.Process): Promise<void> {
  const unheard = new AbortController();
  for (const stream of [host.stdout, host.stderr]) {
    // `weft list | head -1`: the reader has what it wanted. Without a listener this would be a stack trace.
    stream.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (unheard.signal.aborted) return;
      const exitCode = code === 'EPIPE' ? EXIT_BROKEN_PIPE : EXIT_NOT_WRITTEN;
      host.exitCode = exitCode;
      unheard.abort(exitCode);
      if (code !== 'EPIPE' && stream === host.stdout) host.stderr.write(notWritten(code));
    });
  }
  using watch = watchSignals({
    source: host,
    now: () => performance.now(),
    onForced: (exitCode) => host.exit(exitCode),
  });
  const context: CommandContext = {
    stdin: host.stdin,
    stdout: host.stdout,
    stderr: host.stderr,
    env: host.env,
    exit: (exitCode) => host.exit(exitCode),
    startAnew: async () => {
      const { startAnew } = await import('./start-anew.ts');
      await startAnew(host);
    },
    signal: AbortSignal.any([watch.signal, unheard.signal]),
  };
  try {
    await runProgram(host.argv.slice(2), context, VERSION);
  } catch (error) {
    host.exitCode = await report(error, context);
  }
}

const notWritten = (code: string | undefined): string =>
  `weft: The answer can't be written (${code ?? 'unknown error'}).\n  do:  Make room, or send it somewhere else.\n`;

/** Tells the person what failed, unless it has been said; returns the exit code. */
async function report(error: unknown, { signal, stderr }: CommandContext): Promise<number> {
  if (error instanceof CommanderError) return EXIT_USAGE; // commander has printed what is wrong
  const { toWeftError } = await import('../../protocol/errors.ts');
  if (signal.aborted && toWeftError(error).code === 'cancelled') return Number(signal.reason);
  const { describeError } = await import('./errors.ts');
  const { exitCodeOf } = await import('../config/exit-codes.ts');
  stderr.write(describeError(error));
  return exitCodeOf(error);
}

if (import.meta.main) await main(process);
