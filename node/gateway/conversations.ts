// The control API's part about conversations: kept, answered and continued by the node, whatever becomes of the client. An
// answer's text is a stream of its own, which a client joins and leaves as it likes.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import {
  AnswerStreamQuery,
  CONVERSATIONS_LISTED,
  type ConversationDeleted,
  ConversationFile,
  ConversationPatch,
  ConversationRequest,
  ConversationsQuery,
  EmptyRequest,
  ExportQuery,
  RegenerateRequest,
  SendRequest,
} from '../../protocol/api/control.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { AnswerOptions, AnswerPiece, Conversations, Message } from '../core/conversations.ts';
import { fileNameOf, toFile, toMarkdown } from './conversation-files.ts';
import type { Endpoint, Exchange } from './exchange.ts';
import type { GatewayLimits } from './limits.ts';
import { EventStream } from './sse.ts';

export interface ConversationsComponents {
  readonly clock: Clock;
  readonly conversations: Conversations;
  readonly limits: Pick<GatewayLimits, 'watcherKeepAliveMs' | 'answerEventBytesMax'>;
}

const BASE = '/api/v1/conversations';
const ONE = `${BASE}/:id`;
const MESSAGE = `${ONE}/messages/:message`;

/** The endpoints. */
export function conversations(components: ConversationsComponents): readonly Endpoint[] {
  return [...keeping(components), ...answering(components), ...files(components)];
}

function keeping({ conversations }: ConversationsComponents): readonly Endpoint[] {
  return [
    {
      method: 'GET',
      url: BASE,
      handle(exchange) {
        const { search, limit = CONVERSATIONS_LISTED.usual, before } = exchange.readQuery(ConversationsQuery);
        return conversations.list({ search, limit, before });
      },
    },
    {
      method: 'POST',
      url: BASE,
      async handle(exchange) {
        return conversations.create(await exchange.readJson(ConversationRequest));
      },
    },
    { method: 'GET', url: ONE, handle: (exchange) => conversations.get(exchange.parameter('id')) },
    {
      method: 'PATCH',
      url: ONE,
      async handle(exchange) {
        return conversations.change(exchange.parameter('id'), await exchange.readJson(ConversationPatch));
      },
    },
    {
      method: 'DELETE',
      url: ONE,
      handle(exchange): ConversationDeleted {
        const id = exchange.parameter('id');
        conversations.delete(id);
        return { id, deleted: true };
      },
    },
  ];
}

function answering(components: ConversationsComponents): readonly Endpoint[] {
  const { conversations } = components;
  return [
    {
      method: 'POST',
      url: `${ONE}/messages`,
      dryRun: true,
      async handle(exchange) {
        const request = await exchange.readJson(SendRequest);
        return conversations.send(exchange.parameter('id'), request, optionsOf(exchange));
      },
    },
    {
      method: 'POST',
      url: `${MESSAGE}/regenerate`,
      dryRun: true,
      async handle(exchange) {
        const request = await exchange.readJson(RegenerateRequest);
        const [id, message] = namesOf(exchange);
        return { answer: conversations.regenerate(id, message, request, optionsOf(exchange)) };
      },
    },
    {
      method: 'POST',
      url: `${MESSAGE}/stop`,
      async handle(exchange) {
        await exchange.readJson(EmptyRequest);
        return { answer: await conversations.stop(...namesOf(exchange)) };
      },
    },
    {
      method: 'GET',
      url: `${MESSAGE}/stream`,
      async handle(exchange) {
        const { from = 0 } = exchange.readQuery(AnswerStreamQuery);
        const seen = exchange.headers['last-event-id'];
        const isSeen = typeof seen === 'string' && /^\d{1,7}$/.test(seen);
        const at = isSeen ? Number(seen) : from;
        const pieces = conversations.follow(...namesOf(exchange), { from: at, signal: exchange.signal });
        if (exchange.reply.request.method === 'HEAD') return '';
        await write(components, exchange, { at, pieces });
        return undefined;
      },
    },
  ];
}

function files({ conversations }: ConversationsComponents): readonly Endpoint[] {
  return [
    {
      method: 'GET',
      url: `${ONE}/export`,
      handle(exchange) {
        const { format = 'json' } = exchange.readQuery(ExportQuery);
        const conversation = conversations.get(exchange.parameter('id'));
        const isJson = format === 'json';
        exchange.reply.headers({
          'content-type': isJson ? 'application/json; charset=utf-8' : 'text/markdown; charset=utf-8',
          'content-disposition': `attachment; filename="${fileNameOf(conversation, isJson ? 'json' : 'md')}"`,
        });
        return isJson ? JSON.stringify(toFile(conversation), null, 2) : toMarkdown(conversation);
      },
    },
    {
      method: 'POST',
      url: `${BASE}/import`,
      async handle(exchange) {
        const { conversation } = await exchange.readJson(ConversationFile);
        return conversations.import(conversation);
      },
    },
  ];
}

/** The request that begins an answer lends it its id: that names the answer's trace. */
function optionsOf({ requestId, priority, rawLocal, deadlineMs, headers }: Exchange): AnswerOptions {
  const { traceparent } = headers;
  return {
    requestId,
    ...(priority === undefined ? {} : { priority }),
    ...(rawLocal === undefined ? {} : { rawLocal }),
    deadlineMs,
    traceParent: typeof traceparent === 'string' ? traceparent : undefined,
  };
}

/** Of the conversation, and of the message. */
const namesOf = (exchange: Exchange): [string, string] => [exchange.parameter('id'), exchange.parameter('message')];

/** A piece is read when the client has taken the one before: a client that lags behind holds nothing here. */
async function write(
  { clock, limits }: ConversationsComponents,
  exchange: Exchange,
  { at: begun, pieces }: { readonly at: number; readonly pieces: AsyncIterable<AnswerPiece | Message> },
): Promise<void> {
  const response = exchange.reply.raw;
  const stream = new EventStream({ response }, { bufferBytesMax: limits.answerEventBytesMax });
  exchange.reply.hijack();
  stream.open(exchange.reply.getHeaders() as Record<string, string>);
  let at = begun;
  // The first of them brings the status to the client. A model that is brought or loaded first is silent for long.
  let keepAlive: Timer | undefined;
  const mark = (): void => {
    stream.mark(String(at));
    wait();
  };
  const wait = (): void => {
    keepAlive?.cancel();
    keepAlive = clock.after(limits.watcherKeepAliveMs, mark);
  };
  try {
    mark();
    for await (const piece of pieces) {
      if ('at' in piece) {
        at = piece.at + piece.text.length;
        stream.send(piece, { event: 'delta', id: at });
      } else {
        stream.send(piece, { event: 'done' });
      }
      await drained(response, exchange.signal);
      wait();
    }
  } catch (error) {
    // The client is gone, or is told by the end of its stream to come back.
    if (!exchange.signal.aborted && !response.destroyed) throw error;
  } finally {
    keepAlive?.cancel();
    stream.end();
  }
}

/** @throws AbortError when the signal aborts first */
async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (response.writableNeedDrain && !response.destroyed) await once(response, 'drain', { signal });
}
