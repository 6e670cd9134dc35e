// Conversations in a folder of their own, over a coordinator whose answers a test writes piece by piece.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type {
  AnswerEvents,
  AnswerResult,
  ChatRequest,
  Coordinator,
  RequestOptions,
} from '../../../../node/core/coordinator.ts';
import type { TraceInit, TraceOutcome, Traces } from '../../../../node/core/trace.ts';
import { KeptConversations, type KeptConversationsInit } from '../../../../node/memory/conversations/conversations.ts';
import { ManualClock } from '../../core/manual-clock.ts';
import { CHAT_MODEL, chatResult, LISTINGS, OTHER, recordingLog, SELF, silentTraces } from '../../gateway/support.ts';

/** One request that the coordinator got, to be answered by the test. */
export interface Asked {
  readonly request: ChatRequest;
  readonly options: RequestOptions;
  readonly events: AnswerEvents;
  /** Says a piece of text. */
  say(text: string): void;
  done(result?: Partial<AnswerResult>): void;
  fail(error: Error): void;
}

/** Rejects with the reason once the request is ended, as the port promises. */
export function askingCoordinator(): Pick<Coordinator, 'chat' | 'models'> & { readonly asked: Asked[] } {
  const asked: Asked[] = [];
  return {
    asked,
    models: () => LISTINGS,
    chat: (request, options, events) => {
      const { promise, resolve, reject } = Promise.withResolvers<AnswerResult>();
      options.signal.addEventListener('abort', () => reject(options.signal.reason), { once: true });
      asked.push({
        request,
        options,
        events,
        say: (text) => {
          events.onPlaced?.(OTHER, CHAT_MODEL);
          events.onDelta({ choice: 0, text });
        },
        done: (result) => resolve(chatResult(result)),
        fail: reject,
      });
      return promise;
    },
  };
}

/** The newest request. */
export function lastOf(coordinator: { readonly asked: readonly Asked[] }): Asked {
  const last = coordinator.asked.at(-1);
  if (last === undefined) throw new Error('The coordinator was not asked.');
  return last;
}

export const OPTIONS = { requestId: 'req_test' };

/** A folder that goes with the test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'weft-conversations-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What a process has of the conversations in a folder; several on one folder stand for one that was started again. */
export function openConversations(init: Partial<KeptConversationsInit> & { readonly folder?: string } = {}) {
  const { folder = newFolder(), ...rest } = init;
  const path = join(folder, 'conversations.sqlite');
  const clock = new ManualClock(Date.UTC(2026, 10, 22));
  const coordinator = askingCoordinator();
  const log = recordingLog();
  const published: unknown[] = [];
  const traced: (TraceInit | TraceOutcome)[] = [];
  const traces: Pick<Traces, 'begin'> = {
    begin: (trace) => {
      traced.push(trace);
      return { ...silentTraces.begin(trace), end: (outcome) => void traced.push(outcome) };
    },
  };
  let ids = 0;
  const conversations = new KeptConversations(
    {
      clock,
      log,
      coordinator,
      traces,
      events: { publish: (type, data) => void published.push([type, data]) },
      nameOf: (node) => ({ [SELF]: 'desk', [OTHER]: 'attic' })[node],
      newId: (prefix) => `${prefix}${folder.slice(-4)}${ids++}${Math.random()}`,
    },
    { path, ...rest },
  );
  conversations.open();
  onTestFinished(() => conversations.close());
  /** A conversation with a user's message and its answer, done. */
  const said = async (content: string, answer: string, id = conversations.create({}).id) => {
    const sent = conversations.send(id, { content }, OPTIONS);
    lastOf(coordinator).say(answer);
    lastOf(coordinator).done();
    await ended(conversations, id, sent.answer.id);
    return { id, ...sent };
  };
  return { conversations, clock, coordinator, log, published, traced, folder, path, said };
}

/** Reads an answer to its end. */
export async function ended(conversations: KeptConversations, id: string, message: string) {
  const signal = new AbortController().signal;
  const read = await Array.fromAsync(conversations.follow(id, message, { from: 0, signal }));
  return read.at(-1);
}
