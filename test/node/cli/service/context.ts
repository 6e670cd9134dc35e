// A command's surroundings, with what it prints kept.
import { PassThrough } from 'node:stream';
import type { CommandContext } from '../../../../node/cli/context.ts';

export function contextOf(env: Readonly<Record<string, string>> = {}): {
  readonly context: CommandContext;
  readonly stdout: () => string;
  readonly stderr: () => string;
} {
  const printed = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr') =>
    new PassThrough().setEncoding('utf8').on('data', (text: string) => {
      printed[name] += text;
    });
  const context: CommandContext = {
    stdin: new PassThrough(),
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    env,
    signal: new AbortController().signal,
    exit: () => undefined,
    startAnew: async () => undefined,
  };
  return { context, stdout: () => printed.stdout, stderr: () => printed.stderr };
}
