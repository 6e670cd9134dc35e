// What a cut plan says of its parts in the words of the wire: the tensors that each takes and gives, and what is left of a
// table once the first segments have run. Pure; called by CutRun.
import type { CutTable } from '../../protocol/cut-table.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { RunRequest } from '../../protocol/infer.ts';
import type { GraphPart } from '../../protocol/part.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';

/**
 * What is left of a table behind the first segments: what they made is taken for inputs of the graph, as whoever made the
 * request holds it then.
 */
export function restOf(table: CutTable, from: number): CutTable {
  if (from === 0) return table;
  const segments = table.segments.slice(from);
  const left = segments.reduce((sum, { share }) => sum + share, 0);
  return {
    ...table,
    segments: segments.map((segment) => ({ ...segment, share: left > 0 ? segment.share / left : 1 / segments.length })),
    wholeMs: table.wholeMs * left,
    shared: table.shared
      .map(({ bytes, segments: users }) => ({
        bytes,
        segments: users.filter((at) => at >= from).map((at) => at - from),
      }))
      .filter(({ segments: users }) => users.length > 0),
    tensors: table.tensors
      .map((tensor) => ({
        ...tensor,
        from: Math.max(-1, tensor.from - from),
        to: tensor.to.filter((user) => user >= from).map((user) => user - from),
      }))
      .filter(({ to, output, from: maker }) => to.length > 0 || (output === true && maker >= 0)),
  };
}

/**
 * The cut points that a person named: each a number (in front of that segment), or a tensor that crosses there (right
 * behind where it is made).
 * @returns ascending, each once
 * @throws WeftError `bad_request` for a number that is none of them, and a tensor that crosses nowhere
 */
export function cutPoints(table: CutTable, at: readonly (number | string)[]): number[] {
  const points = at.map((place) => pointOf(table, place));
  return [...new Set(points)].sort((a, b) => a - b);
}

function pointOf(table: CutTable, name: number | string): number {
  const last = table.segments.length - 1;
  if (typeof name === 'number') {
    if (Number.isInteger(name) && name >= 1 && name <= last) return name;
    throw new WeftError({
      code: 'bad_request',
      message: `${name} is no cut point of ${table.model.id}: they are 1 to ${last}.`,
      remedy: `\`weft show ${table.model.id} --cuts\` lists them.`,
    });
  }
  const tensor = table.tensors.find((one) => one.name === name);
  if (tensor !== undefined && tensor.from >= 0 && tensor.to.length > 0) return tensor.from + 1;
  throw new WeftError({
    code: 'bad_request',
    message: `"${name}" crosses at no cut point of ${table.model.id}.`,
    remedy: `\`weft show ${table.model.id} --cuts\` lists them.`,
  });
}

/** Tensors that are here, by name. */
export type HeldTensors = Map<string, NamedTensor>;

/**
 * The request of one part.
 * @throws WeftError `tensor_invalid` when one that it takes is missing: the request didn't bring it
 */
export function partRequest(
  request: Pick<RunRequest, 'model'>,
  part: GraphPart,
  held: ReadonlyMap<string, NamedTensor>,
): RunRequest {
  const inputs = part.inputs.map(({ name }) => {
    const tensor = held.get(name);
    if (tensor !== undefined) return tensor;
    throw new WeftError({ code: 'tensor_invalid', message: `The input "${name}" is missing.` });
  });
  return { model: request.model, part, inputs, outputs: [] };
}

/** Takes what a part gave. @throws WeftError `frame_invalid` when it isn't what the part gives: its node is at fault */
export function takeOutputs(
  part: GraphPart,
  outputs: readonly NamedTensor[],
  held: HeldTensors,
  types: CutTable,
): void {
  const given = new Map(outputs.map((tensor) => [tensor.name, tensor]));
  for (const name of part.outputs) {
    const tensor = given.get(name);
    const type = types.tensors.find((one) => one.name === name)?.type;
    if (tensor === undefined || tensor.type !== type) {
      throw new WeftError({ code: 'frame_invalid', message: `A part was to give "${name}" as ${type}, and did not.` });
    }
    held.set(name, tensor);
  }
}

/** Drops what nothing behind this segment uses: crossing tensors are large. */
export function dropUsed(table: CutTable, from: number, held: HeldTensors): void {
  for (const { name, to, output } of table.tensors) {
    if (output !== true && to.every((user) => user < from)) held.delete(name);
  }
}
