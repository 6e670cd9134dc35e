// What the main process reads of the node's data folder: where the folder is, who holds it, where that one answers, and with
// which key. It writes nothing there: the folder is the node's.
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  API_KEY_FILE,
  API_KEY_PATTERN,
  DAEMON_RECORD_FILE,
  DaemonRecord,
  HOME_LOCK_FILE,
} from '../../protocol/daemon-record.ts';
import { SMALL_FILE_BYTES_MAX } from './limits.ts';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

const SQLITE_BUSY = 5;

/** Where the node keeps its data: the same place that the node itself chooses. */
export function homeFolder(init: {
  readonly env: Environment;
  readonly platform: NodeJS.Platform;
  readonly userFolder?: string;
}): string {
  const { env, platform, userFolder = homedir() } = init;
  if (env.WEFT_HOME) return resolve(env.WEFT_HOME);
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(userFolder, 'AppData', 'Local'), 'Weft');
  if (platform === 'darwin') return join(userFolder, 'Library', 'Application Support', 'Weft');
  const data = env.XDG_DATA_HOME;
  return join(data !== undefined && isAbsolute(data) ? data : join(userFolder, '.local', 'share'), 'weft');
}

/**
 * True while a node holds the folder, a stopped one included. A record alone proves nothing: its node may have been killed,
 * and another program may listen at its port since, which must not be sent the key.
 */
export function isHeld(folder: string): boolean {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(folder, HOME_LOCK_FILE), { timeout: 0, readOnly: true });
    database.exec('SELECT count(*) FROM sqlite_master');
    return false;
  } catch (error) {
    // Anything else: there is no lock file that could be opened, so no node was ever here.
    return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
  } finally {
    database?.close();
  }
}

/** What the node that holds the folder says of itself; undefined while it starts or stops. */
export async function readRecord(folder: string): Promise<DaemonRecord | undefined> {
  const text = await readSmall(join(folder, DAEMON_RECORD_FILE));
  if (text === undefined) return undefined;
  try {
    return DaemonRecord.parse(JSON.parse(text));
  } catch {
    return undefined; // Of another version, or edited: as good as none.
  }
}

/** The key of the node's API; undefined where no file holds a usable one. */
export async function readKey(folder: string): Promise<string | undefined> {
  const key = (await readSmall(join(folder, API_KEY_FILE)))?.trim();
  return key !== undefined && API_KEY_PATTERN.test(key) ? key : undefined;
}

async function readSmall(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    return size > SMALL_FILE_BYTES_MAX ? undefined : await readFile(path, 'utf8');
  } catch {
    return undefined; // Not there, or not ours to read: the caller says what that means.
  }
}
