// How answers of `weft run` are drawn: one table for its options, for `/set` in a chat, and for the request's body.
import { WeftError } from '../../protocol/errors.ts';
import { readInputFile } from './input-file.ts';
import { SCHEMA_FILE_BYTES_MAX } from './limits.ts';

/** What was set; absent = the API's default. */
export interface ChatSettings {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repeatPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly responseFormat?: ResponseFormat;
}

/** OpenAI's `response_format`. */
export type ResponseFormat =
  | { readonly type: 'json_object' }
  | {
      readonly type: 'json_schema';
      readonly json_schema: { readonly name: string; readonly schema: object; readonly strict: true };
    };

type NumberKey = Exclude<keyof ChatSettings, 'stop' | 'responseFormat'>;

/** A setting that is a number. Its range is the API's to check. */
export interface Parameter {
  readonly key: NumberKey;
  /** For `/set parameter`. */
  readonly name: string;
  /** In the body of a chat completion. */
  readonly field: string;
  readonly flag: string;
  readonly isInteger: boolean;
  readonly summary: string;
}

/** In the order in which help shows them. */
export const PARAMETERS: readonly Parameter[] = [
  {
    key: 'maxTokens',
    name: 'max_tokens',
    field: 'max_tokens',
    flag: '--max-tokens <n>',
    isInteger: true,
    summary: 'most tokens of an answer',
  },
  {
    key: 'temperature',
    name: 'temperature',
    field: 'temperature',
    flag: '--temperature <x>',
    isInteger: false,
    summary: '0 takes the likeliest token each time, 2 is the wildest',
  },
  {
    key: 'topP',
    name: 'top_p',
    field: 'top_p',
    flag: '--top-p <x>',
    isInteger: false,
    summary: 'draw from the likeliest tokens that reach this probability',
  },
  {
    key: 'topK',
    name: 'top_k',
    field: 'top_k',
    flag: '--top-k <n>',
    isInteger: true,
    summary: 'draw from the n likeliest tokens',
  },
  {
    key: 'minP',
    name: 'min_p',
    field: 'min_p',
    flag: '--min-p <x>',
    isInteger: false,
    summary: 'leave out tokens less likely than this share of the likeliest',
  },
  {
    key: 'repeatPenalty',
    name: 'repeat_penalty',
    field: 'repetition_penalty',
    flag: '--repeat-penalty <x>',
    isInteger: false,
    summary: 'above 1: tokens that stand in the chat already become less likely',
  },
  {
    key: 'presencePenalty',
    name: 'presence_penalty',
    field: 'presence_penalty',
    flag: '--presence-penalty <x>',
    isInteger: false,
    summary: 'taken once from every token that the answer has already',
  },
  {
    key: 'frequencyPenalty',
    name: 'frequency_penalty',
    field: 'frequency_penalty',
    flag: '--frequency-penalty <x>',
    isInteger: false,
    summary: 'taken from a token for each time that the answer has it',
  },
  {
    key: 'seed',
    name: 'seed',
    field: 'seed',
    flag: '--seed <n>',
    isInteger: true,
    summary: 'the same seed gives the same answer',
  },
];

/** The value of a parameter, or undefined for text that is none. */
export function parseParameter({ isInteger }: Parameter, text: string): number | undefined {
  const value = Number(text);
  const valid = text.trim() !== '' && (isInteger ? Number.isSafeInteger(value) : Number.isFinite(value));
  return valid ? value : undefined;
}

/** The settings as fields of a chat completion. */
export function requestFields(settings: ChatSettings): Record<string, unknown> {
  const numbers = PARAMETERS.map(({ key, field }) => [field, settings[key]]);
  return { ...Object.fromEntries(numbers), stop: settings.stop, response_format: settings.responseFormat };
}

/** What is set, one a line, for `/show`. */
export function describeSettings(settings: ChatSettings): [string, string][] {
  const { stop, responseFormat } = settings;
  const numbers = PARAMETERS.flatMap(({ key, name }): [string, string][] => {
    const value = settings[key];
    return value === undefined ? [] : [[name, String(value)]];
  });
  return [
    ...numbers,
    ...(stop === undefined ? [] : [['stop', stop.map((text) => JSON.stringify(text)).join(' ')] as [string, string]]),
    ...(responseFormat === undefined ? [] : [['format', describeFormat(responseFormat)] as [string, string]]),
  ];
}

const describeFormat = (format: ResponseFormat): string =>
  format.type === 'json_object' ? 'json' : `json by the schema "${format.json_schema.name}"`;

/**
 * The format that `json` or `@schema.json` asks for.
 * @throws WeftError `bad_request`
 */
export async function readFormat(text: string): Promise<ResponseFormat> {
  if (text === 'json') return { type: 'json_object' };
  if (!text.startsWith('@') || text.length < 2) throw notAFormat(`"${text}" is no format.`);
  const path = text.slice(1);
  let schema: unknown;
  try {
    const bytes = await readInputFile(path, SCHEMA_FILE_BYTES_MAX);
    if (bytes === undefined) throw notAFormat(`The file ${path} is too large for a JSON schema.`);
    schema = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof WeftError) throw error;
    throw notAFormat(`The file ${path} can't be read as JSON.`, error);
  }
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    throw notAFormat(`The file ${path} holds no JSON schema.`);
  }
  const title = 'title' in schema && typeof schema.title === 'string' ? schema.title : '';
  const name = title.replace(/[^\w-]+/g, '_').slice(0, 64) || 'answer';
  return { type: 'json_schema', json_schema: { name, schema, strict: true } };
}

function notAFormat(message: string, cause?: unknown): WeftError {
  const remedy = 'Write json, or @ and the path of a file with a JSON schema.';
  return new WeftError({ code: 'bad_request', message, remedy }, { cause });
}
