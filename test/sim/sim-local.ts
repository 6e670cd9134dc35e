// The executor of an entry itself, as its own dispatcher asks it: the Engine port without a link.
import { toAbortError } from '../../node/core/calls.ts';
import type { WorkOptions } from '../../node/core/engine.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { EncodeRequest, EncodeResult } from '../../protocol/infer.ts';
import { Job, type JobOwner } from './sim-job.ts';
import { workOf } from './sim-models.ts';
import type { SimNode } from './sim-node.ts';
import type { VirtualClock } from './virtual-clock.ts';

export class LocalWork {
  readonly node: string;
  readonly #node: SimNode;
  readonly #clock: VirtualClock;

  constructor(node: SimNode, clock: VirtualClock) {
    this.node = node.id;
    this.#node = node;
    this.#clock = clock;
  }

  offers() {
    return this.#node.offers();
  }

  load() {
    return this.#node.load();
  }

  encode(request: EncodeRequest, options: WorkOptions): Promise<EncodeResult> {
    return new Promise((resolve, reject) => {
      if (options.signal.aborted) return reject(toAbortError(options.signal));
      const owner: JobOwner = {
        work: workOf(request.model),
        ended: (job) => {
          this.#clock.settled();
          resolve(this.#result(job));
        },
      };
      const job = this.#node.take(owner, options);
      if (!(job instanceof Job)) return reject(new WeftError(job));
      options.signal.addEventListener(
        'abort',
        () => {
          this.#node.cancel(job);
          reject(toAbortError(options.signal));
        },
        { once: true },
      );
    });
  }

  run(): Promise<never> {
    return Promise.reject(new WeftError({ code: 'unsupported', message: 'Simulated nodes encode.' }));
  }

  generate(): Promise<never> {
    return this.run();
  }

  #result(job: Job): EncodeResult {
    const { embeddings } = job.holding.model;
    const { loadMs } = job;
    const computeMs = this.#clock.now() - job.begunMs - loadMs;
    const timing = { queueMs: job.begunMs - job.arrivedMs + loadMs, loadMs, computeMs, prefillMs: 0 };
    return { embeddings, dimensions: embeddings.length, node: this.node, timing };
  }
}
