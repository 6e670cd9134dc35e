// What a placement was decided on: the request by its size and every node that could have done it, as it was known at that
// moment. Plain data, which survives JSON: it is kept with a request's trace, and a replay decides again.
import type { Load, ModelState, ServiceProfile, ToldReason } from './capability.ts';
import type { ModelRef, NodeId } from './ids.ts';
import type { Rejection } from './plan.ts';

export interface PlanRecord {
  readonly request: RecordedRequest;
  /** The node that decided. */
  readonly self: NodeId;
  /** Nodes that offer the model; of many, the cheapest. The deciding one is among them where it offers the model. */
  readonly nodes: readonly RecordedNode[];
}

/** A piece of work, as far as its price depends on it. */
export interface RecordedRequest {
  readonly model: ModelRef;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly requestBytes: number;
  readonly answerBytes: number;
  readonly answerRows: number;
  /** A node that was never measured was to be tried. */
  readonly explore: boolean;
  readonly excluded: readonly Rejection[];
  /** Milliseconds that were left for it. @default no deadline */
  readonly leftMs?: number;
}

export interface RecordedNode {
  readonly node: NodeId;
  readonly name: string;
  readonly state: 'connected' | 'suspect' | 'gone';
  readonly offer: {
    readonly state: ModelState;
    readonly dimensions: number;
    readonly sizeBytes: number;
    readonly profile: Pick<ServiceProfile, 'fixedMs' | 'perTokenMs' | 'decodeMs' | 'loadMs' | 'samples'>;
  };
  readonly load: Load;
  /** Absent = the deciding node itself. */
  readonly link?: {
    readonly rttMs?: number;
    readonly goodputBytesPerSecond?: number;
    readonly path?: 'direct' | 'relay';
  };
  readonly callsInFlight: number;
  readonly heardAgoMs: number;
  /** Why others were to be preferred. @default they weren't */
  readonly yields?: readonly ToldReason[];
  /** Why it was asked only in need. @default it was asked like others */
  readonly avoided?: string;
  /** What measurements said of its predictions. @default there were none */
  readonly correction?: { readonly factor: number; readonly samples: number };
  /** Milliseconds that it had quoted for this request when it declined. @default it had not declined */
  readonly quotedMs?: number;
  /** Of the input tokens, those that it held already. @default none */
  readonly cachedTokens?: number;
}
