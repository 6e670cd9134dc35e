// Every bound of this layer, in one place.

/** Largest document of the store: a full member list has 0.7 MiB. */
export const DOCUMENT_BYTES_MAX = 16 << 20;

/** Largest small text file that is read from the data folder (settings, API key, daemon record). */
export const SMALL_FILE_BYTES_MAX = 64 << 10;

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

/** Threads of all runners together; more than any machine of one user has cores. */
export const THREADS_MAX = 256;

/** Least memory for models: below it nothing loads anyway. */
export const MEMORY_BYTES_MIN = 1 << 20;

/** Longest keep-alive that has an end: timers hold 31 bits of milliseconds, 24.8 days. */
export const KEEP_ALIVE_MS_MAX = 24 * 24 * 3_600_000;
