// What a line of `weft run`'s chat means that begins with a slash. Pure: the chat carries it out.
import { nearest } from '../config/nearest.ts';
import { PARAMETERS, type Parameter, parseParameter } from './chat-settings.ts';

export type ChatCommand =
  | { readonly kind: 'bye' | 'clear' | 'help' | 'help-set' }
  | { readonly kind: 'show'; readonly what: 'all' | 'model' | 'settings' }
  /** Undefined takes a setting back. */
  | { readonly kind: 'parameter'; readonly key: Parameter['key']; readonly value: number | undefined }
  | { readonly kind: 'stop'; readonly texts: readonly string[] }
  /** Undefined takes it back. */
  | { readonly kind: 'system'; readonly text: string | undefined }
  /** `"""` was opened: the text goes on in the next lines. */
  | { readonly kind: 'system-open'; readonly first: string }
  /** As --format takes it; undefined = text. */
  | { readonly kind: 'format'; readonly format: string | undefined }
  | { readonly kind: 'history' | 'verbose'; readonly on: boolean }
  | { readonly kind: 'wrong'; readonly message: string };

export const FENCE = '"""';

export const HELP = `  """           begin several lines; """ ends them
  /set          change how answers are drawn; alone: says what can be set
  /show         the model and what is set; /show model, /show settings
  /clear        forget what was said
  /bye          leave (Ctrl-D too); Ctrl-C stops an answer
`;

/** Names on lines that fit beside the left column of {@link HELP_SET}. */
const PARAMETER_NAMES = [PARAMETERS.slice(0, 4), PARAMETERS.slice(4, 6), PARAMETERS.slice(6)].map((row) =>
  row.map(({ name }) => name).join(', '),
);

export const HELP_SET = `  /set parameter NAME VALUE      ${PARAMETER_NAMES.join(`,\n${' '.repeat(33)}`)}
  /set parameter NAME default    take it back
  /set parameter stop "A" "B"    texts that end an answer
  /set system "TEXT"             instructions first; """ for several lines
  /set format json|@FILE|text    in JSON, by a JSON schema, or as it comes
  /set history on|off            keep the lines that are typed for the next chat
  /set verbose | /set quiet      say who answered, and how fast, or not
`;

/** Names that other programs have, and what they are called here. */
const ALIASES: Readonly<Record<string, string>> = { num_predict: 'max_tokens', repetition_penalty: 'repeat_penalty' };

/** Settings of a model's server elsewhere: here a node's owner decides, or the model's files do. */
const NOT_HERE = ['num_ctx', 'num_gpu', 'num_thread', 'num_batch', 'repeat_last_n', 'mirostat', 'think'];

const COMMANDS = ['/bye', '/clear', '/help', '/show', '/set'];

/** @param text begins with a slash */
export function parseCommand(text: string): ChatCommand {
  const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  switch (name) {
    case '/bye':
    case '/exit':
    case '/quit':
      return { kind: 'bye' };
    case '/clear':
      return { kind: 'clear' };
    case '/help':
    case '/?':
      return { kind: rest === 'set' || rest === '/set' ? 'help-set' : 'help' };
    case '/show':
      return parseShow(rest);
    case '/set':
      return parseSet(rest);
    default:
      return wrong(`There is no ${name}.${suggestion(name, COMMANDS)}`);
  }
}

const wrong = (message: string): ChatCommand => ({ kind: 'wrong', message });

function suggestion(typed: string, names: readonly string[]): string {
  const name = nearest(typed, names);
  return name === undefined ? ' /help shows what there is.' : ` Did you mean ${name}?`;
}

function parseShow(rest: string): ChatCommand {
  if (rest === '') return { kind: 'show', what: 'all' };
  if (rest === 'model' || rest === 'info') return { kind: 'show', what: 'model' };
  if (rest === 'settings' || rest === 'parameters' || rest === 'system') return { kind: 'show', what: 'settings' };
  return wrong('Write /show, /show model or /show settings.');
}

function parseSet(rest: string): ChatCommand {
  const [, what = '', value = ''] = /^(\S+)\s*(.*)$/s.exec(rest) ?? [];
  switch (what) {
    case '':
      return { kind: 'help-set' };
    case 'parameter':
      return parseSetParameter(value);
    case 'system':
      return parseSystem(value);
    case 'format':
      if (value === '') return wrong('Write /set format json, /set format @FILE or /set format text.');
      return { kind: 'format', format: value === 'text' ? undefined : value };
    case 'noformat':
      return { kind: 'format', format: undefined };
    case 'history':
      if (value === '' || value === 'on') return { kind: 'history', on: true };
      return value === 'off' ? { kind: 'history', on: false } : wrong('Write /set history on or /set history off.');
    case 'nohistory':
      return { kind: 'history', on: false };
    case 'verbose':
    case 'quiet':
      return { kind: 'verbose', on: what === 'verbose' };
    default: {
      // `/set temperature 0.7` says enough.
      if (what === 'stop' || isParameter(what)) return parseSetParameter(rest);
      const known = [
        'parameter',
        'system',
        'format',
        'history',
        'verbose',
        'quiet',
        ...PARAMETERS.map(({ name }) => name),
      ];
      return wrong(`${what} can't be set.${suggestion(what, known)}`);
    }
  }
}

const isParameter = (name: string): boolean => parameterNamed(name) !== undefined || NOT_HERE.includes(name);

const parameterNamed = (name: string): Parameter | undefined =>
  PARAMETERS.find((parameter) => parameter.name === (ALIASES[name] ?? name));

function parseSetParameter(rest: string): ChatCommand {
  const [, name = '', value = ''] = /^(\S+)\s*(.*)$/s.exec(rest) ?? [];
  if (name === 'stop') return { kind: 'stop', texts: value === 'default' ? [] : words(value) };
  const parameter = parameterNamed(name);
  if (parameter === undefined) {
    if (NOT_HERE.includes(name)) return wrong(`${name} can't be set for a chat: the node that answers decides.`);
    return wrong(
      `There is no parameter ${name}.${suggestion(name, ['stop', ...PARAMETERS.map((known) => known.name)])}`,
    );
  }
  if (value === 'default') return { kind: 'parameter', key: parameter.key, value: undefined };
  const number = parseParameter(parameter, value);
  return number === undefined
    ? wrong(`${parameter.name} takes a ${parameter.isInteger ? 'whole number' : 'number'}, or default.`)
    : { kind: 'parameter', key: parameter.key, value: number };
}

function parseSystem(value: string): ChatCommand {
  if (value.startsWith(FENCE)) {
    const first = value.slice(FENCE.length);
    if (!first.endsWith(FENCE)) return { kind: 'system-open', first };
    return system(first.slice(0, -FENCE.length));
  }
  const quoted = /^"(.*)"$/s.exec(value);
  return system(quoted?.[1] ?? value);
}

const system = (text: string): ChatCommand => ({ kind: 'system', text: text.trim() === '' ? undefined : text });

/** Words, or texts in quotation marks, which may hold what JSON's may: `"\n"`. */
function words(text: string): string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/gs)].map(([whole, quoted, bare]) => {
    if (quoted === undefined) return bare ?? '';
    try {
      return JSON.parse(whole) as string;
    } catch {
      return quoted; // A backslash that JSON doesn't know stands for itself.
    }
  });
}
