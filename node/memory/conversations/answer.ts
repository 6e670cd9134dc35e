// One answer while it is written: asks the coordinator, collects the text, has it saved now and then, and wakes those who
// read. It ends with its model, by somebody's word, or when its time is over; never because nobody reads.
import {
  ANSWER_NODES_MAX,
  ANSWER_TEXT_LENGTH_MAX,
  MESSAGE_LENGTH_MAX,
} from '../../../protocol/api/control/conversations.ts';
import { toWeftError, WeftError } from '../../../protocol/errors.ts';
import type { NodeId } from '../../../protocol/ids.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import type { AnswerFacts, AnswerOptions, Message, MessageState } from '../../core/conversations.ts';
import type { AnswerResult, ChatRequest, Coordinator } from '../../core/coordinator.ts';
import type { Log } from '../../core/log.ts';
import type { RequestTrace, Traces } from '../../core/trace.ts';
import { ANSWER_MS_MAX, SAVE_MS } from './limits.ts';

/** How its trace is called. */
const TRACE_NAME = 'POST /api/v1/conversations/:id/messages';

export interface AnswerComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly coordinator: Pick<Coordinator, 'chat'>;
  readonly traces: Pick<Traces, 'begin'>;
  /** Name of a node, as far as it is known here. */
  readonly nameOf: (node: NodeId) => string | undefined;
  /** Writes what has come. @throws WeftError where that fails */
  readonly save: (answer: Message) => void;
}

export interface AnswerInit {
  /** As it was kept: empty, and streaming. */
  readonly message: Message;
  readonly request: ChatRequest;
  readonly options: AnswerOptions;
}

export class LiveAnswer {
  /** Resolves when it has ended and is saved; never rejects. */
  readonly ended: Promise<void>;
  readonly #components: AnswerComponents;
  readonly #init: AnswerInit;
  readonly #controller = new AbortController();
  readonly #trace: RequestTrace;
  readonly #begunAt: number;
  #content = '';
  #state: MessageState = 'streaming';
  #facts: AnswerFacts;
  #saving: Timer | undefined;
  #change = Promise.withResolvers<void>();

  constructor(components: AnswerComponents, init: AnswerInit) {
    const { requestId, traceParent } = init.options;
    this.#components = components;
    this.#init = init;
    this.#facts = { model: init.message.model, requestId };
    this.#begunAt = components.clock.now();
    this.#trace = components.traces.begin({ requestId, name: TRACE_NAME, traceParent });
    this.ended = this.#run();
  }

  /** As it stands now. */
  get message(): Message {
    return { ...this.#init.message, ...this.#facts, content: this.#content, state: this.#state };
  }

  /** Ends it. Only the first reason counts. */
  end(reason: WeftError): void {
    this.#controller.abort(reason);
  }

  /** Resolves when there is more of it, or it has ended. */
  changed(): Promise<void> {
    return this.#change.promise;
  }

  async #run(): Promise<void> {
    const { clock, coordinator } = this.#components;
    const { request, options } = this.#init;
    const { requestId, priority, rawLocal, deadlineMs } = options;
    const { signal } = this.#controller;
    const overdue = clock.after(Math.min(deadlineMs ?? ANSWER_MS_MAX, ANSWER_MS_MAX), () => this.end(tooLate()));
    const leftMs = deadlineMs === undefined ? undefined : () => this.#begunAt + deadlineMs - clock.now();
    try {
      const result = await coordinator.chat(
        request,
        {
          signal,
          requestId,
          trace: this.#trace,
          ...(priority === undefined ? {} : { priority }),
          ...(rawLocal === undefined ? {} : { rawLocal }),
          ...(leftMs === undefined ? {} : { leftMs }),
        },
        {
          onPlaced: (node, model) => this.#placed(node, model),
          onDelta: ({ text }) => this.#add(text),
        },
      );
      this.#finish('done', this.#factsOf(result));
      this.#trace.end({ status: 'ok' });
    } catch (thrown) {
      this.#fail(toWeftError(signal.aborted ? signal.reason : thrown), thrown);
    } finally {
      overdue.cancel();
    }
  }

  #placed(node: NodeId, model: string): void {
    const nodes = this.#facts.nodes ?? [];
    const more = nodes.at(-1)?.node === node ? nodes : [...nodes, this.#named(node)].slice(-ANSWER_NODES_MAX);
    this.#facts = { ...this.#facts, model, nodes: more };
  }

  #add(text: string): void {
    const { clock } = this.#components;
    if (text === '' || this.#controller.signal.aborted || this.#state !== 'streaming') return;
    if (this.#content === '') this.#facts = { ...this.#facts, ttftMs: rounded(clock.now() - this.#begunAt) };
    if (this.#content.length + text.length > MESSAGE_LENGTH_MAX) {
      this.end(tooLong());
      return;
    }
    this.#content += text;
    this.#saving ??= clock.after(SAVE_MS, () => this.#saveSoFar());
    this.#wake();
  }

  /** A disk that is full now may have room at the next try: the answer goes on. */
  #saveSoFar(): void {
    this.#saving = undefined;
    try {
      this.#components.save(this.message);
    } catch (error) {
      const { code } = toWeftError(error);
      this.#components.log.warn({ requestId: this.#trace.requestId, code }, 'what has come of an answer was not saved');
    }
  }

  #fail(error: WeftError, thrown: unknown): void {
    const { log } = this.#components;
    const { requestId } = this.#trace;
    const { code, remedy } = error;
    const isStopped = code === 'cancelled' || code === 'stopping';
    if (code === 'internal') log.error({ requestId, err: thrown }, 'an answer failed inside the node');
    else if (!isStopped) log.debug({ requestId, code }, 'an answer failed');
    // What failed inside says no more than that.
    const message = code === 'internal' ? 'Something failed inside the node.' : clipped(error.message);
    const said = { error: { code, message, remedy: clipped(remedy) } };
    this.#finish(isStopped ? 'stopped' : 'failed', isStopped ? {} : said);
    this.#trace.end({ status: code === 'cancelled' ? 'cancelled' : 'error', code });
  }

  #finish(state: MessageState, facts: AnswerFacts): void {
    this.#saving?.cancel();
    this.#state = state;
    this.#facts = { ...this.#facts, ...facts };
    try {
      this.#components.save(this.message);
    } catch (thrown) {
      const { code, message, remedy } = toWeftError(thrown);
      this.#components.log.error({ requestId: this.#trace.requestId, code }, 'an answer was not saved');
      this.#state = 'failed';
      this.#facts = { ...this.#facts, error: { code, message, remedy } };
    }
    this.#wake();
  }

  #factsOf({ model, nodes, usage, timings }: AnswerResult): AnswerFacts {
    const { promptTokens, completionTokens } = usage;
    return {
      model,
      nodes: nodes.slice(-ANSWER_NODES_MAX).map((node) => this.#named(node)),
      usage: { promptTokens, completionTokens },
      ttftMs: rounded(timings.ttftMs),
      tokensPerSecond: rounded(timings.tokensPerSecond),
    };
  }

  #named(node: NodeId): { readonly node: NodeId; readonly name: string } {
    return { node, name: clipped(this.#components.nameOf(node) ?? node) };
  }

  #wake(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve();
  }
}

function tooLate(): WeftError {
  return new WeftError({ code: 'deadline_exceeded', message: 'The answer took too long.' });
}

function tooLong(): WeftError {
  return new WeftError({
    code: 'context_too_long',
    message: `The answer grew past ${MESSAGE_LENGTH_MAX} characters.`,
    remedy: 'Go on from what has come, or set maxTokens.',
  });
}

/** An error may quote a peer. */
const clipped = (text: string): string => text.slice(0, ANSWER_TEXT_LENGTH_MAX).toWellFormed();

/** To a hundredth. JSON has no infinity, so what isn't finite becomes 0. */
const rounded = (value: number): number => (Number.isFinite(value) ? Math.round(value * 100) / 100 : 0);
