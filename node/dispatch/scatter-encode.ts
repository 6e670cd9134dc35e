// The texts of one EncodeRequest over several engines, and their vectors put together in the order of the texts. Called by
// the dispatcher, for requests that are worth it.
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { EncodeRequest, EncodeResult, Timing } from '../../protocol/infer.ts';
import { MESSAGE_BYTES_MAX } from '../../protocol/limits.ts';
import type { Engine, WorkOptions } from '../core/engine.ts';
import type { ItemRange } from '../scheduler/scatter.ts';
import { type ScatterComponents, type Scattered, type ScatterOptions, type ScatterWorker, scatter } from './scatter.ts';

/** An engine that may do a part of it. */
export interface EncodeWorker {
  readonly engine: Pick<Engine, 'node' | 'encode'>;
  /** Predicted for the whole request on it alone. */
  readonly predictedMs: number;
  /** Of which: before it would begin to compute, by queue, load and way. @default 0 */
  readonly startsInMs?: number;
}

export interface ScatterEncodeInit extends Pick<ScatterOptions, 'onProgress' | 'onDeaf'> {
  /** The best first. */
  readonly engines: readonly EncodeWorker[];
  readonly options: WorkOptions;
  /** Values of each vector, where that is known before: an answer of another length is none. @default those of the first answer */
  readonly dimensions?: number;
}

/**
 * Encodes every text once, on whichever engines are soonest.
 * @returns `node` and `timing` are those of the engine that computed longest; `nodes` are all whose vectors are in it, and the
 *   rest is {@link Scattered}, in texts
 * @throws WeftError as {@link scatter}
 */
export async function scatterEncode(
  components: ScatterComponents,
  request: EncodeRequest,
  init: ScatterEncodeInit,
): Promise<EncodeResult & Scattered & { readonly nodes: readonly NodeId[] }> {
  const { options, engines } = init;
  const startMs = components.clock.now();
  const rows = new Rows(request);
  const answer = new Answer(rows, init.dimensions);
  const workers = engines.map(({ engine, predictedMs, startsInMs = 0 }): ScatterWorker<EncodeResult> => {
    return {
      node: engine.node,
      startsInMs,
      weightPerMs: request.ids.length / (predictedMs - startsInMs),
      execute: (from, to, { signal, budgetMs }) =>
        engine.encode(rows.part(from, to), {
          signal,
          // The same one whenever the part is tried again: an engine that it kills twice shall know it.
          requestId: `${options.requestId}.${from}`,
          ...(options.priority !== undefined && { priority: options.priority }),
          ...(budgetMs !== undefined && { budgetMs }),
          ...(options.traceParent !== undefined && { traceParent: options.traceParent }),
        }),
    };
  });
  const scattered = await scatter(
    components,
    { weights: rows.weights, workers, take: (result, range, node) => answer.take(result, range, node) },
    {
      signal: options.signal,
      ...(options.budgetMs !== undefined && { budgetMs: options.budgetMs }),
      ...(init.onProgress !== undefined && { onProgress: init.onProgress }),
      ...(init.onDeaf !== undefined && { onDeaf: init.onDeaf }),
    },
  );
  return {
    ...answer.whole(components.clock.now() - startMs),
    ...scattered,
    nodes: scattered.parts.map(({ node }) => node),
  };
}

/**
 * The texts of a request in the order in which they are given away: the longest first, so that the texts of a part are about
 * as long as each other, and the last parts can be cut finest.
 */
class Rows {
  readonly #request: EncodeRequest;
  /** Which text stands at each place. */
  readonly order: Uint32Array;
  /** Tokens of the text at each place. */
  readonly lengths: Int32Array;
  /** An empty text is for the engine to refuse. */
  readonly weights: Int32Array;
  /** Where each text begins in the request's ids. */
  readonly #starts: Int32Array;

  constructor(request: EncodeRequest) {
    const { lengths } = request;
    this.#request = request;
    this.order = Uint32Array.from(lengths.keys()).sort(
      (a, b) => (lengths[b] as number) - (lengths[a] as number) || a - b,
    );
    this.lengths = Int32Array.from(this.order, (row) => lengths[row] as number);
    this.weights = this.lengths.map((length) => Math.max(1, length));
    this.#starts = new Int32Array(lengths.length);
    for (let row = 1; row < lengths.length; row++) {
      this.#starts[row] = (this.#starts[row - 1] as number) + (lengths[row - 1] as number);
    }
  }

  /** A request for the texts at the places [from, to). */
  part(from: number, to: number): EncodeRequest {
    const { ids, firstLengths } = this.#request;
    const places = this.order.subarray(from, to);
    const lengths = this.lengths.slice(from, to);
    const some = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
    let at = 0;
    for (const [index, row] of places.entries()) {
      const start = this.#starts[row] as number;
      const length = lengths[index] as number;
      some.set(ids.subarray(start, start + length), at);
      at += length;
    }
    return {
      ...this.#request,
      ids: some,
      lengths,
      ...(firstLengths !== undefined && {
        firstLengths: Int32Array.from(places, (row) => firstLengths[row] as number),
      }),
    };
  }
}

/** Puts the vectors of all parts where they belong. */
class Answer {
  readonly #rows: Rows;
  #dimensions: number | undefined;
  #embeddings: Float32Array | undefined;
  /** Of each node: its parts ran one behind the other. */
  readonly #timings = new Map<NodeId, Timing>();

  constructor(rows: Rows, dimensions: number | undefined) {
    this.#rows = rows;
    this.#dimensions = dimensions;
  }

  /** @throws WeftError `frame_invalid` where the part can't be what was asked for, or not of the same model as the others */
  take({ embeddings, dimensions, timing }: EncodeResult, { from, to }: ItemRange, node: NodeId): void {
    const { order } = this.#rows;
    if (!Number.isInteger(dimensions) || dimensions < 1 || embeddings.length !== (to - from) * dimensions) {
      throw untrue(`${to - from} vectors of ${dimensions} values were to come, ${embeddings.length} values did.`);
    }
    if (dimensions !== (this.#dimensions ?? dimensions)) {
      throw untrue(`Vectors of ${dimensions} values came where all have ${this.#dimensions}.`);
    }
    if (order.length * dimensions * Float32Array.BYTES_PER_ELEMENT > MESSAGE_BYTES_MAX) {
      throw untrue(`${order.length} vectors of ${dimensions} values are more than any answer holds.`);
    }
    this.#dimensions = dimensions;
    this.#embeddings ??= new Float32Array(order.length * dimensions);
    for (let place = from; place < to; place++) {
      const vector = embeddings.subarray((place - from) * dimensions, (place - from + 1) * dimensions);
      this.#embeddings.set(vector, (order[place] as number) * dimensions);
    }
    const sum = this.#timings.get(node);
    this.#timings.set(node, sum === undefined ? timing : added(sum, timing));
  }

  /** @param elapsedMs parts that shared a run have each counted it whole: nobody computed for longer than it all took */
  whole(elapsedMs: number): EncodeResult {
    let node: NodeId = '';
    let timing: Timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
    for (const [name, sum] of this.#timings) {
      if (node === '' || sum.computeMs > timing.computeMs) [node, timing] = [name, sum];
    }
    return {
      embeddings: this.#embeddings ?? new Float32Array(0),
      dimensions: this.#dimensions ?? 0,
      node,
      timing: { ...timing, computeMs: Math.min(timing.computeMs, elapsedMs) },
    };
  }
}

function added(a: Timing, b: Timing): Timing {
  return {
    // What came later waited for the one before, which is its computing.
    queueMs: Math.min(a.queueMs, b.queueMs),
    loadMs: Math.max(a.loadMs, b.loadMs),
    computeMs: a.computeMs + b.computeMs,
    prefillMs: a.prefillMs + b.prefillMs,
  };
}

const untrue = (message: string): WeftError => new WeftError({ code: 'frame_invalid', message });
