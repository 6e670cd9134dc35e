// The token loop: prompt in pieces, then one token after the other until something ends it. Runs in a runner process.
import type { GenerateRequest, GenerateResult } from '../../../protocol/infer.ts';
import { assert } from '../../core/assert.ts';
import { PREFILL_TOKENS, REPLAY_TOKENS_MAX } from '../limits.ts';
import { sample } from '../sampling.ts';
import type { TextGenerator } from './generator.ts';
import type { Turns } from './turns.ts';

/** What the loop needs of the call that it answers. */
export interface GenerationContext {
  readonly signal: AbortSignal;
  /** Sends one token. @returns a promise when the link is full */
  item(value: { readonly firstIndex: number; readonly ids: readonly number[] }): Promise<void> | undefined;
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
 * @throws the signal's reason when it aborts; WeftError when the graph or its logits fail
 */
export async function generate(
  request: GenerateRequest,
  contextLength: number,
  generator: TextGenerator,
  turns: Turns,
  context: GenerationContext,
): Promise<GenerateResult> {
  const { signal } = context;
  const stopIds = new Set(request.stopIds);
  const max = generatedMax(request, contextLength);
  let generated = request.ids.length - request.promptLength;
  let computeMs = 0;
  let prefillMs = 0;
  const run = <T>(work: () => Promise<T>): Promise<T> =>
    turns.take(signal, async () => {
      const begun = performance.now();
      const result = await work();
      computeMs += performance.now() - begun;
      return result;
    });

  const last = generated > 0 ? request.ids.at(-1) : undefined;
  let finish: GenerateResult['finish'] | undefined = last !== undefined && stopIds.has(last) ? 'stop' : undefined;
  if (generated >= max) finish ??= 'length';
  if (finish === undefined) {
    const pieces = piecesOf(request.ids, request.promptLength);
    for (const piece of pieces.slice(0, -1)) await run(() => generator.prefill(piece));
    let fresh = pieces.at(-1);
    while (finish === undefined) {
      assert(fresh !== undefined, 'a prompt has at least one piece');
      const ids = fresh;
      const next = await run(async () => sample(await generator.step(ids), request.sampling, generated));
      if (prefillMs === 0) prefillMs = computeMs;
      const full = context.item({ firstIndex: generated, ids: [next] });
      generated++;
      if (full !== undefined) await full;
      if (stopIds.has(next)) finish = 'stop';
      else if (generated >= max) finish = 'length';
      fresh = Int32Array.of(next);
    }
  }
  return { finish, generated, node: '', timing: { queueMs: 0, loadMs: 0, computeMs, prefillMs } };
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
