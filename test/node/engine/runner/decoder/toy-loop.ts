// What the tests of the batch loop share: loops over the toy model, requests to them, and what must come out.
import { rowBytes } from '../../../../../models/onnx/kv-rewrite/layout.ts';
import type { Priority } from '../../../../../node/core/engine.ts';
import type { TokenConstraint } from '../../../../../node/engine/runner/constraint.ts';
import { BatchLoop, type BatchLoopInit, type RowsEvent } from '../../../../../node/engine/runner/decoder/batch-loop.ts';
import type { DecoderModel } from '../../../../../node/engine/runner/decoder/rewritten-model.ts';
import { Turns } from '../../../../../node/engine/runner/turns.ts';
import type { TokenRun } from '../../../../../protocol/codec.ts';
import { WeftError } from '../../../../../protocol/errors.ts';
import type { GenerateRequest, GenerateResult } from '../../../../../protocol/infer.ts';
import { hashed, type Rule, TOY_LAYOUT } from './toy-model.ts';

/** Bytes of one token's rows. */
export const ROW = rowBytes(TOY_LAYOUT);

const loops: BatchLoop[] = [];

export const over = (): WeftError => new WeftError({ code: 'stopping', message: 'The test is over.' });

/** To be called after each test. */
export async function closeLoops(): Promise<void> {
  for (const loop of loops.splice(0)) await loop.close(over());
}

export function loopOf(
  model: DecoderModel & { readonly clockMs: number },
  init: Partial<BatchLoopInit> = {},
  onRows?: (event: RowsEvent) => void,
): BatchLoop {
  const loop = new BatchLoop(
    {
      model,
      turns: new Turns({ flushed: () => undefined }),
      now: () => model.clockMs,
      ...(onRows !== undefined && { onRows }),
    },
    { contextLength: 512, kvBytesMax: 4096 * ROW, sequencesMax: 8, ...init },
  );
  loops.push(loop);
  return loop;
}

/** Greedy, of one prompt. */
export function request(
  ids: readonly number[],
  maxNewTokens: number,
  more: Partial<GenerateRequest> = {},
): GenerateRequest {
  return {
    model: { id: 'tests/toy', digest: 'toy' },
    ids: Int32Array.from(ids),
    promptLength: ids.length,
    maxNewTokens,
    stopIds: [],
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 0n },
    ...more,
  };
}

/** A generation that is watched. */
export interface Run {
  readonly tokens: number[];
  /** The index of the first token of each item. */
  readonly firsts: number[];
  readonly items: TokenRun[];
  readonly result: Promise<GenerateResult>;
}

export function run(
  loop: BatchLoop,
  what: GenerateRequest,
  signal = new AbortController().signal,
  item: (value: TokenRun) => Promise<void> | undefined = () => undefined,
  constraint?: TokenConstraint,
  priority?: Priority,
): Run {
  const tokens: number[] = [];
  const firsts: number[] = [];
  const items: TokenRun[] = [];
  const context = {
    signal,
    ...(priority !== undefined && { priority }),
    item: (value: TokenRun) => {
      items.push(value);
      firsts.push(value.firstIndex);
      tokens.push(...value.ids);
      return item(value);
    },
  };
  return { tokens, firsts, items, result: loop.generate(what, context, constraint) };
}

/** What a sequence is given when it is alone with nothing kept. */
export function expected(prompt: readonly number[], count: number, rule: Rule = hashed): number[] {
  const history = [...prompt];
  for (let token = 0; token < count; token++) history.push(rule(history));
  return history.slice(prompt.length);
}

export const prompt = (length: number, salt = 0): number[] =>
  Array.from({ length }, (_, at) => (at * 7 + salt * 11 + ((at * at) % 5)) % TOY_LAYOUT.vocabularySize);
