// How often somebody may be wrong about how to sign in: a few times at once, then now and then. Counted for all clients
// together, so that nobody gets more guesses by more addresses.
import { WeftError } from '../../protocol/errors.ts';
import type { Clock } from '../core/clock.ts';
import { SIGN_IN_LIMITS } from './limits.ts';

export class SignInRate {
  readonly #clock: Pick<Clock, 'now'>;
  #failures = 0;
  /** When a failure was last forgiven. */
  #forgivenAtMs: number;

  constructor({ clock }: { readonly clock: Pick<Clock, 'now'> }) {
    this.#clock = clock;
    this.#forgivenAtMs = clock.now();
  }

  /** Before a guess is looked at. @throws WeftError `overloaded` when there were too many wrong ones lately */
  check(): void {
    const { failuresMax, forgiveMs } = SIGN_IN_LIMITS;
    const nowMs = this.#clock.now();
    const forgiven = Math.floor((nowMs - this.#forgivenAtMs) / forgiveMs);
    this.#failures = Math.max(0, this.#failures - forgiven);
    this.#forgivenAtMs += forgiven * forgiveMs;
    if (this.#failures < failuresMax) return;
    throw new WeftError({
      code: 'overloaded',
      message: 'Too many sign-ins have failed.',
      remedy: 'Wait as long as Retry-After says, or use a new link from `weft dashboard`.',
      facts: { retryAfterMs: String(Math.ceil(this.#forgivenAtMs + forgiveMs - nowMs)) },
    });
  }

  failed(): void {
    this.#failures += 1;
  }
}
