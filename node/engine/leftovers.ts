// Which runner processes this daemon has started, on disk, so that the next daemon ends what is left of them: a runner
// that was stopped (SIGSTOP) when its daemon died does not notice. Written and read by the supervisor.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Clock, delay } from '../core/clock.ts';
import type { Log } from '../core/log.ts';

const FILE_NAME = /^runner-(\d+)\.json$/;
const KILL_WAIT_MS = 1_000;
const KILL_POLL_MS = 10;
const PS_TIMEOUT_MS = 2_000;

/** What tells a process from another one that has got its number later. */
interface ProcessFacts {
  /** Since boot, in the kernel's ticks; '' where the platform gives none. */
  readonly startedAt: string;
  readonly arguments: readonly string[];
}

/** Facts of a process on Linux; undefined when there is none, or it has ended and only its parent doesn't know yet. */
export function linuxProcess(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets, which may hold anything: fields are counted behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return undefined;
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return { startedAt: fields[19] ?? '', arguments: commandLine.split('\0') };
  } catch {
    return undefined;
  }
}

/** Facts of a process; undefined when there is none, or the platform doesn't say. */
async function describeProcess(pid: number): Promise<ProcessFacts | undefined> {
  if (process.platform === 'linux') return linuxProcess(pid);
  // Windows has no SIGSTOP: a runner there always sees its pipe end.
  if (process.platform === 'win32') return undefined;
  try {
    const options = { timeout: PS_TIMEOUT_MS };
    const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'command='], options);
    return { startedAt: '', arguments: stdout.trim().split(' ') };
  } catch {
    return undefined;
  }
}

/** The records of one daemon's runners. */
export class RunnerRecords {
  readonly #folder: string;
  readonly #entry: string;

  constructor(init: {
    readonly folder: string;
    /** Path of the runner's entry: a process without it among its arguments is not ours. */
    readonly entry: string;
  }) {
    this.#folder = init.folder;
    this.#entry = init.entry;
  }

  /** Notes a process. Without a pause after the start, so that none is missed: the file is tiny, starts are rare. */
  add(pid: number): void {
    const startedAt = process.platform === 'linux' ? (linuxProcess(pid)?.startedAt ?? '') : '';
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(this.#path(pid), JSON.stringify({ pid, startedAt, entry: this.#entry }));
  }

  /** Forgets a process that is gone. */
  remove(pid: number): void {
    rmSync(this.#path(pid), { force: true });
  }

  /** Ends what an earlier daemon has left, and waits until it is gone. Returns how many there were. */
  async endLeftovers(components: { readonly clock: Clock; readonly log: Log }): Promise<number> {
    const names = await readdir(this.#folder).catch(() => [] as string[]);
    let ended = 0;
    for (const name of names) {
      const pid = Number(FILE_NAME.exec(name)?.[1] ?? 0);
      if (pid === 0) continue;
      if (await this.#isOurs(pid, name)) {
        components.log.warn({ pid }, 'ended a runner that an earlier daemon had left');
        await this.#end(pid, components.clock);
        ended++;
      }
      this.remove(pid);
    }
    return ended;
  }

  async #isOurs(pid: number, name: string): Promise<boolean> {
    let record: { startedAt?: unknown; entry?: unknown };
    try {
      record = JSON.parse(await readFile(join(this.#folder, name), 'utf8'));
    } catch {
      // Torn by a crash in the moment of writing: the process, if there is one, is not stopped and ends by itself.
      return false;
    }
    const found = await describeProcess(pid);
    return (
      found !== undefined &&
      typeof record.entry === 'string' &&
      found.arguments.includes(record.entry) &&
      found.startedAt === record.startedAt
    );
  }

  async #end(pid: number, clock: Clock): Promise<void> {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      return; // Gone meanwhile.
    }
    for (let waited = 0; waited < KILL_WAIT_MS && (await describeProcess(pid)) !== undefined; waited += KILL_POLL_MS) {
      await delay(clock, KILL_POLL_MS);
    }
  }

  #path(pid: number): string {
    return join(this.#folder, `runner-${pid}.json`);
  }
}
