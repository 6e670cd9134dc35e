// Models of a simulated world: what their work costs, and what a node has of them.
import type { ModelRef } from '../../protocol/ids.ts';
import { SimEvent } from './virtual-clock.ts';

export interface SimModel {
  readonly id: string;
  /** Milliseconds of a request at speed 1, lognormal. Whoever submits draws; nodes profile the median. */
  readonly workMs: { readonly median: number; readonly sigma: number };
  readonly inBytes: number;
  readonly outBytes: number;
  /** From disk, at speed 1. */
  readonly loadMs: number;
  readonly memoryMb: number;
  /** Work that nobody waits for any more ends within so many milliseconds at speed 1: a step of it. @default 20 */
  readonly stepMs?: number;
}

/** A model with what its requests and answers are made of: the same arrays for all of them. */
export interface Prepared extends SimModel {
  readonly digest: string;
  readonly ids: Int32Array;
  readonly embeddings: Float32Array;
  readonly requestBytes: number;
}

/** One text per request. */
export const ONE_TEXT = Int32Array.of(1);

export function prepare(model: SimModel): Prepared {
  // The lengths are the rest of the bytes.
  const ids = new Int32Array(Math.max(1, Math.round(model.inBytes / 4) - ONE_TEXT.length));
  const embeddings = new Float32Array(Math.max(1, Math.round(model.outBytes / 4)));
  const requestBytes = ids.byteLength + ONE_TEXT.byteLength;
  return { ...model, digest: `sha256:${model.id}`, ids, embeddings, requestBytes };
}

/** Names the model to the code under test, and the work to the simulated executors. */
export class WorkRef implements ModelRef {
  readonly id: string;
  readonly digest: string;
  readonly model: Prepared;
  /** At speed 1. */
  readonly workMs: number;
  /** Number of the request in its world. */
  readonly request: number;

  constructor(model: Prepared, workMs: number, request: number) {
    this.id = model.id;
    this.digest = model.digest;
    this.model = model;
    this.workMs = workMs;
    this.request = request;
  }
}

/** @throws TypeError when the code under test has put another one in its place */
export function workOf(model: ModelRef): WorkRef {
  if (model instanceof WorkRef) return model;
  throw new TypeError('A request must keep the model reference that it was submitted with.');
}

/** Numbers that are kept, as many as the engine keeps. */
const RECENT = 32;

/** The median of the last few numbers, worked out anew only now and then. */
export class Recent {
  readonly #values = new Float64Array(RECENT);
  readonly #every: number;
  #count = 0;
  #median = 0;

  /** @param every so many numbers; the first few count at once */
  constructor(every: number) {
    this.#every = every;
  }

  /** Numbers that came. */
  get count(): number {
    return this.#count;
  }

  /** 0 while there is none. */
  get median(): number {
    return this.#median;
  }

  /** @returns true when the median was worked out anew */
  add(value: number): boolean {
    this.#values[this.#count++ % RECENT] = value;
    if (this.#count > this.#every && this.#count % this.#every !== 0) return false;
    const sorted = this.#values.slice(0, Math.min(this.#count, RECENT)).sort();
    this.#median = sorted[(sorted.length - 1) >> 1] ?? 0;
    return true;
  }
}

/** What one node has of a model; as an event, the end of its load. */
export class Holding extends SimEvent {
  readonly model: Prepared;
  readonly measured = new Recent(8);
  state: 'disk' | 'loading' | 'loaded';
  lastUsedMs = 0;
  /** Requests for it on the node, and those of them that run. */
  wanted = 0;
  running = 0;
  /** Of a load under way: milliseconds at speed 1 that are left, as of `sinceMs`. */
  leftMs = 0;
  sinceMs = 0;
  /** The compute time that others were told last. */
  toldMs = 0;
  readonly #onLoaded: (holding: Holding) => void;

  constructor(model: Prepared, state: 'disk' | 'loaded', onLoaded: (holding: Holding) => void) {
    super();
    this.model = model;
    this.state = state;
    this.#onLoaded = onLoaded;
  }

  fire(): void {
    this.#onLoaded(this);
  }
}
