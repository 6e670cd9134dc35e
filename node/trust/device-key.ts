// This device's identity: one Ed25519 key, made at the first start, never leaving the data folder. Loaded by the
// composition root, which gives it to the network (Noise), the member list and the invitations.

import type { Store } from '../core/store.ts';
import type { DeviceKey } from '../core/trust.ts';
import { damaged } from './document.ts';
import { KEY_BYTES, publicKeyOf, type RandomBytes, secureRandom } from './ed25519.ts';
import { nodeIdOf } from './node-id.ts';

const DOCUMENT = 'device-key';

/** The key of a 32-byte seed. */
export function deviceKeyOf(seed: Uint8Array): DeviceKey {
  const publicKey = publicKeyOf(seed);
  return { node: nodeIdOf(publicKey), publicKey, seed };
}

/**
 * The key of this data folder, made on first use. The document holds the seed's 32 bytes and nothing else.
 * @throws WeftError `config_invalid` when the document is damaged
 */
export async function loadDeviceKey(store: Store, random: RandomBytes = secureRandom): Promise<DeviceKey> {
  const kept = await store.read(DOCUMENT);
  if (kept !== undefined) {
    if (kept.byteLength !== KEY_BYTES) throw damaged(DOCUMENT);
    return deviceKeyOf(kept);
  }
  const seed = random.bytes(KEY_BYTES);
  await store.write(DOCUMENT, seed);
  return deviceKeyOf(seed);
}
