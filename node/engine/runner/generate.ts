// The token loop: prompt in pieces, then one token after the other until something ends it. Runs in a runner process.
import type { TokenRun } from '../../../protocol/codec.ts';
import type { GenerateRequest, GenerateResult } from '../../../protocol/infer.ts';
import { assert } from '../../core/assert.ts';
import { PREFILL_TOKENS, REPLAY_TOKENS_MAX } from '../limits.ts';
import { tokenLogprob } from '../logprobs.ts';
import { Penalties } from '../penalties.ts';
import { sample } from '../sampling.ts';
import type { TokenConstraint } from './constraint.ts';
import type { TextGenerator } from './generator.ts';
import type { Turns } from './turns.ts';

/** What the loop needs of the call that it answers. */
export interface GenerationContext {
  readonly signal: AbortSignal;
  /** Sends one token. @returns a promise when the link is full */
  item(value: TokenRun): Promise<void> | undefined;
}

const untilNextLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** How many tokens may stand behind the prompt. */
export function generatedMax(
  request: Pick<GenerateRequest, 'promptLength' | 'maxNewTokens'>,
  contextLength: number,
): number {
  return Math.max(0, Math.min(request.maxNewTokens, contextLength - request.promptLength));
}

/**
 * Generates until a stop id, `maxNewTokens` or the context is reached; each token is one item. Every run of the graph
 * takes a turn, and a cancellation is seen before the next one.
 *
 * A resumed request goes on at the index behind its ids, and repeats what the stream would have been: the prompt is
 * computed in the same pieces as then, and each generated token by a run of its own. All of them at once would be three
 * times as fast, but matrix kernels for one row round differently from those for several (SmolLM2: logits move by up to
 * 0.4, and a sampled stream changes within a token or two; pieces of two or more rows agree to the bit).
 * @param constraint what the text must look like; closed in any case
 * @throws the signal's reason when it aborts; WeftError when the graph, its logits or the constraint fail
 */
export async function generate(
  request: GenerateRequest,
  contextLength: number,
  generator: TextGenerator,
  turns: Turns,
  context: GenerationContext,
  constraint?: TokenConstraint,
): Promise<GenerateResult> {
  const { signal } = context;
  const { ids, promptLength } = request;
  const stopIds = new Set(request.stopIds);
  const max = generatedMax(request, contextLength);
  let generated = ids.length - promptLength;
  let computeMs = 0;
  let prefillMs = 0;
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    // A run stands the loop still: a cancellation that came meanwhile is read before the next one begins.
    await untilNextLoop();
    return turns.take(signal, async () => {
      const begun = performance.now();
      const result = await work();
      computeMs += performance.now() - begun;
      return result;
    });
  };

  try {
    const last = generated > 0 ? ids.at(-1) : undefined;
    let finish: GenerateResult['finish'] | undefined = last !== undefined && stopIds.has(last) ? 'stop' : undefined;
    if (generated >= max) finish ??= 'length';
    if (finish === undefined) {
      const draw = new Draw(request, constraint, signal);
      const pieces = piecesOf(ids, promptLength);
      for (const piece of pieces.slice(0, -1)) await run(() => generator.prefill(piece));
      let fresh = pieces.at(-1);
      while (finish === undefined) {
        assert(fresh !== undefined, 'a prompt has at least one piece');
        const piece = fresh;
        const index = generated;
        const drawn = await run(async () => draw.next(await generator.step(piece), index));
        if (prefillMs === 0) prefillMs = computeMs;
        generated++;
        if (stopIds.has(drawn.id)) finish = 'stop';
        else if (generated >= max) finish = 'length';
        // First of all, so that the next mask is computed while the token leaves and the graph runs.
        else draw.accept(drawn.id);
        const full = context.item(drawn.run);
        if (full !== undefined) await full;
        fresh = Int32Array.of(drawn.id);
      }
    }
    return { finish, generated, node: '', timing: { queueMs: 0, loadMs: 0, computeMs, prefillMs } };
  } finally {
    constraint?.close();
  }
}

/** A token that was drawn, and how it is sent. */
interface Drawn {
  readonly id: number;
  readonly run: TokenRun;
}

/** From logits to tokens: all that a request asks for, in the order that node/engine/penalties.ts names. */
class Draw {
  readonly #request: GenerateRequest;
  readonly #constraint: TokenConstraint | undefined;
  readonly #signal: AbortSignal;
  readonly #penalties: Penalties;
  /** The model's own logits, where they are reported on: the others are changed in place. */
  #raw: Float32Array | undefined;

  constructor(request: GenerateRequest, constraint: TokenConstraint | undefined, signal: AbortSignal) {
    const { sampling, ids, promptLength } = request;
    this.#request = request;
    this.#constraint = constraint;
    this.#signal = signal;
    this.#penalties = new Penalties(sampling, ids, promptLength);
    for (const id of ids.subarray(promptLength)) constraint?.accept(id);
  }

  /** @param logits of the generator's last step: they are this loop's to change until the next one */
  async next(logits: Float32Array, index: number): Promise<Drawn> {
    const { sampling, logprobs: top } = this.#request;
    if (top !== undefined) {
      this.#raw ??= new Float32Array(logits.length);
      this.#raw.set(logits);
    }
    this.#penalties.apply(logits);
    if (this.#constraint !== undefined) await orAborted(this.#constraint.mask(logits), this.#signal);
    const id = sample(logits, sampling, index);
    const run = { firstIndex: index, ids: [id] };
    if (top === undefined || this.#raw === undefined) return { id, run };
    return { id, run: { ...run, logprobs: [tokenLogprob(this.#raw, id, top)] } };
  }

  /** A token was drawn, and another one will be. */
  accept(id: number): void {
    this.#penalties.accept(id);
    this.#constraint?.accept(id);
  }
}

/** A mask may take long where a grammar is hard: whoever has cancelled doesn't hold the device for it. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * The prompt in pieces of PREFILL_TOKENS, then what was generated, token by token. Prompt pieces are never a single token
 * where it can be avoided, so that how it is cut never changes the result. Beyond REPLAY_TOKENS_MAX generated tokens all
 * is taken in pieces: a long stream goes on soon rather than exactly.
 */
export function piecesOf(ids: Int32Array, promptLength: number): Int32Array[] {
  const pieces: Int32Array[] = [];
  const inPieces = ids.length - promptLength <= REPLAY_TOKENS_MAX ? promptLength : ids.length;
  let from = 0;
  while (from < inPieces) {
    const left = inPieces - from;
    const length = left === PREFILL_TOKENS + 1 ? PREFILL_TOKENS - 1 : Math.min(left, PREFILL_TOKENS);
    pieces.push(ids.subarray(from, from + length));
    from += length;
  }
  for (let at = inPieces; at < ids.length; at++) pieces.push(ids.subarray(at, at + 1));
  return pieces;
}
