// Layer `limits`: what the operating system allows this process — open files, memory, watches on files.

import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { systemCode } from '../../config/files.ts';
import { type Check, type Finding, failed, ok, readableBytes, skipped, warning } from './check.ts';
import { OPEN_FILES_ENOUGH, OPEN_FILES_MIN, QUICK_MS_MAX } from './limits.ts';

export interface SystemInit {
  /** The data folder. */
  readonly home: string;
  /** What loaded models may take. */
  readonly memoryBytes: number;
  readonly threads: number;
}

export function systemChecks(init: SystemInit): readonly Check[] {
  const common = { layer: 'limits', deadlineMs: QUICK_MS_MAX, overdueRemedy: 'Try again.' } as const;
  return [
    { ...common, name: 'open files', run: async () => [judgeOpenFiles(await openFilesMax())] },
    {
      ...common,
      name: 'memory',
      run: async () => [judgeMemory({ ...init, totalBytes: totalmem(), allowedBytes: process.constrainedMemory() })],
    },
    { ...common, name: 'threads', run: async () => [judgeThreads(init.threads, availableParallelism())] },
    { ...common, name: 'watches', run: async () => [judgeWatch(tryWatch(init.home))] },
  ];
}

/** Files that this process may have open at a time; undefined where the system doesn't tell. */
async function openFilesMax(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Whether connections and models have enough files. */
export function judgeOpenFiles(most: number | undefined): Finding {
  const name = 'open files';
  const remedy = 'Raise it: `ulimit -n 4096` in the shell, LimitNOFILE=4096 in a systemd unit.';
  if (most === undefined) return skipped(name, 'This system does not tell.');
  if (most < OPEN_FILES_MIN) return failed(name, `This process may open only ${most} files.`, remedy);
  if (most < OPEN_FILES_ENOUGH) return warning(name, `This process may open ${most} files: few peers fit.`, remedy);
  return ok(name, most === Number.POSITIVE_INFINITY ? 'no limit' : `up to ${most}`);
}

/** @param facts.allowedBytes what the system allows this process (a container's limit); 0 or more than all = no limit */
export function judgeMemory(facts: {
  readonly memoryBytes: number;
  readonly totalBytes: number;
  readonly allowedBytes: number;
}): Finding {
  const name = 'memory';
  const { memoryBytes, totalBytes, allowedBytes } = facts;
  const isLimited = allowedBytes > 0 && allowedBytes < totalBytes;
  const there = isLimited ? allowedBytes : totalBytes;
  const what = `models may take ${readableBytes(memoryBytes)} of ${readableBytes(there)}`;
  if (memoryBytes <= there) return ok(name, what);
  return warning(
    name,
    `${what} that ${isLimited ? 'the system allows this process' : 'this machine has'}: it would be killed.`,
    `Set --memory or WEFT_MEMORY to less than ${readableBytes(there)}.`,
  );
}

/** More threads than cores slow every model down. */
export function judgeThreads(threads: number, cores: number): Finding {
  const name = 'threads';
  if (threads <= cores) return ok(name, `${threads} of ${cores} that this process may use`);
  return warning(
    name,
    `Models use ${threads} threads, and this process may use ${cores}: they get in each other's way.`,
    `Set --threads or WEFT_THREADS to ${cores} or less.`,
  );
}

/** @returns the system's code where no watch is to be had; undefined where one is */
function tryWatch(folder: string): string | undefined {
  try {
    watch(folder, { persistent: false }).close();
    return undefined;
  } catch (error) {
    return systemCode(error) ?? 'error';
  }
}

/** Without a watch, edits of settings.json are seen a little later: nothing worse. */
export function judgeWatch(code: string | undefined): Finding {
  const name = 'watches';
  if (code === undefined || code === 'ENOENT') return ok(name, 'files can be watched');
  const remedy = 'Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances (sysctl).';
  return warning(name, `No file can be watched (${code}): edits of settings.json are seen some seconds later.`, remedy);
}
