// A node that its owner, or an admin of the mesh from elsewhere, has do what its control API does. Operations are those of
// protocol/api/control/manage.ts.
import type { ManagedOperation } from '../../protocol/api/control.ts';
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type { Watch, WatchOptions } from './event-feed.ts';

/** What an operation ended with; whatever else there is, is thrown. */
export interface ManagedAnswer {
  /** 202 = accepted, and under way. */
  readonly status: 200 | 202;
  /** As the control API answers. */
  readonly body: unknown;
}

export interface ManagedOptions {
  readonly signal: AbortSignal;
  /** The admin's node that asks; absent = who is at this node. */
  readonly caller?: NodeId;
  /** Calls back once the answer has left, or never will: only then may the node end. One callback. */
  readonly afterwards: (callback: () => void) => void;
}

/** This node, as it is managed. */
export interface ManagedNode {
  /**
   * @param request checked here: it may come from anywhere
   * @throws WeftError as the control API does, `forbidden` for what only who is at the node may have done
   */
  perform(operation: ManagedOperation, request: unknown, options: ManagedOptions): Promise<ManagedAnswer>;
}

/** Every node of the mesh, as it is managed from here. */
export interface ManagedNodes {
  /**
   * Tells what happens on a node, until it is aborted; an hour at most.
   * @throws WeftError as {@link ManagedNodes.manage}; the signal's reason, `deadline_exceeded` after the hour
   */
  watch(node: NodeId, watch: Watch, options: WatchOptions & { readonly requestId: RequestId }): Promise<never>;
  /**
   * @param node a member; this node too
   * @throws WeftError what the node answered; `not_found` for no member, `forbidden`, `unsupported` where it is too old,
   *   `peer_unreachable`, `peer_lost`, `peer_timeout`, `deadline_exceeded`, `frame_invalid` for an answer that is none
   */
  manage(
    node: NodeId,
    operation: ManagedOperation,
    request: unknown,
    options: ManagedOptions & { readonly requestId: RequestId },
  ): Promise<ManagedAnswer>;
}
