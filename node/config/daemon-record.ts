// Where a running daemon can be reached: WEFT_HOME/daemon.json, written when it is ready and removed when it stops. The
// commands of the CLI find their daemon by it.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DAEMON_RECORD_FILE, DaemonRecord } from '../../protocol/daemon-record.ts';
import { WeftError } from '../../protocol/errors.ts';
import { readBounded, writeWhole } from './files.ts';
import { isLocked } from './home-lock.ts';
import { SMALL_FILE_BYTES_MAX } from './limits.ts';

export type { DaemonRecord } from '../../protocol/daemon-record.ts';

/** Written by the daemon that holds the folder, once its API answers. @throws WeftError `home_unwritable` */
export function writeDaemonRecord(folder: string, record: DaemonRecord): Promise<void> {
  return writeWhole(join(folder, DAEMON_RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
}

/** Takes the record away, if there is one. */
export function removeDaemonRecord(folder: string): Promise<void> {
  return rm(join(folder, DAEMON_RECORD_FILE), { force: true });
}

/** The record as it stands, whether or not the daemon still lives; undefined when there is none or it is not readable. */
export async function readDaemonRecord(folder: string): Promise<DaemonRecord | undefined> {
  const bytes = await readBounded(join(folder, DAEMON_RECORD_FILE), SMALL_FILE_BYTES_MAX);
  if (bytes === undefined) return undefined;
  try {
    return DaemonRecord.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    return undefined; // Of another version, or edited: as good as none.
  }
}

/**
 * The daemon of this data folder. That it lives is known by its lock on the folder, which ends with its process; the
 * number of a process may have been given to another one since.
 * @throws WeftError `daemon_not_running`
 */
export async function findDaemon(folder: string): Promise<DaemonRecord> {
  if (!isLocked(folder)) {
    throw new WeftError({
      code: 'daemon_not_running',
      message: `No daemon runs with the data folder ${folder}.`,
      facts: { home: folder },
    });
  }
  const record = await readDaemonRecord(folder);
  if (record === undefined) {
    throw new WeftError({
      code: 'daemon_not_running',
      message: `The daemon of the data folder ${folder} is starting or stopping.`,
      remedy: 'Try again in a moment.',
      facts: { home: folder },
    });
  }
  return record;
}

/**
 * True for the record of a later run. False for none as well: a daemon that is stopping takes its record away before it
 * gives the folder free. One that starts anew may keep its process, and so that one's number.
 */
export const isLaterRun = (record: DaemonRecord | undefined, than: DaemonRecord): boolean =>
  record !== undefined && (record.pid !== than.pid || record.startedAt !== than.startedAt);
