// The token loop: prompt in pieces, then one token after the other until something ends it. Runs in a runner process.

import type { TokenRun } from '../../../protocol/codec.ts';
import type { GenerateRequest, GenerateResult } from '../../../protocol/infer.ts';
import { assert } from '../../core/assert.ts';
import type { Priority } from '../../core/engine.ts';
import { untilNextLoop } from '../../core/waiting.ts';
import { PREFILL_TOKENS, REPLAY_TOKENS_MAX } from '../limits.ts';
import type { TokenConstraint } from './constraint.ts';
import { Draw } from './draw.ts';
import type { TextGenerator } from './generator.ts';
import type { Turns } from './turns.ts';

/** What the loop needs of the call that it answers. */
export interface GenerationContext {
  readonly signal: AbortSignal;
  /** @default 'interactive' */
  readonly priority?: Priority;
  /** Sends one token. @returns a promise when the link is full */
  item(value: TokenRun): Promise<void> | undefined;
}

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

/**
 * How many of so many tokens are computed next: PREFILL_TOKENS, or fewer at the end, and never so that a single one is left
 * where it can be avoided. How a prompt is cut then depends on its length alone.
 */
export function nextPiece(left: number): number {
  return left === PREFILL_TOKENS + 1 ? PREFILL_TOKENS - 1 : Math.min(left, PREFILL_TOKENS);
}

/**
 * The prompt in pieces, then what was generated, token by token. Beyond REPLAY_TOKENS_MAX generated tokens all is taken in
 * pieces: a long stream goes on soon rather than exactly.
 */
export function piecesOf(ids: Int32Array, promptLength: number): Int32Array[] {
  const pieces: Int32Array[] = [];
  const inPieces = ids.length - promptLength <= REPLAY_TOKENS_MAX ? promptLength : ids.length;
  for (let from = 0; from < inPieces; ) {
    const length = nextPiece(inPieces - from);
    pieces.push(ids.subarray(from, from + length));
    from += length;
  }
  for (let at = inPieces; at < ids.length; at++) pieces.push(ids.subarray(at, at + 1));
  return pieces;
}
