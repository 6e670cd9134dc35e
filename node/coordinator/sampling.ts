// How answers are drawn: what a request asks for, checked, and as the executor takes it. Called by text generation.
import type { Sampling } from '../../protocol/infer.ts';
import {
  LOGIT_BIAS_ABS_MAX,
  LOGIT_BIAS_MAX,
  PENALTY_ABS_MAX,
  REPETITION_PENALTY_MAX,
  REPETITION_PENALTY_MIN,
  TOP_K_MAX,
  TOP_LOGPROBS_MAX,
} from '../../protocol/limits.ts';
import type { Random } from '../core/clock.ts';
import type { AnswerSettings } from '../core/coordinator.ts';
import { STOPS_MAX } from './limits.ts';
import { refusal } from './refusal.ts';

/** @throws WeftError `bad_request` for the first setting that is out of its range */
export function checkSettings(settings: AnswerSettings): void {
  whole(settings.maxTokens, 'max_tokens', 1, Number.MAX_SAFE_INTEGER);
  whole(settings.n, 'n', 1, Number.MAX_SAFE_INTEGER);
  whole(settings.topK, 'top_k', 0, TOP_K_MAX);
  whole(settings.logprobs, 'top_logprobs', 0, TOP_LOGPROBS_MAX);
  within(settings.temperature, 'temperature', 0, 100);
  within(settings.topP, 'top_p', 0, 1);
  within(settings.minP, 'min_p', 0, 1);
  within(settings.repetitionPenalty, 'repetition_penalty', REPETITION_PENALTY_MIN, REPETITION_PENALTY_MAX);
  within(settings.presencePenalty, 'presence_penalty', -PENALTY_ABS_MAX, PENALTY_ABS_MAX);
  within(settings.frequencyPenalty, 'frequency_penalty', -PENALTY_ABS_MAX, PENALTY_ABS_MAX);
  if (settings.topP === 0) throw refusal('top_p must be above 0.', 'top_p');
  if (settings.stop.length > STOPS_MAX) {
    throw refusal(`"stop" has ${settings.stop.length} strings; ${STOPS_MAX} are taken.`, 'stop');
  }
}

/** @throws WeftError `bad_request` for too many entries, a bias out of range, or a token that the model lacks */
export function checkLogitBias({ logitBias = [] }: AnswerSettings, vocabularySize: number): void {
  if (logitBias.length > LOGIT_BIAS_MAX) {
    throw refusal(`"logit_bias" has ${logitBias.length} tokens; ${LOGIT_BIAS_MAX} are taken.`, 'logit_bias');
  }
  for (const { id, bias } of logitBias) {
    within(bias, 'logit_bias', -LOGIT_BIAS_ABS_MAX, LOGIT_BIAS_ABS_MAX);
    if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw refusal(`${id} is no token: the model's ids are 0 to ${vocabularySize - 1}.`, 'logit_bias');
    }
  }
}

/** How choice `index` of a prompt is drawn. @param seed of the prompt's first choice */
export function samplingOf(settings: AnswerSettings, seed: bigint, index: number): Sampling {
  const { temperature, topP, topK, minP, repetitionPenalty, presencePenalty, frequencyPenalty, logitBias } = settings;
  return {
    temperature,
    topP,
    topK: topK ?? 0,
    ...(minP !== undefined && { minP }),
    ...(repetitionPenalty !== undefined && { repetitionPenalty }),
    ...(presencePenalty !== undefined && { presencePenalty }),
    ...(frequencyPenalty !== undefined && { frequencyPenalty }),
    ...(logitBias !== undefined && { logitBias }),
    seed: BigInt.asUintN(64, seed + BigInt(index)),
  };
}

/** A seed for whoever named none. */
export const freshSeed = (random: Pick<Random, 'bytes'>): bigint => Buffer.from(random.bytes(8)).readBigUInt64LE();

function whole(value: number | undefined, param: string, min: number, max: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max)) return;
  const range = max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `from ${min} to ${max}`;
  throw refusal(`${param} must be a whole number ${range}.`, param);
}

function within(value: number | undefined, param: string, min: number, max: number): void {
  if (value === undefined || (value >= min && value <= max)) return;
  throw refusal(`${param} must be a number from ${min} to ${max}.`, param);
}
