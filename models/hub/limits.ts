// Every bound on what a hub may cost this node, with its reason. Nothing is left to the HTTP library's defaults.
import { SMALL_FILE_BYTES_MAX } from '../../protocol/limits.ts';

const KIB = 1 << 10;
const MIB = 1 << 20;

/** Bounds of one client. Tests shrink waits and lift single bounds; a node always runs with {@link HUB_LIMITS}. */
export interface HubLimits {
  readonly connectMs: number;
  readonly headersMs: number;
  readonly stallMs: number;
  readonly bytesPerSecondMin: number;
  readonly keepAliveMs: number;
  readonly headerBytesMax: number;
  readonly jsonBytesMax: number;
  readonly jsonValuesMax: number;
  readonly unreadBytesMax: number;
  readonly filesMax: number;
  readonly pagesMax: number;
  readonly smallBytesMax: number;
  readonly rangeBytesMax: number;
  readonly redirectsMax: number;
  readonly parallelMax: number;
  readonly connectionsMax: number;
  readonly originsMax: number;
  readonly attemptsMax: number;
  readonly progressBytes: number;
  readonly backoffMs: number;
  readonly backoffMsMax: number;
  readonly throttleMsMax: number;
  readonly locationMsMax: number;
}

export const HUB_LIMITS: HubLimits = {
  /** A handshake over satellite, through a proxy. */
  connectMs: 15_000,
  /** Request sent → headers of the answer. The hub makes large trees in seconds. */
  headersMs: 30_000,
  /** Not one byte of a body for this long: the connection is dead, another one goes on where it stopped. */
  stallMs: 30_000,
  /** A server that drips is never silent: below this pace an attempt ends. A quarter of the slowest mobile link. */
  bytesPerSecondMin: 2 * KIB,
  /** An idle connection: longer than a chunk takes to be checked and written, shorter than servers keep theirs. */
  keepAliveMs: 10_000,
  /** All headers of an answer. A signed address of the CDN has 1 to 2 KB. */
  headerBytesMax: 32 * KIB,
  /** One JSON answer. A page of 1,000 files has 0.4 MB. */
  jsonBytesMax: 16 * MIB,
  /** Commas and opening brackets of one answer: 16 MiB of "[" become 470 MB of objects. A page of 1,000 files has 12,000. */
  jsonValuesMax: 500_000,
  /** Body of an answer that nobody reads (a redirect): past this the connection is closed instead of being used again. */
  unreadBytesMax: 64 * KIB,
  /** Files of a repository. Models have tens, with all quantisations of all parts hundreds. */
  filesMax: 10_000,
  /** Pages of a file list; the hub puts 1,000 entries on one, folders included. */
  pagesMax: 100,
  /** A file that is fetched in one piece and held in memory. */
  smallBytesMax: SMALL_FILE_BYTES_MAX,
  /** One range: sixteen of the store's chunks. */
  rangeBytesMax: 64 * MIB,
  /** The hub takes two: a renamed repository, then the CDN. */
  redirectsMax: 5,
  /** Ranges at once. More are no faster on one link, and hubs throttle by request. */
  parallelMax: 4,
  /** Connections to one server: those ranges and a file list beside them. */
  connectionsMax: 8,
  /** Servers at once: the hub and its CDNs. */
  originsMax: 16,
  /** Tries of one request that bring nothing new: 4 waits, 7.5 s together. */
  attemptsMax: 5,
  /** A try that brought this much counts as none: a bad link gets through, a server that drips does not. */
  progressBytes: 64 * KIB,
  /** Before the second try; doubles, and is shortened by up to a half at random. */
  backoffMs: 500,
  backoffMsMax: 16_000,
  /** All waits of one request together. The hub counts requests over windows of five minutes. */
  throttleMsMax: 300_000,
  /** How long a redirect's target is used again, so that a chunk costs one request. The hub signs them for an hour. */
  locationMsMax: 600_000,
};
