// A request's constraint → the text of a grammar. Used by the grammar worker.
import { readJsonSchema } from '../../../../models/tasks/json-schema.ts';
import type { JsonShapes } from '../../../../models/tasks/json-shape.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import type { Constraint } from '../../../../protocol/infer.ts';
import { EbnfWriter, literal, writeShapes } from './ebnf.ts';

/** What opens and ends a call of a tool. A line break may stand behind the one and before the other, and nothing else. */
export const CALL_OPENS = '<tool_call>';
export const CALL_ENDS = '</tool_call>';

/**
 * The grammar for a constraint. `tools` gives calls of the form `<tool_call>{"name": "NAME", "arguments": {…}}</tool_call>`,
 * a line break allowed on both sides of the JSON, and one between two calls where nothing but calls may stand.
 * @throws WeftError `bad_request` or `unsupported` for a schema that can't be kept to
 */
export function grammarOf(constraint: Constraint): string {
  const writer = new EbnfWriter();
  if (constraint.kind === 'json_object') return writer.text(writer.object());
  if (constraint.kind === 'json_schema') {
    return writer.text(writeShapes(writer, readSchema(constraint.schema, 'response_format')));
  }
  const calls = constraint.tools.map(({ name, schema }) => {
    const shapes = readSchema(schema, 'tools');
    // Arguments are an object, also where the schema says nothing of them.
    const value = shapes.root.kind === 'any' ? writer.object() : writeShapes(writer, shapes);
    return `${literal(`{"name": ${JSON.stringify(name)}, "arguments": `)} ${value} "}"`;
  });
  if (calls.length === 0) {
    throw new WeftError({ code: 'bad_request', message: 'There is no tool to call.', facts: { param: 'tools' } });
  }
  const inside = writer.rule(`"\\n"? (${calls.join(' | ')}) "\\n"? ${literal(CALL_ENDS)}`);
  if (constraint.choice === 'auto') {
    const again = String(constraint.parallel);
    return writer.text(`TagDispatch(("${CALL_OPENS}", ${inside}), stop_eos=true, loop_after_dispatch=${again})`);
  }
  const call = writer.rule(`${literal(CALL_OPENS)} ${inside}`);
  return writer.text(constraint.parallel ? `${call} ("\\n"? ${call})*` : call);
}

function readSchema(text: string, param: string): JsonShapes {
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (cause) {
    throw new WeftError({ code: 'bad_request', message: 'The JSON schema is no JSON.', facts: { param } }, { cause });
  }
  return readJsonSchema(schema, param);
}
