// The requests of the demonstration, sent as any app would send them: over the edge's HTTP API.
import type { RequestAnswer } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { type Clock, delay } from '../../core/clock.ts';
import { type Client, errorOf } from '../client.ts';
import { ANSWER_MS_MAX } from '../limits.ts';
import { POLL_MS, TRACE_MS_MAX } from './limits.ts';

/** A request that was answered. */
export interface Answered {
  readonly what: string;
  /** Ids of the nodes that worked on it, in order. */
  readonly nodes: readonly string[];
  readonly totalMs: number;
  /** What the answer says of its plan. */
  readonly predictedMs: number | undefined;
  /** What the edge has noted down about it, where it does. */
  readonly trace: RequestAnswer | undefined;
}

/** A streamed answer, besides. */
export interface Streamed extends Answered {
  readonly text: string;
  readonly tokens: number;
  /** The longest wait between two pieces, the first one's not counted. */
  readonly pauseMs: number;
}

/** Weft's own part of an answer. */
interface Extension {
  readonly nodes?: readonly string[];
  readonly plan?: { readonly predicted_ms: number };
}

export interface RequestComponents {
  readonly client: Client;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** @throws WeftError what the node answers */
export async function embed(components: RequestComponents, what: string, input: readonly string[]): Promise<Answered> {
  return ask(components, what, '/v1/embeddings', { model: 'minilm', input });
}

/** @throws WeftError what the node answers */
export async function chat(
  components: RequestComponents,
  what: string,
  init: { readonly question: string; readonly maxTokens: number },
): Promise<Answered> {
  return ask(components, what, '/v1/chat/completions', chatBody(init));
}

/** The likeliest token each time: the same question has the same answer, whoever gives it. */
const chatBody = ({ question, maxTokens }: { readonly question: string; readonly maxTokens: number }) => ({
  model: 'smollm2',
  messages: [{ role: 'user', content: question }],
  max_tokens: maxTokens,
  temperature: 0,
  seed: 1,
});

async function ask(components: RequestComponents, what: string, path: string, request: object): Promise<Answered> {
  const { client, clock, signal } = components;
  const startedMs = clock.now();
  const { body, headers } = await client.post<{ readonly weft?: Extension }>(path, request, {
    signal,
    timeoutMs: ANSWER_MS_MAX,
  });
  const totalMs = clock.now() - startedMs;
  const trace = await traceOf(components, headers.get('x-request-id'));
  return { what, totalMs, trace, ...placement(body.weft, headers) };
}

/** The parts that are read of OpenAI's `chat.completion.chunk`. */
interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly weft?: Extension;
}

/**
 * @param init.onPiece gets each piece of text, how many have come, and the node that began
 * @throws WeftError what the node answers, the error that ended the stream, or `peer_lost` for one without its end
 */
export async function stream(
  components: RequestComponents,
  what: string,
  init: {
    readonly question: string;
    readonly maxTokens: number;
    readonly onPiece?: (text: string, count: number, node: string) => void;
  },
): Promise<Streamed> {
  const { client, clock, signal } = components;
  const startedMs = clock.now();
  const body = { ...chatBody(init), stream: true, stream_options: { include_usage: true } };
  const { events, headers } = await client.stream('/v1/chat/completions', body, { signal });
  const pieces: string[] = [];
  let lastMs: number | undefined;
  let pauseMs = 0;
  let tokens = 0;
  let extension: Extension | undefined;
  let done = false;
  for await (const { data } of events) {
    if (data === '[DONE]') {
      done = true;
      break;
    }
    const chunk = JSON.parse(data) as Chunk;
    const failure = errorOf(chunk);
    if (failure !== undefined) throw failure;
    tokens = chunk.usage?.completion_tokens ?? tokens;
    extension = chunk.weft ?? extension;
    const text = chunk.choices?.[0]?.delta?.content ?? '';
    if (text === '') continue;
    const nowMs = clock.now();
    pauseMs = Math.max(pauseMs, nowMs - (lastMs ?? nowMs));
    lastMs = nowMs;
    pieces.push(text);
    init.onPiece?.(text, pieces.length, headers.get('x-weft-node') ?? '');
  }
  if (!done) throw new WeftError({ code: 'peer_lost', message: 'The answer broke off before its end.' });
  const totalMs = clock.now() - startedMs;
  const trace = await traceOf(components, headers.get('x-request-id'));
  return { what, totalMs, trace, ...placement(extension, headers), text: pieces.join(''), tokens, pauseMs };
}

function placement(extension: Extension | undefined, headers: Headers): Pick<Answered, 'nodes' | 'predictedMs'> {
  const header = headers.get('x-weft-node');
  return {
    nodes: extension?.nodes ?? (header === null ? [] : [header]),
    predictedMs: extension?.plan?.predicted_ms,
  };
}

/** What the edge has noted down, once the request has ended there as well; undefined where it keeps no such notes. */
async function traceOf(
  { client, clock, signal }: RequestComponents,
  requestId: string | null,
): Promise<RequestAnswer | undefined> {
  if (requestId === null) return undefined;
  const untilMs = clock.now() + TRACE_MS_MAX;
  for (;;) {
    let trace: RequestAnswer;
    try {
      trace = await client.get<RequestAnswer>(`/api/v1/requests/${encodeURIComponent(requestId)}`, { signal });
    } catch (error) {
      if (error instanceof WeftError && error.code === 'not_found') return undefined;
      throw error;
    }
    if (trace.status !== 'running' || clock.now() > untilMs) return trace;
    await delay(clock, POLL_MS, signal);
  }
}
