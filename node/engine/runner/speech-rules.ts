// Which tokens a speech model may write next: never those that are no speech, times in pairs and in order, a language where
// it was asked for one. After whisper/decoding.py (SuppressTokens, ApplyTimestampRules, detect_language). Pure.
import type { SpeechSpec } from '../../../models/manifest.ts';

/** Where a transcript stands. */
export interface TranscriptState {
  /** Prompt and what was drawn behind it. */
  readonly ids: readonly number[];
  readonly promptLength: number;
  readonly eosId: number;
}

/**
 * Takes what may not come next out of the logits: -Infinity. The prompt says what is wanted: nothing but the token that
 * begins an answer asks for a language, one that ends with "no timestamps" for text alone, any other for text and times.
 * @param logits float32 [vocabulary], changed
 */
export function allowTokens(logits: Float32Array, state: TranscriptState, spec: SpeechSpec): void {
  const { ids, promptLength } = state;
  if (promptLength === 1 && ids.length === 1 && Object.keys(spec.languages).length > 0) {
    keepOnly(logits, Object.values(spec.languages));
    return;
  }
  const first = ids.length === promptLength;
  for (const id of spec.suppressIds) exclude(logits, id, id + 1);
  if (first) for (const id of spec.beginSuppressIds) exclude(logits, id, id + 1);
  exclude(logits, spec.noTimestampsId, spec.noTimestampsId + 1);
  if (ids[promptLength - 1] === spec.noTimestampsId) exclude(logits, spec.timestampBeginId, logits.length);
  else allowTimes(logits, state, spec);
}

function allowTimes(logits: Float32Array, { ids, promptLength, eosId }: TranscriptState, spec: SpeechSpec): void {
  const { timestampBeginId: begin, initialTimestampsMax } = spec;
  const drawn = ids.slice(promptLength);
  if (drawn.length === 0) {
    // An answer begins with the time at which speech does, which is not far off.
    exclude(logits, 0, begin);
    exclude(logits, begin + initialTimestampsMax + 1, logits.length);
    return;
  }
  const isTime = (id: number | undefined): boolean => id !== undefined && id >= begin;
  const afterTime = isTime(drawn.at(-1));
  const afterPair = afterTime && (drawn.length < 2 || isTime(drawn.at(-2)));
  // The end of one segment and the beginning of the next come together; then comes text.
  if (afterPair) exclude(logits, begin, logits.length);
  else if (afterTime) exclude(logits, 0, eosId);
  const last = drawn.findLast(isTime);
  // Times never go back, and a segment takes some time.
  if (last !== undefined) exclude(logits, begin, afterTime && !afterPair ? last : last + 1);
  if (timeIsLikelier(logits, begin)) exclude(logits, 0, begin);
}

/** All times together are likelier than any one other token. */
function timeIsLikelier(logits: Float32Array, begin: number): boolean {
  let text = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < begin; id++) text = Math.max(text, logits[id] as number);
  let highest = Number.NEGATIVE_INFINITY;
  for (let id = begin; id < logits.length; id++) highest = Math.max(highest, logits[id] as number);
  if (highest === Number.NEGATIVE_INFINITY) return false;
  let sum = 0;
  for (let id = begin; id < logits.length; id++) sum += Math.exp((logits[id] as number) - highest);
  return highest + Math.log(sum) > text;
}

function exclude(logits: Float32Array, from: number, to: number): void {
  logits.fill(Number.NEGATIVE_INFINITY, Math.min(from, logits.length), Math.min(to, logits.length));
}

function keepOnly(logits: Float32Array, ids: readonly number[]): void {
  const kept = ids.map((id) => logits[id] as number);
  logits.fill(Number.NEGATIVE_INFINITY);
  for (const [index, id] of ids.entries()) logits[id] = kept[index] as number;
}
