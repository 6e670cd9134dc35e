// The names of keys that sign: a node's id, `ed25519:HEX` of an Ed25519 key that is no node's, and `openssf:HEX` of a
// key that signs by OpenSSF Model Signing. Used by everything in this folder.
import { base58btc } from 'multiformats/bases/base58';

/** Identity multihash (0x00, 36 bytes) of the protobuf PublicKey { Type = Ed25519 (1), Data = 32 bytes }. */
const PEER_ID_PREFIX = Buffer.from('002408011220', 'hex');

/** What stands before the 32 bytes in SubjectPublicKeyInfo (RFC 8410, section 4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

const KEY_BYTES = 32;
/** All peer ids of Ed25519 keys have this many characters. */
const PEER_ID_CHARS = 52;

const RAW_KEY = /^ed25519:([0-9a-f]{64})$/;
const OPENSSF_KEY = /^openssf:[0-9a-f]{64}$/;

/** The 32-byte Ed25519 public key that a node id or `ed25519:HEX` stands for; undefined for any other text. */
export function ed25519KeyOf(name: string): Buffer | undefined {
  const raw = RAW_KEY.exec(name)?.[1];
  if (raw !== undefined) return Buffer.from(raw, 'hex');
  if (name.length !== PEER_ID_CHARS) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = base58btc.baseDecode(name);
  } catch {
    return undefined; // Not base58: no peer id.
  }
  const prefix = bytes.subarray(0, PEER_ID_PREFIX.byteLength);
  if (bytes.byteLength !== PEER_ID_PREFIX.byteLength + KEY_BYTES || !PEER_ID_PREFIX.equals(prefix)) return undefined;
  return Buffer.from(bytes.subarray(PEER_ID_PREFIX.byteLength));
}

/** An Ed25519 public key as SubjectPublicKeyInfo, which is how node:crypto takes it. */
export const spkiOf = (ed25519Key: Buffer): Buffer => Buffer.concat([SPKI_PREFIX, ed25519Key]);

/**
 * One text per key, to compare by: the id of a node and `ed25519:HEX` of the same key give the same. Undefined for a text
 * that names no key.
 */
export function comparableKey(name: string): string | undefined {
  const lower = name.includes(':') ? name.toLowerCase() : name;
  if (OPENSSF_KEY.test(lower)) return lower;
  const key = ed25519KeyOf(lower);
  return key === undefined ? undefined : `ed25519:${key.toString('hex')}`;
}
