// From messages or prompts to the token ids that a generation begins with, checked against the model's context. Called
// by text generation.
import type { TextGenerationTask } from '../../models/tasks/text-generation.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { ChatMessage, ToolSpec } from '../core/coordinator.ts';
import type { Resolved } from './model-resolver.ts';
import { position, refusal } from './refusal.ts';
import { checkTokenIds, Tokenizing, type TokenizingComponents } from './tokenizing.ts';

type Model = Resolved<TextGenerationTask>;

/**
 * The ids of a conversation, as the model's template writes it.
 * @throws WeftError `bad_request`, `context_too_long`, `unsupported` when the model has no template
 */
export async function chatPrompt(
  components: TokenizingComponents,
  model: Model,
  messages: readonly ChatMessage[],
  tools: readonly ToolSpec[],
  signal: AbortSignal,
): Promise<Int32Array> {
  const text = model.task.renderChat(messages, tools);
  const ids = await encode(tokenizing(components, model), model, text, 'messages', signal);
  // A template may leave out everything that it was given.
  if (ids.length === 0) throw refusal('The messages are empty.', 'messages');
  return ids;
}

/**
 * The ids of texts that no template writes, each with what the tokenizer begins a text with, unless the text itself
 * begins so; an empty text is the model's start token alone. Ids are taken as they are.
 * @throws WeftError `bad_request`, `context_too_long`
 */
export async function completionPrompts(
  components: TokenizingComponents,
  model: Model,
  prompts: readonly (string | Int32Array)[],
  signal: AbortSignal,
): Promise<readonly Int32Array[]> {
  const { task } = model;
  const texts = tokenizing(components, model);
  const encoded: Int32Array[] = [];
  for (const [index, prompt] of prompts.entries()) {
    const param = position('prompt', prompts, index);
    if (typeof prompt !== 'string') {
      checkTokenIds(prompt, task.vocabularySize, param);
      if (prompt.length >= task.contextLength) throw tooLong(model, String(prompt.length), param);
      encoded.push(prompt);
      continue;
    }
    const ids = await encode(texts, model, prompt, param, signal);
    const whole = startsWith(ids, task.before) ? ids : Int32Array.of(...task.before, ...ids);
    if (whole.length >= task.contextLength) throw tooLong(model, String(whole.length), param);
    if (whole.length > 0) encoded.push(whole);
    else if (task.startId !== undefined) encoded.push(Int32Array.of(task.startId));
    else throw refusal('The prompt is empty, and the model has no token that begins a text.', param);
  }
  return encoded;
}

const tokenizing = (components: TokenizingComponents, { task, folder }: Model): Tokenizing =>
  new Tokenizing(components, {
    folder,
    tokensMax: task.contextLength,
    specialTokens: false,
    encode: (text) => ({ ids: task.encode(text), truncated: false }),
  });

async function encode(
  texts: Tokenizing,
  model: Model,
  text: string,
  param: string,
  signal: AbortSignal,
): Promise<Int32Array> {
  const { contextLength } = model.task;
  const least = model.task.minTokens(text);
  if (least >= contextLength) throw tooLong(model, `at least ${least}`, param);
  const { ids, truncated } = await texts.encode(text, signal);
  if (truncated) throw tooLong(model, `at least ${ids.length}`, param);
  if (ids.length >= contextLength) throw tooLong(model, String(ids.length), param);
  return ids;
}

const startsWith = (ids: Int32Array, start: readonly number[]): boolean =>
  start.every((id, index) => ids[index] === id);

function tooLong({ ref, task }: Model, tokens: string, param: string): WeftError {
  return new WeftError({
    code: 'context_too_long',
    message:
      `"${param}" has ${tokens} tokens; the context of ${ref.id} holds ${task.contextLength}, ` +
      'the answer included.',
    facts: { param, model: ref.id, contextLength: String(task.contextLength) },
  });
}
