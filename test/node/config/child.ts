// A child process that runs a few lines against the sources, and says when it has come to a point.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Resolves with the next line that it prints. @throws when it ends first */
  line(): Promise<string>;
  /** Sends the signal, and resolves when the process is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Runs a module from text. Relative imports are taken from this folder; it is killed when the test is over. */
export function runChild(source: string, ...args: readonly string[]): Child {
  const based = source
    .replaceAll("from './", `from '${new URL('.', import.meta.url).href}`)
    .replaceAll("from '../", `from '${new URL('../', import.meta.url).href}`);
  const child = spawn(process.execPath, ['--input-type=module', '--eval', based, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const lines: string[] = [];
  const waiting: ((line: string | undefined) => void)[] = [];
  let rest = '';
  let ended = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const next = waiting.shift();
      if (next === undefined) lines.push(part);
      else next(part);
    }
  });
  child.stdout.on('close', () => {
    ended = true;
    for (const next of waiting) next(undefined);
  });
  const exited = once(child, 'exit');
  return {
    process: child,
    pid: child.pid ?? 0,
    async line() {
      const present = lines.shift();
      const line =
        present ?? (ended ? undefined : await new Promise<string | undefined>((resolve) => waiting.push(resolve)));
      if (line === undefined) throw new Error('the child process ended');
      return line;
    },
    async end(signal) {
      child.kill(signal);
      await exited;
    },
  };
}
