// Does a batch on several workers at once: each pulls chunks as fast as it shows itself to be, what is lost with one goes to
// another, and every item is answered once. Who gets what is decided by scheduler/scatter.ts. Called by scatter-encode.ts.
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { assert } from '../core/assert.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { type ItemRange, nextStep, type ScatterState, type ScatterStep, weightOf } from '../scheduler/scatter.ts';
import { Failures, PEER_GAVE_UP, RUNNER_RESTARTS } from './failures.ts';
import { CANCELLED_STOP_MS, CHUNK_LOSSES_MAX, SCATTER_WORKERS_MAX, STALL_FACTOR, TAIL_LOOK_MS } from './limits.ts';
import { type Chunk, type Copy, Lane } from './scatter-lane.ts';

export interface ScatterComponents {
  readonly clock: Pick<Clock, 'now' | 'after'>;
  readonly log: Log;
}

/** Something that does items of the batch. */
export interface ScatterWorker<R> {
  readonly node: NodeId;
  /**
   * Does items [from, to). Never asked for more than two ranges at a time.
   * @throws WeftError with a code that says `elsewhere` where another worker may succeed
   */
  execute(from: number, to: number, options: ChunkOptions): Promise<R>;
  /** Predicted weight per millisecond. @default as the mean of the others */
  readonly weightPerMs?: number;
  /** Predicted milliseconds until it works on the first of it: queue, load and way. @default 0 */
  readonly startsInMs?: number;
}

export interface ChunkOptions {
  /** Aborts when the items are no longer wanted from this worker. */
  readonly signal: AbortSignal;
  /** Milliseconds that are left for the whole batch; undefined = no end. */
  readonly budgetMs: number | undefined;
}

export interface ScatterBatch<R> {
  /** What each item weighs, above 0, in any unit: such as its tokens. */
  readonly weights: ArrayLike<number>;
  readonly workers: readonly ScatterWorker<R>[];
  /**
   * Takes the result of items [from, to): once for every item, in no order.
   * @throws WeftError where it can't be true, which counts as a failure of the worker
   */
  take(result: R, range: ItemRange, node: NodeId): void;
}

export interface ScatterOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for all of it. @default no end */
  readonly budgetMs?: number;
  /**
   * How many times as long as predicted, and a little more, a worker may be silent before its part goes to others.
   * @default STALL_FACTOR
   */
  readonly stallFactor?: number;
  /** Called after every chunk: items that are done, of all, and who did how many. */
  readonly onProgress?: (done: number, total: number, byNode: ReadonlyMap<NodeId, number>) => void;
  /** A node went on with work that was cancelled, for longer than is good. */
  readonly onDeaf?: (node: NodeId) => void;
}

/** What one worker did of a batch. */
export interface ScatterPart {
  readonly node: NodeId;
  /** Items whose results were taken from it. */
  readonly items: number;
  readonly chunks: number;
  /** Of its work, in units of weight per millisecond, as seen last. */
  readonly ratePerMs: number;
}

export interface Scattered {
  /** Workers that did something, in the order of the batch's workers. */
  readonly parts: readonly ScatterPart[];
  /** What went wrong on the way. */
  readonly failures: readonly { readonly node: NodeId; readonly error: WeftError }[];
  /** Items that were given to a second worker while the first had them. */
  readonly doubled: number;
}

/**
 * Does all items of the batch.
 * @returns when every item was taken; what others still do of it has been cancelled by then
 * @throws WeftError `no_capable_node`, or the failure that says most, when no worker is left; the failure of an item that no
 *   worker can do; `deadline_exceeded`; what the signal aborts with
 */
export function scatter<R>(
  components: ScatterComponents,
  batch: ScatterBatch<R>,
  options: ScatterOptions,
): Promise<Scattered> {
  return new Scattering(components, batch, options).run();
}

interface Waiting extends ItemRange {
  readonly losses: number;
}

class Scattering<R> {
  readonly #components: ScatterComponents;
  readonly #batch: ScatterBatch<R>;
  readonly #options: ScatterOptions;
  readonly #weightBefore: Float64Array;
  readonly #lanes: readonly Lane[];
  readonly #workers = new Map<Lane, ScatterWorker<R>>();
  readonly #taken = new Map<Lane, { items: number; chunks: number }>();
  readonly #waiting: Waiting[] = [];
  /** In the order in which they were begun. */
  readonly #open = new Set<Chunk>();
  /** Cancelled, and not seen to stop yet. */
  readonly #stopping = new Map<Copy, Timer>();
  readonly #deaf = new Set<Lane>();
  readonly #failures = new Failures();
  readonly #failed: { readonly node: NodeId; readonly error: WeftError }[] = [];
  readonly #untilMs: number;
  readonly #ended = Promise.withResolvers<Scattered>();
  readonly #onAbort = (): void => this.#fail(toAbortError(this.#options.signal));
  #timer: Timer | undefined;
  #done = 0;
  #doubled = 0;
  #over = false;

  constructor(components: ScatterComponents, batch: ScatterBatch<R>, options: ScatterOptions) {
    this.#components = components;
    this.#batch = batch;
    this.#options = options;
    const { weights } = batch;
    this.#weightBefore = new Float64Array(weights.length + 1);
    for (let item = 0; item < weights.length; item++) {
      assert((weights[item] as number) > 0, 'every item has a weight');
      this.#weightBefore[item + 1] = (this.#weightBefore[item] as number) + (weights[item] as number);
    }
    if (weights.length > 0) this.#waiting.push({ from: 0, to: weights.length, losses: 0 });
    const workers = batch.workers.slice(0, SCATTER_WORKERS_MAX);
    const claims = workers.map(({ weightPerMs }) => weightPerMs ?? 0).filter(isRate);
    const unknown = claims.length === 0 ? 1 : claims.reduce((sum, rate) => sum + rate, 0) / claims.length;
    this.#lanes = workers.map((worker) => {
      const { node, weightPerMs = 0, startsInMs = 0 } = worker;
      const ratePerMs = isRate(weightPerMs) ? weightPerMs : unknown;
      const { stallFactor = STALL_FACTOR } = options;
      const lane = new Lane({ node, ratePerMs, startsInMs: startsInMs >= 0 ? startsInMs : 0, stallFactor });
      this.#workers.set(lane, worker);
      return lane;
    });
    this.#untilMs = components.clock.now() + (options.budgetMs ?? Number.POSITIVE_INFINITY);
  }

  run(): Promise<Scattered> {
    const { signal } = this.#options;
    if (signal.aborted) return Promise.reject(toAbortError(signal));
    signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#pump();
    return this.#ended.promise;
  }

  /** Gives away what can be given now, and sees to it that it is asked again in time. */
  #pump(): void {
    if (this.#over) return;
    this.#timer?.cancel();
    if (this.#done === this.#batch.weights.length) {
      this.#end(() => this.#ended.resolve(this.#result()));
      return;
    }
    const nowMs = this.#components.clock.now();
    if (nowMs >= this.#untilMs) {
      const message = `${this.#done} of ${this.#batch.weights.length} items were done within ${this.#options.budgetMs} ms.`;
      this.#fail(new WeftError({ code: 'deadline_exceeded', message }));
      return;
    }
    for (const lane of this.#lanes) if (lane.isStuck(nowMs)) this.#stuck(lane, nowMs);
    const lanes = this.#lanes.filter(({ out }) => !out);
    if (lanes.length === 0) this.#fail(this.#failures.giveUp());
    if (this.#over) return;
    for (;;) {
      const open = [...this.#open];
      const step = nextStep(this.#state(nowMs, lanes, open));
      if (step === undefined) break;
      this.#carryOut(step, nowMs, lanes, open);
    }
    this.#lookAgain(nowMs, lanes);
  }

  #lookAgain(nowMs: number, lanes: readonly Lane[]): void {
    const wakesMs = lanes.map((lane) => lane.wakeMs(nowMs));
    if (lanes.some((lane) => lane.isIdle(nowMs))) wakesMs.push(nowMs + TAIL_LOOK_MS);
    const wakeMs = Math.min(this.#untilMs, ...wakesMs);
    if (wakeMs === Number.POSITIVE_INFINITY) return;
    // Timers may be a little early: what is due then must be due.
    this.#timer = this.#components.clock.after(Math.max(1, Math.ceil(wakeMs - nowMs)), () => this.#pump());
    this.#timer.hold?.();
  }

  #state(nowMs: number, lanes: readonly Lane[], open: readonly Chunk[]): ScatterState {
    const ends = new Map<Copy, number>();
    for (const lane of lanes) {
      for (const [index, endsMs] of lane.endsMs(nowMs).entries()) ends.set(lane.open[index] as Copy, endsMs);
    }
    return {
      nowMs,
      weightBefore: this.#weightBefore,
      waiting: this.#waiting,
      workers: lanes.map((lane) => lane.state(nowMs)),
      open: open.map(({ from, to, copies }) => ({
        from,
        to,
        workers: copies.map(({ lane }) => lanes.indexOf(lane)),
        endsMs: Math.min(...copies.map((copy) => ends.get(copy) ?? Number.POSITIVE_INFINITY)),
      })),
    };
  }

  #carryOut(step: ScatterStep, nowMs: number, lanes: readonly Lane[], open: readonly Chunk[]): void {
    const lane = lanes[step.worker] as Lane;
    if (step.kind === 'double') {
      const chunk = open[step.chunk] as Chunk;
      this.#doubled += chunk.to - chunk.from;
      this.#send(chunk, lane, nowMs);
      return;
    }
    const { from, to } = step.range;
    const first = this.#waiting.shift();
    assert(first?.from === from && to > from && to <= first.to, 'a chunk is the beginning of what waits first');
    if (to < first.to) this.#waiting.unshift({ ...first, from: to });
    const weight = weightOf(this.#weightBefore, step.range);
    const chunk: Chunk = { from, to, weight, losses: first.losses, copies: [] };
    this.#open.add(chunk);
    this.#send(chunk, lane, nowMs);
  }

  #send(chunk: Chunk, lane: Lane, nowMs: number): void {
    const controller = new AbortController();
    const copy: Copy = { chunk, lane, sentMs: nowMs, controller };
    chunk.copies.push(copy);
    lane.sent(copy);
    const worker = this.#workers.get(lane) as ScatterWorker<R>;
    const budgetMs = this.#untilMs === Number.POSITIVE_INFINITY ? undefined : this.#untilMs - nowMs;
    const { signal } = controller;
    // Inside a promise from the start: what a worker throws at once is a failure like any other.
    const result = Promise.resolve().then(() => worker.execute(chunk.from, chunk.to, { signal, budgetMs }));
    result.then(
      (value) => this.#answered(copy, value),
      (error: unknown) => this.#lost(copy, toWeftError(error)),
    );
  }

  #answered(copy: Copy, result: R): void {
    if (this.#isLate(copy)) return;
    const { chunk, lane } = copy;
    try {
      this.#batch.take(result, { from: chunk.from, to: chunk.to }, lane.node);
    } catch (error) {
      this.#lost(copy, toWeftError(error));
      return;
    }
    const nowMs = this.#components.clock.now();
    lane.done(copy, nowMs);
    this.#open.delete(chunk);
    for (const other of chunk.copies) {
      if (other === copy) continue;
      other.lane.cancelled(other, nowMs);
      this.#stop(other, new WeftError({ code: 'cancelled', message: 'Another node was first.' }));
    }
    const items = chunk.to - chunk.from;
    const taken = this.#taken.get(lane) ?? { items: 0, chunks: 0 };
    this.#taken.set(lane, { items: taken.items + items, chunks: taken.chunks + 1 });
    this.#done += items;
    this.#tell();
    this.#pump();
  }

  #lost(copy: Copy, error: WeftError): void {
    if (this.#isLate(copy)) return;
    const { lane } = copy;
    const nowMs = this.#components.clock.now();
    lane.failed(copy, nowMs, error);
    if (!error.elsewhere && !PEER_GAVE_UP.has(error.code)) {
      this.#fail(error);
      return;
    }
    this.#giveBack(copy, error);
    if (lane.out) this.#takeAll(lane.leave(nowMs), error);
    this.#pump();
  }

  /** Takes everything from a worker that has been silent for too long. */
  #stuck(lane: Lane, nowMs: number): void {
    const message = `${lane.node} has been silent for much longer than its part should take.`;
    const error = new WeftError({ code: 'peer_timeout', message });
    this.#takeAll(lane.stuck(nowMs, error), error);
  }

  #takeAll(copies: readonly Copy[], error: WeftError): void {
    for (const copy of copies) {
      this.#stop(copy, error);
      this.#giveBack(copy, error);
    }
  }

  /** A worker doesn't do this any more: it waits again, unless another one has it too. */
  #giveBack(copy: Copy, error: WeftError): void {
    const { chunk } = copy;
    const { from, to, copies } = chunk;
    const { node } = copy.lane;
    copies.splice(copies.indexOf(copy), 1);
    this.#failures.add(node, error, false);
    this.#failed.push({ node, error });
    this.#components.log.debug({ node, code: error.code, items: to - from }, 'a part of a batch came back');
    // The items themselves may be the reason.
    if (RUNNER_RESTARTS.has(error.code)) chunk.losses++;
    if (chunk.losses >= CHUNK_LOSSES_MAX) this.#fail(error);
    if (copies.length > 0) return;
    this.#open.delete(chunk);
    this.#waiting.unshift({ from, to, losses: chunk.losses });
  }

  /** Whether it no longer counts what becomes of this: others were first, or it was over. */
  #isLate(copy: Copy): boolean {
    if (copy.lane.open.includes(copy)) return false;
    copy.lane.stopped(copy, this.#components.clock.now());
    this.#stopping.get(copy)?.cancel();
    this.#stopping.delete(copy);
    this.#pump();
    return true;
  }

  /** Ends what is not wanted any more, and looks whether it ends. */
  #stop(copy: Copy, reason: WeftError): void {
    const { clock } = this.#components;
    const timer = clock.after(CANCELLED_STOP_MS, () => {
      this.#stopping.delete(copy);
      this.#noteDeaf(copy.lane);
      if (!this.#over) this.#takeAll(copy.lane.leave(clock.now()), reason);
      this.#pump();
    });
    this.#stopping.set(copy, timer);
    copy.controller.abort(reason);
  }

  #noteDeaf(lane: Lane): void {
    lane.out = true;
    if (this.#deaf.has(lane)) return;
    this.#deaf.add(lane);
    const { node } = lane;
    this.#components.log.warn({ node, waitedMs: CANCELLED_STOP_MS }, 'a node goes on with work that was cancelled');
    this.#quietly(() => this.#options.onDeaf?.(node));
  }

  #tell(): void {
    const { onProgress } = this.#options;
    if (onProgress === undefined) return;
    const byNode = new Map([...this.#taken].map(([lane, { items }]) => [lane.node, items]));
    this.#quietly(() => onProgress(this.#done, this.#batch.weights.length, byNode));
  }

  /** Whoever only looks on must not fail the batch. */
  #quietly(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#components.log.error({ error }, 'who watches a batch has failed');
    }
  }

  #fail(error: WeftError): void {
    this.#end(() => this.#ended.reject(error), error);
  }

  #end(settle: () => void, reason = new WeftError({ code: 'cancelled', message: 'The batch is over.' })): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    settle();
    const nowMs = this.#components.clock.now();
    for (const lane of this.#lanes) for (const copy of lane.leave(nowMs)) this.#stop(copy, reason);
  }

  #result(): Scattered {
    const parts = [...this.#lanes].flatMap((lane) => {
      const taken = this.#taken.get(lane);
      return taken === undefined ? [] : [{ node: lane.node, ...taken, ratePerMs: lane.ratePerMs }];
    });
    return { parts, failures: this.#failed, doubled: this.#doubled };
  }
}

const isRate = (rate: number): boolean => rate > 0 && rate < Number.POSITIVE_INFINITY;
