// A new process with the same command line in place of this one: how `weft serve` restarts. Terminal, service manager and
// container keep the process that they started: on POSIX it is the same one, with another program in it; on Windows the old
// one waits for the new one, and ends as it ends.
import { spawn } from 'node:child_process';

/** What of the process is used. */
export type Host = Pick<
  NodeJS.Process,
  'execPath' | 'execArgv' | 'argv' | 'env' | 'platform' | 'execve' | 'on' | 'removeAllListeners' | 'exit'
>;

/** Signals that end a process in good order, which the new process is to hear of. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** For what did not come to be. */
const EXIT_FAILED = 1;

/**
 * Never returns on POSIX, where nothing of this process is left: files, sockets and locks are closed. On Windows it
 * resolves once the new process runs; this one ends with it.
 */
export async function startAnew(host: Host): Promise<void> {
  const args = [...host.execArgv, ...host.argv.slice(1)];
  if (host.execve !== undefined && host.platform !== 'win32') {
    // The program's own name comes first, as the system passes it.
    host.execve(host.execPath, [host.execPath, ...args], host.env);
  }
  const child = spawn(host.execPath, args, { stdio: 'inherit', env: host.env });
  // This process must outlive the first of them: whoever started it waits for it.
  for (const signal of SIGNALS) host.removeAllListeners(signal).on(signal, () => child.kill(signal));
  await new Promise<void>((resolve) => {
    child.once('spawn', resolve);
    child.once('exit', (code) => host.exit(code ?? EXIT_FAILED));
    child.once('error', () => host.exit(EXIT_FAILED));
  });
}
