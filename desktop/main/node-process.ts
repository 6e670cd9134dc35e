// The node as a child process: started on the shipped Node, its output in a file, ended in good order or by force. The file
// rather than a pipe, so that a node goes on if the app dies, and the next start of the app finds it and takes it on.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from './home.ts';
import { LOG_BYTES_MAX, LOG_LOOK_MS, LOG_TAIL_BYTES } from './limits.ts';
import { cutBack, rotate } from './log.ts';
import type { NodeProgram } from './node-program.ts';

/** How a node ended. */
export interface NodeEnd {
  /** Undefined when a signal ended it, or it could not be started. */
  readonly code: number | undefined;
  /** What it said last, for people: message, why, what to do. Undefined when it said nothing of a failure. */
  readonly reason: string | undefined;
}

/** A node that was started here. */
export interface NodeChild {
  readonly pid: number | undefined;
  /** Resolves when the process is gone. Never rejects. */
  readonly ended: Promise<NodeEnd>;
  /** Asks for an end in good order. */
  end(): void;
  kill(): void;
}

export interface NodeStarter {
  /** Never throws: what can't be started ends at once. */
  start(): NodeChild;
}

export interface NodeProcessInit {
  readonly program: () => NodeProgram;
  readonly env: Environment;
  /** The node's data folder. */
  readonly home: string;
  /** Folder of the output. */
  readonly logs: string;
  /** Behind `weft serve`. */
  readonly args?: readonly string[];
  /** Tests shorten the wait and the file. */
  readonly log?: { readonly lookMs: number; readonly bytesMax: number };
}

export const NODE_LOG_FILE = 'node.log';

/** Starts nodes of one data folder. */
export function nodeStarter(init: NodeProcessInit): NodeStarter {
  return {
    start() {
      try {
        return startChild(init);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const nothing = (): void => undefined;
        return { pid: undefined, ended: Promise.resolve({ code: undefined, reason }), end: nothing, kill: nothing };
      }
    },
  };
}

function startChild({ program, env, home, logs, args = [], log }: NodeProcessInit): NodeChild {
  const { node, weft } = program();
  mkdirSync(logs, { recursive: true });
  const path = join(logs, NODE_LOG_FILE);
  const { lookMs, bytesMax } = log ?? { lookMs: LOG_LOOK_MS, bytesMax: LOG_BYTES_MAX };
  rotate(path, bytesMax);
  const output = openSync(path, 'a', 0o600);
  const from = statSync(path).size;
  let child: ChildProcess;
  try {
    child = spawn(node, [weft, 'serve', ...args], {
      env: { ...env, WEFT_HOME: home },
      stdio: ['ignore', output, output],
      windowsHide: true,
    });
  } finally {
    closeSync(output);
  }
  const looking = setInterval(() => {
    try {
      cutBack(path, bytesMax);
    } catch {
      return; // A full disk, say: it is looked at again.
    }
  }, lookMs);
  looking.unref();
  const ended = new Promise<NodeEnd>((resolve) => {
    child.once('error', (error) => resolve({ code: undefined, reason: `Node could not be started: ${error.message}` }));
    child.once('exit', (code) => resolve({ code: code ?? undefined, reason: failureIn(tailOf(path, from)) }));
  });
  void ended.then(() => clearInterval(looking));
  return {
    pid: child.pid,
    ended,
    end: () => void child.kill('SIGTERM'),
    kill: () => void child.kill('SIGKILL'),
  };
}

/** The end of what was written behind a place. */
function tailOf(path: string, from: number): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const size = statSync(path).size;
    // One that was begun anew meanwhile is this run's from its start.
    const start = Math.max(size < from ? 0 : from, size - LOG_TAIL_BYTES);
    const bytes = Buffer.alloc(Math.max(0, size - start));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, start)).toString('utf8');
  } catch {
    return ''; // Removed by somebody: there is nothing to tell.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The last block of a failure as the `weft` command writes it: `weft: …`, `  why: …`, `  do:  …`. */
export function failureIn(output: string): string | undefined {
  const lines = output.split(/\r?\n/);
  const at = lines.findLastIndex((line) => line.startsWith('weft: '));
  if (at < 0) return undefined;
  const parts = [lines[at]?.slice(6) ?? ''];
  for (const line of lines.slice(at + 1)) {
    const part = /^ {2}(why|do): {1,2}(.*)$/.exec(line);
    if (part === null) break;
    parts.push(part[2] ?? '');
  }
  return parts.filter((part) => part !== '').join(' ');
}
