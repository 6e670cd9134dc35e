// All choices of one request, a few at a time: each a placed generation with an answer of its own. Adds up usage, times
// and nodes. Called by text generation.
import type { TextGenerationTask } from '../../models/tasks/text-generation.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { GenerateRequest } from '../../protocol/infer.ts';
import type { Plan } from '../../protocol/plan.ts';
import { assert } from '../core/assert.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock, Random } from '../core/clock.ts';
import type {
  AnswerEvents,
  AnswerResult,
  AnswerSettings,
  ChatTimings,
  Choice,
  RequestOptions,
} from '../core/coordinator.ts';
import type { Dispatcher, PlacedOptions } from '../core/dispatcher.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { Answer } from './answer.ts';
import { CHOICES_IN_FLIGHT_MAX } from './limits.ts';
import type { Resolved } from './model-resolver.ts';
import { placedOptions } from './placed-options.ts';
import type { AnswerRules } from './rules.ts';
import { freshSeed, samplingOf } from './sampling.ts';
import { together } from './together.ts';

export interface ChoicesComponents {
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly telemetry: Pick<Telemetry, 'count' | 'observe'>;
  readonly dispatcher: Pick<Dispatcher, 'generate'>;
}

export interface ChoicesInit {
  readonly model: Resolved<TextGenerationTask>;
  /** Token ids; each is answered `settings.n` times. */
  readonly prompts: readonly Int32Array[];
  readonly settings: AnswerSettings;
  readonly rules: AnswerRules;
  /** When the request came, by the clock. */
  readonly startedMs: number;
}

/** @throws WeftError the first failure of any choice, which ends the others */
export async function answerAll(
  components: ChoicesComponents,
  init: ChoicesInit,
  options: RequestOptions,
  events: AnswerEvents,
): Promise<AnswerResult> {
  const { telemetry } = components;
  const { model, prompts, settings, startedMs } = init;
  const requests = generateRequests(components.random, init);
  const meter = new Meter(components.clock);
  const promptTokens = prompts.reduce((sum, ids) => sum + ids.length, 0);
  try {
    const choices = await together(requests, CHOICES_IN_FLIGHT_MAX, options.signal, (request, index, signal) => {
      // An id of its own for each: an engine that loses two at once shall not take them for one that failed twice.
      const requestId = requests.length === 1 ? options.requestId : `${options.requestId}.${index}`;
      return answerOne(components, init, { request, index, meter }, { ...options, requestId, signal }, events);
    });
    const [first] = choices;
    assert(first !== undefined, 'there is at least one choice');
    const timings = meter.timings(startedMs);
    const cachedTokens = prompts.reduce((sum, ids, at) => sum + cachedOf(ids, choicesOf(choices, at, settings)), 0);
    telemetry.observe('weft_time_to_first_token_seconds', timings.ttftMs / 1000);
    // Of an answer with one choice: those of several come between each other.
    if (choices.length === 1 && timings.tokensPerSecond > 0) {
      telemetry.observe('weft_inter_token_seconds', 1 / timings.tokensPerSecond);
    }
    return {
      model: model.ref.id,
      choices: choices.map(({ finish }) => ({ finish })),
      usage: { promptTokens, completionTokens: meter.tokens, ...(cachedTokens > 0 && { cachedTokens }) },
      timings,
      nodes: [...new Set(choices.flatMap(({ nodes }) => nodes))],
      plan: first.plan,
    };
  } finally {
    telemetry.count('weft_tokens_generated_total', {}, meter.tokens);
    options.trace?.usage({ promptTokens, completionTokens: meter.tokens, ttftMs: meter.ttftMs(startedMs) });
  }
}

/** One for each choice, in their order. A prompt's choices don't depend on the prompts beside it. */
export function generateRequests(
  random: Pick<Random, 'bytes'>,
  { model, prompts, settings, rules }: Omit<ChoicesInit, 'startedMs'>,
): readonly GenerateRequest[] {
  const { ref, task } = model;
  return prompts.flatMap((ids) => {
    const seed = settings.seed ?? freshSeed(random);
    const room = task.contextLength - ids.length;
    return Array.from({ length: settings.n ?? 1 }, (_, index) => ({
      model: ref,
      ids,
      promptLength: ids.length,
      maxNewTokens: Math.min(settings.maxTokens ?? room, room),
      stopIds: task.eosIds,
      sampling: samplingOf(settings, seed, index),
      ...(rules.constraint !== undefined && { constraint: rules.constraint }),
      ...(settings.logprobs !== undefined && { logprobs: settings.logprobs }),
    }));
  });
}

const choicesOf = (choices: readonly Answered[], prompt: number, { n = 1 }: AnswerSettings): readonly Answered[] =>
  choices.slice(prompt * n, (prompt + 1) * n);

/** A prompt counts once, however many choices it has. What another node says is taken for no more than there was. */
function cachedOf(prompt: Int32Array, choices: readonly Answered[]): number {
  const known = choices.map(({ cachedTokens }) => cachedTokens).filter((tokens) => tokens !== undefined);
  return known.length === 0 ? 0 : Math.min(prompt.length, ...known);
}

interface Answered extends Choice {
  /** Undefined where the answer was ended before its node could tell. */
  readonly cachedTokens: number | undefined;
  readonly nodes: readonly NodeId[];
  /** The last one. */
  readonly plan: Plan;
}

async function answerOne(
  components: ChoicesComponents,
  { model, settings, rules }: ChoicesInit,
  choice: { readonly request: GenerateRequest; readonly index: number; readonly meter: Meter },
  options: RequestOptions,
  events: AnswerEvents,
): Promise<Answered> {
  const { request, index, meter } = choice;
  const answer = new Answer({
    task: model.task,
    stops: settings.stop,
    tools: rules.tools.map(({ name }) => name),
    logprobs: settings.logprobs !== undefined,
    newCallId: () => newCallId(components.random),
    onDelta: (delta) => events.onDelta({ choice: index, ...delta }),
  });
  const nodes: NodeId[] = [];
  let plan: Plan | undefined;
  const onPlan = (next: Plan): void => {
    plan = next;
    const node = nodeOf(next);
    if (nodes.at(-1) !== node) nodes.push(node);
    events.onPlaced?.(node, model.ref.id);
  };
  const ended = await generate(components.dispatcher, request, placedOptions(options, { onPlan }), answer, meter);
  assert(plan !== undefined, 'what was generated was placed');
  const { finish, cachedTokens } = ended;
  return { finish: finish === 'stop' && answer.calls > 0 ? 'tool_calls' : finish, cachedTokens, nodes, plan };
}

/** Why a generation ended, and what was kept of its prompt. */
interface Ended {
  readonly finish: 'stop' | 'length';
  readonly cachedTokens: number | undefined;
}

/** Feeds the answer until the generation or its text ends. */
async function generate(
  dispatcher: Pick<Dispatcher, 'generate'>,
  request: GenerateRequest,
  options: PlacedOptions,
  answer: Answer,
  meter: Meter,
): Promise<Ended> {
  // Ends when the caller does, and when a stop string is found.
  const controller = new AbortController();
  const follow = (): void => controller.abort(options.signal.reason);
  if (options.signal.aborted) throw toAbortError(options.signal);
  options.signal.addEventListener('abort', follow, { once: true });
  let receiverFailed: { readonly error: unknown } | undefined;
  try {
    const placed = { ...options, signal: controller.signal };
    const result = await dispatcher.generate(request, placed, (_first, ids, logprobs) => {
      if (controller.signal.aborted) return;
      const before = answer.tokens;
      try {
        answer.take(ids, logprobs);
      } catch (error) {
        receiverFailed = { error };
        controller.abort(error);
      }
      meter.drawn(answer.tokens - before);
      if (answer.stopped) controller.abort(STOP_FOUND);
    });
    // Another choice may have failed, or the caller left, since the answer was whole: nothing goes out behind that.
    if (options.signal.aborted) throw toAbortError(options.signal);
    answer.end();
    return { finish: answer.stopped ? 'stop' : result.finish, cachedTokens: result.cachedTokens ?? 0 };
  } catch (error) {
    if (controller.signal.reason === STOP_FOUND) return { finish: 'stop', cachedTokens: undefined };
    throw receiverFailed === undefined ? error : receiverFailed.error;
  } finally {
    options.signal.removeEventListener('abort', follow);
  }
}

/** Why a generation was ended whose text holds a stop string. */
const STOP_FOUND = new WeftError({ code: 'cancelled', message: 'A stop string was found.' });

/** Tokens of all choices, and when they came. */
class Meter {
  readonly #clock: Pick<Clock, 'now'>;
  tokens = 0;
  #firstMs: number | undefined;
  #lastMs = 0;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  drawn(tokens: number): void {
    this.#lastMs = this.#clock.now();
    this.#firstMs ??= this.#lastMs;
    this.tokens += tokens;
  }

  /** Undefined where no token has come. */
  ttftMs(startedMs: number): number | undefined {
    return this.#firstMs === undefined ? undefined : this.#firstMs - startedMs;
  }

  timings(startedMs: number): ChatTimings {
    const endedMs = this.#clock.now();
    const decodingMs = this.#lastMs - (this.#firstMs ?? this.#lastMs);
    return {
      ttftMs: (this.#firstMs ?? endedMs) - startedMs,
      totalMs: endedMs - startedMs,
      tokensPerSecond: decodingMs > 0 ? ((this.tokens - 1) * 1000) / decodingMs : 0,
    };
  }
}

const ID_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** As OpenAI's look: 24 letters and digits, some 140 bits. */
function newCallId(random: Pick<Random, 'bytes'>): string {
  const characters = [...random.bytes(24)].map((byte) => ID_CHARACTERS.charAt(byte % ID_CHARACTERS.length));
  return `call_${characters.join('')}`;
}

function nodeOf(plan: Plan): NodeId {
  assert(plan.kind === 'local' || plan.kind === 'remote', 'a generation runs on one node at a time');
  return plan.node;
}
