// How this node is doing, moment by moment: for plots. The port through which the control API watches it.
import type { Load } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';

/** This node at one moment. */
export interface Gauges {
  /** Of this node's own clients. */
  readonly requestsInFlight: number;
  readonly queuedMs: number;
  readonly memoryFreeBytes: number;
  /** That the runners' models take. */
  readonly memoryUsedBytes: number;
  /** That this node's text generators make, together. */
  readonly tokensPerSecond: number;
  /** Of the requests of this node's clients that ended well in the last minute; left out where there were none. */
  readonly ttftMsP50?: number;
  readonly ttftMsP95?: number;
  readonly durationMsP50?: number;
  readonly durationMsP95?: number;
  /** Requests of this node's clients that ended since the last pulse: computed here alone, or with others. */
  readonly local: number;
  readonly remote: number;
}

/** A peer in reach. */
export interface PeerPulse {
  readonly node: NodeId;
  readonly rttMs?: number;
  readonly goodputBytesPerSecond?: number;
  readonly load?: Load;
}

export interface Pulse {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly self: Gauges;
  readonly peers: readonly PeerPulse[];
}

export interface Pulses {
  /** Milliseconds between two of the history. */
  readonly stepMs: number;
  /** Those of the last hour, oldest first. */
  history(): readonly Pulse[];
  /** Calls back every second. Returns what ends it. */
  watch(listener: (pulse: Pulse) => void): () => void;
}
