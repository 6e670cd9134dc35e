// What a peer may say about itself and others: adverts within bounds, in bytes as they travel, and as many of them as
// one message holds. Used by the directory, gossip and sync.
import type { Advert } from '../../protocol/capability.ts';
import {
  type Acquaintance,
  advertFromMessage,
  advertToMessage,
  readMessage,
  writeMessage,
} from '../../protocol/codec.ts';
import { WeftError } from '../../protocol/errors.ts';
import { AdvertSchema } from '../../protocol/messages/weft_pb.js';
import type { MeshLimits } from './limits.ts';

/** An advert in the bytes of the wire. */
export function encodeAdvert(advert: Advert): Uint8Array {
  return writeMessage(AdvertSchema, advertToMessage(advert));
}

/** @throws WeftError `frame_invalid` or `bad_request` */
export function decodeAdvert(bytes: Uint8Array): Advert {
  return advertFromMessage(readMessage(AdvertSchema, bytes));
}

/** @throws WeftError `bad_request` when an advert is larger than any honest one */
export function checkAdvert(advert: Advert, limits: MeshLimits): void {
  const { addressesMax, addressLengthMax, offersMax, nameLengthMax } = limits.directory;
  const { addresses, offers, name, version, held = [] } = advert;
  const fits =
    addresses.length <= addressesMax &&
    addresses.every((address) => address.length <= addressLengthMax) &&
    offers.length <= offersMax &&
    held.length <= offersMax &&
    name.length <= nameLengthMax &&
    version.length <= nameLengthMax &&
    Number.isSafeInteger(advert.incarnation) &&
    Number.isSafeInteger(advert.sequence);
  if (!fits) throw new WeftError({ code: 'bad_request', message: 'An advert is out of bounds.' });
}

/** @throws WeftError `bad_request` when a peer tells more than a message may hold */
export function checkAcquaintance(said: Acquaintance, limits: MeshLimits): void {
  const { statementsMax, advertsMax } = limits.sync;
  if (said.statements.length > statementsMax || said.known.length > advertsMax) {
    throw new WeftError({ code: 'bad_request', message: 'A sync is out of bounds.' });
  }
  checkAdvert(said.advert, limits);
  for (const advert of said.known) checkAdvert(advert, limits);
}

/** What this node tells a peer: itself, the member list, and as many other adverts as fit behind them. */
export function acquaintance(
  advert: Advert,
  statements: readonly Uint8Array[],
  known: readonly Advert[],
  limits: MeshLimits,
): Acquaintance {
  const { bytesMax, statementsMax, advertsMax } = limits.sync;
  const told = statements.slice(0, statementsMax);
  let bytesLeft = bytesMax - encodeAdvert(advert).byteLength;
  for (const statement of told) bytesLeft -= statement.byteLength + FIELD_BYTES;
  const fitting = known.slice(0, advertsMax).filter((other) => {
    const bytes = encodeAdvert(other).byteLength + FIELD_BYTES;
    if (bytes > bytesLeft) return false;
    bytesLeft -= bytes;
    return true;
  });
  return { advert, statements: told, known: fitting };
}

/** Tag and length of one element. */
const FIELD_BYTES = 8;
