// Who belongs to the mesh, and how one comes to belong. Implemented by node/trust.
import type { NodeId } from '../../protocol/ids.ts';

export type Role = 'admin' | 'member';

export interface Member {
  readonly node: NodeId;
  readonly name: string;
  readonly role: Role;
}

/** The member list: a set of signed statements that merges by union; a revocation wins. */
export interface Membership {
  /** Hex digits of the mesh's id (sha256 of its root public key). */
  readonly meshId: string;
  readonly self: Member;
  isMember(node: NodeId): boolean;
  members(): readonly Member[];
  /** Digest over all statements: equal digests, equal lists. */
  digest(): Uint8Array;
  /** Encoded SignedStatements, those that others stand on first. */
  statements(): readonly Uint8Array[];
  /**
   * Takes over what is valid and new, keeps it, and ignores the rest.
   * @returns true when the list changed
   */
  merge(statements: readonly Uint8Array[]): Promise<boolean>;
  /** Calls back after every change. Returns what ends the subscription. */
  onChange(listener: () => void): () => void;
}

export interface Invitation extends OpenInvitation {
  /** What the newcomer types: one word without spaces. */
  readonly ticket: string;
}

/** An invitation that nobody has used yet. Its ticket is known only to whom it was given. */
export interface OpenInvitation {
  /** Names it, and is worth nothing else. */
  readonly id: string;
  readonly expiresAtMs: number;
}

/** The inviter's side of joining. */
export interface Invitations {
  /** @throws WeftError `forbidden` when this device is not an admin */
  create(init: { readonly addresses: readonly string[]; readonly ttlMs: number }): Promise<Invitation>;
  /** Those that could still be used, the oldest first. */
  open(): readonly OpenInvitation[];
  /** Nobody comes in by it any more. @throws WeftError `not_found` for one that isn't open */
  cancel(id: string): Promise<void>;
  /** True while an invitation is open: only then may a stranger connect at all. */
  anyOpen(): boolean;
  /** Answers a newcomer's hello with a proof of its own. @throws WeftError `join_refused` */
  hello(
    newcomer: NodeId,
    request: { readonly ticketId: Uint8Array; readonly nonce: Uint8Array },
  ): { readonly nonce: Uint8Array; readonly proof: Uint8Array };
  /** Checks the newcomer's proof and signs it in; the invitation is used up. @throws WeftError `join_refused` */
  admit(
    newcomer: NodeId,
    request: {
      readonly ticketId: Uint8Array;
      readonly proof: Uint8Array;
      readonly name: string;
      readonly publicKey: Uint8Array;
    },
  ): Promise<{ readonly statements: readonly Uint8Array[]; readonly meshName: string }>;
}

/** The newcomer's side of joining: made from a ticket, carried over the network by node/mesh. */
export interface JoinAttempt {
  readonly ticketId: Uint8Array;
  /** Fresh for this attempt. */
  readonly nonce: Uint8Array;
  /** Multiaddrs of the inviter, each ending in its /p2p/ part. */
  readonly addresses: readonly string[];
  readonly inviter: NodeId;
  readonly meshId: string;
  /**
   * Checks that the inviter knows the ticket's secret, and gives the proof that this device does.
   * Both proofs are HMACs bound to both peer ids, both nonces and the mesh; the secret itself is never sent.
   * @throws WeftError `join_refused` when the inviter's proof is wrong
   */
  prove(answer: { readonly nonce: Uint8Array; readonly proof: Uint8Array }): Uint8Array;
}

/** This device's identity. */
export interface DeviceKey {
  readonly node: NodeId;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Ed25519 seed, 32 bytes; secret. */
  readonly seed: Uint8Array;
}
