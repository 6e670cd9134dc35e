// Chat with a language model: messages → prompt → token ids, and ids → text. The coordinator loads one per model.

import { WeftError } from '../../protocol/errors.ts';
import { CHAT_MESSAGES_MAX } from '../limits.ts';
import type { Manifest } from '../manifest.ts';
import { readVerified } from '../verify.ts';
import { ChatTemplate, type TemplateMessage } from './chat-template.ts';
import type { Detokenizer } from './detokenizer.ts';
import { loadVerifiedTokenizer } from './tokenizer.ts';

export interface TextGenerationTask {
  /**
   * The prompt for these messages, up to where the assistant's answer begins.
   * @throws WeftError `context_too_long` for more messages than the context could hold, `bad_request` when the template
   *   refuses them, `unsupported` when the model has no template
   */
  renderChat(messages: readonly TemplateMessage[]): string;
  /**
   * Token ids of a prompt; the template wrote the special ones. On the caller's thread: prompts beyond
   * TEXT_CHARS_INLINE_MAX belong in the prep process.
   */
  encode(text: string): Int32Array;
  /** The fewest tokens that the text can have, found in 60 ms for 16 MiB; 0 where nothing can be said. */
  minTokens(text: string): number;
  /** A fresh detokenizer, for one answer. */
  detokenizer(): Detokenizer;
  /** Any of these ends an answer. */
  readonly eosIds: readonly number[];
  /** Most tokens of prompt and answer together. */
  readonly contextLength: number;
}

/**
 * Loads tokenizer and template, each verified against the manifest. Takes 0.1 to 0.3 s and 18 MB for SmolLM2.
 * @throws WeftError `model_corrupt`
 */
export async function loadTextGeneration(folder: string, manifest: Manifest): Promise<TextGenerationTask> {
  const { generation, contextLength } = manifest;
  if (generation === undefined) {
    throw new WeftError({ code: 'model_corrupt', message: 'The manifest says nothing about text generation.' });
  }
  const tokenizer = await loadVerifiedTokenizer(folder, manifest);
  const separate = manifest.files.some((file) => file.path === TEMPLATE_FILE)
    ? Buffer.from(await readVerified(folder, manifest, TEMPLATE_FILE)).toString('utf8')
    : undefined;
  const template = new ChatTemplate(tokenizer.config, separate);
  // Every message takes at least a token, by its role if by nothing else.
  const messagesMax = Math.min(contextLength, CHAT_MESSAGES_MAX);
  return {
    renderChat: (messages) => {
      if (messages.length > messagesMax) {
        throw new WeftError({
          code: 'context_too_long',
          message: `A conversation of ${messages.length} messages is too long; the most is ${messagesMax}.`,
          facts: { param: 'messages', limit: String(messagesMax) },
        });
      }
      return template.render(messages);
    },
    encode: (text) => tokenizer.encode(text, { tokensMax: Number.POSITIVE_INFINITY, specialTokens: false }).ids,
    minTokens: (text) => tokenizer.minTokens(text),
    detokenizer: () => tokenizer.detokenizer(),
    eosIds: generation.eosIds,
    contextLength,
  };
}

const TEMPLATE_FILE = 'chat_template.jinja';
