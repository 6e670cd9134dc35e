// Chats and completions: checked, turned into token ids, answered choice by choice. Called by TextCoordinator.
import type { NodeId } from '../../protocol/ids.ts';
import type {
  AnswerEvents,
  AnswerResult,
  ChatRequest,
  CompletionRequest,
  RequestOptions,
} from '../core/coordinator.ts';
import { answerAll, type ChoicesComponents } from './choices.ts';
import { CHOICES_MAX, COMPLETION_CHOICES_MAX } from './limits.ts';
import type { ModelResolver } from './model-resolver.ts';
import { prepare } from './preparing.ts';
import { chatPrompt, completionPrompts } from './prompt.ts';
import { refusal } from './refusal.ts';
import { FREE_TEXT, rulesOf } from './rules.ts';
import { checkLogitBias, checkSettings } from './sampling.ts';
import type { TokenizingComponents } from './tokenizing.ts';

export interface TextGenerationComponents extends ChoicesComponents, TokenizingComponents {
  readonly resolver: Pick<ModelResolver, 'textGeneration'>;
  readonly self: NodeId;
}

/** @throws WeftError `bad_request`, `unsupported`, `model_not_found`, `context_too_long`, or the work's own failure */
export async function chat(
  components: TextGenerationComponents,
  request: ChatRequest,
  options: RequestOptions,
  events: AnswerEvents,
): Promise<AnswerResult> {
  const startedMs = components.clock.now();
  if (request.messages.length === 0) throw refusal('There are no messages.', 'messages');
  checkSettings(request);
  const n = request.n ?? 1;
  if (n > CHOICES_MAX) throw refusal(`${n} choices are too many; ${CHOICES_MAX} are taken.`, 'n');
  const rules = await rulesOf(request, options.signal);
  const { model, prompts } = await prepare(components, options.trace, async () => {
    const found = await components.resolver.textGeneration(request.model, options.signal);
    options.trace?.model(found.ref.id);
    checkLogitBias(request, found.task.vocabularySize);
    const prompt = await chatPrompt(components, found, request.messages, rules.tools, options.signal);
    return { model: found, prompts: [prompt] };
  });
  return answerAll(components, { model, prompts, settings: request, rules, startedMs }, options, events);
}

/** As {@link chat}. */
export async function complete(
  components: TextGenerationComponents,
  request: CompletionRequest,
  options: RequestOptions,
  events: AnswerEvents,
): Promise<AnswerResult> {
  const startedMs = components.clock.now();
  if (request.prompts.length === 0) throw refusal('There is no prompt.', 'prompt');
  checkSettings(request);
  const choices = request.prompts.length * (request.n ?? 1);
  if (choices > COMPLETION_CHOICES_MAX) {
    const param = request.prompts.length > COMPLETION_CHOICES_MAX ? 'prompt' : 'n';
    throw refusal(`${choices} choices over all prompts are too many; ${COMPLETION_CHOICES_MAX} are taken.`, param);
  }
  const { model, prompts } = await prepare(components, options.trace, async () => {
    const found = await components.resolver.textGeneration(request.model, options.signal);
    options.trace?.model(found.ref.id);
    checkLogitBias(request, found.task.vocabularySize);
    return { model: found, prompts: await completionPrompts(components, found, request.prompts, options.signal) };
  });
  return answerAll(components, { model, prompts, settings: request, rules: FREE_TEXT, startedMs }, options, events);
}
