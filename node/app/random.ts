// Randomness of the machine, as the layers get it.
import { randomBytes } from 'node:crypto';
import type { Random } from '../core/clock.ts';

/** Unpredictable bytes for secrets; `next` is for choices that need none. */
export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};
