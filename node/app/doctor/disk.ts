// Layers `disk` and `key`: the data folder can be written, has room, and keeps its secrets to its owner.
import { randomBytes } from 'node:crypto';
import { access, constants, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { apiKeyPath, readApiKey } from '../../config/api-key.ts';
import { PRIVATE_FILE_MODE, systemCode } from '../../config/files.ts';
import { type Check, type Finding, failed, failedBy, ok, readableBytes, skipped, warning } from './check.ts';
import { FREE_BYTES_ENOUGH, FREE_BYTES_MIN, QUICK_MS_MAX } from './limits.ts';

export interface DiskInit {
  /** The data folder. */
  readonly home: string;
  /** The API key that was set by flag or environment. */
  readonly askedKey: string | undefined;
}

const HANGS = 'The disk of the data folder hangs: look at it, or choose another folder (WEFT_HOME).';

export function diskChecks(init: DiskInit): readonly Check[] {
  const { home } = init;
  const common = { deadlineMs: QUICK_MS_MAX, overdueRemedy: HANGS } as const;
  return [
    { layer: 'disk', name: 'data folder', ...common, run: async () => [await dataFolder(home)] },
    { layer: 'disk', name: 'free space', ...common, run: async () => [judgeSpace(await freeBytes(home))] },
    { layer: 'key', name: 'API key', ...common, run: async () => [await apiKey(init)] },
    { layer: 'key', name: 'device key', ...common, run: () => secrets(home) },
  ];
}

async function dataFolder(home: string): Promise<Finding> {
  const name = 'data folder';
  const info = await stat(home).catch((error: unknown) => systemCode(error) ?? 'unreadable');
  if (info === 'ENOENT') {
    const parent = await existing(dirname(home));
    return (await mayWrite(parent))
      ? ok(name, `${home} is not there yet: the first start makes it`)
      : failed(name, `${home} can't be made: ${parent} is not writable.`, WRITABLE);
  }
  if (typeof info === 'string') return failed(name, `${home} can't be looked at (${info}).`, WRITABLE);
  if (!info.isDirectory()) return failed(name, `${home} is no folder.`, 'Choose another one (WEFT_HOME).');
  const path = join(home, `.doctor.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await writeFile(path, 'Written by `weft doctor`, and removed at once.\n', { flag: 'wx', mode: PRIVATE_FILE_MODE });
    return ok(name, `${home} can be written`);
  } catch (error) {
    return failed(name, `${home} can't be written (${systemCode(error) ?? 'error'}).`, WRITABLE);
  } finally {
    await rm(path, { force: true }).catch(() => undefined); // It is not there where the folder can't be written.
  }
}

const WRITABLE = 'Make the data folder writable for this user, or choose another one (WEFT_HOME).';

async function mayWrite(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** The folder itself or the nearest above it that exists. */
async function existing(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    const isThere = await access(folder).then(
      () => true,
      () => false,
    );
    if (isThere || folder === dirname(folder)) return folder;
  }
}

async function freeBytes(home: string): Promise<number> {
  const { bavail, bsize } = await statfs(await existing(home));
  return bavail * bsize;
}

/** Whether what is free on the disk will do. */
export function judgeSpace(bytes: number): Finding {
  const name = 'free space';
  const free = `${readableBytes(bytes)} free on the disk of the data folder`;
  const remedy = 'Free some space on that disk, or choose a data folder on another one (WEFT_HOME).';
  if (bytes < FREE_BYTES_MIN) return failed(name, `Only ${free}.`, remedy);
  if (bytes < FREE_BYTES_ENOUGH) return warning(name, `${free}: too little for a further model.`, remedy);
  return ok(name, free);
}

async function apiKey({ home, askedKey }: DiskInit): Promise<Finding> {
  const name = 'API key';
  if (askedKey !== undefined) return ok(name, 'set by --api-key or WEFT_API_KEY');
  try {
    const found = await readApiKey({ folder: home, asked: undefined });
    if (found === undefined) return skipped(name, 'There is none yet: the first start makes it.');
  } catch (error) {
    return failedBy(name, error);
  }
  const file = apiKeyPath(home);
  return (await exposed(file)) ?? ok(name, `${file}, readable by its owner only`);
}

/** The seeds of this device and of its mesh. */
async function secrets(home: string): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const [name, document] of [
    ['device key', 'device-key'],
    ['mesh root', 'mesh-root'],
  ] as const) {
    const file = join(home, 'state', document);
    const info = await stat(file).catch(() => undefined);
    if (info === undefined) {
      if (name === 'device key') found.push(skipped(name, 'There is none yet: the first start makes it.'));
      continue;
    }
    const finding = await exposed(file);
    found.push(finding === undefined ? ok(name, 'readable by its owner only') : { ...finding, name });
  }
  return found;
}

/** A secret that others can read, or that isn't ours; undefined where all is well. Windows has other rights. */
async function exposed(file: string): Promise<Finding | undefined> {
  if (process.platform === 'win32') return undefined;
  const { mode, uid } = await stat(file);
  if ((mode & 0o077) !== 0) {
    const rights = (mode & 0o777).toString(8);
    return failed('API key', `${file} can be read by other users (mode ${rights}).`, `Run: chmod 600 ${file}`);
  }
  const self = process.getuid?.();
  if (self === undefined || self === 0 || uid === self) return undefined;
  return failed('API key', `${file} belongs to another user.`, 'Run the node as the user that owns the data folder.');
}
