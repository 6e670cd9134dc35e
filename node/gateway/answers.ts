// What the endpoints that answer with text share: settings on the way in; usage, placement and streaming on the way out.
import { createHash } from 'node:crypto';
import type { ErrorBody } from '../../protocol/api/openai.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { LogitBias } from '../../protocol/infer.ts';
import type { Clock, Random } from '../core/clock.ts';
import type {
  AnswerDelta,
  AnswerEvents,
  AnswerResult,
  AnswerSettings,
  Coordinator,
  TokenReport,
  ToolCall,
} from '../core/coordinator.ts';
import type { Exchange } from './exchange.ts';
import { type NameOf, placementHeaders, planSummary, rounded } from './placement.ts';
import type { EventStream } from './sse.ts';

export interface AnswersComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly coordinator: Coordinator;
  readonly nameOf: NameOf;
  /** Version of this node. */
  readonly version: () => string;
  /** The error as a body, logged where that is due. */
  readonly failure: (error: unknown, exchange: Exchange) => ErrorBody;
}

/** Where an answer begins. */
export interface Placed {
  readonly node: NodeId | undefined;
  readonly model: string;
}

/** Writes one streamed answer in the form of its endpoint. */
export interface AnswerWriter {
  /** The status goes out: before anything else, once. */
  begin(placed: Placed): void;
  delta(delta: AnswerDelta): void;
  end(result: AnswerResult): void;
  /** A failure after the beginning. */
  fail(body: ErrorBody): void;
}

/**
 * Streams an answer. Status and headers go out with the first text, not with the placement: until then a loss is recovered
 * elsewhere, or answered with its own status, and the header names the node that really began.
 * @param model name that the client gave
 * @throws what `ask` throws before the first text
 */
export async function streamAnswer(
  components: AnswersComponents,
  exchange: Exchange,
  model: string,
  ask: (events: AnswerEvents) => Promise<AnswerResult>,
  makeWriter: (stream: EventStream) => AnswerWriter,
): Promise<undefined> {
  const stream = exchange.eventStream();
  const writer = makeWriter(stream);
  let placed: Placed = { node: undefined, model };
  let begun = false;
  const begin = (): void => {
    if (begun) return;
    begun = true;
    exchange.reply.hijack();
    stream.open({ ...exchange.reply.getHeaders(), ...placementHeaders(placed.node, components.nameOf) });
    writer.begin(placed);
  };
  try {
    const result = await ask({
      onPlaced: (node, model) => {
        placed = { node, model };
      },
      onDelta: (delta) => {
        begin();
        writer.delta(delta);
      },
    });
    begin();
    writer.end(result);
  } catch (error) {
    if (!stream.opened) throw error;
    writer.fail(components.failure(error, exchange));
  }
}

/** One choice of an answer that is given whole. */
export interface Collected {
  text: string;
  readonly logprobs: TokenReport[];
  readonly toolCalls: ToolCall[];
}

/** Puts the pieces of an answer together, choice by choice. */
export function collector(): { readonly events: AnswerEvents; readonly choice: (index: number) => Collected } {
  const choices = new Map<number, Collected>();
  const choice = (index: number): Collected => {
    const known = choices.get(index) ?? { text: '', logprobs: [], toolCalls: [] };
    choices.set(index, known);
    return known;
  };
  const onDelta = ({ choice: index, text, logprobs, toolCall }: AnswerDelta): void => {
    const into = choice(index);
    into.text += text;
    if (logprobs !== undefined) into.logprobs.push(...logprobs);
    if (toolCall !== undefined) into.toolCalls.push(toolCall);
  };
  return { events: { onDelta }, choice };
}

/** Settings of a request by chat or completions. Defaults are OpenAI's. */
export function answerSettings(body: {
  readonly temperature?: number | undefined;
  readonly top_p?: number | undefined;
  readonly top_k?: number | undefined;
  readonly min_p?: number | undefined;
  readonly repetition_penalty?: number | undefined;
  readonly repeat_penalty?: number | undefined;
  readonly presence_penalty?: number | undefined;
  readonly frequency_penalty?: number | undefined;
  readonly logit_bias?: readonly LogitBias[] | undefined;
  readonly seed?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  readonly n?: number | undefined;
}): AnswerSettings {
  return {
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    stop: body.stop ?? [],
    ...given({
      topK: body.top_k !== undefined && body.top_k > 0 ? body.top_k : undefined,
      minP: body.min_p,
      repetitionPenalty: body.repetition_penalty ?? body.repeat_penalty,
      presencePenalty: body.presence_penalty,
      frequencyPenalty: body.frequency_penalty,
      logitBias: body.logit_bias,
      // Negative seeds are allowed by OpenAI, and are as good as any.
      seed: body.seed === undefined ? undefined : BigInt.asUintN(64, BigInt(body.seed)),
      n: body.n,
    }),
  };
}

/** Without the fields that are undefined. */
export function given<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: Exclude<Fields[Name], undefined>;
  };
}

/** `usage` of chat and completions. */
export function usageOf({ usage: { promptTokens, completionTokens, cachedTokens = 0 } }: AnswerResult) {
  return {
    prompt_tokens: promptTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

/** `weft` of every answer with text. */
export function extension({ nodes, timings, plan }: AnswerResult) {
  return {
    nodes: [...nodes],
    ttft_ms: rounded(timings.ttftMs),
    tokens_per_second: rounded(timings.tokensPerSecond),
    plan: planSummary(plan),
  };
}

/** The same text for the same seed is promised for one build on one kind of machine: this names both. */
export function fingerprint(version: string, model: string, node: NodeId | undefined): string {
  const digest = createHash('sha256').update(JSON.stringify([version, model, node ?? '']));
  return `fp_${digest.digest('hex').slice(0, 10)}`;
}

/** Seconds since 1970. */
export const secondsNow = (clock: Clock): number => Math.floor(clock.wallNow() / 1_000);
