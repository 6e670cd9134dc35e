// Builds the answer of /v1/responses piece by piece, and says each piece as an event: one way for answers that are given
// whole and for streams. Used by the endpoint.
import type { ErrorBody, OutputItem, Response, ResponseEvent, ResponseRequest } from '../../protocol/api/openai.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { AnswerDelta, AnswerResult, ToolCall } from '../core/coordinator.ts';
import { type AnswerWriter, extension, type Placed, secondsNow } from './answers.ts';
import { newId } from './ids.ts';

export interface ResponseWriterComponents {
  readonly clock: Clock;
  readonly random: Random;
  /** Gets every event in order. */
  readonly emit: (event: ResponseEvent) => void;
  /** Keeps the whole answer for later requests; false where it can't. Called unless the request says not to. */
  readonly keep: (response: Response) => boolean;
}

type WithoutNumber<Event> = Event extends unknown ? Omit<Event, 'sequence_number'> : never;

/** The message that is being written. */
interface OpenMessage {
  readonly id: string;
  readonly index: number;
  text: string;
}

export class ResponseWriter implements AnswerWriter {
  readonly #components: ResponseWriterComponents;
  readonly #request: ResponseRequest;
  readonly #id: string;
  readonly #createdAt: number;
  readonly #output: OutputItem[] = [];
  #model: string;
  #message: OpenMessage | undefined;
  #events = 0;

  constructor(components: ResponseWriterComponents, request: ResponseRequest) {
    this.#components = components;
    this.#request = request;
    this.#model = request.model;
    this.#id = newId(components.random, 'resp_');
    this.#createdAt = secondsNow(components.clock);
  }

  begin({ model }: Placed): void {
    this.#model = model;
    const response = this.#response('in_progress');
    this.#emit({ type: 'response.created', response });
    this.#emit({ type: 'response.in_progress', response });
  }

  delta({ text, toolCall }: AnswerDelta): void {
    if (text !== '') this.#write(text);
    if (toolCall === undefined) return;
    this.#closeMessage('completed');
    this.#call(toolCall);
  }

  /** @returns the whole answer, as it is in the last event */
  end(result: AnswerResult): Response {
    this.#model = result.model;
    const cut = result.choices[0]?.finish === 'length';
    // An answer has an item, even where the model had nothing to say.
    if (this.#output.length === 0 && this.#message === undefined) this.#openMessage();
    this.#closeMessage(cut ? 'incomplete' : 'completed');
    const { promptTokens, completionTokens, cachedTokens = 0 } = result.usage;
    const response: Response = {
      ...this.#response(cut ? 'incomplete' : 'completed'),
      completed_at: cut ? null : secondsNow(this.#components.clock),
      incomplete_details: cut ? { reason: 'max_output_tokens' } : null,
      usage: {
        input_tokens: promptTokens,
        input_tokens_details: { cached_tokens: cachedTokens },
        output_tokens: completionTokens,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: promptTokens + completionTokens,
      },
      weft: extension(result),
    };
    // Kept before its client hears of it, who may go on from it at once.
    const store = response.store && this.#components.keep(response);
    const answer = { ...response, store };
    this.#emit({ type: cut ? 'response.incomplete' : 'response.completed', response: answer });
    return answer;
  }

  fail({ error }: ErrorBody): void {
    // OpenAI has few codes here; Weft's own stands beside them.
    const code = error.type === 'rate_limit_error' ? 'rate_limit_exceeded' : 'server_error';
    this.#closeMessage('incomplete');
    this.#emit({
      type: 'response.failed',
      response: { ...this.#response('failed'), store: false, error: { ...error, code } },
    });
  }

  #write(text: string): void {
    const message = this.#message ?? this.#openMessage();
    message.text += text;
    const { id: item_id, index: output_index } = message;
    this.#emit({
      type: 'response.output_text.delta',
      item_id,
      output_index,
      content_index: 0,
      delta: text,
      logprobs: [],
    });
  }

  #openMessage(): OpenMessage {
    const message = { id: newId(this.#components.random, 'msg_'), index: this.#output.length, text: '' };
    this.#message = message;
    const { id, index: output_index } = message;
    const item: OutputItem = { type: 'message', id, status: 'in_progress', role: 'assistant', content: [] };
    this.#emit({ type: 'response.output_item.added', output_index, item });
    const part = textPart('');
    this.#emit({ type: 'response.content_part.added', item_id: id, output_index, content_index: 0, part });
    return message;
  }

  #closeMessage(status: 'completed' | 'incomplete'): void {
    const message = this.#message;
    if (message === undefined) return;
    this.#message = undefined;
    const { id, index: output_index, text } = message;
    const part = textPart(text);
    const at = { item_id: id, output_index, content_index: 0 };
    this.#emit({ type: 'response.output_text.done', ...at, text, logprobs: [] });
    this.#emit({ type: 'response.content_part.done', ...at, part });
    this.#done(output_index, { type: 'message', id, status, role: 'assistant', content: [part] });
  }

  #call({ id: call_id, name, arguments: text }: ToolCall): void {
    const item_id = newId(this.#components.random, 'fc_');
    const output_index = this.#output.length;
    const item = { type: 'function_call' as const, id: item_id, call_id, name };
    const begun: OutputItem = { ...item, status: 'in_progress', arguments: '' };
    this.#emit({ type: 'response.output_item.added', output_index, item: begun });
    this.#emit({ type: 'response.function_call_arguments.delta', item_id, output_index, delta: text });
    this.#emit({ type: 'response.function_call_arguments.done', item_id, output_index, name, arguments: text });
    this.#done(output_index, { ...item, status: 'completed', arguments: text });
  }

  #done(output_index: number, item: OutputItem): void {
    this.#output.push(item);
    this.#emit({ type: 'response.output_item.done', output_index, item });
  }

  #emit(event: WithoutNumber<ResponseEvent>): void {
    this.#components.emit({ ...event, sequence_number: this.#events } as ResponseEvent);
    this.#events += 1;
  }

  /** The answer as it stands. */
  #response(status: Response['status']): Response {
    const request = this.#request;
    return {
      id: this.#id,
      object: 'response',
      created_at: this.#createdAt,
      completed_at: null,
      status,
      error: null,
      incomplete_details: null,
      model: this.#model,
      output: [...this.#output],
      usage: null,
      instructions: request.instructions ?? null,
      max_output_tokens: request.max_output_tokens ?? null,
      temperature: request.temperature ?? 1,
      top_p: request.top_p ?? 1,
      text: { format: toFormat(request.text?.format) },
      tools: (request.tools ?? []).map((tool) => ({ type: 'function', ...tool, strict: true })),
      tool_choice: toToolChoice(request.tool_choice),
      parallel_tool_calls: request.parallel_tool_calls ?? true,
      metadata: request.metadata ?? {},
      background: false,
      store: request.store ?? true,
      truncation: 'disabled',
      previous_response_id: request.previous_response_id ?? null,
      reasoning: { effort: null, summary: null },
    };
  }
}

function textPart(text: string) {
  return { type: 'output_text' as const, text, annotations: [], logprobs: [] };
}

function toFormat(format: NonNullable<ResponseRequest['text']>['format']): Record<string, unknown> {
  if (format?.kind !== 'json_schema') return { type: format?.kind ?? 'text' };
  return { type: 'json_schema', name: format.name, schema: format.schema, strict: true };
}

function toToolChoice(choice: ResponseRequest['tool_choice']): Response['tool_choice'] {
  if (choice === undefined || typeof choice === 'string') return choice ?? 'auto';
  return { type: 'function', name: choice.name };
}
