// Notices a peer that is silent: stopped, hung, or behind a link that went dead without a word. One per connection.
// Any byte from the peer counts as a sign of life, so that a probe stuck behind a large transfer harms nobody.
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Liveness } from './limits.ts';

export interface HeartbeatComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Asks the peer for a sign of life; settles when it has answered or the attempt is over. */
  readonly probe: () => Promise<void>;
  /** When the last byte came from it, by the clock. */
  readonly lastHeardMs: () => number;
  /** Overdue (half of the timeout has passed), or heard again. */
  readonly onSuspect: (suspect: boolean) => void;
  /** Nothing came for the whole timeout. Called once. */
  readonly onLost: () => void;
}

/** Turns of the heartbeat in one interval: how finely silence is measured. */
const TURNS = 2;

export class Heartbeat {
  readonly #components: HeartbeatComponents;
  readonly #liveness: Liveness;
  #timer: Timer | undefined;
  #probing = false;
  #probedMs = Number.NEGATIVE_INFINITY;
  #turnMs: number;
  #heardMs: number;
  #silentMs = 0;
  #suspect = false;
  #stopped = false;

  constructor(components: HeartbeatComponents, init: Liveness) {
    this.#components = components;
    this.#liveness = init;
    this.#turnMs = components.clock.now();
    this.#heardMs = components.lastHeardMs();
  }

  /** Begins at once. */
  start(): void {
    this.#turn();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #turn(): void {
    if (this.#stopped) return;
    const { clock, lastHeardMs, onLost } = this.#components;
    const { intervalMs, timeoutMs } = this.#liveness;
    const turnMs = intervalMs / TURNS;
    const nowMs = clock.now();
    const heardMs = lastHeardMs();
    if (heardMs !== this.#heardMs || !this.#probing) {
      this.#heardMs = heardMs;
      this.#silentMs = 0;
    } else {
      // When this process itself stood still, what the peer sent meanwhile is yet to be read: a turn counts as one turn.
      this.#silentMs += Math.min(nowMs - this.#turnMs, 2 * turnMs);
    }
    this.#turnMs = nowMs;
    if (this.#silentMs >= timeoutMs) {
      this.stop();
      onLost();
      return;
    }
    this.#setSuspect(this.#silentMs >= timeoutMs / 2);
    if (!this.#probing && nowMs - this.#probedMs >= intervalMs - turnMs / 2) this.#probe(nowMs);
    this.#timer = clock.after(turnMs, () => this.#turn());
  }

  #probe(nowMs: number): void {
    this.#probing = true;
    this.#probedMs = nowMs;
    this.#components
      .probe()
      .catch((error: unknown) => this.#components.log.debug({ error: String(error) }, 'a heartbeat failed'))
      .finally(() => {
        this.#probing = false;
      });
  }

  #setSuspect(suspect: boolean): void {
    if (suspect === this.#suspect) return;
    this.#suspect = suspect;
    this.#components.onSuspect(suspect);
  }
}
