// One-time tokens of sign-in links: each lets one browser in, once, and soon. Kept in memory as digests: a restart voids
// them, and nothing that reads them out could use one.
import { timingSafeEqual } from 'node:crypto';
import type { Clock, Random } from '../core/clock.ts';
import { SIGN_IN_LIMITS } from './limits.ts';
import { digestOf } from './secrets.ts';

export interface OneTimeTokensComponents {
  readonly clock: Pick<Clock, 'now' | 'wallNow'>;
  readonly random: Pick<Random, 'bytes'>;
}

interface OpenToken {
  readonly digest: Buffer;
  /** On the monotonic clock. */
  readonly untilMs: number;
}

export class OneTimeTokens {
  readonly #components: OneTimeTokensComponents;
  /** Oldest first. */
  #open: readonly OpenToken[] = [];

  constructor(components: OneTimeTokensComponents) {
    this.#components = components;
  }

  /**
   * A fresh token of 256 random bits. Past the bound the oldest one is void.
   * @param init.ttlMs until it is void
   */
  make({ ttlMs }: { readonly ttlMs: number }): { readonly token: string; readonly expiresAtMs: number } {
    const { clock, random } = this.#components;
    const token = Buffer.from(random.bytes(32)).toString('base64url');
    const made = { digest: digestOf(token), untilMs: clock.now() + ttlMs };
    this.#open = [...this.#valid(), made].slice(-SIGN_IN_LIMITS.openTokensMax);
    return { token, expiresAtMs: clock.wallNow() + ttlMs };
  }

  /** Uses a token up. @returns whether it was one that is open */
  redeem(token: string): boolean {
    const given = digestOf(token);
    const open = this.#valid();
    // All are compared, whichever fits.
    const left = open.filter((one) => !timingSafeEqual(one.digest, given));
    this.#open = left;
    return left.length < open.length;
  }

  /** Voids all: the API key under which they were made is another now. */
  voidAll(): void {
    this.#open = [];
  }

  #valid(): readonly OpenToken[] {
    const nowMs = this.#components.clock.now();
    return this.#open.filter(({ untilMs }) => untilMs > nowMs);
  }
}
