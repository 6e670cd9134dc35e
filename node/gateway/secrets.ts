// Secrets that callers show: kept as digests, and compared in one time, whatever was sent.
import { hash, timingSafeEqual } from 'node:crypto';

/** SHA-256. Digests have one length, which `timingSafeEqual` asks for. */
export function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digestOf(a), digestOf(b));
}
