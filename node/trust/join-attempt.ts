// The newcomer's side of joining: made from a ticket's text by `weft join`, carried over the network by node/mesh.
import { WeftError } from '../../protocol/errors.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { DeviceKey, JoinAttempt } from '../core/trust.ts';
import { type RandomBytes, secureRandom } from './ed25519.ts';
import { EXPIRY_TOLERANCE_MS, NONCE_BYTES } from './limits.ts';
import { type JoinContext, joinProof, sameProof } from './proofs.ts';
import { parseTicket } from './tickets.ts';

/** A {@link JoinAttempt} with what is needed, once welcome, to become a part of the ticket's mesh. */
export interface TicketJoinAttempt extends JoinAttempt {
  /** Ed25519 public key of the mesh's root: what its statements are checked against. */
  readonly rootKey: Uint8Array;
  /** For people; the welcome may bring a newer one. */
  readonly meshName: string;
}

/**
 * Reads the ticket, and prepares one attempt to use it.
 * @throws WeftError `ticket_invalid` when it is mistyped or this device's own, `ticket_expired` when its time is over
 */
export function createJoinAttempt(
  ticketText: string,
  key: DeviceKey,
  random: RandomBytes = secureRandom,
  clock: Pick<Clock, 'wallNow'> = systemClock,
): TicketJoinAttempt {
  const { id: ticketId, inviter, meshId, meshName, rootKey, addresses, secret, expiresAtMs } = parseTicket(ticketText);
  if (inviter === key.node) {
    throw new WeftError({
      code: 'ticket_invalid',
      message: 'This device made the ticket itself.',
      remedy: 'Run `weft join` on the device that shall join, or with a second data folder (WEFT_HOME).',
    });
  }
  if (clock.wallNow() > expiresAtMs + EXPIRY_TOLERANCE_MS) {
    throw new WeftError({ code: 'ticket_expired', message: 'The ticket has expired.' });
  }
  const nonce = random.bytes(NONCE_BYTES);
  return {
    ticketId,
    nonce,
    addresses,
    inviter,
    meshId,
    meshName,
    rootKey,
    prove(answer) {
      const context: JoinContext = {
        meshId,
        ticketId,
        inviter,
        newcomer: key.node,
        inviterNonce: answer.nonce,
        newcomerNonce: nonce,
      };
      // The inviter first: whoever can't prove the ticket gets nothing that it could use elsewhere.
      if (answer.nonce.byteLength !== NONCE_BYTES || !sameProof(joinProof(secret, 'inviter', context), answer.proof)) {
        throw new WeftError({
          code: 'join_refused',
          message: 'The node at the address of the ticket does not know the ticket.',
        });
      }
      return joinProof(secret, 'newcomer', context);
    },
  };
}
