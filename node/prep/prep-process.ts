// The node's side of a prep process: queue, deadlines, and a process that is started when there is work, killed when
// it takes too long or too much, and ended when it is idle. Made by the composition root, used by coordinator and library.
import { type ChildProcess, fork } from 'node:child_process';
import { isErrorCode, WeftError } from '../../protocol/errors.ts';
import { assert } from '../core/assert.ts';
import { type Clock, delay, type Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type {
  Inspected,
  InspectRequest,
  PartFile,
  PartFileRequest,
  PartMaker,
  PartNeeds,
  PartRequest,
  Prep,
  SoundSpec,
  Spectrogram,
  Tokenized,
} from '../core/prep.ts';
import {
  CANCEL_GRACE_MS,
  EXIT_MS_MAX,
  HEAP_MB_MAX,
  IDLE_MS,
  INSPECT_BYTES_MAX,
  INSPECT_BYTES_PER_MS_MIN,
  INSPECT_MS_MAX,
  INSPECT_WAIT_MS_MAX,
  PART_MS_MAX,
  QUEUE_CHARS_MAX,
  QUEUE_LENGTH_MAX,
  RESIDENT_MB_MAX,
  SOUND_MS_MAX,
  WAIT_MS_MAX,
  WORK_MS_MAX,
} from './limits.ts';
import type { Heard, PrepFault, PrepReply, PrepRequest, PrepResult, PrepTask } from './messages.ts';

export interface PrepProcessComponents {
  readonly clock: Clock;
  readonly log: Log;
}

export interface PrepProcessInit {
  /** The child's main script: node/prep/main.ts, or what it is built to. */
  readonly entry: string;
  /** The Node that runs it. */
  readonly nodePath: string;
  /** Further options for that Node, before those that cage it. @default none */
  readonly execArgv?: readonly string[];
  /** @default IDLE_MS */
  readonly idleMs?: number;
  /** @default HEAP_MB_MAX */
  readonly heapMbMax?: number;
  /** @default RESIDENT_MB_MAX */
  readonly residentMbMax?: number;
  /**
   * Longest time that one text may take, or one sound, or a model before its first byte is hashed.
   * @default WORK_MS_MAX, SOUND_MS_MAX, INSPECT_MS_MAX, PART_MS_MAX
   */
  readonly workMsMax?: number;
}

/** One text, sound or model, from when it is asked for until its promise settles. */
interface Job {
  readonly request: PrepRequest;
  /** Characters, or bytes. */
  readonly size: number;
  /** Of a model, as they are hashed. */
  readonly onBytes: ((bytes: number) => void) | undefined;
  hashedBytes: number;
  /** When the work began, by the clock. */
  startedMs: number;
  /** Of a spectrogram, in order. */
  readonly parts: Float32Array[];
  readonly resolve: (result: PrepResult, parts: readonly Float32Array[]) => void;
  readonly reject: (error: WeftError) => void;
  readonly unsubscribe: () => void;
  /** Its promise is. */
  settled: boolean;
  /** Bounds the wait, then the work. */
  timer: Timer;
}

/** Longest work of each kind; that of an inspection grows with what it hashes. */
const LIMITS_MS = {
  tokenize: WORK_MS_MAX,
  listen: SOUND_MS_MAX,
  inspect: INSPECT_MS_MAX,
  part: PART_MS_MAX,
  'part models': PART_MS_MAX,
} as const;

export class PrepProcess implements Prep, PartMaker {
  readonly #components: PrepProcessComponents;
  readonly #init: PrepProcessInit;
  readonly #waiting: Job[] = [];
  #waitingChars = 0;
  #nextId = 0;
  #child: ChildProcess | undefined;
  /** What the child works on, or went on with after a cancellation. */
  #current: { readonly job: Job; readonly child: ChildProcess } | undefined;
  #idle: Timer | undefined;
  /** Ends of processes, those that were killed and are not gone yet included. */
  readonly #exits = new Set<Promise<void>>();
  #stopped = false;

  constructor(components: PrepProcessComponents, init: PrepProcessInit) {
    this.#components = components;
    this.#init = init;
  }

  /** The process's id, while there is one. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  tokenize(
    tokenizerFolder: string,
    text: string,
    options: { readonly tokensMax: number; readonly specialTokens: boolean; readonly signal: AbortSignal },
  ): Promise<Tokenized> {
    const { tokensMax, specialTokens, signal } = options;
    const task: PrepTask = { kind: 'tokenize', tokenizerFolder, text, tokensMax, specialTokens };
    return this.#ask(task, text.length, signal, (result) => result as Tokenized);
  }

  listen(file: Uint8Array, spec: SoundSpec, { signal }: { readonly signal: AbortSignal }): Promise<Spectrogram> {
    return this.#ask({ kind: 'listen', file, spec }, file.byteLength, signal, (result, parts) => {
      const heard = result as Heard;
      const data = new Float32Array(heard.frames * heard.melBins);
      let offset = 0;
      for (const part of parts) {
        data.set(part, offset);
        offset += part.length;
      }
      return { ...heard, data };
    });
  }

  /** Its time grows with the bytes that it hashes. */
  inspect(
    request: InspectRequest,
    { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void },
  ): Promise<Inspected> {
    return this.#ask({ kind: 'inspect', request }, 0, signal, (result) => result as Inspected, onBytes);
  }

  partFiles(request: PartRequest, { signal }: { readonly signal: AbortSignal }): Promise<PartNeeds> {
    return this.#ask({ kind: 'part', request }, 0, signal, (result) => result as PartNeeds);
  }

  partModels(request: PartFileRequest, { signal }: { readonly signal: AbortSignal }): Promise<readonly PartFile[]> {
    return this.#ask({ kind: 'part models', request }, 0, signal, (result) => result as readonly PartFile[]);
  }

  /** @param read makes the answer of what came back */
  #ask<Result>(
    task: PrepTask,
    size: number,
    signal: AbortSignal,
    read: (result: PrepResult, parts: readonly Float32Array[]) => Result,
    onBytes?: (bytes: number) => void,
  ): Promise<Result> {
    const waitMs = task.kind === 'inspect' ? INSPECT_WAIT_MS_MAX : WAIT_MS_MAX;
    return new Promise((resolve, reject) => {
      if (this.#stopped) return reject(stopping());
      if (signal.aborted) return reject(cancelled(signal));
      if (this.#waiting.length >= QUEUE_LENGTH_MAX || this.#waitingChars + size > QUEUE_CHARS_MAX) {
        return reject(new WeftError({ code: 'overloaded', message: 'Too many long texts or sounds are waiting.' }));
      }
      const onAbort = (): void => this.#cancel(job, cancelled(signal));
      const job: Job = {
        request: { id: this.#nextId++, task },
        size,
        onBytes,
        hashedBytes: 0,
        startedMs: 0,
        settled: false,
        parts: [],
        resolve: (result, parts) => resolve(read(result, parts)),
        reject,
        unsubscribe: () => signal.removeEventListener('abort', onAbort),
        timer: this.#components.clock.after(waitMs, () => this.#cancel(job, tookTooLong(task.kind, waitMs))),
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(job);
      this.#waitingChars += size;
      this.#next();
    });
  }

  /** Ends the process and waits until it is gone. Texts that wait or are in work are refused with `stopping`. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const job of this.#waiting.splice(0)) settle(job, () => job.reject(stopping()));
    this.#waitingChars = 0;
    this.#kill(stopping());
    await Promise.race([Promise.all(this.#exits), delay(this.#components.clock, EXIT_MS_MAX)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Gives the next text to the process, when it is free. */
  #next(): void {
    if (this.#current !== undefined || this.#stopped) return;
    this.#idle?.cancel();
    const job = this.#waiting.shift();
    if (job === undefined) {
      if (this.#child === undefined) return;
      this.#idle = this.#components.clock.after(this.#init.idleMs ?? IDLE_MS, () => this.#kill(stopping()));
      return;
    }
    this.#waitingChars -= job.size;
    job.startedMs = this.#components.clock.now();
    const limitMs = this.#init.workMsMax ?? LIMITS_MS[job.request.task.kind];
    this.#limitWork(job, limitMs, limitMs);
    this.#child ??= this.#start();
    const child = this.#child;
    this.#current = { job, child };
    child.send(job.request, (error) => {
      // Its end is noticed as such; a channel that closed alone is made one.
      if (error !== null) child.kill('SIGKILL');
    });
  }

  /**
   * Ends the job in work when it isn't done by then.
   * @param limitMs of it in all
   * @param leftMs of that, from now on
   */
  #limitWork(job: Job, limitMs: number, leftMs: number): void {
    job.timer.cancel();
    const { kind } = job.request.task;
    job.timer = this.#components.clock.after(leftMs, () => this.#kill(tookTooLong(kind, limitMs)));
  }

  #start(): ChildProcess {
    const { entry, nodePath, execArgv = [], heapMbMax = HEAP_MB_MAX, residentMbMax = RESIDENT_MB_MAX } = this.#init;
    const child = fork(entry, [String(residentMbMax)], {
      execPath: nodePath,
      // No writing, no network, no processes: what reads hostile text can do no more than read. Threads are for the
      // one that ends the process with its parent.
      execArgv: [
        ...execArgv,
        `--max-old-space-size=${heapMbMax}`,
        '--permission',
        '--allow-fs-read=*',
        '--allow-worker',
        '--disable-warning=SecurityWarning',
      ],
      // The environment holds keys.
      env: {},
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc', 'pipe'],
    });
    const pipe = child.stdio[4];
    // It breaks when the child is killed, which is noticed by `exit`.
    pipe?.on('error', () => pipe.destroy());
    child.on('message', (reply) => this.#onReply(child, reply as PrepReply));
    const exit = new Promise<void>((resolve) => {
      child.once('exit', (code, signal) => {
        this.#onGone(child, code, signal);
        resolve();
      });
      child.once('error', (error) => {
        this.#components.log.error({ error }, 'prep process failed');
        this.#onGone(child, null, null);
        resolve();
      });
    });
    this.#exits.add(exit);
    void exit.then(() => this.#exits.delete(exit));
    return child;
  }

  #onReply(child: ChildProcess, reply: PrepReply): void {
    const current = this.#current;
    if (current === undefined || current.child !== child || reply.id !== current.job.request.id) return;
    const { job } = current;
    if ('part' in reply) {
      job.parts.push(reply.part);
      return;
    }
    if ('bytes' in reply) {
      this.#onHashed(job, reply.bytes);
      return;
    }
    this.#current = undefined;
    settle(job, () => ('result' in reply ? job.resolve(reply.result, job.parts) : job.reject(errorOf(reply.fault))));
    this.#next();
  }

  /** More bytes, more time: but never more than the size of any model, and nothing for what are no bytes. */
  #onHashed(job: Job, bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0) return;
    job.hashedBytes += bytes;
    // One that was cancelled has no more than its moment of grace.
    if (job.settled) return;
    if (job.hashedBytes > INSPECT_BYTES_MAX) {
      this.#kill(endless());
      return;
    }
    const baseMs = this.#init.workMsMax ?? INSPECT_MS_MAX;
    const limitMs = baseMs + Math.ceil(job.hashedBytes / INSPECT_BYTES_PER_MS_MIN);
    const usedMs = this.#components.clock.now() - job.startedMs;
    this.#limitWork(job, limitMs, Math.max(0, limitMs - usedMs));
    job.onBytes?.(bytes);
  }

  /** The process is gone by itself, or by another's hand. */
  #onGone(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#components.log.warn({ code, signal, busy: this.#current !== undefined }, 'prep process was lost');
    // How V8 ends a process whose heap is full.
    const heapFull = signal === 'SIGABRT' || signal === 'SIGTRAP' || signal === 'SIGILL' || code === 134;
    const kind = this.#current?.job.request.task.kind ?? 'tokenize';
    this.#fail(heapFull ? tooMuchMemory(kind) : lost(kind));
    this.#next();
  }

  /** Kills the process, whatever it does; stopped processes too. The text in work fails with that error. */
  #kill(error: WeftError): void {
    this.#idle?.cancel();
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
    this.#fail(error);
    this.#next();
  }

  #fail(error: WeftError): void {
    const current = this.#current;
    this.#current = undefined;
    if (current !== undefined) settle(current.job, () => current.job.reject(error));
  }

  /** Nobody waits for this text any more. In work, it gets a moment to end before the process is killed. */
  #cancel(job: Job, error: WeftError): void {
    const index = this.#waiting.indexOf(job);
    if (index >= 0) {
      this.#waiting.splice(index, 1);
      this.#waitingChars -= job.size;
    } else assert(this.#current?.job === job, 'a job that is not settled waits or is in work');
    settle(job, () => job.reject(error));
    if (index < 0) job.timer = this.#components.clock.after(CANCEL_GRACE_MS, () => this.#kill(error));
  }
}

/** Ends what was begun for a job, then its promise. A promise that has settled already stays as it is. */
function settle(job: Job, how: () => void): void {
  job.timer.cancel();
  job.settled = true;
  job.unsubscribe();
  how();
}

function errorOf(fault: PrepFault): WeftError {
  const { code, message, remedy, facts } = fault;
  return new WeftError({ code: isErrorCode(code) ? code : 'internal', message, remedy, facts });
}

const stopping = (): WeftError => new WeftError({ code: 'stopping', message: 'The node is stopping.' });

const cancelled = (signal: AbortSignal): WeftError =>
  signal.reason instanceof WeftError
    ? signal.reason
    : new WeftError({ code: 'cancelled', message: 'The request was cancelled.' }, { cause: signal.reason });

/** What was being read, for a message. */
const WORDS = { tokenize: 'text', listen: 'sound', inspect: 'model', part: 'graph', 'part models': 'graph' } as const;

const isModel = (kind: PrepTask['kind']): boolean => kind === 'inspect' || kind === 'part' || kind === 'part models';

const tookTooLong = (kind: PrepTask['kind'], limitMs: number): WeftError =>
  new WeftError({
    code: 'deadline_exceeded',
    message: `Reading the ${WORDS[kind]} took more than ${Math.round(limitMs)} ms.`,
    remedy: isModel(kind)
      ? 'Try again when the disk is less busy.'
      : 'Send a shorter one, or try again when the node is less busy.',
  });

const tooMuchMemory = (kind: PrepTask['kind']): WeftError =>
  isModel(kind)
    ? new WeftError({
        code: 'model_corrupt',
        message: 'Reading the model takes more memory than any model should.',
        remedy: 'Install it again, from a source that you trust.',
      })
    : new WeftError({
        code: 'bad_request',
        message: `Reading the ${WORDS[kind]} takes more memory than is allowed.`,
        remedy: 'Send a shorter one.',
      });

const endless = (): WeftError =>
  new WeftError({ code: 'model_corrupt', message: 'The model has more bytes than any model should.' });

const lost = (kind: PrepTask['kind']): WeftError =>
  new WeftError({
    code: 'runner_lost',
    message: `The process that reads texts, sounds and models ended while it read this ${WORDS[kind]}.`,
    remedy: 'Try again; the process is started anew.',
  });
