// Every bound on what the network may cost this node, libp2p's own included: no option that bounds something is left to
// a library's default. Tests pass smaller values to see that each one refuses.
import { HEADER_BYTES_MAX } from '../../protocol/limits.ts';

const KIB = 1 << 10;
const MIB = 1 << 20;

export const MESH_LIMITS = {
  /** libp2p's connection manager, dial queue and upgrader. Times in milliseconds. */
  connections: {
    /** A mesh is a team's machines; each costs two sockets' buffers and a heartbeat. */
    maxConnections: 256,
    /** Handshakes under way: half-open floods stop here, before any signature is checked. */
    maxIncomingPendingConnections: 32,
    /** Per second and host. Several nodes may share a host, and all redial at once when one returns. */
    inboundConnectionThreshold: 20,
    /** A handshake takes two round trips; one that takes longer than this holds a pending place for nothing. */
    inboundUpgradeTimeout: 5_000,
    /** All addresses of a peer together, and one of them: a stopped machine must not delay the next address for long. */
    dialTimeout: 10_000,
    addressDialTimeout: 3_000,
    maxParallelDials: 16,
    maxDialQueueLength: 256,
    maxPeerAddrsToDial: 16,
    /** A peer that doesn't confirm a close is reset: stopping a node must take well under 2 s. */
    connectionCloseTimeout: 500,
    /** Two round trips on a connection that is open already. */
    inboundStreamProtocolNegotiationTimeout: 5_000,
    outboundStreamProtocolNegotiationTimeout: 5_000,
    /** Redialling is the dialer's work (dialer.ts); libp2p's own would dial peers that were revoked. */
    reconnectRetries: 0,
    reconnectRetryInterval: 5_000,
    reconnectBackoffFactor: 2,
    maxParallelReconnects: 1,
  },
  /** Peers that are no members, admitted only while an invitation is open. */
  strangers: {
    /** At a time. One newcomer is enough; a few more so that one who hangs doesn't block the next. */
    connectionsMax: 4,
    /** Joining takes two calls. */
    lifetimeMs: 10_000,
  },
  tcp: {
    /** Sockets, those whose handshake is under way included; the kernel's queue behind them. */
    maxConnections: 320,
    backlog: 64,
    /** Heartbeats cross every half second, so a minute without a byte is a leftover. */
    socketInactivityMs: 60_000,
    /** Of one connection, over all its streams: a peer that stops reading is cut off before it costs more. */
    writeBufferBytesMax: 16 * MIB,
  },
  muxer: {
    /** Above the sum of all methods' streams, gossip's and identify's. */
    maxInboundStreams: 256,
    maxOutboundStreams: 256,
    /** Streams that arrive before the connection is handed over: the dialler may have begun all its calls by then. */
    maxEarlyStreams: 256,
    /** yamux's ping measures the round trip by which windows grow. */
    keepAliveIntervalMs: 10_000,
    /** Both sides assume it of each other, so it may never change: 1 MiB filled 70 % of a 1 Gbit/s, 80 ms link, 256 KiB 58 %. */
    initialStreamWindowBytes: MIB,
    /** Unread bytes of one stream. Equal to the read buffer: a larger window would let a fast sender overrun a paused reader. */
    maxStreamWindowBytes: 8 * MIB,
    readBufferBytesMax: 8 * MIB,
    /** Writers wait after each frame, so a stream holds one header and one body at most; above it something doesn't wait. */
    writeBufferBytesMax: 4 * MIB,
  },
  identify: {
    maxInboundStreams: 2,
    maxOutboundStreams: 2,
    maxMessageSize: 8 * KIB,
    timeout: 5_000,
  },
  gossip: {
    /** Adverts are a few KiB; one with hundreds of models has tens. */
    messageBytesMax: 64 * KIB,
    /** One frame may hold several messages. */
    inboundBytesMax: 256 * KIB,
    outboundBufferBytesMax: MIB,
    maxInboundStreams: 2,
    maxOutboundStreams: 2,
    /** There is one topic. CVE-2026-46679: subscriptions without bound exhaust the heap. */
    topicBytesPerPeerMax: 4 * KIB,
    decode: {
      maxSubscriptions: 8,
      maxMessages: 64,
      maxIhaveMessageIDs: 512,
      maxIwantMessageIDs: 512,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 16,
      maxPeerInfos: 0,
    },
    /** Message ids are kept this long, and messages for 5 heartbeats of 1 s. */
    seenTtlMs: 60_000,
  },
  mdns: {
    intervalMs: 10_000,
    /** Addresses taken from one answer. */
    addressesMax: 16,
  },
  /** Long-lived streams of calls. */
  streams: {
    /** A writer that the peer lets wait this long without reading a byte, or a request that stays incomplete. */
    stallMs: 10_000,
    /** A cancelled call's stream is kept for its last frame this long, then reset. */
    settleMs: 2_000,
    /** Streams beyond a method's calls in flight: those that a side has closed and the other not yet. */
    closingSlack: 8,
    /** Bytes in a stream's write buffer below which its writer goes on. */
    lowWaterBytes: 64 * KIB,
    /** Request bytes that one peer may have here unanswered, over all its streams. */
    inboundBytesPerPeerMax: 512 * MIB,
  },
  directory: {
    /** Adverts: as many as members that can be connected, and as many again that are gone. */
    peersMax: 512,
    /** How long a peer that left is shown as gone. */
    goneKeptMs: 600_000,
    addressesMax: 16,
    addressLengthMax: 256,
    offersMax: 1_024,
    nameLengthMax: 256,
  },
  sync: {
    /** Of other peers, in one message. */
    advertsMax: 256,
    statementsMax: 4_096,
    /** One message is one frame header; the rest of it is field numbers and lengths. */
    bytesMax: HEADER_BYTES_MAX - 16 * KIB,
    /** Between two syncs of one link when the last changed nothing. */
    idleMs: 5_000,
    /** A member that was revoked has so long to hear it; then its connection is cut. Two round trips of any link. */
    farewellMs: 500,
  },
  dialer: {
    addressesPerPeerMax: 16,
    peersMax: 512,
  },
  join: {
    addressesMax: 16,
    timeoutMs: 15_000,
  },
  transfer: {
    /** Bytes of one piece: a whole chunk of the usual size, and the method's answer quota. */
    pieceBytes: 4 * MIB,
    /**
     * Of a piece on a thin link, and beside inference: on loopback it keeps the receiver's event loop for 1 ms. A source
     * may answer with less than was asked for, though not with less than this: a call costs a round trip.
     */
    pieceBytesMin: 256 * KIB,
    /** A piece should take no longer on its link, so that a call is far from its deadline. */
    pieceMs: 1_000,
    /** Small files that are fetched at once. With the calls below and those that are being cancelled: under the method's quota. */
    parallelMax: 2,
    /** Calls of one peer, over all downloads, and of one download. */
    callsPerPeerMax: 8,
    lanesPerPeerMax: 6,
    manifestBytesMax: 1 * MIB,
    /** Signatures of one manifest, and characters of each. */
    signaturesMax: 64,
    signatureLengthMax: 16 * KIB,
    /** Files of one `holding` request. */
    holdingFilesMax: 256,
    /** Chunks of one download that are being read or written: what a transfer keeps in memory. */
    inFlightBytesMax: 24 * MIB,
    /** A manifest says how large a file's chunks are; each is kept whole until it is verified. */
    chunkBytesMax: 16 * MIB,
    /** Of all files of a download: 4 TiB in chunks of 4 MiB. */
    chunksMax: 1 << 20,
    /** A source has at least so many chunks under way: one arrives while the next is asked for. */
    lanesMin: 2,
    /** Between two looks at what stalls, and reports of progress. */
    tickMs: 250,
    /** Between two questions which sources there are, and which chunks a partial one has. */
    sourcesMs: 1_000,
    holdingsMs: 3_000,
    holdingsTimeoutMs: 10_000,
    /** Silence that costs a source its chunks: this much, and four times as long as it should take for what it owes. */
    stallMs: 2_000,
    stallMsMax: 20_000,
    /** Of a source that has sent nothing yet. */
    stallUnmeasuredMs: 8_000,
    /** First wait of a source that failed; it doubles with each failure in a row. */
    backoffMs: 250,
    backoffMsMax: 8_000,
    /** Failures in a row after which nothing is hoped of a source any more; it is asked now and then all the same. */
    failuresMax: 5,
    /** Nobody left has a missing chunk: time in which another source may turn up. A restarted peer is back within it. */
    graceMs: 10_000,
    /** Over which speed is measured. */
    rateWindowMs: 3_000,
    /**
     * Pieces that are being sent, for all peers and for one: read into memory until they have left. Those of one connection
     * must fit its write buffer, encrypted; and more than fills a long fat link is only memory.
     */
    servedBytesMax: 64 * MIB,
    servedBytesPerPeerMax: 12 * MIB,
  },
  /** How bulk work yields to inference. */
  governor: {
    /** In and out together while a request runs: 0.1 to 0.15 of an event loop, and of a core for hashing a tenth of that. */
    bytesPerSecond: 21 * MIB,
    /** Of one grant beside inference. */
    grantBytes: 256 * KIB,
    /** Requests follow one another: the last one's end is no time to begin at full speed. */
    lingerMs: 500,
    /** Whoever waits looks again this often. */
    pollMs: 50,
    /** A timer that comes late costs those who wait nothing, up to this; beyond it they would make a burst of it. */
    catchUpMs: 50,
    /**
     * Bytes between two collections of what bulk work leaves behind. The more often, the less memory; but what still waits
     * for a socket at two of them is taken for old, and then only a look through the whole heap frees it: at 1 and 2 MiB a
     * transfer was slower by a third, and by nearly a half where nothing was collected by hand.
     */
    collectInBytes: 8 * MIB,
    collectOutBytes: 8 * MIB,
    /** The heap keeps its room for so long after the last bytes; see young-collector.ts. */
    roomMs: 5_000,
    /** Between two looks at the event loop. */
    sampleMs: 250,
    /** What a byte of bulk work may cost the event loop: 5 ms per MB were measured, and there are slower machines. */
    loopMsPerMib: 8,
    /** Share of the event loop that others than bulk work may take before that yields. */
    otherUtilisationMax: 0.6,
  },
  links: {
    /** Samples and age of what an estimate stands on. */
    samplesMax: 32,
    rttWindowMs: 60_000,
    /** Smaller transfers measure latency, not goodput. */
    goodputBytesMin: 256 * KIB,
    /** Asked for once on a new connection; 4 s on a link of 1 Mbit/s. */
    sampleBytes: 512 * KIB,
  },
} as const;

/** The shape of {@link MESH_LIMITS}, with any numbers. */
export type MeshLimits = Widen<typeof MESH_LIMITS>;
type Widen<T> = T extends number ? number : { readonly [Key in keyof T]: Widen<T[Key]> };

/** When a silent peer is given up, and when one that left is dialled again. Milliseconds. */
export interface Liveness {
  /** Between two heartbeats of a connection. @default 500 */
  readonly intervalMs: number;
  /** Without a byte from the peer, a heartbeat under way: the connection is reset. @default 2000 */
  readonly timeoutMs: number;
  /** First wait after a failed dial; it doubles up to `redialMaxMs`. @default 200 */
  readonly redialMs: number;
  /** @default 5000 */
  readonly redialMaxMs: number;
  /** After a connection is lost, dials come this often at least for `returnWindowMs`: most peers that go are restarted. @default 500 */
  readonly returnRedialMs: number;
  /** @default 20000 */
  readonly returnWindowMs: number;
  /** Several announcements in a row are sent as one. @default 50 */
  readonly announceMs: number;
}

/** A loaded machine stalls a process for a second now and then; a real loss is told within 2.5 s. */
export const LIVENESS: Liveness = {
  intervalMs: 500,
  timeoutMs: 2_000,
  redialMs: 200,
  redialMaxMs: 5_000,
  returnRedialMs: 500,
  returnWindowMs: 20_000,
  announceMs: 50,
};

/** Tokens that a generation is quoted with whose caller doesn't say how many it expects: most answers are shorter. */
export const EXPECTED_TOKENS_UNTOLD = 128;

/** Floats of one tensor that are made into blocks, or of blocks, at a time, bytes: 20 to 40 ms of the thread that answers peers. */
export const BLOCKS_BYTES_MAX = 8 << 20;

/** Characters of what an admin asks for that are written to the log: a name, or a list of settings. */
export const AUDIT_TEXT_CHARS_MAX = 200;

/** Events that wait for a watcher's link; one that is further behind is told that it missed some. */
export const WATCH_EVENTS_WAITING_MAX = 1_024;

/** UTF-16 units of their JSON together. */
export const WATCH_LENGTH_WAITING_MAX = 1 << 20;

/** Between two times that a watcher is told where it is. */
export const WATCH_MARK_MS = 15_000;
