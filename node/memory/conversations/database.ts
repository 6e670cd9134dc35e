// The file of the conversations: opened, private to its owner, set aside where it is damaged. Whatever SQLite fails with
// becomes an error that says what to do. Calls are synchronous, so each does little.
import { closeSync, existsSync, openSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { WeftError } from '../../../protocol/errors.ts';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import { BUSY_MS_MAX, CACHE_KIB, WAL_BYTES_KEPT } from './limits.ts';
import { migrate } from './schema.ts';
import { Tables } from './tables.ts';

/** Names of files that were set aside because they are damaged; beside them may lie their `-wal`. */
export const DAMAGED = /^conversations\.damaged-\d{8}T\d{9}Z\.sqlite$/;

/** What SQLite keeps beside its file. */
const COMPANIONS = ['', '-wal', '-shm'] as const;

/** SQLite's primary result codes. */
const FULL = 13;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

export interface ConversationDatabaseComponents {
  readonly clock: Clock;
  readonly log: Log;
}

export interface ConversationDatabaseInit {
  /** Path of the file; its folder exists. */
  readonly path: string;
  /** Pages of 4 KiB that the file may have: tests fill it. @default as many as the disk holds */
  readonly pagesMax?: number;
}

interface Opened {
  readonly database: DatabaseSync;
  readonly tables: Tables;
}

/** Opens its file when it is first used, and again after a failure to. */
export class ConversationDatabase {
  readonly #components: ConversationDatabaseComponents;
  readonly #init: ConversationDatabaseInit;
  #opened: Opened | undefined;
  #closed = false;

  constructor(components: ConversationDatabaseComponents, init: ConversationDatabaseInit) {
    this.#components = components;
    this.#init = init;
  }

  /**
   * Does a piece of work, whole or not at all.
   * @throws WeftError what the work throws; `disk_full`, or `home_unwritable` for other failures of the file
   */
  use<T>(work: (tables: Tables) => T): T {
    if (this.#closed) throw new WeftError({ code: 'stopping', message: 'The node is stopping.' });
    const { database, tables } = this.#open();
    try {
      database.exec('BEGIN');
      const result = work(tables);
      database.exec('COMMIT');
      return result;
    } catch (error) {
      throw this.#judged(error, database);
    }
  }

  /** Nothing is read or written any more. */
  close(): void {
    this.#closed = true;
    this.#opened?.database.close();
    this.#opened = undefined;
  }

  #open(): Opened {
    if (this.#opened !== undefined) return this.#opened;
    try {
      this.#opened = openFile(this.#init);
    } catch (error) {
      if (!isDamage(error)) throw explained(error);
      this.#setAside();
      try {
        this.#opened = openFile(this.#init);
      } catch (again) {
        throw explained(again);
      }
    }
    this.#tidy(this.#opened);
    return this.#opened;
  }

  /** What was being written when the last process ended will not be written on. */
  #tidy({ database, tables }: Opened): void {
    try {
      database.exec('BEGIN');
      const count = tables.stopUnfinished();
      database.exec('COMMIT');
      if (count > 0) this.#components.log.info({ count }, 'answers that were under way at the last end are stopped');
    } catch (error) {
      throw this.#judged(error, database);
    }
  }

  #judged(error: unknown, database: DatabaseSync): unknown {
    if (database.isOpen && database.isTransaction) {
      try {
        database.exec('ROLLBACK');
      } catch (cause) {
        this.#components.log.warn({ error: cause }, 'a change of the conversations could not be taken back');
      }
    }
    if (isDamage(error)) {
      database.close();
      this.#opened = undefined;
      this.#setAside();
    }
    return resultCode(error) === undefined ? error : explained(error);
  }

  /** Keeps a damaged file under another name, so that somebody may save what is in it; the next use begins a new one. */
  #setAside(): void {
    const { clock, log } = this.#components;
    const { path } = this.#init;
    const moment = new Date(clock.wallNow()).toISOString().replace(/[-:.]/g, '');
    const kept = join(dirname(path), `conversations.damaged-${moment}.sqlite`);
    try {
      for (const suffix of COMPANIONS) if (existsSync(path + suffix)) renameSync(path + suffix, kept + suffix);
    } catch (error) {
      throw explained(error);
    }
    log.error(
      { file: basename(kept) },
      'the file of the conversations is damaged: it is set aside, and a new one begun',
    );
  }
}

function openFile({ path, pagesMax }: ConversationDatabaseInit): Opened {
  // SQLite gives what it makes beside the file the same rights.
  closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path, { timeout: BUSY_MS_MAX });
  try {
    // A commit is not flushed: a killed process loses nothing by it, a power cut perhaps the last moments. A flush would
    // keep every request of the node waiting, at each message.
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA secure_delete = ON;
      PRAGMA temp_store = MEMORY;
      PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA journal_size_limit = ${WAL_BYTES_KEPT};
    `);
    migrate(database);
    if (pagesMax !== undefined) database.exec(`PRAGMA max_page_count = ${Math.trunc(pagesMax)}`);
    return { database, tables: new Tables(database) };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite's primary result code, undefined for other errors. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

function isDamage(error: unknown): boolean {
  const code = resultCode(error);
  return code === CORRUPT || code === NOT_A_DATABASE;
}

/** What a client may see of a failure of the file: no path. */
function explained(error: unknown): unknown {
  if (error instanceof WeftError) return error;
  const system = error instanceof Error && 'code' in error ? error.code : undefined;
  if (resultCode(error) === FULL || system === 'ENOSPC' || system === 'EDQUOT') {
    return new WeftError(
      {
        code: 'disk_full',
        message: 'The disk of the data folder is full: the conversation could not be kept.',
        remedy: 'Free some space on that disk, or delete conversations.',
      },
      { cause: error },
    );
  }
  const message = isDamage(error)
    ? 'The file of the conversations is damaged. It was set aside in the data folder, and a new one is begun.'
    : 'The file of the conversations can not be read or written.';
  const remedy = isDamage(error) ? { remedy: 'Try again; `weft doctor` names the file that was set aside.' } : {};
  return new WeftError({ code: 'home_unwritable', message, ...remedy }, { cause: error });
}
