// The network as the other layers see it: peers that are known, and calls to them. Only node/mesh knows libp2p.
import type { Advert, Load } from '../../protocol/capability.ts';
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type { MethodSpec } from '../../protocol/methods.ts';
import type { CallHandler } from './calls.ts';
import type { Priority } from './engine.ts';

/** What has been measured of the way to a peer. */
export interface LinkEstimate {
  /** Smoothed round trip of small messages; undefined until one was seen. */
  readonly rttMs: number | undefined;
  /** The least round trip seen lately. */
  readonly rttFloorMs: number | undefined;
  /** Bytes per second that large answers and requests reached; undefined until one crossed. */
  readonly goodputBytesPerSecond: number | undefined;
  readonly path: 'direct' | 'relay' | undefined;
}

/** A member as it is known here. */
export interface PeerRecord {
  readonly advert: Advert;
  /** `connected`: answers. `suspect`: connected, but overdue. `gone`: no connection. */
  readonly state: 'connected' | 'suspect' | 'gone';
  readonly link: LinkEstimate;
  /** Fresher than the advert's: from the last answer. */
  readonly load: Load;
  /** Calls from here to there that are not answered yet. */
  readonly callsInFlight: number;
  /** Milliseconds since the peer was last heard. */
  readonly heardAgoMs: number;
}

export interface PeerCallOptions<Item> {
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
  readonly budgetMs?: number;
  readonly traceParent?: string;
  /** As those of {@link WorkOptions}. */
  readonly priority?: Priority;
  readonly withinMs?: number;
  /** Tensor bytes of an answer or item have come, so many. */
  readonly onBytes?: (bytes: number) => void;
  /** Elements of a streamed answer, in order. */
  readonly onItem?: (item: Item) => void;
  /** The peer has the request, and begins. */
  readonly onAck?: () => void;
}

/** Calls between members, and what is known of them. */
export interface Mesh {
  readonly self: NodeId;
  /** Multiaddrs at which this node can be dialled, each with its /p2p/ part. */
  addresses(): readonly string[];
  /** Every member that is known, this node left out; a new array only when something changed. */
  peers(): readonly PeerRecord[];
  peer(node: NodeId): PeerRecord | undefined;
  /** Calls back when a peer comes, goes or publishes something new. Returns what ends the subscription. */
  onPeers(listener: () => void): () => void;
  /**
   * Calls a method of a peer.
   * @throws WeftError `peer_unreachable`, `peer_timeout` (no acknowledgement, or silence), `peer_lost`, `cancelled`,
   *   `deadline_exceeded`, or whatever the peer answered
   */
  call<Request, Item, Response>(
    peer: NodeId,
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    options: PeerCallOptions<Item>,
  ): Promise<Response>;
  /** Answers a method. One handler per method, registered before `start`. */
  handle<Request, Item, Response>(
    method: MethodSpec<Request, Item, Response>,
    handler: CallHandler<Request, Item, Response>,
  ): void;
  /** Publishes this node's advert again, soon: several changes in a row are sent as one. */
  announce(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}
