// Workers of a batch on a virtual clock: each does one chunk after the other at a speed of its own, and fails in the way
// that its script says. Everything that a scatter must never do is counted.
import type { Timer } from '../../../node/core/clock.ts';
import type { ChunkOptions, ScatterWorker } from '../../../node/dispatch/scatter.ts';
import { type ErrorCode, WeftError } from '../../../protocol/errors.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

/** How a worker behaves; times are of the virtual clock. */
export interface Behaviour {
  /** Weight per millisecond. */
  readonly rate: number;
  /** What it is said to do. @default the truth; 0 = nothing is said */
  readonly claim?: number;
  /** One way. @default 0 */
  readonly linkMs?: number;
  /** Before the first chunk. @default 0 */
  readonly startsInMs?: number;
  /** From then on every chunk fails with this code, those under way included. */
  readonly dies?: { readonly atMs: number; readonly code: ErrorCode };
  /** From then on nothing comes from it; `deaf`: not even when it is told to stop. */
  readonly hangs?: { readonly atMs: number; readonly deaf?: boolean };
  /** From then on it is so many times as slow. */
  readonly slows?: { readonly atMs: number; readonly factor: number };
  /** The chunks, by their number, that fail with this code after they were worked on. */
  readonly fails?: {
    readonly chunks: (count: number) => boolean;
    readonly code: ErrorCode;
    readonly retryAfterMs?: number;
  };
  /** Each chunk takes so many times as long, by its number. */
  readonly noise?: (count: number) => number;
  /** What it was told to stop goes on for so long. @default 0 */
  readonly stopsAfterMs?: number;
}

interface Job {
  readonly from: number;
  readonly to: number;
  readonly number: number;
  readonly finish: () => void;
  readonly fail: (error: unknown) => void;
  timer?: Timer;
}

const lost = (code: ErrorCode, retryAfterMs?: number): WeftError =>
  new WeftError({
    code,
    message: `It failed with ${code}.`,
    ...(retryAfterMs !== undefined && { facts: { retryAfterMs: String(retryAfterMs) } }),
  });

/** A worker whose results are the numbers of the items. */
export class SimWorker implements ScatterWorker<readonly number[]> {
  readonly node: string;
  readonly weightPerMs: number;
  readonly startsInMs: number;
  readonly #world: ScatterWorld;
  readonly #behaviour: Behaviour;
  readonly #queue: Job[] = [];
  #running: Job | undefined;
  /** All chunks that it was given, as they were begun. */
  readonly asked: { readonly from: number; readonly to: number; readonly atMs: number }[] = [];
  /** Chunks that it has and that it was not told to stop. */
  wanted = 0;
  /** Of those that it has, told or not. */
  holds = 0;
  /** Told to stop, in all. */
  stopped = 0;

  constructor(world: ScatterWorld, node: string, behaviour: Behaviour) {
    this.#world = world;
    this.node = node;
    this.#behaviour = behaviour;
    this.weightPerMs = behaviour.claim ?? behaviour.rate;
    this.startsInMs = behaviour.startsInMs ?? 0;
    const { dies } = behaviour;
    if (dies !== undefined) {
      world.clock.after(dies.atMs, () => {
        for (const job of [...this.#queue, ...(this.#running === undefined ? [] : [this.#running])]) {
          this.#remove(job);
          job.fail(lost(dies.code));
        }
      });
    }
  }

  execute(from: number, to: number, { signal }: ChunkOptions): Promise<readonly number[]> {
    const { clock } = this.#world;
    const { linkMs = 0, startsInMs = 0, stopsAfterMs = 0, dies, hangs, fails } = this.#behaviour;
    const number = this.asked.length;
    this.asked.push({ from, to, atMs: clock.now() });
    this.#world.begun(this, from, to);
    return new Promise<readonly number[]>((resolve, reject) => {
      let over = false;
      const end = (settle: () => void): void => {
        if (over) return;
        over = true;
        if (!signal.aborted) this.#world.ended(this, from, to);
        this.holds--;
        settle();
      };
      const fail = (error: unknown): void => end(() => reject(error));
      const finish = (): void => {
        if (fails?.chunks(number)) fail(lost(fails.code, fails.retryAfterMs));
        else
          clock.after(linkMs, () => end(() => resolve(Array.from({ length: to - from }, (_, index) => from + index))));
      };
      const job: Job = { from, to, number, finish, fail };
      signal.addEventListener(
        'abort',
        () => {
          if (over) return;
          this.stopped++;
          this.#world.ended(this, from, to);
          if (hangs !== undefined && clock.now() >= hangs.atMs && hangs.deaf === true) return;
          const stop = (): void => {
            this.#remove(job);
            fail(signal.reason);
          };
          if (stopsAfterMs === 0) stop();
          else clock.after(stopsAfterMs, stop);
        },
        { once: true },
      );
      clock.after(linkMs + (number === 0 ? startsInMs : 0), () => {
        if (dies !== undefined && clock.now() >= dies.atMs) return fail(lost(dies.code));
        if (over) return;
        this.#queue.push(job);
        this.#next();
      });
    });
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#running = job;
    const { clock } = this.#world;
    const { rate, slows, hangs, noise } = this.#behaviour;
    const nowMs = clock.now();
    if (hangs !== undefined && nowMs >= hangs.atMs) return;
    const slow = slows !== undefined && nowMs >= slows.atMs ? slows.factor : 1;
    const ms = (this.#world.weight(job.from, job.to) / rate) * slow * (noise?.(job.number) ?? 1);
    job.timer = clock.after(ms, () => {
      if (hangs !== undefined && clock.now() >= hangs.atMs) return;
      this.#remove(job);
      job.finish();
    });
  }

  #remove(job: Job): void {
    job.timer?.cancel();
    const at = this.#queue.indexOf(job);
    if (at >= 0) this.#queue.splice(at, 1);
    if (this.#running !== job) return;
    this.#running = undefined;
    this.#next();
  }
}

/** A batch and its workers. */
export class ScatterWorld {
  readonly clock = new VirtualClock();
  readonly weights: readonly number[];
  readonly workers: readonly SimWorker[];
  /** How often each item was taken. */
  readonly taken: number[];
  readonly takenFrom = new Map<string, number>();
  /** Who has each item at this moment, and the most that ever had one at once. */
  readonly #holders: number[];
  mostHolders = 0;
  mostChunks = 0;
  /** What is there to see of it: done items after every chunk. */
  readonly progress: number[] = [];

  constructor(weights: readonly number[], behaviours: Readonly<Record<string, Behaviour>>) {
    this.weights = weights;
    this.taken = weights.map(() => 0);
    this.#holders = weights.map(() => 0);
    this.workers = Object.entries(behaviours).map(([node, behaviour]) => new SimWorker(this, node, behaviour));
  }

  /** For `scatter`. */
  get batch() {
    return {
      weights: this.weights,
      workers: this.workers,
      take: (items: readonly number[], { from, to }: { readonly from: number; readonly to: number }, node: string) => {
        if (items.length !== to - from || items[0] !== from) throw new Error('It is not what was asked for.');
        for (const item of items) this.taken[item] = (this.taken[item] as number) + 1;
        this.takenFrom.set(node, (this.takenFrom.get(node) ?? 0) + items.length);
      },
    };
  }

  worker(node: string): SimWorker {
    const found = this.workers.find((worker) => worker.node === node);
    if (found === undefined) throw new Error(`no worker ${node}`);
    return found;
  }

  weight(from: number, to: number): number {
    return this.weights.slice(from, to).reduce((sum, weight) => sum + weight, 0);
  }

  begun(worker: SimWorker, from: number, to: number): void {
    worker.wanted++;
    worker.holds++;
    this.mostChunks = Math.max(this.mostChunks, worker.holds);
    for (let item = from; item < to; item++) {
      const holders = (this.#holders[item] as number) + 1;
      this.#holders[item] = holders;
      this.mostHolders = Math.max(this.mostHolders, holders);
    }
  }

  ended(worker: SimWorker, from: number, to: number): void {
    worker.wanted--;
    for (let item = from; item < to; item++) this.#holders[item] = (this.#holders[item] as number) - 1;
  }
}
