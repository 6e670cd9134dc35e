// Real daemons for end-to-end tests and benchmarks: `weft serve` as a process of its own, on a data folder of its own and
// on free ports, ready when it is handed over. Whatever is left of them ends with the process that started them.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { StatusAnswer } from '../../protocol/api/control.ts';
import { until } from './wait.ts';

const BIN = fileURLToPath(new URL('../../bin/weft.js', import.meta.url));

/** From the start of the process to the first answer; a loaded machine takes a multiple of the usual second. */
const READY_MS_MAX = 30_000;

/** A daemon promises to end within 2 s; the rest is for a loaded machine. */
const STOP_MS_MAX = 10_000;

/** No command of a test takes longer, a first answer of a cold model included. */
const COMMAND_MS_MAX = 120_000;

/** Output that is kept of a daemon; a test looks at its start and at what came last. */
const OUTPUT_CHARS_MAX = 4_194_304;

/** What a command line did. */
export interface CommandResult {
  /** Exit code; -1 when it was ended by a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Daemon {
  readonly home: string;
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  /** The node's id. */
  readonly node: string;
  readonly name: string;
  readonly child: ChildProcess;
  /** Runs a command on this daemon's data folder. */
  weft(...args: string[]): Promise<CommandResult>;
  kill(signal: NodeJS.Signals): void;
  /** Ends it in good order, or by force where that takes too long (a stopped one is continued first). */
  stop(): Promise<void>;
  /** Ids of its child processes that are alive. */
  children(): Promise<number[]>;
  /** All that it has printed, stdout and stderr as they came. */
  output(): string;
}

export interface DaemonInit {
  /** @default a new folder below the system's temporary one */
  readonly home?: string;
  /** Settings, over those of {@link DEFAULTS}; undefined: as where nobody has set it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Behind `weft serve`. */
  readonly args?: readonly string[];
}

/** Loopback, free ports, one thread, no word to other machines, and no work that nobody asked for. */
const DEFAULTS = {
  WEFT_HOST: '127.0.0.1:0',
  WEFT_LISTEN: '/ip4/127.0.0.1/tcp/0',
  WEFT_THREADS: '1',
  WEFT_MDNS: 'false',
  WEFT_MEASURE: 'false',
} as const;

/** Every process that has not ended, with its folder. */
const running = new Map<ChildProcess, string>();
const folders = new Set<string>();

/** @throws Error with all that the daemon printed, when it ends or hangs before it is ready */
export async function startDaemon(init: DaemonInit = {}): Promise<Daemon> {
  const home = init.home ?? newFolder();
  await endedOn(home);
  const env = { ...DEFAULTS, ...init.env, WEFT_HOME: home };
  const child = spawnWeft(['serve', ...(init.args ?? [])], env);
  running.set(child, home);
  child.once('exit', () => running.delete(child));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < OUTPUT_CHARS_MAX) output += text;
    });
  }
  const { url, key } = await ready(child, home, init.env?.WEFT_API_KEY, () => output);
  const response = await fetch(`${url}/api/v1/status`, { headers: { authorization: `Bearer ${key}` } });
  const { node, name } = (await response.json()) as StatusAnswer;
  const pid = child.pid as number;
  return {
    home,
    url,
    key,
    pid,
    node,
    name,
    child,
    weft: (...args) => runWeft(args, env),
    kill: (signal) => void child.kill(signal),
    stop: () => stop(child),
    children: () => childrenOf(pid),
    output: () => output,
  };
}

/** A ticket of this daemon's mesh. */
export async function ticketOf(daemon: Daemon): Promise<string> {
  const { code, stdout, stderr } = await daemon.weft('invite', '--json');
  if (code !== 0) throw new Error(`weft invite failed: ${stderr}`);
  return (JSON.parse(stdout) as { readonly ticket: string }).ticket;
}

/** Makes the second daemon a member of the first one's mesh. */
export async function pair(first: Daemon, second: Daemon): Promise<void> {
  const joined = await second.weft('join', await ticketOf(first));
  if (joined.code !== 0) throw new Error(`weft join failed: ${joined.stderr}`);
}

/** Runs one command to its end. Its stdin is empty, and no terminal. */
export async function runWeft(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  stdin = '',
): Promise<CommandResult> {
  const child = spawnWeft(args, env);
  running.set(child, '');
  child.once('exit', () => running.delete(child));
  const result = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      result[name] += text;
    });
  }
  child.stdin?.on('error', () => undefined); // a command that reads nothing may end first
  child.stdin?.end(stdin);
  const overdue = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS_MAX);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(overdue);
  return { code: code ?? -1, ...result };
}

/** The bin, as a person starts it: on this Node, with no setting of the outer process but PATH and the like. */
function spawnWeft(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const outer = Object.entries(process.env).filter(([name]) => !/^(WEFT_|VITEST|NODE_OPTIONS$)/.test(name));
  return spawn(process.execPath, [BIN, ...args], {
    env: { ...Object.fromEntries(outer), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Waits for the record of this very process (a killed one may have left its own) and for the API's word. */
async function ready(
  child: ChildProcess,
  home: string,
  givenKey: string | undefined,
  output: () => string,
): Promise<{ url: string; key: string }> {
  try {
    const found = await until(
      'the daemon to be ready',
      async () => {
        if (child.exitCode !== null || child.signalCode !== null) return 'ended' as const;
        const record = JSON.parse(await readFile(join(home, 'daemon.json'), 'utf8')) as { pid: number; api: string };
        if (record.pid !== child.pid || !(await fetch(`${record.api}/readyz`)).ok) return undefined;
        return { url: record.api, key: givenKey ?? (await readFile(join(home, 'api-key'), 'utf8')).trim() };
      },
      READY_MS_MAX,
    );
    if (found === 'ended') throw new Error(`It ended with ${child.exitCode ?? child.signalCode}.`);
    return found;
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`The daemon did not get ready. It printed:\n${output()}`, { cause: error });
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGCONT');
  child.kill('SIGTERM');
  const overdue = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(overdue);
}

/** A folder has one daemon at a time: one that was just killed may need a moment to be gone. */
async function endedOn(home: string): Promise<void> {
  for (const [child, folder] of running) {
    if (folder === home && child.killed) await once(child, 'exit');
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  const processes = process.platform === 'linux' ? await readProc() : await readPs();
  return processes.filter(({ ppid, state }) => ppid === parent && !state.startsWith('Z')).map(({ pid }) => pid);
}

interface ProcessRow {
  readonly pid: number;
  readonly ppid: number;
  readonly state: string;
}

/** `/proc/PID/stat`: behind the name in brackets come the state and the parent. */
async function readProc(): Promise<ProcessRow[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const rows = pids.map(async (pid): Promise<ProcessRow[]> => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    if (stat === undefined) return []; // ended between the listing and the look
    const [state = '', ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [{ pid: Number(pid), ppid: Number(ppid), state }];
  });
  return (await Promise.all(rows)).flat();
}

async function readPs(): Promise<ProcessRow[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [pid, ppid, state = ''] = line.trim().split(/\s+/);
      return { pid: Number(pid), ppid: Number(ppid), state };
    });
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'weft-test-'));
  folders.add(folder);
  return folder;
}

/** Ends what is left, also where a test failed, and removes the folders. */
async function cleanUp(): Promise<void> {
  const ended = [...running.keys()].map((child) => once(child, 'exit'));
  for (const child of running.keys()) child.kill('SIGKILL');
  await Promise.all(ended);
  for (const folder of folders) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  folders.clear();
}

if (process.env.VITEST === undefined) {
  // A benchmark: nothing can be awaited any more when the process ends.
  process.once('exit', () => {
    for (const child of running.keys()) child.kill('SIGKILL');
    for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });
} else {
  // vitest ends its workers without an exit event. Registered before any hook of the test file, this runs after them.
  const { afterAll } = await import('vitest');
  afterAll(cleanUp);
}
