// A session on a device other than the processor, which goes on on the processor when the device fails: a provider may
// refuse an operator, compute what isn't a number, or lose its device in the middle. Everything that has a session uses
// it like any other. Runs in a runner process.
import type { InferenceSession } from 'onnxruntime-node';
import type { DeviceKind } from '../../core/devices.ts';
import { shortReason } from '../devices/device.ts';
import { FALLBACK_PAUSE_MS } from '../devices/limits.ts';

type Feeds = InferenceSession.FeedsType;
type Results = InferenceSession.ReturnType;
type FetchesOrOptions = InferenceSession.FetchesType | InferenceSession.RunOptions | undefined;

export interface FallbackSessionInit {
  readonly session: InferenceSession;
  /** The provider that it is on. */
  readonly provider: DeviceKind;
  /** Makes the same session on the processor. */
  readonly openOnProcessor: () => Promise<InferenceSession>;
  /** Milliseconds, of any beginning. @default performance.now */
  readonly now?: () => number;
}

/**
 * Runs of all devices of this process, one after the other: concurrent runs on the WebGPU provider, of whatever
 * sessions, end the process in its native code (onnxruntime #32561).
 */
let lastRun: Promise<unknown> = Promise.resolve();

export class FallbackSession implements InferenceSession {
  readonly #init: FallbackSessionInit;
  #session: InferenceSession;
  #provider: DeviceKind;
  #reason: string | undefined;
  #comparedAtMs = Number.NEGATIVE_INFINITY;

  constructor(init: FallbackSessionInit) {
    this.#init = init;
    this.#session = init.session;
    this.#provider = init.provider;
  }

  /** What it runs on now. */
  get provider(): DeviceKind {
    return this.#provider;
  }

  /** Why that isn't what was asked for. */
  get fallbackReason(): string | undefined {
    return this.#reason;
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  get inputMetadata(): readonly InferenceSession.ValueMetadata[] {
    return this.#session.inputMetadata;
  }

  get outputMetadata(): readonly InferenceSession.ValueMetadata[] {
    return this.#session.outputMetadata;
  }

  /**
   * A run that fails is repeated on the processor: if it succeeds there, the provider is at fault, and the session stays
   * there; else the inputs are. Inputs that nobody can compute must not cost a new session each: within
   * FALLBACK_PAUSE_MS of the last comparison a failure is passed on.
   */
  run(feeds: Feeds, fetchesOrOptions?: FetchesOrOptions, options?: InferenceSession.RunOptions): Promise<Results> {
    return this.#inTurn(async () => {
      try {
        return await runOn(this.#session, feeds, fetchesOrOptions, options);
      } catch (error) {
        const again = (session: InferenceSession) => runOn(session, feeds, fetchesOrOptions, options);
        const results = await this.#onProcessor(again, messageOf(error));
        if (results === undefined) throw error;
        return results;
      }
    });
  }

  /**
   * A first run on made-up inputs, before anyone waits for an answer: what the provider can't compute shows here, and so
   * does what it computes as not a number. Inputs that the graph refuses on the processor too tell nothing.
   */
  trial(feeds: Feeds): Promise<void> {
    return this.#inTurn(async () => {
      await this.#tryOut(feeds);
      // What was made up says nothing of requests: the first of those that fails is compared again.
      this.#comparedAtMs = Number.NEGATIVE_INFINITY;
    });
  }

  async #tryOut(feeds: Feeds): Promise<void> {
    let results: Results;
    try {
      results = await runOn(this.#session, feeds);
    } catch (error) {
      await this.#onProcessor((session) => runOn(session, feeds), messageOf(error));
      return;
    }
    if (allNumbers(results)) return;
    await this.#onProcessor(async (session) => {
      const others = await runOn(session, feeds);
      if (!allNumbers(others)) throw new Error('the graph itself computes what is not a number');
      return others;
    }, 'it computes what is not a number');
  }

  async release(): Promise<void> {
    await this.#inTurn(() => this.#session.release());
  }

  startProfiling(): void {
    this.#session.startProfiling();
  }

  endProfiling(): void {
    this.#session.endProfiling();
  }

  /** @returns what the processor made of it, on which the session then stays; undefined where it does no better */
  async #onProcessor(
    again: (session: InferenceSession) => Promise<Results>,
    reason: string,
  ): Promise<Results | undefined> {
    const { now = () => performance.now(), openOnProcessor } = this.#init;
    if (this.#provider === 'cpu' || now() - this.#comparedAtMs < FALLBACK_PAUSE_MS) return undefined;
    this.#comparedAtMs = now();
    let processor: InferenceSession | undefined;
    try {
      processor = await openOnProcessor();
      const results = await again(processor);
      const failed = this.#session;
      this.#session = processor;
      this.#reason = fallbackReason(this.#provider, reason);
      this.#provider = 'cpu';
      await failed.release().catch(() => undefined); // It has failed: what it still holds goes with the process.
      return results;
    } catch {
      await processor?.release();
      return undefined;
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = lastRun.then(work);
    lastRun = done.catch(() => undefined); // Its caller hears of it; the next run goes on.
    return done;
  }
}

/** The two forms of `run` have one type each. */
function runOn(
  session: InferenceSession,
  feeds: Feeds,
  fetchesOrOptions?: FetchesOrOptions,
  options?: InferenceSession.RunOptions,
): Promise<Results> {
  return session.run(feeds, fetchesOrOptions as InferenceSession.FetchesType, options);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Whether all float32 outputs are numbers. */
function allNumbers(results: Results): boolean {
  return Object.values(results).every(
    (value) => !(value.data instanceof Float32Array) || value.data.every((element) => Number.isFinite(element)),
  );
}

/** One line for people, without paths of this machine. */
export const fallbackReason = (provider: string, error: unknown): string =>
  `${provider}: ${shortReason(messageOf(error))}`;
