// /v1/responses: answers whole and streamed, which may go on from earlier ones; and those that are kept, by their ids.
import {
  type InputMessage,
  MESSAGES_MAX,
  mergeItems,
  type OutputItem,
  type Response,
  type ResponseDeleted,
  ResponseQuery,
  ResponseRequest,
} from '../../protocol/api/openai.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { AnswerEvents, AnswerResult, ChatRequest } from '../core/coordinator.ts';
import { type AnswersComponents, given, streamAnswer } from './answers.ts';
import { HttpError } from './errors.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import { placementHeaders } from './placement.ts';
import type { ResponseStore } from './response-store.ts';
import { ResponseWriter } from './response-writer.ts';

export interface ResponsesComponents extends AnswersComponents {
  readonly store: ResponseStore;
}

/** The endpoints. */
export function responses(components: ResponsesComponents): readonly Endpoint[] {
  return [answering(components), ...stored(components)];
}

function answering(components: ResponsesComponents): Endpoint {
  const { clock, random, store } = components;
  return {
    method: 'POST',
    url: '/v1/responses',
    traced: true,
    async handle(exchange) {
      const body = await exchange.readParameters(ResponseRequest);
      const conversation = conversationOf(body, store);
      const keep = (response: Response): boolean => store.keep({ response, conversation });
      const ask = async (events: AnswerEvents): Promise<AnswerResult> => {
        try {
          return await components.coordinator.chat(toChatRequest(body, conversation), exchange, events);
        } catch (error) {
          throw renamed(error);
        }
      };
      if (body.stream !== true) {
        const writer = new ResponseWriter({ clock, random, keep, emit: () => undefined }, body);
        return whole(components, exchange, writer, ask);
      }
      return streamAnswer(components, exchange, body.model, ask, (stream) => {
        const writer = new ResponseWriter(
          { clock, random, keep, emit: (event) => stream.send(event, { event: event.type }) },
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
  { nameOf }: AnswersComponents,
  exchange: Exchange,
  writer: ResponseWriter,
  ask: (events: AnswerEvents) => Promise<AnswerResult>,
): Promise<Response> {
  const result = await ask({ onDelta: (delta) => writer.delta(delta) });
  exchange.reply.headers(placementHeaders(result.nodes.at(-1), nameOf));
  return writer.end(result);
}

function stored({ store }: ResponsesComponents): readonly Endpoint[] {
  return [
    {
      method: 'GET',
      url: '/v1/responses/*',
      handle(exchange): Response {
        exchange.readQuery(ResponseQuery);
        const found = store.get(exchange.wildcard);
        if (found === undefined) throw notFound(exchange.wildcard);
        return found.response;
      },
    },
    {
      method: 'DELETE',
      url: '/v1/responses/*',
      handle({ wildcard: id }): ResponseDeleted {
        if (!store.delete(id)) throw notFound(id);
        return { id, object: 'response', deleted: true };
      },
    },
  ];
}

function notFound(id: string): WeftError {
  return new WeftError({
    code: 'not_found',
    message: `Response with id "${id}" not found.`,
    remedy: 'Ask the node that gave it: it keeps its last responses, until it restarts.',
  });
}

const SEND_ALL =
  'Send all that was said as "input" (the AI SDK does so with "store": false): a node keeps its last responses only, until it restarts.';

/**
 * All items before the answer, one by one: those of the response that the request goes on from, and its own.
 * @throws WeftError `not_found` for what is not kept here; `bad_request` for too many items, or one that comes twice
 */
function conversationOf(
  { previous_response_id: previous, input }: ResponseRequest,
  store: ResponseStore,
): readonly InputMessage[] {
  const references = new Set<string>();
  const own = input.map((item, index): InputMessage => {
    if (!('reference' in item)) return item;
    const { reference } = item;
    const facts = { param: `input[${index}].id` };
    const found = store.item(reference);
    if (found === undefined) {
      const message = `Item with id "${reference}" not found.`;
      throw new WeftError({ code: 'not_found', message, remedy: SEND_ALL, facts });
    }
    // A short request must not become an endless prompt. OpenAI refuses it too.
    if (references.has(reference))
      throw new WeftError({ code: 'bad_request', message: `Item with id "${reference}" comes twice.`, facts });
    references.add(reference);
    return messageOf(found);
  });
  const items = previous === undefined ? own : [...before(previous, store), ...own];
  if (items.length <= MESSAGES_MAX) return items;
  throw new WeftError({
    code: 'bad_request',
    message: `"input" and what it goes on from hold more than ${MESSAGES_MAX} items.`,
    remedy: 'Begin a new conversation.',
    facts: { param: 'input' },
  });
}

function before(id: string, store: ResponseStore): readonly InputMessage[] {
  const found = store.get(id);
  if (found !== undefined) return [...found.conversation, ...found.response.output.map(messageOf)];
  throw new HttpError(400, {
    code: 'not_found',
    message: `Previous response with id "${id}" not found.`,
    remedy: SEND_ALL,
    facts: { param: 'previous_response_id' },
    openaiCode: 'previous_response_not_found',
  });
}

function messageOf(item: OutputItem): InputMessage {
  if (item.type === 'message') return { role: 'assistant', content: item.content.map(({ text }) => text).join('') };
  const { call_id: id, name, arguments: text } = item;
  return { role: 'assistant', content: '', toolCalls: [{ id, name, arguments: text }] };
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

function toChatRequest(body: ResponseRequest, conversation: readonly InputMessage[]): ChatRequest {
  const { instructions, text } = body;
  const messages = mergeItems(conversation);
  return {
    model: body.model,
    messages: instructions === undefined ? messages : [{ role: 'system', content: instructions }, ...messages],
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
