// A model's own chat template: messages → the prompt that it was trained on. Rendered by a sandboxed interpreter.
import { Template } from '@huggingface/jinja';
import { WeftError } from '../../protocol/errors.ts';
import { TEMPLATE_MESSAGE_CHARS_MAX } from '../limits.ts';
import type { TokenizerConfig } from './tokenizer-json.ts';

/** One message of a conversation. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
}

export class ChatTemplate {
  readonly #template: Template | undefined;
  readonly #specialTokens: Readonly<Record<string, string | null>>;

  /**
   * @param source text of chat_template.jinja; absent = what tokenizer_config.json says
   * @throws WeftError `model_corrupt` when the template can't be parsed
   */
  constructor(config: TokenizerConfig, source?: string) {
    const own = config.chat_template;
    const text = source ?? (Array.isArray(own) ? own.find(({ name }) => name === 'default')?.template : own);
    this.#specialTokens = {
      bos_token: config.bos_token ?? null,
      eos_token: config.eos_token ?? null,
      pad_token: config.pad_token ?? null,
      unk_token: config.unk_token ?? null,
    };
    try {
      this.#template = typeof text === 'string' ? new Template(text) : undefined;
    } catch (cause) {
      throw new WeftError({ code: 'model_corrupt', message: "The model's chat template can't be read." }, { cause });
    }
  }

  /**
   * The prompt, up to where the assistant's answer begins.
   * @throws WeftError `bad_request` when the template refuses the messages, `unsupported` when the model has none
   */
  render(messages: readonly TemplateMessage[]): string {
    if (this.#template === undefined) {
      throw new WeftError({
        code: 'unsupported',
        message: 'This model has no chat template.',
        remedy: 'Choose a model that was trained for chat.',
      });
    }
    try {
      return this.#template.render({
        ...this.#specialTokens,
        messages,
        tools: null,
        documents: null,
        add_generation_prompt: true,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message.slice(0, TEMPLATE_MESSAGE_CHARS_MAX) : 'unknown';
      throw new WeftError(
        {
          code: 'bad_request',
          message: `The model's chat template refuses these messages: ${reason}`,
          remedy: 'Send messages with roles, and in an order, that the model knows.',
          facts: { param: 'messages' },
        },
        { cause },
      );
    }
  }
}
