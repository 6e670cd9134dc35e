// One streamed chat answer through the daemon, with what a person wants to know about it. For `weft run`.
import { WeftError } from '../../protocol/errors.ts';
import { type ChatSettings, requestFields } from './chat-settings.ts';
import { type Client, errorOf } from './client.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** A whole answer, and how it came. */
export interface ChatReading {
  /** The model's hub id. */
  readonly model: string;
  readonly text: string;
  readonly finishReason: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Ids of the nodes that generated it, in order: more than one after a recovery. */
  readonly nodes: readonly string[];
  /** Request sent → first text. */
  readonly ttftMs: number;
  readonly totalMs: number;
  /** From the first text on; undefined for an answer of one token. */
  readonly tokensPerSecond: number | undefined;
}

/** The parts that are read of OpenAI's `chat.completion.chunk`. */
interface Chunk {
  readonly model?: string;
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  /** Weft's own, in the last chunk. */
  readonly weft?: { readonly nodes?: readonly string[] };
}

/**
 * Streams an answer.
 * @param init.onText gets the text as it comes, in order
 * @param init.now milliseconds of a clock that never jumps
 * @throws WeftError what {@link Client} throws; the error that ended the stream; `peer_lost` for a stream without its end
 */
export async function streamChat(
  client: Client,
  init: {
    readonly model: string;
    readonly messages: readonly Message[];
    readonly settings: ChatSettings;
    /** Beside those of every request. */
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
    readonly onText: (text: string) => void;
    readonly now: () => number;
  },
): Promise<ChatReading> {
  const { settings, headers: sent = {}, signal, onText, now } = init;
  const startedAt = now();
  const { events, headers } = await client.stream(
    '/v1/chat/completions',
    {
      model: init.model,
      messages: init.messages,
      stream: true,
      stream_options: { include_usage: true },
      ...requestFields(settings),
    },
    { signal, headers: sent },
  );
  let model = init.model;
  let text = '';
  let finishReason: string | undefined;
  let usage = { prompt_tokens: 0, completion_tokens: 0 };
  let nodes: readonly string[] = splitNodes(headers.get('x-weft-node'));
  let firstAt: number | undefined;
  let done = false;
  for await (const { data } of events) {
    if (data === '[DONE]') {
      done = true;
      break;
    }
    const chunk = parseChunk(data);
    model = chunk.model ?? model;
    usage = chunk.usage ?? usage;
    nodes = chunk.weft?.nodes ?? nodes;
    const choice = chunk.choices?.[0];
    finishReason = choice?.finish_reason ?? finishReason;
    const delta = choice?.delta?.content ?? '';
    if (delta !== '') {
      firstAt ??= now();
      text += delta;
      onText(delta);
    }
  }
  if (!done || finishReason === undefined) {
    throw new WeftError({ code: 'peer_lost', message: 'The answer broke off before its end.' });
  }
  const endedAt = now();
  const textMs = endedAt - (firstAt ?? endedAt);
  return {
    model,
    text,
    finishReason,
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    nodes,
    ttftMs: (firstAt ?? endedAt) - startedAt,
    totalMs: endedAt - startedAt,
    tokensPerSecond:
      usage.completion_tokens > 1 && textMs > 0 ? ((usage.completion_tokens - 1) * 1_000) / textMs : undefined,
  };
}

/** Node ids of an `x-weft-node` header. */
function splitNodes(header: string | null): string[] {
  return (header ?? '')
    .split(',')
    .map((node) => node.trim())
    .filter((node) => node !== '');
}

function parseChunk(data: string): Chunk {
  let body: unknown;
  try {
    body = JSON.parse(data);
  } catch (error) {
    throw new WeftError(
      { code: 'frame_invalid', message: 'The node sent an event that is not JSON.' },
      { cause: error },
    );
  }
  const failure = errorOf(body);
  if (failure !== undefined) throw failure;
  return typeof body === 'object' && body !== null ? body : {};
}
