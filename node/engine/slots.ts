// Which runner slot each model belongs to: a language model and a model on another device than the processor has its own, the
// parts of one model share one, and so do all other models. Made by the engine, which asks it for the slot of every request.
import { assert } from '../core/assert.ts';
import type { Backlog } from './backlog.ts';
import type { RunnerThreads } from './devices/threads.ts';
import type { ModelState } from './model-state.ts';
import type { RunnerSlot } from './runner-slot.ts';

export interface SlotsComponents {
  readonly makeSlot: () => RunnerSlot;
  readonly makeBacklog: (slot: RunnerSlot) => Backlog;
}

/** A runner, and what waits for it. */
interface Place {
  readonly slot: RunnerSlot;
  readonly backlog: Backlog;
}

/** The slot that small models share; all others go by the digest of their model. */
const SHARED = 'small';

export class Slots {
  readonly #components: SlotsComponents;
  readonly #places = new Map<string, Place>();
  readonly #keys = new Map<ModelState, string>();

  constructor(components: SlotsComponents) {
    this.#components = components;
  }

  /** Where a model's requests go. A model that nobody knew joins those that it belongs to on the processor. */
  add(model: ModelState): void {
    this.#join(model, keyOf(model, false));
  }

  of(model: ModelState): RunnerSlot {
    return this.#placeOf(model).slot;
  }

  backlogOf(model: ModelState): Backlog {
    return this.#placeOf(model).backlog;
  }

  /** The model is not offered any more, and out of memory. */
  remove(model: ModelState): void {
    const { models } = this.of(model);
    models.splice(models.indexOf(model), 1);
    this.#keys.delete(model);
  }

  /**
   * The slot in which a model is to be loaded, to which it moves if need be. Called before its load has begun: no
   * runner has it, and what waits for it goes with it.
   */
  home(model: ModelState, onDevice: boolean): RunnerSlot {
    const key = keyOf(model, onDevice);
    if (this.#keys.get(model) === key) return this.of(model);
    // It is for the slot that the model leaves.
    model.idleTimer?.cancel();
    model.idleTimer = undefined;
    this.remove(model);
    this.#join(model, key);
    return this.of(model);
  }

  slots(): RunnerSlot[] {
    return [...this.#places.values()].map(({ slot }) => slot);
  }

  backlogs(): Backlog[] {
    return [...this.#places.values()].map(({ backlog }) => backlog);
  }

  /** What the runners of all slots but one do now. */
  othersThan(slot: RunnerSlot): RunnerThreads[] {
    return this.slots().flatMap((other) => (other === slot ? [] : (other.threads ?? [])));
  }

  #join(model: ModelState, key: string): void {
    const { makeSlot, makeBacklog } = this.#components;
    const place = this.#places.get(key) ?? newPlace(makeSlot(), makeBacklog);
    this.#places.set(key, place);
    this.#keys.set(model, key);
    place.slot.models.push(model);
  }

  #placeOf(model: ModelState): Place {
    const place = this.#places.get(this.#keys.get(model) ?? '');
    assert(place !== undefined, 'every model has a slot');
    return place;
  }
}

const newPlace = (slot: RunnerSlot, makeBacklog: SlotsComponents['makeBacklog']): Place => ({
  slot,
  backlog: makeBacklog(slot),
});

/**
 * A language model's KV caches fill a runner; a driver that crashes takes its whole process along. Cuts come from other
 * nodes, and nobody has tried them before: they endanger no model.
 */
function keyOf({ installed: { ref, manifest }, part }: ModelState, onDevice: boolean): string {
  if (part !== undefined && !onDevice) return `parts of ${part.model}`;
  return onDevice || manifest.generation !== undefined ? ref.digest : SHARED;
}
