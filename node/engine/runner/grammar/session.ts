// One generation's constraint: the main thread's end of a session with the grammar worker. Made by grammars.ts.
import { setImmediate as nextLoop } from 'node:timers/promises';
import { WeftError } from '../../../../protocol/errors.ts';
import type { Constraint } from '../../../../protocol/infer.ts';
import { GRAMMAR_LOSSES_MAX, GRAMMAR_POLL_MS, GRAMMAR_SPIN_MS } from '../../limits.ts';
import type { TokenConstraint } from '../constraint.ts';
import { allows, applyMask } from './mask.ts';
import { type GrammarModel, type GrammarOrder, MASK, STATE } from './messages.ts';

/** What one generation asks for. */
export interface GrammarRequest {
  readonly constraint: Constraint;
  readonly stopIds: readonly number[];
}

export interface GrammarSessionComponents {
  /** To the worker of the moment. */
  readonly post: (order: GrammarOrder) => void;
  /** Ends a worker that is at one thing for too long. */
  readonly check: () => void;
  readonly onClose: () => void;
}

export class GrammarSession implements TokenConstraint {
  readonly id: number;
  /** The request's field that is at fault when the grammar is. */
  readonly param: string;
  readonly #components: GrammarSessionComponents;
  readonly #model: GrammarModel;
  readonly #request: GrammarRequest;
  readonly #ids: number[] = [];
  #state: Int32Array = new Int32Array(STATE.words);
  #words: Int32Array = this.#state.subarray(STATE.words);
  #error: WeftError | undefined;
  #opened = false;
  #losses = 0;
  #closed = false;

  constructor(components: GrammarSessionComponents, id: number, model: GrammarModel, request: GrammarRequest) {
    this.id = id;
    this.param = request.constraint.kind === 'tools' ? 'tools' : 'response_format';
    this.#components = components;
    this.#model = model;
    this.#request = request;
  }

  /** Whether the worker of the moment has made its grammar. */
  get opened(): boolean {
    return this.#opened;
  }

  /** Tells a worker of it, and of all that has been accepted. */
  begin(): void {
    // Memory of its own for each worker: one that is being ended may still write.
    const words = STATE.words + Math.ceil(this.#model.vocabularySize / 32);
    const state = new SharedArrayBuffer(4 * words);
    this.#state = new Int32Array(state);
    this.#words = this.#state.subarray(STATE.words);
    this.#opened = false;
    const { constraint, stopIds } = this.#request;
    const ids = [...this.#ids];
    this.#components.post({ kind: 'open', session: this.id, model: this.#model, constraint, stopIds, ids, state });
  }

  /** Its worker is gone, through no fault of its own. */
  lost(): void {
    if (++this.#losses < GRAMMAR_LOSSES_MAX) return;
    this.fail(new WeftError({ code: 'runner_lost', message: 'The grammar library failed again and again.' }));
  }

  fail(error: WeftError): void {
    this.#error ??= error;
  }

  /**
   * Waits until the next token's mask is there.
   * @throws WeftError when there is none; the signal's reason
   */
  async ready(signal?: AbortSignal): Promise<void> {
    // Nearly always it is there, or comes in microseconds: a turn of the loop would take longer.
    if (this.#opened && !this.#isReady()) this.#spin();
    while (this.#error === undefined && !this.#isReady()) {
      signal?.throwIfAborted();
      this.#components.check();
      const state = this.#state;
      const { async: waits, value } = Atomics.waitAsync(
        state,
        STATE.ready,
        Atomics.load(state, STATE.ready),
        GRAMMAR_POLL_MS,
      );
      if (waits) await value;
    }
    if (this.#error === undefined && this.#outcome() === MASK.failed) {
      // Its reason comes as a message, which the loop brings.
      while (this.#error === undefined) await nextLoop();
    }
    if (this.#error !== undefined) throw this.#error;
    this.#opened = true;
    if (this.#outcome() === MASK.some) return;
    throw this.#bad(
      this.#outcome() === MASK.broken ? 'The answer so far does not have the form.' : 'No token may come next.',
    );
  }

  async mask(logits: Float32Array): Promise<void> {
    await this.ready();
    applyMask(this.#words, logits);
  }

  accept(id: number): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#isReady() && !(this.#outcome() === MASK.some && allows(this.#words, id))) {
      throw this.#bad('The token does not fit the form of the answer.');
    }
    this.#ids.push(id);
    this.#components.post({ kind: 'accept', session: this.id, id });
  }

  /** Microseconds that the worker took for the mask that is there. */
  get microseconds(): number {
    return this.#state[STATE.microseconds] as number;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#components.post({ kind: 'close', session: this.id });
    this.#components.onClose();
  }

  #isReady(): boolean {
    return Atomics.load(this.#state, STATE.ready) === this.#ids.length + 1;
  }

  #outcome(): number {
    return Atomics.load(this.#state, STATE.outcome);
  }

  #spin(): void {
    const until = performance.now() + GRAMMAR_SPIN_MS;
    for (let left: number = GRAMMAR_SPIN_MS; left > 0 && !this.#isReady(); left = until - performance.now()) {
      Atomics.wait(this.#state, STATE.ready, Atomics.load(this.#state, STATE.ready), left);
    }
  }

  #bad(message: string): WeftError {
    return new WeftError({ code: 'bad_request', message, facts: { param: this.param } });
  }
}
