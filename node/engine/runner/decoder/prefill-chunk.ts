// How much of a prompt is computed at once while other sequences wait for their next token: long pieces compute prompts
// fastest, short ones keep the others' tokens coming (chunked prefill; Sarathi-Serve, Agrawal et al., OSDI 2024).
import { PREFILL_TOKENS } from '../../limits.ts';
import type { StepCosts } from './step-costs.ts';

/**
 * Longest that a piece may keep the others waiting, in steps of theirs. With the step that follows, the gap between two
 * tokens is 2.6 steps; the promise is 3, and times vary.
 */
const PIECE_STEPS_MAX = 1.6;

/**
 * Smallest piece. However little time the others leave, a prompt goes on by this much between two of their steps, so it
 * never starves. SmolLM2: 4 rows take 1.9 steps of one.
 */
const PIECE_TOKENS_MIN = 4;

/** A piece beside others while nothing has been measured yet. */
const PIECE_TOKENS_UNMEASURED = 16;

/** Pieces beside others have few different sizes: a runtime plans its memory for each. */
const SIZES: readonly number[] = [4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

export interface PrefillState {
  /** Tokens of the prompt that are not computed yet; ≥ 1. */
  readonly left: number;
  /** Tokens in front of them. */
  readonly context: number;
  /** Sequences that wait for their next token meanwhile; 0 = nobody does. */
  readonly decoding: number;
  /** Tokens of the longest of those. */
  readonly contextOfOthers: number;
  readonly costs: Pick<StepCosts, 'stepMs'>;
}

/** Tokens of the next piece: at least 1, at most {@link PREFILL_TOKENS}, and never more than are left. */
export function prefillChunk({ left, context, decoding, contextOfOthers, costs }: PrefillState): number {
  const most = Math.min(left, PREFILL_TOKENS);
  if (decoding === 0) return most;
  const boundMs = PIECE_STEPS_MAX * costs.stepMs(decoding, contextOfOthers);
  if (boundMs === 0) return Math.min(most, PIECE_TOKENS_UNMEASURED);
  const fits = (tokens: number): boolean => costs.stepMs(tokens, context) <= boundMs;
  if (fits(most)) return most;
  const size = SIZES.findLast((tokens) => tokens < most && fits(tokens)) ?? PIECE_TOKENS_MIN;
  return Math.min(most, size);
}
