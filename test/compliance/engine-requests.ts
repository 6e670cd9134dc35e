// Requests on the two bundled models, for whatever tests an engine. Free of the test runner: child processes use it too.
import type { WorkOptions } from '../../node/core/engine.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { EncodeRequest, GenerateRequest } from '../../protocol/infer.ts';

/** "Hello world!" for MiniLM. */
export const HELLO = [101, 7592, 2088, 999, 102];
/** A prompt of SmolLM2's chat template: system line left out, "What is the capital of France?". */
export const FRANCE = [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198];

/** Texts of these many tokens, all different. */
export function textsOf(lengths: readonly number[]): number[][] {
  return lengths.map((length, text) => [
    101,
    ...Array.from({ length: length - 2 }, (_, index) => 2000 + ((text * 911 + index * 37) % 20_000)),
    102,
  ]);
}

let requests = 0;

/** Options of a call that nobody cancels. */
export function workOptions(overrides: Partial<WorkOptions> = {}): WorkOptions {
  return { signal: new AbortController().signal, requestId: `req_test${requests++}`, ...overrides };
}

/** Ragged texts as one request. */
export function encodeRequest(model: ModelRef, texts: readonly (readonly number[])[]): EncodeRequest {
  return {
    model,
    ids: Int32Array.from(texts.flat()),
    lengths: Int32Array.from(texts, (text) => text.length),
    pooling: 'mean',
    normalize: true,
  };
}

/** A generation from scratch; greedy where nothing else is said. */
export function generateRequest(
  model: ModelRef,
  prompt: readonly number[],
  overrides: Partial<GenerateRequest> = {},
): GenerateRequest {
  return {
    model,
    ids: Int32Array.from(prompt),
    promptLength: prompt.length,
    maxNewTokens: 6,
    stopIds: [],
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 0n },
    ...overrides,
  };
}

/** The same request as another engine takes it over after these tokens. */
export function resumedAfter(request: GenerateRequest, tokens: readonly number[]): GenerateRequest {
  return { ...request, ids: Int32Array.from([...request.ids, ...tokens]) };
}
