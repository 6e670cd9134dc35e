// The three kinds of work as dispatch sees them: what each weighs, how it is begun on an engine, and what a true answer
// must look like. An executor may lie or break: an answer of the wrong form counts as a failure of the node.
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
  TokenLogprob,
} from '../../protocol/infer.ts';
import type { Engine, WorkOptions } from '../core/engine.ts';
import type { Session } from '../core/memory.ts';
import type { PlacementRequest } from '../scheduler/snapshot.ts';
import { OUTPUT_TOKENS_EXPECTED_MAX } from './limits.ts';

/** How much a piece of work is, for its price. */
export type Size = Omit<PlacementRequest, 'model' | 'excluded' | 'explore'>;

/** A request on its way over one node or several. */
export interface Work<R> {
  readonly method: 'run' | 'encode' | 'generate';
  readonly model: ModelRef;
  /** What is left of it now. */
  size(): Size;
  /** Parts of the answer that are here. */
  readonly progress: number;
  /**
   * Begins it, or goes on with it.
   * @param abandon ends the attempt at once, as a failure of the node
   * @throws WeftError `frame_invalid` when the answer can't be true
   */
  begin(engine: Engine, options: WorkOptions, abandon: (reason: WeftError) => void): Promise<R>;
  /** The answer, where the node failed after the last of the work was here. */
  recovered(engine: Engine): R | undefined;
}

const untrue = (message: string, cause?: unknown): WeftError =>
  new WeftError({ code: 'frame_invalid', message }, { cause });

/** Tensors in, tensors out. */
export class RunWork implements Work<RunResult> {
  readonly method = 'run';
  readonly progress = 0;
  readonly model: ModelRef;
  readonly #request: RunRequest;
  readonly #size: Size;

  constructor(request: RunRequest) {
    this.model = request.model;
    this.#request = request;
    const bytes = request.inputs.reduce((sum, input) => sum + input.data.byteLength, 0);
    // An answer is about as large as the question, for want of anything better known of any graph.
    this.#size = {
      inputTokens: 1,
      outputTokens: 0,
      requestBytes: bytes,
      answerBytes: bytes,
      answerRows: 0,
    };
  }

  size(): Size {
    return this.#size;
  }

  begin(engine: Engine, options: WorkOptions): Promise<RunResult> {
    return engine.run(this.#request, options);
  }

  recovered(): undefined {
    return undefined;
  }
}

/** Token ids of texts in, one vector each out. */
export class EncodeWork implements Work<EncodeResult> {
  readonly method = 'encode';
  readonly progress = 0;
  readonly model: ModelRef;
  readonly #request: EncodeRequest;

  constructor(request: EncodeRequest) {
    this.model = request.model;
    this.#request = request;
  }

  size(): Size {
    const { ids, lengths } = this.#request;
    return {
      inputTokens: ids.length,
      outputTokens: 0,
      requestBytes: ids.byteLength + lengths.byteLength,
      answerBytes: 0,
      answerRows: lengths.length,
    };
  }

  async begin(engine: Engine, options: WorkOptions): Promise<EncodeResult> {
    const result = await engine.encode(this.#request, options);
    const expected = this.#request.lengths.length * result.dimensions;
    if (result.dimensions < 1 || result.embeddings.length !== expected) {
      throw untrue(`${expected} values were expected, ${result.embeddings.length} came.`);
    }
    return result;
  }

  recovered(): undefined {
    return undefined;
  }
}

/** Token ids in, further ids out, one by one. The session knows what is here already, whoever drew it. */
export class GenerateWork implements Work<GenerateResult> {
  readonly method = 'generate';
  readonly model: ModelRef;
  readonly #request: GenerateRequest;
  readonly #session: Session;
  readonly #stopIds: ReadonlySet<number>;
  readonly #onTokens: OnTokens;
  #stopped = false;
  /** Counts attempts: tokens of an earlier one are no longer taken. */
  #current = 0;

  constructor(request: GenerateRequest, session: Session, onTokens: OnTokens) {
    this.model = request.model;
    this.#request = request;
    this.#session = session;
    this.#stopIds = new Set(request.stopIds);
    this.#onTokens = onTokens;
  }

  get progress(): number {
    return this.#session.generated;
  }

  size(): Size {
    const { promptLength, maxNewTokens, features } = this.#request;
    const { generated } = this.#session;
    return {
      inputTokens: promptLength,
      // What was generated already is replayed token by token, at the price of generating it.
      outputTokens: generated + Math.min(maxNewTokens - generated, OUTPUT_TOKENS_EXPECTED_MAX),
      requestBytes: (promptLength + generated) * Int32Array.BYTES_PER_ELEMENT + (features?.data.byteLength ?? 0),
      answerBytes: 0,
      answerRows: 0,
    };
  }

  async begin(engine: Engine, options: WorkOptions, abandon: (reason: WeftError) => void): Promise<GenerateResult> {
    const attempt = ++this.#current;
    const result = await engine.generate(this.#session.resume(), options, (firstIndex, ids, logprobs) => {
      if (attempt !== this.#current || options.signal.aborted) return;
      try {
        this.#take(firstIndex, ids, logprobs);
      } catch (error) {
        this.#current++;
        abandon(toWeftError(error));
      }
    });
    if (attempt !== this.#current) throw untrue('The tokens that came are not those of one stream.');
    if (result.generated !== this.#session.generated) {
      throw untrue(`${result.generated} tokens were drawn, ${this.#session.generated} came.`);
    }
    if (result.finish === 'stop' && !this.#stopped) throw untrue('It stopped without a token that ends an answer.');
    this.#current++;
    return this.#stopped ? { ...result, finish: 'stop' } : result;
  }

  /** The last token may have come, and its node been lost before it could say that it was the last. */
  recovered(engine: Engine): GenerateResult | undefined {
    this.#current++;
    const { generated } = this.#session;
    if (!this.#stopped && generated < this.#request.maxNewTokens) return undefined;
    const timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
    return { finish: this.#stopped ? 'stop' : 'length', generated, node: engine.node, timing };
  }

  #take(firstIndex: number, ids: readonly number[], logprobs: readonly TokenLogprob[] | undefined): void {
    // Whatever an executor draws behind the last token is nothing of the answer; its final count gives it away.
    if (this.#stopped) return;
    const wanted = this.#wanted(ids, logprobs);
    const stop = ids.findIndex((id) => this.#stopIds.has(id));
    const before = this.#session.generated;
    let fresh: readonly number[];
    try {
      fresh = this.#session.append(firstIndex, stop < 0 ? ids : ids.slice(0, stop + 1));
    } catch (cause) {
      throw untrue('The tokens that came are not those of one stream.', cause);
    }
    if (fresh.length === 0) return;
    this.#stopped = stop >= 0;
    try {
      // Repeated tokens were dropped before the fresh ones, what is behind the end after them.
      const from = before - firstIndex;
      this.#onTokens(before, fresh, wanted?.slice(from, from + fresh.length));
    } catch (cause) {
      throw new WeftError({ code: 'internal', message: 'Something failed inside the node.' }, { cause });
    }
  }

  /** The log probabilities, where the request asked for them. */
  #wanted(ids: readonly number[], logprobs: readonly TokenLogprob[] | undefined): readonly TokenLogprob[] | undefined {
    const top = this.#request.logprobs;
    if (top === undefined) return undefined;
    if (logprobs?.length !== ids.length || logprobs.some((one) => one.top.length > top)) {
      throw untrue('The log probabilities that came are not those that were asked for.');
    }
    return logprobs;
  }
}
