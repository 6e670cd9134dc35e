// When an idle model leaves memory: the keep-alive after its last request. Asked by the runner slot, whose model it is.
import type { Clock } from '../core/clock.ts';
import { KEEP_ALIVE_MS_MAX } from './limits.ts';
import type { ModelState } from './model-state.ts';

export interface KeepAliveComponents {
  readonly clock: Clock;
  readonly unload: (model: ModelState) => void;
}

export interface KeepAliveInit {
  /** Asked whenever a model becomes idle: it may change while the node runs. */
  readonly keepAliveMs: () => number;
}

export class KeepAlive {
  readonly #components: KeepAliveComponents;
  readonly #init: KeepAliveInit;

  constructor(components: KeepAliveComponents, init: KeepAliveInit) {
    this.#components = components;
    this.#init = init;
  }

  /** The model is needed. */
  used(model: ModelState): void {
    model.lastUsedMs = this.#components.clock.now();
    model.idleAtMs = undefined;
  }

  /** A request or a call of a loaded model has ended: it may have been the last. */
  released(model: ModelState): void {
    if (!model.idle) return;
    this.used(model);
    if (model.pinned) return;
    const keepAliveMs = this.#init.keepAliveMs();
    if (keepAliveMs > KEEP_ALIVE_MS_MAX) return;
    model.idleAtMs = model.lastUsedMs + keepAliveMs;
    if (model.idleTimer === undefined) this.#awaitIdle(model, keepAliveMs);
  }

  /** One timer per keep-alive, not per request: it looks again when the model was used meanwhile. */
  #awaitIdle(model: ModelState, ms: number): void {
    const { clock, unload } = this.#components;
    model.idleTimer = clock.after(ms, () => {
      model.idleTimer = undefined;
      if (model.idleAtMs === undefined || model.phase !== 'loaded' || model.pinned) return;
      const leftMs = model.idleAtMs - clock.now();
      if (leftMs > 0) this.#awaitIdle(model, Math.ceil(leftMs));
      else unload(model);
    });
  }
}
