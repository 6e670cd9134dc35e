// Tools, their calls and their results in a prompt: in the shape that Hugging Face's templates expect, and as plain text
// for templates that know of no tools. Used by the chat template.
import { WeftError } from '../../protocol/errors.ts';
import { TOOL_CALL_CLOSE, TOOL_CALL_OPEN } from './tool-calls.ts';

export interface TemplateTool {
  readonly name: string;
  readonly description?: string;
  /** A JSON schema. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** One message of a conversation. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
  /** Of an assistant's message: what it asked for; `arguments` is JSON text of an object. */
  readonly toolCalls?: readonly { readonly id: string; readonly name: string; readonly arguments: string }[];
  /** Of a tool's message: the call that it answers. */
  readonly toolCallId?: string;
}

/** The tools as templates expect them. Source: Hugging Face transformers, "Tool use" (docs/source/en/chat_extras.md). */
export function templateTools(tools: readonly TemplateTool[]): readonly object[] {
  return tools.map(({ name, description, parameters }) => ({
    type: 'function',
    function: { name, description: description ?? '', parameters },
  }));
}

/** The messages as templates that know tools expect them. @throws WeftError `bad_request` for arguments that are no object */
export function templateMessages(messages: readonly TemplateMessage[]): readonly object[] {
  const names = new Map<string, string>();
  return messages.map(({ role, content, toolCalls = [], toolCallId }, index) => {
    for (const { id, name } of toolCalls) names.set(id, name);
    const name = toolCallId === undefined ? undefined : names.get(toolCallId);
    return {
      role,
      content,
      ...(toolCalls.length > 0 && {
        tool_calls: toolCalls.map((call, position) => ({
          id: call.id,
          type: 'function',
          function: { name: call.name, arguments: argumentsOf(call.arguments, index, position) },
        })),
      }),
      ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
      ...(name !== undefined && { name }),
    };
  });
}

/**
 * The same in roles that every template knows: the tools in the system message, calls as the text that a model answers
 * with, results as text of the user.
 * @throws WeftError `bad_request` for arguments that are no object
 */
export function plainMessages(
  messages: readonly TemplateMessage[],
  tools: readonly TemplateTool[],
): readonly { readonly role: string; readonly content: string }[] {
  const plain: { role: string; content: string }[] = [];
  let results = false;
  for (const [index, { role, content, toolCalls = [] }] of messages.entries()) {
    if (role === 'tool') {
      const result = `<tool_response>\n${content}\n</tool_response>`;
      const last = plain.at(-1);
      // Results of one turn are one message, so that user and assistant go on taking turns.
      if (results && last !== undefined) last.content += `\n${result}`;
      else plain.push({ role: 'user', content: result });
    } else {
      const calls = toolCalls.map((call, position) => {
        argumentsOf(call.arguments, index, position);
        return callText(call.name, call.arguments.trim() === '' ? '{}' : call.arguments);
      });
      plain.push({ role, content: [...(content === '' && calls.length > 0 ? [] : [content]), ...calls].join('\n') });
    }
    results = role === 'tool';
  }
  if (tools.length === 0) return plain;
  const [first, ...rest] = plain;
  const block = toolsBlock(tools);
  if (first?.role !== 'system') return [{ role: 'system', content: block }, ...plain];
  return [{ role: 'system', content: first.content === '' ? block : `${first.content}\n\n${block}` }, ...rest];
}

const callText = (name: string, json: string): string =>
  `${TOOL_CALL_OPEN}{"name": ${JSON.stringify(name)}, "arguments": ${json}}${TOOL_CALL_CLOSE}`;

/** In the words of Qwen's and Hermes' templates, which small models of other families were trained on as well. */
function toolsBlock(tools: readonly TemplateTool[]): string {
  return [
    '# Tools',
    '',
    'You may call one or more functions to assist with the user query.',
    '',
    'You are provided with function signatures within <tools></tools> XML tags:',
    '<tools>',
    ...templateTools(tools).map((tool) => JSON.stringify(tool)),
    '</tools>',
    '',
    `For each function call, answer with a JSON object of its name and arguments within ${TOOL_CALL_OPEN}${TOOL_CALL_CLOSE} XML tags:`,
    `${TOOL_CALL_OPEN}{"name": <function name>, "arguments": <arguments as a JSON object>}${TOOL_CALL_CLOSE}`,
  ].join('\n');
}

/** Arguments of an earlier call; none at all count as an empty object, as some clients send them. */
function argumentsOf(json: string, message: number, call: number): object {
  const param = `messages[${message}].tool_calls[${call}].function.arguments`;
  let value: unknown;
  try {
    value = json.trim() === '' ? {} : JSON.parse(json);
  } catch (cause) {
    throw new WeftError(
      { code: 'bad_request', message: 'The arguments of a tool call are not JSON.', facts: { param } },
      { cause },
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new WeftError({
    code: 'bad_request',
    message: 'The arguments of a tool call are not a JSON object.',
    facts: { param },
  });
}
