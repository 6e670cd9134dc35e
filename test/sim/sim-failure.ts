// Something that must not happen has happened in a simulated world: where, and what came right before it. Two runs of one
// seed have the same events, so that the number of an event names a moment.
import type { EventKind } from './event-log.ts';
import type { World } from './world.ts';

/** Events that a failure shows. */
const TAIL_MAX = 40;

export class SimFailure extends Error {
  override readonly name = 'SimFailure';
  readonly seed: number;
  /** Number of the event at which it was seen, from 1. */
  readonly event: number;
  readonly atMs: number;
  /** Of all events up to there. */
  readonly hash: string;
  readonly tail: readonly string[];

  constructor(what: string, at: Pick<SimFailure, 'seed' | 'event' | 'atMs' | 'hash' | 'tail'>) {
    super(`seed ${at.seed}, event ${at.event}, ${at.atMs.toFixed(3)} ms: ${what}`);
    this.seed = at.seed;
    this.event = at.event;
    this.atMs = at.atMs;
    this.hash = at.hash;
    this.tail = at.tail;
  }
}

/** The last events of a world, as lines for people. */
export class Tail {
  readonly #world: World;
  readonly #lines: string[] = [];

  /** @param onLine gets every line as it comes */
  constructor(world: World, onLine?: (line: string) => void) {
    this.#world = world;
    world.onEvent((kind, atMs, node, request) => {
      const line = lineOf(world.events, kind, atMs, node, request);
      this.#lines.push(line);
      if (this.#lines.length > TAIL_MAX) this.#lines.shift();
      onLine?.(line);
    });
  }

  failure(what: string, seed: number): SimFailure {
    const atMs = this.#world.clock.now();
    return new SimFailure(what, {
      seed,
      event: this.#world.events,
      atMs,
      hash: this.#world.eventHash,
      tail: [...this.#lines],
    });
  }
}

function lineOf(event: number, kind: EventKind, atMs: number, node: string, request: number): string {
  return `${event} ${atMs.toFixed(3)} ms ${kind} ${node}${request < 0 ? '' : ` request ${request}`}`;
}
