// What a decision knows: the request by its size, and the mesh as it is at this moment. dispatch takes a snapshot for
// every placement, so taking one copies nothing; who gets one must not change what it refers to.
import type { Load, ModelOffer, ToldReason } from '../../protocol/capability.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { PeerRecord } from '../core/mesh.ts';

/** This node, peers, and who is better left alone. */
export interface Snapshot {
  readonly self: {
    readonly node: NodeId;
    readonly offers: readonly ModelOffer[];
    readonly load: Load;
    /** Why others are to be preferred; never an empty list. @default they aren't */
    readonly yields?: readonly ToldReason[];
  };
  readonly peers: readonly PeerRecord[];
  /** Nodes that are asked only when no other is left, each with the reason for people. */
  readonly avoided: ReadonlyMap<NodeId, string>;
  /** What measurements say of predictions. @default nothing was measured yet */
  readonly corrections?: Corrections;
}

/** How long nodes took over how long they had been predicted to take. */
export interface Corrections {
  /** Factor of the compute time on this node for this model (digest); 1 = as predicted, or not known. */
  compute(node: NodeId, digest: string): number;
  /** Requests behind that factor; 0 = none. */
  samples(node: NodeId, digest: string): number;
  /**
   * How far single answers are from their prediction, on all nodes: the standard deviation of ln(measured / predicted).
   * @default SPREAD_UNKNOWN of node/scheduler/limits.ts
   */
  spread?(digest: string): number;
  /**
   * Both for the nodes of one model, in one look-up each: what a decision among a thousand nodes needs.
   * @default {@link compute} and {@link samples} are asked for each node
   */
  forModel?(digest: string): { get(node: NodeId): Correction | undefined };
}

/** What measurements say of one node's predictions for one model. */
export interface Correction {
  /** As {@link Corrections.compute}. */
  readonly factor: number;
  /** As {@link Corrections.samples}. */
  readonly samples: number;
}

/** A piece of work, as far as its price depends on it. */
export interface PlacementRequest {
  readonly model: ModelRef;
  /** Tokens (or items) that go in. */
  readonly inputTokens: number;
  /** Tokens that are expected to be generated; 0 where nothing is. */
  readonly outputTokens: number;
  /** Bytes that cross the link to a peer. */
  readonly requestBytes: number;
  /** Bytes that come back, embeddings left out. */
  readonly answerBytes: number;
  /** Embeddings that come back: float32 [rows × the offer's dimensions]. */
  readonly answerRows: number;
  /** Nodes that this request must not go to, each with the reason for people. */
  readonly excluded: ReadonlyMap<NodeId, string>;
  /** Price nodes that were never measured so that one of them is tried. */
  readonly explore: boolean;
  /**
   * Nodes that declined this request, and the milliseconds (queue, load and computing together) that they quoted: fresher than
   * anything else that is known of them. @default none
   */
  readonly quoted?: ReadonlyMap<NodeId, number>;
  /** Of the input tokens, those whose keys and values a node holds already, by node. @default none */
  readonly cached?: ReadonlyMap<NodeId, number>;
  /** Milliseconds that a busy node is taken by what waits here before this request. @default nothing does */
  readonly aheadMs?: number;
  /** Milliseconds until the answer must be there. @default no deadline */
  readonly leftMs?: number;
}
