// Randomness of the machine, as the layers get it.
import { randomFillSync } from 'node:crypto';
import type { Random } from '../core/clock.ts';

/** Asking the system costs 0.04 ms, whether for 8 bytes or for thousands; every request needs an id. */
const POOL_BYTES = 4_096;
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/** Unpredictable bytes for secrets; `next` is for choices that need none. */
export const systemRandom: Random = {
  next: () => Math.random(),
  bytes(length) {
    if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
    if (used + length > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    const bytes = pool.slice(used, used + length);
    // What was handed out is not kept: it may be a secret.
    pool.fill(0, used, used + length);
    used += length;
    return bytes;
  },
};
