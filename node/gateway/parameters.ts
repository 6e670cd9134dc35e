// Checks a body against its schema, and names the parameter at fault. Where the gateway is lenient, parameters that are
// unknown or not supported are left out instead, and named in a header. Used by the exchange.
import type { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import { clip, PARAM_LENGTH_MAX } from './errors.ts';

/** Parameters that the header names: whoever sends more has seen enough. */
const IGNORED_NAMED_MAX = 16;

/** Checks of one body. What is left out of an outer object may show what is wrong further in: once, or twice, not more. */
const ROUNDS_MAX = 8;

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** A body without what was left out. */
export interface LenientResult<Value> {
  readonly value: Value;
  /** Such as `messages[].name`: each once, in the order in which they were met. */
  readonly ignored: readonly string[];
}

/**
 * Checks a body against its schema.
 * @throws WeftError `bad_request`, or `unsupported` for what OpenAI has and Weft has not, with the parameter's name
 */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw refusal(result.error.issues[0]);
}

/**
 * As {@link parseBody}, without the parameters that are unknown or not supported.
 * @param body changed: they are deleted from it
 * @throws WeftError as {@link parseBody}, for values of known parameters, and for content that can't be left out
 */
export function parseLeniently<Schema extends z.ZodType>(
  schema: Schema,
  body: unknown,
): LenientResult<z.output<Schema>> {
  const ignored = new Set<string>();
  let issue: Issue | undefined;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const result = schema.safeParse(body);
    if (result.success) return { value: result.data, ignored: [...ignored] };
    issue = result.error.issues[0];
    const paths = result.error.issues.flatMap(droppable);
    if (paths.length === 0) break;
    for (const path of paths) {
      drop(body, path);
      ignored.add(clip(paramOf(path).replace(/\[\d+\]/g, '[]'), PARAM_LENGTH_MAX));
    }
  }
  throw refusal(issue);
}

/** Value of the header `x-weft-ignored`: names as they are, but for what no header may hold. */
export function ignoredHeader(ignored: readonly string[]): string {
  const named = ignored
    .slice(0, IGNORED_NAMED_MAX)
    .map((name) => name.toWellFormed().replace(/[^\x21-\x7e]|[,%]/gu, encodeURIComponent));
  return named.join(', ') + (ignored.length > named.length ? ', ...' : '');
}

/** What could be left out so that this issue would be gone. */
function droppable(issue: Issue): readonly Path[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => [...issue.path, key]);
  return issue.code === 'custom' && issue.params?.droppable === true ? [issue.path] : [];
}

function drop(body: unknown, path: Path): void {
  const parent = path.slice(0, -1).reduce<unknown>((value, key) => own(value, key), body);
  const last = path.at(-1);
  if (typeof parent === 'object' && parent !== null && last !== undefined) Reflect.deleteProperty(parent, last);
}

function own(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

function refusal(issue: Issue | undefined): WeftError {
  if (issue?.code === 'unrecognized_keys') {
    const param = clip(paramOf([...issue.path, issue.keys[0] ?? '']), PARAM_LENGTH_MAX);
    return new WeftError({
      code: 'bad_request',
      message: `Unknown parameter "${param}".`,
      remedy: 'Leave the named parameter out, or set WEFT_LENIENT=1 at the node.',
      facts: { param },
    });
  }
  if (issue === undefined || issue.path.length === 0)
    return new WeftError({ code: 'bad_request', message: 'The body must be a JSON object.' });
  const param = clip(paramOf(issue.path), PARAM_LENGTH_MAX);
  const unsupported = issue.code === 'custom' && issue.params?.unsupported === true;
  const remedy = issue.code === 'custom' ? issue.params?.remedy : undefined;
  return new WeftError({
    code: unsupported ? 'unsupported' : 'bad_request',
    message: `"${param}" ${issue.message}.`,
    ...(typeof remedy === 'string' ? { remedy } : {}),
    facts: { param },
  });
}

/** As OpenAI writes it: `messages[0].content[1].type`. */
function paramOf(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}
