// Gives work to the store's own thread, which is started when there is some and ended when there has been none for a
// while. Everything that hashes or writes a chunk goes through here.
import { isMarkedAsUntransferable, Worker } from 'node:worker_threads';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { DISK_IDLE_MS, DISK_JOBS_MAX, HASH_JOBS_MAX } from '../limits.ts';
import { diskError } from './disk-error.ts';
import { CHECK_DIGITS, type DiskAnswers, type DiskJob, diskThread, type FromThread } from './disk-thread.ts';

/** The thread's program. */
export const DISK_THREAD = `(${diskThread})(require, ${CHECK_DIGITS});`;

const stopping = (): WeftError => new WeftError({ code: 'stopping', message: 'The store of the models is closed.' });

export interface DiskQueueInit {
  /** The thread's program, as text of a script. @default {@link DISK_THREAD} */
  readonly program?: string;
  /** @default DISK_IDLE_MS */
  readonly idleMs?: number;
  /** Told when the thread has ended, whatever the reason. */
  readonly onEnd?: () => void;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Told of bytes as they are hashed. */
  readonly onBytes?: (bytes: number) => void;
}

interface Pending {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
  readonly onBytes: ((bytes: number) => void) | undefined;
}

export class DiskQueue {
  readonly #init: DiskQueueInit;
  readonly #pending = new Map<number, Pending>();
  /** Jobs of a few milliseconds, and those that go through a whole file. */
  readonly #short = new Slots(DISK_JOBS_MAX);
  readonly #long = new Slots(HASH_JOBS_MAX);
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #lastId = 0;
  #ending: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** Long work ends, and no more of it begins. */
  readonly #noLong = new AbortController();

  constructor(init: DiskQueueInit = {}) {
    this.#init = init;
  }

  /** True while the thread is there. */
  get running(): boolean {
    return this.#worker !== undefined;
  }

  /**
   * Has a job done. Waits for its turn where many are under way. When it is cancelled, the thread has let go of the file
   * before this rejects.
   * @throws WeftError as {@link diskError}; `internal` when the thread died, `stopping` after close(), `cancelled`
   */
  async run<K extends DiskJob['kind']>(
    job: Extract<DiskJob, { readonly kind: K }>,
    options: RunOptions = {},
  ): Promise<DiskAnswers[K]> {
    if (this.#closed) throw stopping();
    const long = job.kind === 'whole' || job.kind === 'chunks' || job.kind === 'hash';
    const slots = long ? this.#long : this.#short;
    await slots.take();
    try {
      const signals = [...(options.signal ? [options.signal] : []), ...(long ? [this.#noLong.signal] : [])];
      for (const { aborted, reason } of signals) if (aborted) throw toWeftError(reason);
      return await this.#send(job, signals, options.onBytes);
    } finally {
      slots.give();
      this.#rest();
    }
  }

  /** Drops the running digest of a file; afterwards the thread doesn't touch it, and it may be closed. */
  async forget(file: number): Promise<void> {
    // A thread that has ended knows no files.
    if (this.running) await this.run({ kind: 'forget', file }).catch(() => undefined);
  }

  /** Ends the hashing of whole files, and refuses more of it: chunks that come can still be written. */
  endLong(): void {
    this.#noLong.abort(stopping());
  }

  /** Ends the thread once what is short is done; later work is refused. */
  async close(): Promise<void> {
    this.#closed = true;
    this.endLong();
    await Promise.all([this.#short.allFree(), this.#long.allFree()]);
    this.#end();
    await this.#ending;
  }

  #send<K extends DiskJob['kind']>(
    job: DiskJob,
    signals: readonly AbortSignal[],
    onBytes: RunOptions['onBytes'],
  ): Promise<DiskAnswers[K]> {
    const worker = this.#started();
    const id = ++this.#lastId;
    const cancel = (): void => worker.postMessage({ cancel: id });
    for (const signal of signals) signal.addEventListener('abort', cancel, { once: true });
    return new Promise<DiskAnswers[K]>((resolve, reject) => {
      if (job.kind !== 'write' || isMarkedAsUntransferable(job.bytes.buffer)) worker.postMessage({ id, job });
      else worker.postMessage({ id, job }, [job.bytes.buffer]);
      this.#pending.set(id, { resolve, reject, onBytes });
    }).finally(() => {
      for (const signal of signals) signal.removeEventListener('abort', cancel);
    });
  }

  #started(): Worker {
    clearTimeout(this.#idle);
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(this.#init.program ?? DISK_THREAD, {
      eval: true,
      name: 'models',
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 64 },
    });
    this.#worker = worker;
    worker.on('message', (message: FromThread) => this.#take(message));
    worker.on('error', (cause) => this.#lost(worker, cause));
    worker.on('exit', () => this.#lost(worker, undefined));
    return worker;
  }

  #take(message: FromThread): void {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    if ('progressBytes' in message) {
      pending.onBytes?.(message.progressBytes);
      return;
    }
    this.#pending.delete(message.id);
    if ('answer' in message) pending.resolve(message.answer as never);
    else pending.reject(faultOf(message.fault));
  }

  /** The thread is gone. What it was doing fails; the next job starts another. */
  #lost(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    clearTimeout(this.#idle);
    for (const { reject } of this.#pending.values()) {
      reject(
        new WeftError(
          {
            code: 'internal',
            message: 'The thread that writes the files of models has ended.',
            remedy: 'Try again: what was written is kept.',
          },
          { cause },
        ),
      );
    }
    this.#pending.clear();
    this.#init.onEnd?.();
  }

  #rest(): void {
    if (this.#pending.size > 0 || this.#worker === undefined) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#end(), this.#init.idleMs ?? DISK_IDLE_MS);
    this.#idle.unref();
  }

  #end(): void {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#ending = worker.terminate();
    this.#lost(worker, undefined);
  }
}

function faultOf({ code, message }: { readonly code: string | undefined; readonly message: string }): WeftError {
  if (code === 'ABORT_ERR') return new WeftError({ code: 'cancelled', message: 'The request was cancelled.' });
  return diskError(Object.assign(new Error(message), code !== undefined && { code }));
}

/** Places for work; who finds none waits, in order. */
class Slots {
  readonly #waiting: (() => void)[] = [];
  readonly #size: number;
  #free: number;
  readonly #whenFree: (() => void)[] = [];

  constructor(size: number) {
    this.#size = size;
    this.#free = size;
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    this.#free++;
    if (this.#free < this.#size) return;
    for (const resolve of this.#whenFree.splice(0)) resolve();
  }

  async allFree(): Promise<void> {
    if (this.#free < this.#size) await new Promise<void>((resolve) => this.#whenFree.push(resolve));
  }
}
