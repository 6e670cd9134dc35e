// Every bound of this layer, in one place.

/** Largest document of the store: a full member list has 0.7 MiB. */
export const DOCUMENT_BYTES_MAX = 16 << 20;

/** Largest small text file that is read from the data folder (settings, API key, daemon record). */
export const SMALL_FILE_BYTES_MAX = 64 << 10;

/** After this an unfinished file is nobody's any more: the writing of a small file takes milliseconds. */
export const UNFINISHED_MS_MAX = 60_000;

/** How long a daemon that starts waits for one that is ending: a killed one of 160 MB is gone after some 30 ms. */
export const LOCK_WAIT_MS = 1_000;
export const LOCK_RETRY_MS = 20;

/** Ports tried behind a default one that is taken: as many nodes fit on one machine. */
export const PORTS_TRIED = 32;

/** How long a port that a process held which has just been killed may need to come free. */
export const PORT_WAIT_MS = 200;
export const PORT_RETRY_MS = 20;

/** Processes that are looked at for the holder of a port, and open files of each. */
export const PROCESSES_SCANNED_MAX = 4_096;
export const FILES_SCANNED_MAX = 1_024;

/** Elements of a setting that is a list. */
export const LIST_LENGTH_MAX = 64;

/** Characters of a single value. */
export const VALUE_LENGTH_MAX = 1_024;

/** Copies of one model over the mesh: as many as it can have nodes. */
export const REPLICAS_MAX = 512;

/** Threads of all runners together; more than any machine of one user has cores. */
export const THREADS_MAX = 256;

/** Least memory for models: below it nothing loads anyway. */
export const MEMORY_BYTES_MIN = 1 << 20;

/** Least disk for models: a slip of the unit is more likely than a store without a single model. */
export const STORAGE_BYTES_MIN = 1 << 20;

/** Longest keep-alive that has an end: timers hold 31 bits of milliseconds, 24.8 days. */
export const KEEP_ALIVE_MS_MAX = 24 * 24 * 3_600_000;

/** Predicted work that may wait on a node: below the first hardly two requests fit, past the second nobody waits. */
export const QUEUE_MS_MIN = 100;
export const QUEUE_MS_MAX = 3_600_000;

/** Generations of one model at once: each keeps a KV cache of its own, and past some tens decode gains nothing more. */
export const PARALLEL_MAX = 64;

/** An edit of settings.json is looked at once it has been quiet for this long: editors write in several steps. */
export const SETTINGS_QUIET_MS = 100;

/** A file that can't be read is looked at once more after this: it may have been half written. */
export const SETTINGS_SETTLE_MS = 400;

/** How often the file is looked at where the system reports no changes (network drives, links, too many watches). */
export const SETTINGS_RECHECK_MS = 2_000;
