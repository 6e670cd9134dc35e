// Pulls, imports and repairs: one job for all who want the same, a bounded number at once. A job ends with its work, or
// when nobody waits for it any more.

import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock } from '../core/clock.ts';
import type { Events } from '../core/events.ts';
import type { TransferStatus } from '../core/library.ts';
import type { Log } from '../core/log.ts';
import { Turns } from '../core/turns.ts';
import { unlessAborted } from '../core/waiting.ts';
import { ENDED_JOBS_KEPT_MAX, JOBS_AT_ONCE_MAX, JOBS_MAX } from './limits.ts';
import { TransferRecord } from './record.ts';

export interface JobsComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Pick<Events, 'publish'>;
}

/** What work is given. */
export interface JobContext {
  /** Aborts when the last waiter is gone, and when the node stops. */
  readonly signal: AbortSignal;
  readonly record: TransferRecord;
}

/** What is to be done, and for whom it is the same. */
export interface JobInit<T> {
  /** Who asks for the same key shares the job. */
  readonly key: string;
  readonly kind: TransferStatus['kind'];
  /** As a person calls it, until the hub id is known. */
  readonly model: string;
  readonly work: (context: JobContext) => Promise<T>;
}

export interface JobsInit {
  /** What ids of jobs begin with. @default their kind */
  readonly name?: string;
  /** @default JOBS_AT_ONCE_MAX */
  readonly atOnceMax?: number;
}

interface Job {
  readonly record: TransferRecord;
  readonly controller: AbortController;
  readonly outcome: Promise<unknown>;
  waiters: number;
}

export class Jobs {
  readonly #components: JobsComponents;
  /** By key, oldest first. */
  readonly #running = new Map<string, Job>();
  readonly #ended: TransferStatus[] = [];
  readonly #turns: Turns;
  readonly #name: string | undefined;
  #count = 0;
  #stopped = false;

  constructor(components: JobsComponents, init: JobsInit = {}) {
    this.#components = components;
    this.#turns = new Turns(init.atOnceMax ?? JOBS_AT_ONCE_MAX);
    this.#name = init.name;
  }

  /**
   * Does the work, or joins those who wait for the same. Leaves when the signal aborts; the last one to leave ends it.
   * @throws WeftError what the work failed with, `cancelled`, `stopping`, or `overloaded` when too many wait
   */
  async run<T>(init: JobInit<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      if (this.#stopped) throw new WeftError({ code: 'stopping', message: 'The node is stopping.' });
      if (signal.aborted) throw toAbortError(signal);
      const job = this.#running.get(init.key) ?? this.#begin(init);
      // One that everybody has left is over soon, and keeps what has come: the next goes on with that.
      if (!job.controller.signal.aborted) return (await this.#join(job, signal)) as T;
      await unlessAborted(settled(job.outcome), signal);
    }
  }

  /** Those that run, newest first, then those that ended. */
  list(): readonly TransferStatus[] {
    return [...[...this.#running.values()].map(({ record }) => record.status).reverse(), ...this.#ended];
  }

  /**
   * Ends the one of that id, whoever waits for it: they are told `cancelled`.
   * @returns whether it was running until now; undefined = none of this id is remembered
   */
  cancel(id: string): boolean | undefined {
    const job = [...this.#running.values()].find(({ record }) => record.status.id === id);
    if (job === undefined) return this.#ended.some((status) => status.id === id) ? false : undefined;
    if (job.controller.signal.aborted) return false;
    job.controller.abort(new WeftError({ code: 'cancelled', message: 'It was cancelled.' }));
    return true;
  }

  /** Ends all of them, and waits until nothing of them runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const jobs = [...this.#running.values()];
    for (const { controller } of jobs) {
      controller.abort(new WeftError({ code: 'stopping', message: 'The node is stopping.' }));
    }
    await Promise.allSettled(jobs.map(({ outcome }) => outcome));
  }

  async #join(job: Job, signal: AbortSignal): Promise<unknown> {
    job.waiters += 1;
    try {
      return await unlessAborted(job.outcome, signal);
    } finally {
      job.waiters -= 1;
      if (job.waiters === 0) {
        job.controller.abort(new WeftError({ code: 'cancelled', message: 'Nobody waits for it any more.' }));
      }
    }
  }

  #begin<T>(init: JobInit<T>): Job {
    if (this.#running.size >= JOBS_MAX) {
      throw new WeftError({ code: 'overloaded', message: `${JOBS_MAX} transfers run or wait already.` });
    }
    const { kind, model, key } = init;
    this.#count += 1;
    const record = new TransferRecord(this.#components, { id: `${this.#name ?? kind}-${this.#count}`, kind, model });
    const controller = new AbortController();
    const job: Job = { record, controller, waiters: 0, outcome: this.#work(init, record, controller.signal) };
    // Whoever waits is told; a job that nobody waits for any more fails quietly.
    job.outcome.catch(() => undefined);
    this.#running.set(key, job);
    return job;
  }

  async #work<T>({ key, work }: JobInit<T>, record: TransferRecord, signal: AbortSignal): Promise<T> {
    // The job is entered in the table first.
    await Promise.resolve();
    try {
      const leave = await this.#turns.take(1, signal);
      let result: T;
      try {
        result = await work({ signal, record });
      } finally {
        leave();
      }
      record.end('done');
      return result;
    } catch (thrown) {
      throw this.#failed(record, thrown, signal);
    } finally {
      this.#running.delete(key);
      this.#ended.unshift(record.status);
      this.#ended.length = Math.min(this.#ended.length, ENDED_JOBS_KEPT_MAX);
    }
  }

  #failed(record: TransferRecord, thrown: unknown, signal: AbortSignal): WeftError {
    const error = toWeftError(signal.aborted ? signal.reason : thrown);
    const { id, kind, model } = record.status;
    if (signal.aborted) {
      record.end('cancelled');
      this.#components.log.info({ transfer: id, kind, model, code: error.code }, 'ended a transfer that was left');
    } else {
      record.end('failed', error);
      const fields = { transfer: id, kind, model, code: error.code, reason: error.message };
      if (error.code === 'internal') this.#components.log.error({ ...fields, error: thrown }, 'a transfer failed');
      else this.#components.log.warn(fields, 'a transfer failed');
    }
    return error;
  }
}

const settled = (promise: Promise<unknown>): Promise<unknown> => promise.catch(() => undefined);
