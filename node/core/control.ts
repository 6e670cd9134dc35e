// What the node's owner can see and do: the control API's port, implemented by the composition root.
import type { Hardware, Load, ModelOffer } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { LoadedModel } from './engine.ts';
import type { LinkEstimate } from './mesh.ts';
import type { Invitation, Member } from './trust.ts';

export interface NodeStatus {
  readonly node: NodeId;
  readonly name: string;
  readonly version: string;
  readonly mesh: string;
  readonly role: string;
  readonly api: string;
  readonly addresses: readonly string[];
  readonly home: string;
  readonly offer: 'all' | 'none' | readonly string[];
  readonly members: number;
  readonly peersConnected: number;
  readonly requestsInFlight: number;
  readonly uptimeSeconds: number;
  readonly hardware: Hardware;
}

export interface PeerStatus {
  readonly node: NodeId;
  readonly name: string;
  readonly state: 'connected' | 'suspect' | 'gone';
  readonly version: string;
  readonly hardware: Hardware | undefined;
  readonly offers: readonly ModelOffer[];
  readonly load: Load | undefined;
  readonly link: LinkEstimate | undefined;
  readonly heardAgoMs: number | undefined;
}

export interface NodeControl {
  status(): NodeStatus;
  /** Every member but this node, the unreachable ones included. */
  peers(): readonly PeerStatus[];
  members(): readonly Member[];
  loaded(): readonly LoadedModel[];
  invite(init: { readonly ttlMs: number }): Promise<Invitation>;
  /** @throws WeftError `ticket_invalid`, `ticket_expired`, `join_refused`, `already_member` or `peer_unreachable` */
  join(ticket: string): Promise<{ readonly mesh: string; readonly members: readonly Member[] }>;
}
