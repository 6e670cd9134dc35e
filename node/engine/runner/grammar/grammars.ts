// Token constraints of a runner: one worker thread that owns the grammar library, started at the first of them, and
// replaced when a grammar is too much for it. Generations that are not to blame go on in the new one. Used by server.ts.
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { isErrorCode, WeftError } from '../../../../protocol/errors.ts';
import {
  GRAMMAR_COMPILE_MS_MAX,
  GRAMMAR_HEAP_MB,
  GRAMMAR_MASK_MS_MAX,
  GRAMMAR_START_MS_MAX,
  GRAMMAR_WASM_BYTES_MAX,
} from '../../limits.ts';
import { BUSY, type GrammarFailure, type GrammarModel, type GrammarWorkerData, ticks } from './messages.ts';
import { type GrammarRequest, GrammarSession } from './session.ts';

export interface GrammarsInit {
  /** Longest for one grammar. @default GRAMMAR_COMPILE_MS_MAX */
  readonly compileMsMax?: number;
  /** @default GRAMMAR_WASM_BYTES_MAX */
  readonly wasmBytesMax?: number;
}

interface RunningWorker {
  readonly worker: Worker;
  readonly busy: Int32Array;
  readonly startedAt: number;
}

export class Grammars {
  readonly #compileMsMax: number;
  readonly #wasmBytesMax: number;
  readonly #sessions = new Map<number, GrammarSession>();
  #running: RunningWorker | undefined;
  #lastId = 0;

  constructor(init: GrammarsInit = {}) {
    this.#compileMsMax = init.compileMsMax ?? GRAMMAR_COMPILE_MS_MAX;
    this.#wasmBytesMax = init.wasmBytesMax ?? GRAMMAR_WASM_BYTES_MAX;
  }

  /**
   * A constraint for one generation, once its grammar is there.
   * @throws WeftError `bad_request` or `unsupported` when no grammar can be made of it; the signal's reason
   */
  async open(model: GrammarModel, request: GrammarRequest, signal: AbortSignal): Promise<GrammarSession> {
    signal.throwIfAborted();
    const id = ++this.#lastId;
    const session = new GrammarSession(
      {
        post: (order) => this.#running?.worker.postMessage(order),
        check: () => this.#check(),
        onClose: () => this.#sessions.delete(id),
      },
      id,
      model,
      request,
    );
    this.#sessions.set(id, session);
    if (this.#running === undefined) this.#start();
    else session.begin();
    try {
      await session.ready(signal);
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** Ends the worker; the next constraint starts another. Those that are open fail. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    for (const session of this.#sessions.values()) {
      session.fail(new WeftError({ code: 'stopping', message: 'The runner is being ended.' }));
    }
    await running?.worker.terminate();
  }

  /** Starts a worker and tells it of every session that is open. */
  #start(): void {
    const busy = new SharedArrayBuffer(4 * BUSY.words);
    const worker = new Worker(workerPath(), {
      name: 'grammar',
      execArgv: [],
      workerData: { busy, wasmBytesMax: this.#wasmBytesMax } satisfies GrammarWorkerData,
      resourceLimits: { maxOldGenerationSizeMb: GRAMMAR_HEAP_MB },
      // The library writes its complaints there: what they say comes as errors too.
      stdout: true,
      stderr: true,
    });
    worker.stdout.resume();
    worker.stderr.resume();
    const running: RunningWorker = { worker, busy: new Int32Array(busy), startedAt: ticks() };
    this.#running = running;
    worker.on('message', (failure: GrammarFailure) => this.#sessions.get(failure.session)?.fail(errorOf(failure)));
    const lost = (): void => this.#lose(running, 'The JSON schema is too much for the grammar library.');
    worker.on('error', lost);
    worker.on('exit', lost);
    for (const session of this.#sessions.values()) session.begin();
  }

  /** Ends a worker that is at one thing for too long. */
  #check(): void {
    const running = this.#running;
    if (running === undefined) return;
    const { busy, startedAt } = running;
    const up = Atomics.load(busy, BUSY.up) === 1;
    const at = Atomics.load(busy, BUSY.session);
    if (up && at === 0) return;
    const elapsedMs = (ticks() - (up ? Atomics.load(busy, BUSY.since) : startedAt)) & 0x7fffffff;
    if (!up || Atomics.load(busy, BUSY.reading) === 1) {
      if (elapsedMs > GRAMMAR_START_MS_MAX) this.#lose(running, undefined);
      return;
    }
    const limitMs = this.#sessions.get(at)?.opened === true ? GRAMMAR_MASK_MS_MAX : this.#compileMsMax;
    if (elapsedMs > limitMs) this.#lose(running, 'The JSON schema takes too long to be made into a grammar.');
  }

  /**
   * Replaces a worker. The session that it was at is to blame; the others begin again where they were.
   * @param why undefined when nobody is to blame
   */
  #lose(running: RunningWorker, why: string | undefined): void {
    if (this.#running !== running) return;
    this.#running = undefined;
    void running.worker.terminate();
    const blamed = why === undefined ? undefined : this.#sessions.get(Atomics.load(running.busy, BUSY.session));
    if (blamed !== undefined) {
      this.#sessions.delete(blamed.id);
      blamed.fail(
        new WeftError({
          code: 'bad_request',
          message: why ?? '',
          remedy: 'Make the schema simpler: fewer parts, shorter patterns, smaller counts.',
          facts: { param: blamed.param },
        }),
      );
    }
    for (const session of this.#sessions.values()) session.lost();
    if (this.#sessions.size > 0) this.#start();
  }
}

function errorOf({ code, message, remedy, facts }: GrammarFailure): WeftError {
  return new WeftError({ code: isErrorCode(code) ? code : 'internal', message, remedy, facts });
}

/** The worker's script: beside this file, or beside the bundle that this file went into. */
function workerPath(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return basename(here) === 'dist' ? join(here, 'grammar.js') : join(here, 'worker.ts');
}
