// What a running daemon leaves in its data folder for the commands and the desktop app of the same machine.
import { z } from 'zod';

/** Says where the daemon answers. */
export const DAEMON_RECORD_FILE = 'daemon.json';

/** Holds the key of its API, where no flag and no environment does. */
export const API_KEY_FILE = 'api-key';

/** An SQLite file that stays empty: while a daemon lives, it has an exclusive lock. */
export const HOME_LOCK_FILE = 'lock.db';

/** What fits into an Authorization header as it is. */
export const API_KEY_PATTERN = /^[\x21-\x7e]{1,512}$/;

export const DaemonRecord = z.object({
  pid: z.int().positive(),
  api: z.url({ protocol: /^https?$/ }),
  node: z.string(),
  version: z.string(),
  startedAt: z.iso.datetime(),
});

/** A daemon that is ready: its process, the base URL of its API, its node id, its version, and when it started (ISO). */
export type DaemonRecord = z.infer<typeof DaemonRecord>;
