// POST /v1/chat/completions, whole and streamed.
import { createHash } from 'node:crypto';
import { type ChatCompletion, type ChatCompletionChunk, ChatCompletionRequest } from '../../protocol/api/openai.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { ChatRequest, ChatResult, Coordinator } from '../core/coordinator.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import { newId } from './ids.ts';
import { type NameOf, placementHeaders, planSummary, rounded } from './placement.ts';

export interface ChatCompletionsComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly coordinator: Coordinator;
  readonly nameOf: NameOf;
  /** Version of this node. */
  readonly version: () => string;
  /** The error as a body, logged where that is due. */
  readonly failure: (error: unknown, exchange: Exchange) => object;
}

/** The endpoint. */
export function chatCompletions(components: ChatCompletionsComponents): Endpoint {
  return {
    method: 'POST',
    url: '/v1/chat/completions',
    async handle(exchange) {
      const body = await exchange.readJson(ChatCompletionRequest);
      const answer = {
        id: newId(components.random, 'chatcmpl-'),
        created: Math.floor(components.clock.wallNow() / 1_000),
      };
      if (body.stream !== true) return whole(components, exchange, body, answer);
      return streamed(components, exchange, body, answer);
    },
  };
}

interface Identity {
  readonly id: string;
  readonly created: number;
}

async function whole(
  components: ChatCompletionsComponents,
  exchange: Exchange,
  body: ChatCompletionRequest,
  identity: Identity,
): Promise<ChatCompletion> {
  const texts: string[] = [];
  const result = await components.coordinator.chat(toChatRequest(body), exchange, {
    onText: (text) => texts.push(text),
  });
  const node = result.nodes.at(-1);
  exchange.reply.headers(placementHeaders(node, components.nameOf));
  return {
    ...identity,
    object: 'chat.completion',
    model: result.model,
    system_fingerprint: fingerprint(components.version(), result.model, node),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: texts.join(''), refusal: null },
        logprobs: null,
        finish_reason: result.finish,
      },
    ],
    usage: usageOf(result),
    weft: extension(result),
  };
}

async function streamed(
  components: ChatCompletionsComponents,
  exchange: Exchange,
  body: ChatCompletionRequest,
  identity: Identity,
): Promise<undefined> {
  const stream = exchange.eventStream();
  const includeUsage = body.stream_options?.include_usage === true;
  let placed: { readonly node: NodeId | undefined; readonly model: string } = { node: undefined, model: body.model };
  let common: Omit<ChatCompletionChunk, 'choices'> | undefined;

  const chunk = (
    delta: ChatCompletionChunk['choices'][number]['delta'],
    finish: ChatResult['finish'] | null = null,
    extra: Partial<ChatCompletionChunk> = {},
  ): ChatCompletionChunk => ({
    ...begun(),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...(includeUsage ? { usage: null } : {}),
    ...extra,
  });
  // Status and headers go out with the first text, not with the placement: until then a loss is recovered elsewhere, or
  // answered with its own status, and the header names the node that really began.
  const begun = (): Omit<ChatCompletionChunk, 'choices'> => {
    if (common !== undefined) return common;
    common = {
      ...identity,
      object: 'chat.completion.chunk',
      model: placed.model,
      system_fingerprint: fingerprint(components.version(), placed.model, placed.node),
    };
    exchange.reply.hijack();
    stream.open({ ...exchange.reply.getHeaders(), ...placementHeaders(placed.node, components.nameOf) });
    stream.send(chunk({ role: 'assistant', content: '', refusal: null }));
    return common;
  };

  try {
    const result = await components.coordinator.chat(toChatRequest(body), exchange, {
      onPlaced: (node, model) => {
        placed = { node, model };
      },
      onText: (text) => stream.send(chunk({ content: text })),
    });
    stream.send(chunk({}, result.finish, { weft: extension(result) }));
    if (includeUsage) stream.send({ ...begun(), choices: [], usage: usageOf(result) } satisfies ChatCompletionChunk);
    stream.done();
  } catch (error) {
    if (!stream.opened) throw error;
    stream.fail(components.failure(error, exchange));
  }
}

function toChatRequest(body: ChatCompletionRequest): ChatRequest {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  return {
    model: body.model,
    messages: body.messages.map(({ role, content }) => ({ role, content })),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    // Negative seeds are allowed by OpenAI, and are as good as any.
    ...(body.seed === undefined ? {} : { seed: BigInt.asUintN(64, BigInt(body.seed)) }),
    stop: body.stop ?? [],
  };
}

function usageOf({ usage: { promptTokens, completionTokens } }: ChatResult): ChatCompletion['usage'] {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

function extension({ nodes, timings, plan }: ChatResult): ChatCompletion['weft'] {
  return {
    nodes: [...nodes],
    ttft_ms: rounded(timings.ttftMs),
    tokens_per_second: rounded(timings.tokensPerSecond),
    plan: planSummary(plan),
  };
}

/** The same text for the same seed is promised for one build on one kind of machine: this names both. */
function fingerprint(version: string, model: string, node: NodeId | undefined): string {
  const digest = createHash('sha256').update(JSON.stringify([version, model, node ?? '']));
  return `fp_${digest.digest('hex').slice(0, 10)}`;
}
