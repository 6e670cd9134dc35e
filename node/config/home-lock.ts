// One daemon per data folder: an exclusive lock that the operating system takes back with the process, kill -9 included,
// and that a stopped process keeps. SQLite's locks are such locks on every platform, and Node has them built in. Children
// don't inherit them, so a runner that outlives its daemon holds none.
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { HOME_LOCK_FILE } from '../../protocol/daemon-record.ts';
import { WeftError } from '../../protocol/errors.ts';
import { PRIVATE_FILE_MODE, systemCode, unwritable } from './files.ts';
import { LOCK_RETRY_MS, LOCK_WAIT_MS } from './limits.ts';

const SQLITE_BUSY = 5;

export interface HomeLock {
  release(): void;
}

/**
 * Takes the lock of a data folder. Waits a moment for a daemon that is just ending.
 * @returns undefined when another process keeps it
 * @throws WeftError `home_unwritable`
 */
export async function acquireLock(init: {
  readonly folder: string;
  readonly waitMs?: number | undefined;
}): Promise<HomeLock | undefined> {
  const path = join(init.folder, HOME_LOCK_FILE);
  createEmpty(path);
  const until = performance.now() + (init.waitMs ?? LOCK_WAIT_MS);
  for (;;) {
    const database = tryLock(path, 'PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    if (database !== undefined) return { release: () => database.close() };
    if (performance.now() >= until) return undefined;
    // A timer that keeps the process alive, unlike the Clock's: at this point of a start nothing else does.
    await delay(LOCK_RETRY_MS);
  }
}

/** True while a daemon holds the folder, a stopped one included. Changes nothing, and is in nobody's way for long. */
export function isLocked(folder: string): boolean {
  try {
    // A shared lock for the time of one read: two who look at once don't see each other.
    const database = tryLock(join(folder, HOME_LOCK_FILE), 'SELECT count(*) FROM sqlite_master', true);
    database?.close();
    return database === undefined;
  } catch (error) {
    if (error instanceof WeftError) return false; // There is no lock file that could be opened: no daemon was ever here.
    throw error;
  }
}

/** SQLite would make it readable for everyone. Not opened when it exists: closing any handle of it would end our lock. */
function createEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', PRIVATE_FILE_MODE));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw unwritable(error);
  }
}

function tryLock(path: string, statement: string, readOnly = false): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0, readOnly });
    database.exec(statement);
    return database;
  } catch (error) {
    if (database?.isOpen === true) database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined;
    throw unwritable(error);
  }
}
