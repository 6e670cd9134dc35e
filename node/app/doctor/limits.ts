// Every bound and threshold of the doctor, with its reason. Times in milliseconds.

/** A check that reads a few files or asks the operating system. */
export const QUICK_MS_MAX = 5_000;

/** Starting a process that loads the runtime takes 200 ms; on a machine that is busy or short of memory, seconds. */
export const RUNTIME_MS_MAX = 15_000;

/** A GPU's driver that takes longer hangs: shorter than the check's own deadline, so that it is told, and is no fault. */
export const DRIVER_MS_MAX = 10_000;

/** Listening for other nodes on the local network; an answer comes within a second. */
export const MDNS_WAIT_MS = 1_500;

/** Each step towards one address: connection and first words, then the handshake. Further away than this nobody works with pleasure. */
export const DIAL_MS_MAX = 3_000;

/** All addresses of a peer, one after the other. */
export const PEER_MS_MAX = 12_000;

/** Addresses tried of one peer, those that worked before first. */
export const ADDRESSES_TRIED_MAX = 4;

/** Members without a connection that are dialled in one run, all at a time: each costs two sockets for a moment. */
export const PEERS_DIALLED_MAX = 32;

/** Output of a child that is kept: enough for the runtime's own words. */
export const OUTPUT_CHARS_MAX = 16_384;

/** Characters of somebody else's words in a line of the report. */
export const QUOTE_CHARS_MAX = 200;

/** Node that is known to have all that Weft uses. */
export const NODE_VERSION_MIN = [24, 15] as const;

/** With less than this nothing can be written soon; with less than the second, no further model fits. */
export const FREE_BYTES_MIN = 64 * 2 ** 20;
export const FREE_BYTES_ENOUGH = 2 ** 30;

/** A daemon without peers has some 60 files open; a connection costs one, a runner four. */
export const OPEN_FILES_MIN = 256;
export const OPEN_FILES_ENOUGH = 1_024;

/** Expired tickets and tokens are still taken for this long; clocks that differ by more break joining. */
export const CLOCK_SKEW_MS_MAX = 30_000;

/** Machines whose clocks are set by the network differ by milliseconds. */
export const CLOCK_SKEW_MS_USUAL = 2_000;

/** No clock is right that shows less: 2026-01-01. */
export const EARLIEST_WALL_MS = Date.UTC(2026, 0, 1);

/** Datagrams looked at while listening, so that a flood ends. */
export const DATAGRAMS_MAX = 2_000;
