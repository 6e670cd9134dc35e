// A node's id is the libp2p peer id of its Ed25519 key: the key itself, wrapped, in base58btc. So an id that Noise has
// authenticated gives the public key, and the other way round, without asking anyone.
import { base58btc } from 'multiformats/bases/base58';
import type { NodeId } from '../../protocol/ids.ts';
import { assert } from '../core/assert.ts';
import { KEY_BYTES } from './ed25519.ts';

/** Identity multihash (0x00, 36 bytes) of the protobuf PublicKey { Type = Ed25519 (1), Data = 32 bytes }. */
const PREFIX = Uint8Array.from([0x00, 0x24, 0x08, 0x01, 0x12, 0x20]);

/** All ids of this form have 52 characters, and begin with "12D3KooW". */
const NODE_ID_LENGTH = 52;

/** The id of a 32-byte Ed25519 public key. */
export function nodeIdOf(publicKey: Uint8Array): NodeId {
  assert(publicKey.byteLength === KEY_BYTES, 'an Ed25519 public key has 32 bytes');
  return base58btc.baseEncode(Buffer.concat([PREFIX, publicKey]));
}

/** The public key in an id; undefined when the text isn't the id of an Ed25519 key. */
export function publicKeyOfNode(node: string): Uint8Array | undefined {
  if (node.length !== NODE_ID_LENGTH) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = base58btc.baseDecode(node);
  } catch {
    return undefined; // Not base58: not an id.
  }
  if (bytes.byteLength !== PREFIX.byteLength + KEY_BYTES) return undefined;
  return PREFIX.every((byte, index) => bytes[index] === byte) ? bytes.slice(PREFIX.byteLength) : undefined;
}
