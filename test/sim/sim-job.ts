// A piece of work at a simulated node, and the queue that it waits in.
import type { Holding, WorkRef } from './sim-models.ts';
import { SimEvent } from './virtual-clock.ts';

/** Who runs jobs. */
export interface Executor {
  finish(job: Job): void;
}

/** Who waits for a job. */
export interface JobOwner {
  readonly work: WorkRef;
  /** It is done. Not called once the job was cancelled. */
  ended(job: Job): void;
}

/** Work on a node; as an event, its end. */
export class Job extends SimEvent {
  readonly node: Executor;
  readonly holding: Holding;
  readonly owner: JobOwner;
  readonly batch: boolean;
  readonly arrivedMs: number;
  /** As the node sees it, its load included. */
  readonly predictedMs: number;
  state: 'waiting' | 'running' | 'stopping' | 'over' = 'waiting';
  begunMs = 0;
  /** Of the time in its slot, waiting for the model. */
  loadMs = 0;
  /** Milliseconds at speed 1 that are left, as of `sinceMs`. */
  leftMs = 0;
  sinceMs = 0;

  constructor(node: Executor, holding: Holding, owner: JobOwner, batch: boolean, predictedMs: number, nowMs: number) {
    super();
    this.node = node;
    this.holding = holding;
    this.owner = owner;
    this.batch = batch;
    this.predictedMs = predictedMs;
    this.arrivedMs = nowMs;
  }

  fire(): void {
    this.node.finish(this);
  }
}

/** First in, first out. */
export class Queue {
  #jobs: Job[] = [];
  #head = 0;

  push(job: Job): void {
    this.#jobs.push(job);
  }

  /** The first that still waits. */
  shift(): Job | undefined {
    while (this.#head < this.#jobs.length) {
      const job = this.#jobs[this.#head++];
      if (this.#head > 64 && this.#head * 2 > this.#jobs.length) {
        this.#jobs = this.#jobs.slice(this.#head);
        this.#head = 0;
      }
      if (job?.state === 'waiting') return job;
    }
    return undefined;
  }

  *[Symbol.iterator](): Iterator<Job> {
    for (let at = this.#head; at < this.#jobs.length; at++) {
      const job = this.#jobs[at] as Job;
      if (job.state === 'waiting') yield job;
    }
  }
}
