// Names that the gateway gives: requests and chat completions.
import type { Random } from '../core/clock.ts';

/** 24 base-36 characters: 124 bits. */
const LENGTH = 24;

/** A fresh id: the prefix and 24 base-36 characters. */
export function newId(random: Random, prefix: string): string {
  let number = 0n;
  for (const byte of random.bytes(16)) number = (number << 8n) | BigInt(byte);
  return prefix + number.toString(36).padStart(LENGTH, '0').slice(-LENGTH);
}
