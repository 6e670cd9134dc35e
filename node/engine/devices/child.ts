// Runs a small script in a process of its own and reads the JSON that it prints: what loads the runtime or asks a driver
// may crash, hang or print what it likes, and must cost the daemon nothing. Used by look.ts and probe.ts.
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { RUNTIME_ENV } from '../../core/runtime-env.ts';
import { shortReason } from './device.ts';
import { OUTPUT_BYTES_MAX } from './limits.ts';

export interface ChildInit {
  /** The Node that it runs on. */
  readonly nodePath: string;
  /** Path of the runner's entry: the packages that it finds are those that the script finds. */
  readonly entry: string;
  /** @default that of this process */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What a script printed last, or why there is nothing. */
export type ChildAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: string };

/**
 * Plain JavaScript in a string: it runs alike from source and from the bundle. The thread ends the process where the
 * main one hangs inside a driver, also when the daemon is gone by then.
 */
const PRELUDE = `
const { Worker } = require('node:worker_threads');
const [entry, deadlineMs, ...args] = process.argv.slice(1);
const watch = "setTimeout(() => process.kill(process.pid, 'SIGKILL'), " + Number(deadlineMs) + ")";
new Worker(watch, { eval: true, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 } }).unref();
const load = require('node:module').createRequire(entry);
const answer = (value) => process.stdout.write('\\n' + JSON.stringify(value) + '\\n', () => process.exit(0));
const failed = (error) => answer({ error: String((error && error.message) || error).slice(0, 2000) });
`;

/**
 * Runs a script, which finds `load` (a `require`), its `args`, and `answer(value)` to end with.
 * @returns never rejects, but for the signal's reason
 */
export async function runChild(
  init: ChildInit,
  script: string,
  args: readonly string[],
  options: { readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<ChildAnswer> {
  const { signal, deadlineMs } = options;
  const source = `${PRELUDE}(async () => {${script}})().catch(failed);`;
  try {
    const { stdout } = await promisify(execFile)(
      init.nodePath,
      ['--input-type=commonjs', '-e', source, init.entry, String(deadlineMs), ...args],
      {
        cwd: dirname(init.entry),
        env: { ...(init.env ?? process.env), ...RUNTIME_ENV },
        signal,
        timeout: deadlineMs,
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_BYTES_MAX,
        windowsHide: true,
      },
    );
    return readAnswer(stdout);
  } catch (error) {
    signal.throwIfAborted();
    return { ok: false, reason: endingOf(error) };
  }
}

/** The last line of what was printed: libraries that are loaded may print before it. */
function readAnswer(stdout: string): ChildAnswer {
  let value: unknown;
  try {
    value = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  } catch {
    return { ok: false, reason: 'the process ended without an answer' };
  }
  const error = (value as { error?: unknown } | null)?.error;
  return error === undefined ? { ok: true, value } : { ok: false, reason: shortReason(String(error)) };
}

function endingOf(error: unknown): string {
  const { killed, signal, code } = error as { killed?: boolean; signal?: string | null; code?: string | number | null };
  if (killed === true) return 'it did not answer in time';
  return signal === null || signal === undefined ? `its process ended with ${code}` : `its process ended by ${signal}`;
}
