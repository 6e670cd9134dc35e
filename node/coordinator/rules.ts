// What an answer must look like: its format, or the tools that it may call, as the constraint that the executor keeps.
// Called by text generation before anything is placed.
import { checkJsonSchema } from '../../models/tasks/json-schema.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { Constraint } from '../../protocol/infer.ts';
import { TOOLS_MAX } from '../../protocol/limits.ts';
import { toAbortError } from '../core/calls.ts';
import type { ChatRequest, ToolSpec } from '../core/coordinator.ts';
import { untilNextLoop } from '../core/waiting.ts';
import { TOOLS_CHARS_MAX } from './limits.ts';
import { refusal } from './refusal.ts';

export interface AnswerRules {
  /** What the prompt tells of; none = calls are not looked for in the text either. */
  readonly tools: readonly ToolSpec[];
  readonly constraint: Constraint | undefined;
}

/** OpenAI's own rule for names of functions. */
const TOOL_NAME = /^[\w-]{1,64}$/;

/** No format, no tools. */
export const FREE_TEXT: AnswerRules = { tools: [], constraint: undefined };

/**
 * With `toolChoice` none the tools are left out altogether. With a tool by name the prompt tells of all, and that one is
 * called. Where a tool must be called there is no text that could have a format: then the format says nothing.
 * @throws WeftError `bad_request` for tools or schemas that are invalid; `unsupported` for schemas that can't be kept,
 *   and for a format together with tools that may or may not be called
 */
export async function rulesOf(request: ChatRequest, signal: AbortSignal): Promise<AnswerRules> {
  const { format = { kind: 'text' }, parallelToolCalls = true } = request;
  const { tools, choice } = toolsOf(request);
  if (tools.length > 0) {
    if (choice === 'auto' && format.kind !== 'text') {
      throw new WeftError({
        code: 'unsupported',
        message: 'A response_format cannot be kept while the model may also call tools.',
        remedy: 'Leave response_format out, or set tool_choice to "none" or "required".',
        facts: { param: 'response_format' },
      });
    }
    const schemas = await argumentSchemas(tools, signal);
    return {
      tools,
      constraint: {
        kind: 'tools',
        tools: typeof choice === 'string' ? schemas : schemas.filter(({ name }) => name === choice.name),
        choice: choice === 'auto' ? 'auto' : 'required',
        parallel: parallelToolCalls,
      },
    };
  }
  if (format.kind === 'text') return FREE_TEXT;
  if (format.kind === 'json_object') return { tools, constraint: { kind: 'json_object' } };
  checkJsonSchema(format.schema, 'response_format.json_schema.schema');
  return { tools, constraint: { kind: 'json_schema', schema: JSON.stringify(format.schema) } };
}

type Choice = 'auto' | 'required' | { readonly name: string };

/** The tools that may be called, and whether one must be. */
function toolsOf(request: ChatRequest): { readonly tools: readonly ToolSpec[]; readonly choice: Choice } {
  const { tools = [], toolChoice: choice = 'auto' } = request;
  if (tools.length > TOOLS_MAX) throw refusal(`"tools" has ${tools.length} tools; ${TOOLS_MAX} are taken.`, 'tools');
  const names = new Set<string>();
  for (const [index, { name }] of tools.entries()) {
    const param = `tools[${index}].function.name`;
    if (!TOOL_NAME.test(name)) throw refusal('A tool needs a name of 1 to 64 letters, digits, "_" or "-".', param);
    if (names.has(name)) throw refusal(`Two tools have the name "${name}".`, param);
    names.add(name);
  }
  if (choice === 'none') return { tools: [], choice: 'auto' };
  if (choice === 'auto') return { tools, choice };
  if (tools.length === 0) throw refusal('There are no tools, but one must be called.', 'tool_choice');
  if (choice !== 'required' && !names.has(choice.name)) throw refusal('There is no tool of that name.', 'tool_choice');
  return { tools, choice };
}

/**
 * Schemas of the tools' arguments, as JSON texts: always of objects. Checking a hard one takes a tenth of a second, so that
 * others get their turns between two.
 */
async function argumentSchemas(
  tools: readonly ToolSpec[],
  signal: AbortSignal,
): Promise<readonly { readonly name: string; readonly schema: string }[]> {
  const schemas: { readonly name: string; readonly schema: string }[] = [];
  let chars = 0;
  for (const [index, { name, parameters }] of tools.entries()) {
    if (index > 0) await untilNextLoop();
    if (signal.aborted) throw toAbortError(signal);
    const param = `tools[${index}].function.parameters`;
    if (parameters.type !== undefined && parameters.type !== 'object') {
      throw refusal('The parameters of a tool must be a schema of type "object".', param);
    }
    const schema = { ...parameters, type: 'object' };
    const text = JSON.stringify(schema);
    chars += text.length;
    if (chars > TOOLS_CHARS_MAX) {
      throw refusal(`The schemas of the tools have more than ${TOOLS_CHARS_MAX} characters together.`, 'tools');
    }
    checkJsonSchema(schema, param);
    schemas.push({ name, schema: text });
  }
  return schemas;
}
