// POST /v1/responses, whole and streamed. Nothing is stored: a conversation comes with every request.
import { type Response, ResponseRequest } from '../../protocol/api/openai.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { AnswerEvents, AnswerResult, ChatRequest } from '../core/coordinator.ts';
import { type AnswersComponents, given, streamAnswer } from './answers.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import { placementHeaders } from './placement.ts';
import { ResponseWriter } from './response-writer.ts';

/** The endpoint. */
export function responses(components: AnswersComponents): Endpoint {
  return {
    method: 'POST',
    url: '/v1/responses',
    traced: true,
    async handle(exchange) {
      const body = await exchange.readParameters(ResponseRequest);
      const ask = async (events: AnswerEvents): Promise<AnswerResult> => {
        try {
          return await components.coordinator.chat(toChatRequest(body), exchange, events);
        } catch (error) {
          throw renamed(error);
        }
      };
      if (body.stream !== true) return whole(components, exchange, body, ask);
      const { clock, random } = components;
      return streamAnswer(components, exchange, body.model, ask, (stream) => {
        const writer = new ResponseWriter(
          { clock, random, emit: (event) => stream.send(event, { event: event.type }) },
          body,
        );
        return {
          begin: (placed) => writer.begin(placed),
          delta: (delta) => writer.delta(delta),
          end(result) {
            writer.end(result);
            stream.end();
          },
          fail(error) {
            writer.fail(error);
            stream.end();
          },
        };
      });
    },
  };
}

async function whole(
  { clock, random, nameOf }: AnswersComponents,
  exchange: Exchange,
  body: ResponseRequest,
  ask: (events: AnswerEvents) => Promise<AnswerResult>,
): Promise<Response> {
  const writer = new ResponseWriter({ clock, random, emit: () => undefined }, body);
  const result = await ask({ onDelta: (delta) => writer.delta(delta) });
  exchange.reply.headers(placementHeaders(result.nodes.at(-1), nameOf));
  return writer.end(result);
}

/** Where this endpoint has another name for what the coordinator speaks of. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/\b(tools\[\d+\])\.function\b/g, '$1'],
  [/\bresponse_format\.json_schema\b/g, 'text.format'],
  [/\bresponse_format\b/g, 'text.format'],
  [/\bmax_tokens\b/g, 'max_output_tokens'],
  [/^messages\b|(?<=")messages(?=")/g, 'input'],
];

/** A failure with the parameters' names in this endpoint. */
function renamed(error: unknown): unknown {
  if (!(error instanceof WeftError) || error.facts.param === undefined) return error;
  const rename = (text: string): string => NAMES.reduce((renamed, [from, to]) => renamed.replace(from, to), text);
  const { code, message, remedy, facts } = error;
  const param = rename(error.facts.param);
  return new WeftError(
    { code, message: rename(message), remedy: rename(remedy), facts: { ...facts, param } },
    { cause: error },
  );
}

function toChatRequest(body: ResponseRequest): ChatRequest {
  const { instructions, input, text } = body;
  return {
    model: body.model,
    messages: instructions === undefined ? input : [{ role: 'system', content: instructions }, ...input],
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    stop: [],
    ...given({
      maxTokens: body.max_output_tokens,
      format: text?.format?.kind === 'text' ? undefined : text?.format,
      tools: body.tools,
      toolChoice: body.tool_choice,
      parallelToolCalls: body.parallel_tool_calls,
    }),
  };
}
