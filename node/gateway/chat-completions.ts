// POST /v1/chat/completions, whole and streamed.

import type { ErrorBody } from '../../protocol/api/openai.ts';
import { type ChatCompletion, type ChatCompletionChunk, ChatCompletionRequest } from '../../protocol/api/openai.ts';
import type { AnswerDelta, AnswerResult, ChatRequest, TokenReport, TokenText, ToolCall } from '../core/coordinator.ts';
import {
  type AnswersComponents,
  type AnswerWriter,
  answerSettings,
  collector,
  extension,
  fingerprint,
  given,
  type Placed,
  secondsNow,
  streamAnswer,
  usageOf,
} from './answers.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import { newId } from './ids.ts';
import { placementHeaders } from './placement.ts';
import type { EventStream } from './sse.ts';

/** The endpoint. */
export function chatCompletions(components: AnswersComponents): Endpoint {
  return {
    method: 'POST',
    url: '/v1/chat/completions',
    traced: true,
    async handle(exchange) {
      const body = await exchange.readParameters(ChatCompletionRequest);
      const identity = { id: newId(components.random, 'chatcmpl-'), created: secondsNow(components.clock) };
      if (body.stream !== true) return whole(components, exchange, body, identity);
      const ask = components.coordinator.chat.bind(components.coordinator, toChatRequest(body), exchange);
      const version = components.version();
      return streamAnswer(components, exchange, body.model, ask, (stream) =>
        writer(stream, { identity, version, includeUsage: body.stream_options?.include_usage === true }),
      );
    },
  };
}

interface Identity {
  readonly id: string;
  readonly created: number;
}

type Delta = ChatCompletionChunk['choices'][number]['delta'];

async function whole(
  components: AnswersComponents,
  exchange: Exchange,
  body: ChatCompletionRequest,
  identity: Identity,
): Promise<ChatCompletion> {
  const { events, choice } = collector();
  const result = await components.coordinator.chat(toChatRequest(body), exchange, events);
  const node = result.nodes.at(-1);
  exchange.reply.headers(placementHeaders(node, components.nameOf));
  return {
    ...identity,
    object: 'chat.completion',
    model: result.model,
    system_fingerprint: fingerprint(components.version(), result.model, node),
    choices: result.choices.map(({ finish }, index) => {
      const { text, toolCalls, logprobs } = choice(index);
      return {
        index,
        message: {
          role: 'assistant',
          content: text === '' && toolCalls.length > 0 ? null : text,
          refusal: null,
          ...(toolCalls.length > 0 ? { tool_calls: toolCalls.map(toToolCall) } : {}),
        },
        logprobs: body.logprobs === true ? toLogprobs(logprobs) : null,
        finish_reason: finish,
      };
    }),
    usage: usageOf(result),
    weft: extension(result),
  };
}

interface WriterInit {
  readonly identity: Identity;
  readonly version: string;
  readonly includeUsage: boolean;
}

/** Writes the events of a stream. Each choice has its own role, text, calls and finish reason. */
function writer(stream: EventStream, { identity, version, includeUsage }: WriterInit): AnswerWriter {
  const calls = new Map<number, number>();
  let common: Omit<ChatCompletionChunk, 'choices'>;
  const send = (
    index: number,
    delta: Delta,
    more: {
      readonly logprobs?: readonly TokenReport[] | undefined;
      readonly finish?: AnswerResult['choices'][number]['finish'];
    } = {},
    weft?: ChatCompletionChunk['weft'],
  ): void => {
    const logprobs = more.logprobs === undefined ? null : toLogprobs(more.logprobs);
    stream.send({
      ...common,
      choices: [{ index, delta, logprobs, finish_reason: more.finish ?? null }],
      ...(includeUsage ? { usage: null } : {}),
      ...(weft === undefined ? {} : { weft }),
    } satisfies ChatCompletionChunk);
  };
  const role = (index: number, content: '' | null): void => {
    if (calls.has(index)) return;
    calls.set(index, 0);
    send(index, { role: 'assistant', content, refusal: null });
  };
  return {
    begin({ node, model }: Placed): void {
      const system_fingerprint = fingerprint(version, model, node);
      common = { ...identity, object: 'chat.completion.chunk', model, system_fingerprint };
    },
    delta({ choice, text, logprobs, toolCall }: AnswerDelta): void {
      const hasText = text !== '' || (logprobs !== undefined && logprobs.length > 0);
      role(choice, toolCall === undefined || hasText ? '' : null);
      if (hasText) send(choice, { content: text }, { logprobs });
      if (toolCall === undefined) return;
      const index = calls.get(choice) ?? 0;
      calls.set(choice, index + 1);
      send(choice, { tool_calls: [{ index, ...toToolCall(toolCall) }] });
    },
    end(result: AnswerResult): void {
      for (const [index, { finish }] of result.choices.entries()) {
        role(index, '');
        const last = index === result.choices.length - 1;
        send(index, {}, { finish }, last ? extension(result) : undefined);
      }
      if (includeUsage) stream.send({ ...common, choices: [], usage: usageOf(result) } satisfies ChatCompletionChunk);
      stream.done();
    },
    fail: (body: ErrorBody) => stream.fail(body),
  };
}

function toChatRequest(body: ChatCompletionRequest): ChatRequest {
  return {
    ...answerSettings(body),
    model: body.model,
    messages: body.messages,
    ...given({
      maxTokens: body.max_completion_tokens ?? body.max_tokens,
      logprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : undefined,
      format: body.response_format?.kind === 'text' ? undefined : body.response_format,
      tools: body.tools,
      toolChoice: body.tool_choice,
      parallelToolCalls: body.parallel_tool_calls,
    }),
  };
}

function toToolCall({ id, name, arguments: text }: ToolCall) {
  return { id, type: 'function' as const, function: { name, arguments: text } };
}

function toLogprobs(reports: readonly TokenReport[]): NonNullable<ChatCompletion['choices'][number]['logprobs']> {
  return {
    content: reports.map((report) => ({ ...toTokenText(report), top_logprobs: report.top.map(toTokenText) })),
    refusal: null,
  };
}

function toTokenText({ token, logprob, bytes }: TokenText) {
  return { token, logprob, bytes: [...bytes] };
}
