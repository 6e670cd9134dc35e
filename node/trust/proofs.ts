// The two proofs of joining: each side shows that it knows the ticket's secret, in this conversation, in its own role,
// and never sends it.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { NodeId } from '../../protocol/ids.ts';

/** Everything that a proof is bound to. */
export interface JoinContext {
  /** Hex digits. */
  readonly meshId: string;
  readonly ticketId: Uint8Array;
  /** Peer ids as Noise has authenticated them. */
  readonly inviter: NodeId;
  readonly newcomer: NodeId;
  readonly inviterNonce: Uint8Array;
  readonly newcomerNonce: Uint8Array;
}

/** Makes one side's proof, 32 bytes. */
export type JoinProof = (secret: Uint8Array, role: 'inviter' | 'newcomer', context: JoinContext) => Uint8Array;

/**
 * HMAC-SHA256 under the ticket's secret. The role keeps one side's proof from being sent back as the other's; the peer
 * ids keep it from being passed on; the nonces from being used again. Each field stands behind its length, so that no two
 * contexts have the same bytes.
 */
export const joinProof: JoinProof = (secret, role, context) => {
  const hmac = createHmac('sha256', secret).update('weft-join-v1\0');
  const { meshId, ticketId, inviter, newcomer, inviterNonce, newcomerNonce } = context;
  for (const field of [role, meshId, ticketId, inviter, newcomer, inviterNonce, newcomerNonce]) {
    const bytes = Buffer.from(field);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.byteLength);
    hmac.update(length).update(bytes);
  }
  return hmac.digest();
};

/** Compares in a time that doesn't depend on where the proofs differ. */
export function sameProof(expected: Uint8Array, given: Uint8Array): boolean {
  return expected.byteLength === given.byteLength && timingSafeEqual(expected, given);
}
