// One chat from messages to text: template → token ids → placed generation → characters, cut at stop strings. Called by
// TextCoordinator. Text goes out in whole characters, as soon as no stop string can begin in it any more.
import { TEXT_CHARS_INLINE_MAX } from '../../models/limits.ts';
import { StopMatcher } from '../../models/tasks/stop-matcher.ts';
import type { TextGenerationTask } from '../../models/tasks/text-generation.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { GenerateRequest } from '../../protocol/infer.ts';
import type { Plan } from '../../protocol/plan.ts';
import { assert } from '../core/assert.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { ChatEvents, ChatRequest, ChatResult, RequestOptions } from '../core/coordinator.ts';
import type { Dispatcher, PlacedOptions } from '../core/dispatcher.ts';
import type { Prep } from '../core/prep.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { ModelResolver, Resolved } from './model-resolver.ts';

export interface ChatComponents {
  readonly clock: Clock;
  readonly random: Pick<Random, 'bytes'>;
  readonly telemetry: Telemetry;
  readonly dispatcher: Pick<Dispatcher, 'generate'>;
  readonly prep: Pick<Prep, 'tokenize'>;
  readonly resolver: Pick<ModelResolver, 'textGeneration'>;
}

/** @throws WeftError `bad_request`, `model_not_found`, `context_too_long`, or the generation's own failure */
export async function chat(
  components: ChatComponents,
  request: ChatRequest,
  options: RequestOptions,
  events: ChatEvents,
): Promise<ChatResult> {
  const { clock, telemetry, resolver } = components;
  const startedMs = clock.now();
  check(request);
  const model = await resolver.textGeneration(request.model, options.signal);
  const prompt = await encodePrompt(components, model, request, options.signal);

  const answer = new Answer(components, model, request.stop, events.onText);
  const nodes: NodeId[] = [];
  let plan: Plan | undefined;
  const onPlan = (next: Plan): void => {
    plan = next;
    const node = nodeOf(next);
    if (nodes.at(-1) !== node) nodes.push(node);
    events.onPlaced?.(node, model.ref.id);
  };
  const generation = generateRequest(model, prompt, request, components.random);
  const finish = await generate(components.dispatcher, generation, { ...options, onPlan }, answer).finally(() =>
    telemetry.count('weft_tokens_generated_total', { model: model.ref.id }, answer.tokens),
  );

  assert(plan !== undefined, 'what was generated was placed');
  const endedMs = clock.now();
  const { firstTokenMs, lastTokenMs, tokens } = answer;
  const ttftMs = (firstTokenMs ?? endedMs) - startedMs;
  telemetry.observe('weft_time_to_first_token_seconds', ttftMs / 1000, { model: model.ref.id });
  const decodingMs = lastTokenMs - (firstTokenMs ?? lastTokenMs);
  return {
    model: model.ref.id,
    finish,
    usage: { promptTokens: prompt.length, completionTokens: tokens },
    timings: {
      ttftMs,
      totalMs: endedMs - startedMs,
      tokensPerSecond: decodingMs > 0 ? ((tokens - 1) * 1000) / decodingMs : 0,
    },
    nodes,
    plan,
  };
}

/** Feeds the answer until the generation or its text ends. @returns why it ended */
async function generate(
  dispatcher: Pick<Dispatcher, 'generate'>,
  request: GenerateRequest,
  options: PlacedOptions,
  answer: Answer,
): Promise<ChatResult['finish']> {
  // Ends when the caller does, and when a stop string is found.
  const controller = new AbortController();
  const follow = (): void => controller.abort(options.signal.reason);
  if (options.signal.aborted) throw toAbortError(options.signal);
  options.signal.addEventListener('abort', follow, { once: true });
  let receiverFailed: { readonly error: unknown } | undefined;
  try {
    const result = await dispatcher.generate(request, { ...options, signal: controller.signal }, (_first, ids) => {
      if (controller.signal.aborted) return;
      try {
        answer.take(ids);
      } catch (error) {
        receiverFailed = { error };
        controller.abort(error);
      }
      if (answer.stopped) controller.abort(STOP_FOUND);
    });
    answer.end();
    return answer.stopped ? 'stop' : result.finish;
  } catch (error) {
    if (controller.signal.reason === STOP_FOUND) return 'stop';
    throw receiverFailed === undefined ? error : receiverFailed.error;
  } finally {
    options.signal.removeEventListener('abort', follow);
  }
}

/** Why a generation was ended whose text holds a stop string. */
const STOP_FOUND = new WeftError({ code: 'cancelled', message: 'A stop string was found.' });

/** Text of the tokens so far. Counts every token up to the one that ended it. */
class Answer {
  readonly #eosIds: ReadonlySet<number>;
  readonly #detokenizer: ReturnType<TextGenerationTask['detokenizer']>;
  readonly #matcher: StopMatcher;
  readonly #onText: (text: string) => void;
  readonly #clock: Pick<Clock, 'now'>;
  /** How many were drawn. */
  tokens = 0;
  firstTokenMs: number | undefined;
  lastTokenMs = 0;
  /** A stop string was found: nothing more comes. */
  stopped = false;

  constructor(
    components: { readonly clock: Pick<Clock, 'now'> },
    { task }: Resolved<TextGenerationTask>,
    stops: readonly string[],
    onText: (text: string) => void,
  ) {
    this.#clock = components.clock;
    this.#eosIds = new Set(task.eosIds);
    this.#detokenizer = task.detokenizer();
    this.#matcher = new StopMatcher(stops);
    this.#onText = onText;
  }

  take(ids: readonly number[]): void {
    this.lastTokenMs = this.#clock.now();
    this.firstTokenMs ??= this.lastTokenMs;
    for (const id of ids) {
      if (this.stopped) return;
      this.tokens++;
      // The token that ends a turn is drawn and counted, and has no text.
      if (!this.#eosIds.has(id)) this.#push(this.#detokenizer.push([id]));
    }
  }

  /** No token follows: what was held back goes out. */
  end(): void {
    if (this.stopped) return;
    this.#push(this.#detokenizer.flush());
    if (!this.stopped) this.#emit(this.#matcher.flush());
  }

  #push(text: string): void {
    if (text === '') return;
    const matched = this.#matcher.push(text);
    this.stopped = matched.stopped;
    this.#emit(matched.text);
  }

  #emit(text: string): void {
    if (text !== '') this.#onText(text);
  }
}

function check(request: ChatRequest): void {
  if (request.messages.length === 0) {
    throw new WeftError({ code: 'bad_request', message: 'There are no messages.', facts: { param: 'messages' } });
  }
  if (request.maxTokens !== undefined && !(Number.isSafeInteger(request.maxTokens) && request.maxTokens >= 1)) {
    throw new WeftError({
      code: 'bad_request',
      message: 'max_tokens must be a whole number of 1 or more.',
      facts: { param: 'max_tokens' },
    });
  }
}

async function encodePrompt(
  components: ChatComponents,
  model: Resolved<TextGenerationTask>,
  request: ChatRequest,
  signal: AbortSignal,
): Promise<Int32Array> {
  const { task, folder, ref } = model;
  const text = task.renderChat(request.messages);
  const tooLong = (tokens: string): WeftError =>
    new WeftError({
      code: 'context_too_long',
      message: `The messages have ${tokens} tokens; the context of ${ref.id} holds ${task.contextLength}, the answer included.`,
      facts: { param: 'messages', model: ref.id, contextLength: String(task.contextLength) },
    });
  const least = task.minTokens(text);
  if (least >= task.contextLength) throw tooLong(`at least ${least}`);
  if (text.length <= TEXT_CHARS_INLINE_MAX) {
    const ids = task.encode(text);
    if (ids.length >= task.contextLength) throw tooLong(String(ids.length));
    // A template may leave out everything that it was given.
    if (ids.length === 0) {
      throw new WeftError({ code: 'bad_request', message: 'The messages are empty.', facts: { param: 'messages' } });
    }
    return ids;
  }
  const { ids, truncated } = await components.prep.tokenize(folder, text, {
    tokensMax: task.contextLength,
    specialTokens: false,
    signal,
  });
  if (truncated || ids.length >= task.contextLength) throw tooLong(`at least ${ids.length}`);
  return ids;
}

function generateRequest(
  model: Resolved<TextGenerationTask>,
  prompt: Int32Array,
  request: ChatRequest,
  random: Pick<Random, 'bytes'>,
): GenerateRequest {
  const room = model.task.contextLength - prompt.length;
  return {
    model: model.ref,
    ids: prompt,
    promptLength: prompt.length,
    maxNewTokens: Math.min(request.maxTokens ?? room, room),
    stopIds: model.task.eosIds,
    sampling: {
      temperature: request.temperature,
      topP: request.topP,
      topK: 0,
      seed: BigInt.asUintN(64, request.seed ?? Buffer.from(random.bytes(8)).readBigUInt64LE()),
    },
  };
}

function nodeOf(plan: Plan): NodeId {
  assert(plan.kind === 'local' || plan.kind === 'remote', 'a generation runs on one node at a time');
  return plan.node;
}
