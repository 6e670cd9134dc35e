// Tickets as text: what `weft invite` prints and `weft join` takes. "weft1", then base58btc of the Ticket message and a
// checksum, so that a slip of the pen is told from a ticket that is no longer good.
import { createHash } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import { readMessage, writeMessage } from '../../protocol/codec.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { TicketSchema } from '../../protocol/messages/weft_pb.js';
import { KEY_BYTES } from './ed25519.ts';
import {
  ADDRESS_LENGTH_MAX,
  NAME_BYTES_MAX,
  SECRET_BYTES,
  TICKET_ADDRESSES_MAX,
  TICKET_ID_BYTES,
  TICKET_LENGTH_MAX,
} from './limits.ts';
import { cleanText } from './names.ts';
import { publicKeyOfNode } from './node-id.ts';
import { meshIdOf } from './statements.ts';

/** The digit is the version of the form behind it. */
const PREFIX = 'weft1';
const CHECKSUM_BYTES = 4;

/** What a ticket says. */
export interface Ticket {
  /** Ed25519 public key of the mesh's root, 32 bytes. */
  readonly rootKey: Uint8Array;
  /** Hex sha256 of the root key. */
  readonly meshId: string;
  /** For people. */
  readonly meshName: string;
  /** Multiaddrs of the inviter, each ending in its /p2p/ part; 1 to 8. */
  readonly addresses: readonly string[];
  readonly inviter: NodeId;
  readonly expiresAtMs: number;
  /** 16 bytes; proved, never sent. */
  readonly secret: Uint8Array;
  /** 8 bytes. */
  readonly id: Uint8Array;
}

const invalid = (message: string, remedy?: string): WeftError =>
  new WeftError({ code: 'ticket_invalid', message, ...(remedy === undefined ? {} : { remedy }) });

function checksum(payload: Uint8Array): Uint8Array {
  return createHash('sha256').update('weft-ticket-v1\0').update(payload).digest().subarray(0, CHECKSUM_BYTES);
}

/** The node that an address ends in; undefined for an address without a /p2p/ part. */
export function nodeOfAddress(address: string): NodeId | undefined {
  const node = /\/p2p\/([^/]+)$/.exec(address)?.[1];
  return node !== undefined && publicKeyOfNode(node) !== undefined ? node : undefined;
}

/** One word without spaces, of some 200 to 1,300 characters. The mesh's id is left out: it follows from the root key. */
export function encodeTicket(ticket: Omit<Ticket, 'meshId' | 'inviter'>): string {
  const payload = writeMessage(TicketSchema, {
    rootKey: ticket.rootKey,
    addresses: [...ticket.addresses],
    expiresAtMs: BigInt(Math.trunc(ticket.expiresAtMs)),
    secret: ticket.secret,
    id: ticket.id,
    meshName: cleanText(ticket.meshName, NAME_BYTES_MAX),
  });
  return PREFIX + base58btc.baseEncode(Buffer.concat([payload, checksum(payload)]));
}

/**
 * Reads a ticket, wherever white space got into it. Its expiry is not judged here.
 * @throws WeftError `ticket_invalid`
 */
export function parseTicket(text: string): Ticket {
  if (text.length > TICKET_LENGTH_MAX * 2) throw invalid('This is too long for a ticket.');
  const word = text.replace(/\s+/g, '');
  if (word.length > TICKET_LENGTH_MAX) throw invalid('This is too long for a ticket.');
  if (!word.startsWith(PREFIX)) {
    if (/^weft[0-9]/.test(word)) {
      throw invalid('The ticket is of another version of Weft.', 'Update Weft on this device and on the inviter.');
    }
    throw invalid(`A ticket begins with "${PREFIX}".`);
  }
  let bytes: Uint8Array;
  try {
    bytes = base58btc.baseDecode(word.slice(PREFIX.length));
  } catch (cause) {
    throw new WeftError(
      { code: 'ticket_invalid', message: 'The ticket has a character that no ticket has.' },
      { cause },
    );
  }
  const payload = bytes.subarray(0, -CHECKSUM_BYTES);
  if (bytes.byteLength <= CHECKSUM_BYTES || Buffer.compare(checksum(payload), bytes.subarray(-CHECKSUM_BYTES)) !== 0) {
    throw invalid('The ticket is not complete, or has a mistyped character.');
  }
  return readTicket(payload);
}

/** Someone may put a right checksum behind anything: the fields are checked all the same. */
function readTicket(payload: Uint8Array): Ticket {
  let message: ReturnType<typeof readMessage<typeof TicketSchema>>;
  try {
    message = readMessage(TicketSchema, payload);
  } catch (cause) {
    throw new WeftError({ code: 'ticket_invalid', message: 'The ticket holds no ticket.' }, { cause });
  }
  const { rootKey, mesh, addresses, secret, id } = message;
  if (rootKey.byteLength !== KEY_BYTES || secret.byteLength !== SECRET_BYTES || id.byteLength !== TICKET_ID_BYTES) {
    throw invalid('A field of the ticket has the wrong length.');
  }
  const meshId = meshIdOf(rootKey);
  if (mesh.byteLength > 0 && Buffer.from(mesh).toString('hex') !== meshId) {
    throw invalid("The ticket's mesh is not the one of its key.");
  }
  const [first] = addresses;
  if (first === undefined || addresses.length > TICKET_ADDRESSES_MAX)
    throw invalid('The ticket has no usable address.');
  const inviter = nodeOfAddress(first);
  const sound = (address: string): boolean =>
    address.length <= ADDRESS_LENGTH_MAX && /^\/[\x21-\x7e]+$/.test(address) && nodeOfAddress(address) === inviter;
  if (inviter === undefined || !addresses.every(sound))
    throw invalid('An address of the ticket is not one of its inviter.');
  const meshName = cleanText(message.meshName, NAME_BYTES_MAX, 'unnamed');
  return { rootKey, meshId, meshName, addresses, inviter, expiresAtMs: Number(message.expiresAtMs), secret, id };
}
