// Tools and formats of answers: JSON schemas from clients, bounded before anybody compiles them. Used by the schemas of
// chat completions and responses.
import { z } from 'zod';
import { SCHEMA_BYTES_MAX, TOOL_NAME_LENGTH_MAX, TOOLS_MAX } from '../../limits.ts';
import { counted, custom, field, flag, isObject, type Misfit, optional, type Shape, UNSUPPORTED } from './fields.ts';

/** Bytes of the schemas of all tools as JSON text; they are part of the prompt as well. */
export const SCHEMAS_BYTES_MAX = 256 << 10;

/** Objects and arrays within each other. A level of properties takes two of them, and OpenAI has ten such levels. */
export const SCHEMA_DEPTH_MAX = 32;

/** Longest description of a tool; it is part of the prompt. */
export const DESCRIPTION_LENGTH_MAX = 16_384;

/** Longest name that a client gives to a call of a tool. */
export const CALL_ID_LENGTH_MAX = 256;

/** A JSON schema, as it came. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** Of its arguments. */
  readonly parameters: JsonSchema;
}

export type ToolChoice = 'none' | 'auto' | 'required' | { readonly name: string };

/** What the whole text of an answer must be. */
export type Format =
  | { readonly kind: 'text' }
  | { readonly kind: 'json_object' }
  | { readonly kind: 'json_schema'; readonly name: string; readonly schema: JsonSchema };

/** A call of a tool in a conversation. */
export interface Call {
  readonly id: string;
  readonly name: string;
  /** JSON text. */
  readonly arguments: string;
}

/** One message of a conversation, whichever API it came by. */
export interface InputMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly toolCalls?: readonly Call[];
  readonly toolCallId?: string;
}

/** Of a tool that takes nothing. */
const NO_PARAMETERS: JsonSchema = { type: 'object', properties: {}, additionalProperties: false };

const NAME = new RegExp(`^[a-zA-Z0-9_-]{1,${TOOL_NAME_LENGTH_MAX}}$`);
const NAME_TEXT = `must have 1 to ${TOOL_NAME_LENGTH_MAX} letters, digits, "_" or "-"`;

/** A tool's or schema's name, in OpenAI's own form. */
export const name = z.string(NAME_TEXT).regex(NAME, NAME_TEXT);

const description = optional(
  z.string('must be a string').max(DESCRIPTION_LENGTH_MAX, `must have at most ${DESCRIPTION_LENGTH_MAX} characters`),
);

/** An object that is a JSON schema of bounded length and depth. Whether it is a good one, its compiler says. */
const jsonSchema = custom(
  (value, fail): JsonSchema => {
    if (!isObject(value)) return fail('must be a JSON schema (an object)');
    if (depthOf(value) > SCHEMA_DEPTH_MAX) return fail(`is nested deeper than ${SCHEMA_DEPTH_MAX} levels`);
    if (bytesOf(value) > SCHEMA_BYTES_MAX) return fail(`takes more than ${SCHEMA_BYTES_MAX} bytes as JSON`);
    return value;
  },
  { type: 'object' },
);

/** Levels of objects and arrays. Bodies are bounded in depth before they are parsed, so this recursion is too. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let depth = 0;
  for (const inner of Object.values(value)) depth = Math.max(depth, depthOf(inner));
  return depth + 1;
}

const encoder = new TextEncoder();
const bytesOf = (schema: JsonSchema): number => encoder.encode(JSON.stringify(schema)).byteLength;

/** What a function tool has, in either API. Arguments are always held to the schema, whatever `strict` says. */
export const FUNCTION = { name, description, parameters: optional(jsonSchema), strict: flag() } as const;

/** A function tool from its fields. */
export function toTool(fields: {
  readonly name: string;
  readonly description?: string | undefined;
  readonly parameters?: JsonSchema | undefined;
}): Tool {
  const { name, description, parameters = NO_PARAMETERS } = fields;
  return description === undefined ? { name, parameters } : { name, description, parameters };
}

/** `"function"`, the one type of tools that there is here. */
export const functionType = custom(
  (value, fail): 'function' =>
    value === 'function' ? value : fail('must be "function": other kinds of tools are not supported', [], UNSUPPORTED),
  { const: 'function' },
);

/** Up to {@link TOOLS_MAX} tools; none = undefined. */
export function tools<Schema extends z.ZodType<Tool>>(
  tool: Schema,
): z.ZodType<readonly Tool[] | undefined, readonly unknown[] | null | undefined> {
  return optional(
    counted(tool, { what: 'tools', text: 'must be an array of tools', min: 0, max: TOOLS_MAX }).transform(
      (list): readonly Tool[] | undefined => (list.length === 0 ? undefined : list),
    ),
  );
}

/**
 * @param nameOf the name in an object that chooses one function
 * @param named properties of such an object, beside its type
 */
export function toolChoice(
  nameOf: (value: unknown) => unknown,
  named: Shape,
): z.ZodType<ToolChoice | undefined, unknown> {
  const properties = { type: { const: 'function' }, ...named };
  const shape = {
    anyOf: [{ enum: ['none', 'auto', 'required'] }, { type: 'object', properties, required: Object.keys(properties) }],
  };
  return optional(
    custom((value, fail): ToolChoice => {
      if (value === 'none' || value === 'auto' || value === 'required') return value;
      if (!isObject(value)) return fail('must be "none", "auto", "required" or an object that names a function');
      if (field(value, 'type') !== 'function') return fail('is not supported but for functions', ['type'], UNSUPPORTED);
      const chosen = nameOf(value);
      return typeof chosen === 'string' ? { name: chosen } : fail('must name a function');
    }, shape),
  );
}

/** What tools, choice and format ask for together. */
export function checkTools(
  request: { readonly tools?: readonly Tool[] | undefined; readonly tool_choice?: ToolChoice | undefined },
  misfit: Misfit,
): void {
  const { tools = [], tool_choice: choice } = request;
  const names = new Set(tools.map((tool) => tool.name));
  if (names.size < tools.length) misfit('tools', 'must have names that differ');
  const bytes = tools.reduce((sum, { parameters }) => sum + bytesOf(parameters), 0);
  if (bytes > SCHEMAS_BYTES_MAX) misfit('tools', `have schemas of more than ${SCHEMAS_BYTES_MAX} bytes together`);
  if (choice === undefined || choice === 'none' || choice === 'auto') return;
  if (tools.length === 0) misfit('tool_choice', 'needs "tools"');
  else if (choice !== 'required' && !names.has(choice.name)) misfit('tool_choice', 'must name one of the "tools"');
}

/** Name and schema of a format, in either API. */
export const SCHEMA = { name, description, schema: jsonSchema, strict: flag() } as const;

/** OpenAI's text for a format of another type. */
export const FORMAT_TEXT = 'must be "text", "json_object" or "json_schema"';
