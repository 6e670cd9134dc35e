// When to try again, as pure decisions.
import type { IncomingHttpHeaders } from 'node:http';
import type { HubLimits } from './limits.ts';

/**
 * How long a server asks to be left alone: `Retry-After` in seconds or as a date (RFC 9110), else the `RateLimit` of the
 * hub (draft-ietf-httpapi-ratelimit-headers) when nothing remains in it.
 * @returns milliseconds; undefined when it asks nothing that can be read
 */
export function retryAfterMs(headers: IncomingHttpHeaders, wallNowMs: number): number | undefined {
  const asked = headers['retry-after']?.trim();
  if (asked !== undefined && asked !== '') {
    if (/^\d{1,9}$/.test(asked)) return Number(asked) * 1000;
    const at = Date.parse(asked);
    if (!Number.isNaN(at)) return Math.max(0, at - wallNowMs);
  }
  const limit = headers.ratelimit;
  const left = typeof limit === 'string' ? /;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})/.exec(limit) : null;
  return left === null ? undefined : Number(left[1]) * 1000;
}

/** True for a status that may be another one later. */
export function mayPass(statusCode: number): boolean {
  return statusCode === 408 || statusCode === 425 || statusCode === 429 || statusCode >= 500;
}

/**
 * Exponential backoff with equal jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015).
 * @param failures so far, from 1
 * @param random uniform in [0, 1)
 * @returns milliseconds
 */
export function backoffMs(failures: number, random: number, limits: HubLimits): number {
  const fullMs = Math.min(limits.backoffMsMax, limits.backoffMs * 2 ** (failures - 1));
  return fullMs * (1 - random / 2);
}
