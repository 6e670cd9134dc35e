// Dry runs: a request is prepared as if it were to be done, and dispatch says where it would go. Called by TextCoordinator.
import { CUT_HEADER, RAW_HEADER } from '../../protocol/api/locality.ts';
import type { ModelTask } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import { assert } from '../core/assert.ts';
import type { Random } from '../core/clock.ts';
import type { PlanAnswer, PlanRequest, RequestOptions } from '../core/coordinator.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import { generateRequests } from './choices.ts';
import { embedRequests } from './feature-extraction.ts';
import type { ModelResolver } from './model-resolver.ts';
import { chatPrompt, completionPrompts } from './prompt.ts';
import { refusal } from './refusal.ts';
import { FREE_TEXT } from './rules.ts';
import { runRequest } from './tensor.ts';
import { rankRequests } from './text-ranking.ts';
import type { TokenizingComponents } from './tokenizing.ts';

export interface PlanComponents extends TokenizingComponents {
  readonly random: Pick<Random, 'bytes'>;
  readonly dispatcher: Pick<Dispatcher, 'plan' | 'planCut'>;
  readonly resolver: Pick<ModelResolver, 'graph' | 'taskOf' | 'textGeneration' | 'featureExtraction' | 'textRanking'>;
  readonly self: string;
}

/** Texts become tensors of their own making: there is nothing in them that could be named. */
function checkPlaces({ cut, rawLocal }: RequestOptions): void {
  if (cut !== undefined && cut !== 'never') throw refusal('Only requests of tensors are cut.', CUT_HEADER);
  if (Array.isArray(rawLocal)) throw refusal('Only tensors have names: a text stays here as a whole.', RAW_HEADER);
}

type TextsRequest = Extract<PlanRequest, { kind: 'texts' }>;

/** @throws WeftError as the work itself would before it is placed; `unsupported` for a task whose input is no text */
export async function plan(
  components: PlanComponents,
  request: PlanRequest,
  options: RequestOptions,
): Promise<PlanAnswer> {
  const { dispatcher, resolver } = components;
  if (request.kind === 'tensors') {
    const work = runRequest(components, { ...request, outputs: [] }, options);
    const { signal, cut: wish, rawLocal } = options;
    const rule = { ...(wish !== undefined && { cut: wish }), ...(rawLocal !== undefined && { rawLocal }) };
    const cut = await dispatcher.planCut(work, { signal, ...rule });
    const whole = dispatcher.plan('run', work, rule);
    return {
      model: work.model,
      work: 'run',
      inputTokens: 0,
      requests: 1,
      plan: whole,
      ...(cut !== undefined && { cut }),
    };
  }
  checkPlaces(options);
  const task = resolver.taskOf(request.model);
  if (task !== 'text-ranking' && request.query !== undefined) {
    throw refusal('"query" is for models that rank texts.', 'query');
  }
  if (task !== 'text-generation' && request.maxTokens !== undefined) {
    throw refusal('"max_tokens" is for models that generate text.', 'max_tokens');
  }
  switch (task) {
    case 'text-generation':
      return planGeneration(components, request, options).catch(asInput);
    case 'feature-extraction':
    case 'text-ranking':
      return planEncoding(components, request, task, options).catch(asInput);
    default:
      throw takesNoText(request.model, task);
  }
}

/** Where its texts stand in a request of the task's own. */
const TEXTS_PARAM = /^(messages|prompt|documents)/;

/** The same refusal by the name that a dry run has for its texts. */
function asInput(error: unknown): never {
  if (!(error instanceof WeftError)) throw error;
  const { code, message, remedy, facts } = error;
  const [param] = TEXTS_PARAM.exec(facts.param ?? '') ?? [];
  if (param === undefined) throw error;
  const renamed = { ...facts, param: (facts.param ?? '').replace(param, 'input') };
  throw new WeftError(
    { code, message: message.replace(`"${param}`, '"input'), remedy, facts: renamed },
    { cause: error },
  );
}

/** The text as a user's message, or, where the model knows no conversations, as it stands. */
async function planGeneration(
  components: PlanComponents,
  { model: name, texts, maxTokens }: TextsRequest,
  options: RequestOptions,
): Promise<PlanAnswer> {
  const { signal } = options;
  const [content, ...more] = texts;
  if (content === undefined || more.length > 0) throw refusal('A text generator takes one text.', 'input');
  const model = await components.resolver.textGeneration(name, signal);
  const ids = await chatPrompt(components, model, [{ role: 'user', content }], [], signal).catch(
    async (error: unknown) => {
      if (!(error instanceof WeftError) || error.code !== 'unsupported') throw error;
      const [prompt] = await completionPrompts(components, model, [content], signal);
      assert(prompt !== undefined, 'one text is one prompt');
      return prompt;
    },
  );
  const settings = { temperature: 1, topP: 1, stop: [], ...(maxTokens !== undefined && { maxTokens }) };
  const [work] = generateRequests(components.random, { model, prompts: [ids], settings, rules: FREE_TEXT });
  assert(work !== undefined, 'one prompt is one generation');
  return {
    model: model.ref,
    work: 'generate',
    inputTokens: ids.length,
    requests: 1,
    plan: components.dispatcher.plan('generate', work, stays(options)),
  };
}

async function planEncoding(
  components: PlanComponents,
  { model: name, texts, query }: TextsRequest,
  task: 'feature-extraction' | 'text-ranking',
  options: RequestOptions,
): Promise<PlanAnswer> {
  if (task === 'text-ranking' && query === undefined) {
    throw refusal('A reranker needs what its documents are to answer.', 'query');
  }
  const { model, requests, promptTokens } =
    task === 'text-ranking'
      ? await rankRequests(components, { model: name, query: query ?? '', documents: texts }, options)
      : await embedRequests(components, { model: name, inputs: texts }, options);
  const [first] = requests;
  assert(first !== undefined, 'there is at least one text');
  return {
    model: model.ref,
    work: 'encode',
    inputTokens: promptTokens,
    requests: requests.length,
    plan: components.dispatcher.plan('encode', first, stays(options)),
  };
}

const stays = ({ rawLocal }: RequestOptions): Pick<RequestOptions, 'rawLocal'> =>
  rawLocal === undefined ? {} : { rawLocal };

function takesNoText(model: string, task: ModelTask): WeftError {
  return new WeftError({
    code: 'unsupported',
    message: `${model} takes ${task === 'tensor' ? 'tensors' : 'sound'}, no text.`,
    remedy:
      'Plan it by the shapes of its tensors: `weft show MODEL` lists its inputs, `weft plan MODEL --shape` takes them.',
    facts: { param: 'input' },
  });
}
