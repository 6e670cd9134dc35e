// A model's own chat template: messages → the prompt that it was trained on. Rendered by a sandboxed interpreter.
import { Template } from '@huggingface/jinja';
import { WeftError } from '../../protocol/errors.ts';
import { TEMPLATE_MESSAGE_CHARS_MAX } from '../limits.ts';
import type { TokenizerConfig } from './tokenizer-json.ts';
import {
  plainMessages,
  type TemplateMessage,
  type TemplateTool,
  templateMessages,
  templateTools,
} from './tool-prompt.ts';

/** A template with what it can do. */
interface Parsed {
  readonly template: Template;
  /** It reads the variable `tools`. */
  readonly knowsTools: boolean;
}

export class ChatTemplate {
  readonly #chat: Parsed | undefined;
  /** For conversations with tools, where the model has one of its own for them. */
  readonly #toolUse: Parsed | undefined;
  readonly #specialTokens: Readonly<Record<string, string | null>>;

  /**
   * @param source text of chat_template.jinja; absent = what tokenizer_config.json says
   * @throws WeftError `model_corrupt` when the template can't be parsed
   */
  constructor(config: TokenizerConfig, source?: string) {
    const own = config.chat_template;
    const named = (wanted: string): string | undefined =>
      Array.isArray(own) ? own.find(({ name }) => name === wanted)?.template : undefined;
    this.#chat = parse(source ?? (typeof own === 'string' ? own : named('default')));
    this.#toolUse = parse(source === undefined ? named('tool_use') : undefined) ?? this.#chat;
    this.#specialTokens = {
      bos_token: config.bos_token ?? null,
      eos_token: config.eos_token ?? null,
      pad_token: config.pad_token ?? null,
      unk_token: config.unk_token ?? null,
    };
  }

  /**
   * The prompt, up to where the assistant's answer begins. Tools, their calls and results go to the template where it
   * reads the variable `tools`, else they are written as text into the messages.
   * @throws WeftError `bad_request` when the template refuses the messages, `unsupported` when the model has none
   */
  render(messages: readonly TemplateMessage[], tools: readonly TemplateTool[] = []): string {
    const parsed = tools.length > 0 ? this.#toolUse : this.#chat;
    if (parsed === undefined) {
      throw new WeftError({
        code: 'unsupported',
        message: 'This model has no chat template.',
        remedy: 'Choose a model that was trained for chat.',
      });
    }
    const { template, knowsTools } = parsed;
    const shown = knowsTools ? templateMessages(messages) : plainMessages(messages, tools);
    try {
      return template.render({
        ...this.#specialTokens,
        messages: shown,
        tools: knowsTools && tools.length > 0 ? templateTools(tools) : null,
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

/** @throws WeftError `model_corrupt` */
function parse(source: string | undefined): Parsed | undefined {
  if (typeof source !== 'string') return undefined;
  try {
    const template = new Template(source);
    return { template, knowsTools: reads(template.parsed, 'tools') };
  } catch (cause) {
    throw new WeftError({ code: 'model_corrupt', message: "The model's chat template can't be read." }, { cause });
  }
}

/** True when this part of a template names the variable; a member of that name, as in `message.tools`, is another thing. */
function reads(part: unknown, variable: string): boolean {
  if (typeof part !== 'object' || part === null) return false;
  if (Array.isArray(part)) return part.some((one) => reads(one, variable));
  if (part instanceof Map) return reads([...part], variable);
  const { type, value, property, computed, ...others } = part as Readonly<Record<string, unknown>>;
  if (type === 'Identifier') return value === variable;
  const member = type === 'MemberExpression' && computed !== true;
  return reads(value, variable) || (!member && reads(property, variable)) || reads(Object.values(others), variable);
}
