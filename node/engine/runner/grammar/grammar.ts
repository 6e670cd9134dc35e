// A request's constraint → the text of a grammar. Used by the grammar worker.
import { hasLengths } from '../../../../models/tasks/json-lengths.ts';
import { readJsonSchema } from '../../../../models/tasks/json-schema.ts';
import type { JsonShape, JsonShapes } from '../../../../models/tasks/json-shape.ts';
import { parseJson } from '../../../../models/tasks/json-text.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import type { Constraint } from '../../../../protocol/infer.ts';
import { EbnfWriter, literal, type Spelling, writeShapes } from './ebnf.ts';
import type { TextForm } from './text-state.ts';

/** What opens and ends a call of a tool. A line break may stand behind the one and before the other, and nothing else. */
export const CALL_OPENS = '<tool_call>';
export const CALL_ENDS = '</tool_call>';

/** A grammar, and what its text is held to beside it. */
export interface AnswerForm {
  readonly text: string;
  /** Undefined where the grammar says all. */
  readonly form: TextForm | undefined;
}

/**
 * The grammar for a constraint. `tools` gives calls of the form `<tool_call>{"name": "NAME", "arguments": {…}}</tool_call>`,
 * a line break allowed on both sides of the JSON, and one between two calls where nothing but calls may stand.
 * @throws WeftError `bad_request` or `unsupported` for a schema that can't be kept to
 */
export function answerForm(constraint: Constraint, spelling: Spelling): AnswerForm {
  const writer = new EbnfWriter(spelling);
  if (constraint.kind === 'json_object') return { text: writer.text(writer.object()), form: undefined };
  if (constraint.kind === 'json_schema') {
    const shapes = readSchema(constraint.schema, 'response_format', '');
    const text = writer.text(writeShapes(writer, shapes));
    return { text, form: hasLengths(shapes) ? { ...shapes, opens: undefined, spelling } : undefined };
  }
  const refused = (message: string): WeftError =>
    new WeftError({ code: 'bad_request', message, facts: { param: 'tools' } });
  if (constraint.tools.length === 0) throw refused('There is no tool to call.');
  const names = new Set(constraint.tools.map(({ name }) => name));
  if (names.size < constraint.tools.length) throw refused('Two tools have the same name.');
  return toolsForm(constraint, writer, spelling);
}

function toolsForm(
  { tools, choice, parallel }: Constraint & { readonly kind: 'tools' },
  writer: EbnfWriter,
  spelling: Spelling,
): AnswerForm {
  const definitions = new Map<string, JsonShape>();
  const calls: { readonly text: string; readonly next: string }[] = [];
  const options: JsonShape[] = [];
  for (const [index, { name, schema }] of tools.entries()) {
    const shapes = readSchema(schema, 'tools', `${index}:`);
    // Arguments are an object, also where the schema says nothing of them.
    const value = shapes.root.kind === 'any' ? writer.object() : writeShapes(writer, shapes);
    calls.push({ text: `{"name": ${JSON.stringify(name)}, "arguments": `, next: `${value} "}"` });
    for (const [pointer, shape] of shapes.definitions) definitions.set(pointer, shape);
    const named: JsonShape = { kind: 'literals', texts: [JSON.stringify(name)] };
    options.push({
      kind: 'object',
      properties: [
        { name: 'name', shape: named, required: true },
        { name: 'arguments', shape: shapes.root, required: true },
      ],
      rest: undefined,
    });
  }
  const shapes: JsonShapes = { root: { kind: 'union', options }, definitions };
  const form = hasLengths(shapes) ? { ...shapes, opens: CALL_OPENS, spelling } : undefined;
  const inside = writer.rule(`"\\n"? ${writer.branches(calls)} "\\n"? ${literal(CALL_ENDS)}`);
  if (choice === 'auto') {
    const root = `TagDispatch(("${CALL_OPENS}", ${inside}), stop_eos=true, loop_after_dispatch=${String(parallel)})`;
    return { text: writer.text(root), form };
  }
  const call = writer.rule(`${literal(CALL_OPENS)} ${inside}`);
  return { text: writer.text(parallel ? `${call} ("\\n"? ${call})*` : call), form };
}

function readSchema(text: string, param: string, scope: string): JsonShapes {
  let schema: unknown;
  try {
    schema = parseJson(text);
  } catch (cause) {
    throw new WeftError({ code: 'bad_request', message: 'The JSON schema is no JSON.', facts: { param } }, { cause });
  }
  return readJsonSchema(schema, param, scope);
}
