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
import type { WorkRequests } from '../core/dispatcher.ts';
import type { Engine, WorkOptions } from '../core/engine.ts';
import type { Session } from '../core/memory.ts';
import { sizeOfEncode, sizeOfGenerate, sizeOfRun, type WorkSize } from '../core/work-size.ts';

/** Who begins a piece of work on an engine, and hears of it. */
export interface Beginner {
  /** Ends the attempt at once, as a failure of the node. */
  abandon(reason: WeftError): void;
  /**
   * Something of the answer has come. @returns false when another node was first: nothing of this one's counts
   */
  claim(): boolean;
}

/** A request on its way over one node or several. */
export interface Work<R> {
  readonly method: keyof WorkRequests;
  readonly model: ModelRef;
  /** What is left of it now. */
  size(): WorkSize;
  /** Parts of the answer that are here. */
  readonly progress: number;
  /** Token ids that an executor which is asked now computes one after the other, whose keys and values it keeps. @default none */
  prefix?(): Int32Array | undefined;
  /**
   * Begins it, or goes on with it. It may be begun on several engines as long as nothing of it is here.
   * @throws WeftError `frame_invalid` when the answer can't be true
   */
  begin(engine: Engine, options: WorkOptions, beginner: Beginner): Promise<R>;
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
  readonly #size: WorkSize;

  constructor(request: RunRequest) {
    this.model = request.model;
    this.#request = request;
    this.#size = sizeOfRun(request);
  }

  size(): WorkSize {
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

  size(): WorkSize {
    return sizeOfEncode(this.#request);
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
  readonly #expectedTokens: number;
  #stopped = false;

  /** @param expectedTokens how long the whole answer is expected to be */
  constructor(request: GenerateRequest, session: Session, onTokens: OnTokens, expectedTokens: number) {
    this.model = request.model;
    this.#request = request;
    this.#session = session;
    this.#stopIds = new Set(request.stopIds);
    this.#onTokens = onTokens;
    this.#expectedTokens = expectedTokens;
  }

  get progress(): number {
    return this.#session.generated;
  }

  size(): WorkSize {
    return sizeOfGenerate(this.#now(), this.#furtherTokens());
  }

  prefix(): Int32Array | undefined {
    // What a speech model listens to is no part of its ids.
    return this.#request.features === undefined ? this.#now().ids : undefined;
  }

  async begin(engine: Engine, options: WorkOptions, beginner: Beginner): Promise<GenerateResult> {
    const request = { ...this.#session.resume(), expectedTokens: this.#furtherTokens() };
    const result = await engine.generate(request, options, (firstIndex, ids, logprobs) => {
      if (!beginner.claim()) return;
      try {
        this.#take(firstIndex, ids, logprobs);
      } catch (error) {
        beginner.abandon(toWeftError(error));
      }
    });
    if (!beginner.claim()) throw untrue('The tokens that came are not those of one stream.');
    if (result.generated !== this.#session.generated) {
      throw untrue(`${result.generated} tokens were drawn, ${this.#session.generated} came.`);
    }
    if (result.finish === 'stop' && !this.#stopped) throw untrue('It stopped without a token that ends an answer.');
    return this.#stopped ? { ...result, finish: 'stop' } : result;
  }

  /** The last token may have come, and its node been lost before it could say that it was the last. */
  recovered(engine: Engine): GenerateResult | undefined {
    const { generated } = this.#session;
    if (!this.#stopped && generated < this.#request.maxNewTokens) return undefined;
    const timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
    return { finish: this.#stopped ? 'stop' : 'length', generated, node: engine.node, timing };
  }

  /** The request as it stands. */
  #now(): GenerateRequest {
    const { ids, promptLength } = this.#request;
    return ids.length - promptLength === this.#session.generated ? this.#request : this.#session.resume();
  }

  #furtherTokens(): number {
    return Math.max(1, this.#expectedTokens - this.#session.generated);
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
