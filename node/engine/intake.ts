// Takes requests in: who may come now, what waits already, when it is quiet, how long the last ones took. Held by the
// engine, which has checked the request before and gives its model's runner the work after.
import { WeftError } from '../../protocol/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { WorkOptions } from '../core/engine.ts';
import type { Cost } from './backlog.ts';
import type { ModelState } from './model-state.ts';
import { Pending } from './pending.ts';
import { RecentMedian } from './profile.ts';
import type { Slots } from './slots.ts';

export interface IntakeComponents {
  readonly clock: Clock;
  readonly slots: Pick<Slots, 'of' | 'backlogOf' | 'backlogs'>;
  /** Every model that is offered. */
  readonly models: () => Iterable<ModelState>;
  /** Somebody's request of the model has ended. */
  readonly onSettled: (model: ModelState) => void;
}

export class Intake {
  readonly #components: IntakeComponents;
  readonly #latency = new RecentMedian();
  #arrivals = 0;
  #demandEndedMs: number;

  constructor(components: IntakeComponents) {
    this.#components = components;
    this.#demandEndedMs = components.clock.now();
  }

  /** Median milliseconds of recent requests, loads left out; 0 = none seen. */
  get latencyMs(): number {
    return this.#latency.median;
  }

  /** For how long nobody has wanted anything. */
  quietMs(): number {
    for (const { requests } of this.#components.slots.backlogs()) if (requests > 0) return 0;
    return this.#components.clock.now() - this.#demandEndedMs;
  }

  /**
   * @param cost what it is predicted to take
   * @throws WeftError `overloaded` where too much waits; `cancelled` for a measurement that comes at the wrong time
   */
  take<Result>(model: ModelState, options: WorkOptions, budgetMsMax: number, cost: Cost): Pending<Result> {
    if (options.background) return this.#takeInBackground(model, options, budgetMsMax);
    const { clock, slots, models } = this.#components;
    const takeOut = slots.backlogOf(model).add(cost, options.priority);
    for (const other of models()) other.rejectBackground();
    const onSettled = (): void => {
      takeOut();
      model.pending.delete(pending);
      this.#demandEndedMs = clock.now();
      if (!pending.waitedForLoad) this.#latency.add(clock.now() - pending.arrivedAtMs);
      this.#components.onSettled(model);
    };
    const init = { options, arrival: this.#arrivals++, budgetMsMax };
    const pending: Pending<Result> = new Pending<Result>({ clock, onSettled }, init);
    model.pending.add(pending);
    model.popularity.add(clock.now());
    slots.of(model).used(model);
    return pending;
  }

  /** A measurement: counted nowhere, and only while nobody else wants anything of this engine. */
  #takeInBackground<Result>(model: ModelState, options: WorkOptions, budgetMsMax: number): Pending<Result> {
    if (model.phase !== 'loaded' || model.leaving.length > 0 || this.quietMs() === 0) {
      throw new WeftError({ code: 'cancelled', message: 'Measurements wait until the node has nothing else to do.' });
    }
    const { clock } = this.#components;
    const onSettled = (): void => {
      model.pending.delete(pending);
      model.background.delete(pending);
    };
    const init = { options, arrival: this.#arrivals++, budgetMsMax };
    const pending: Pending<Result> = new Pending<Result>({ clock, onSettled }, init);
    model.pending.add(pending);
    model.background.add(pending);
    return pending;
  }
}
