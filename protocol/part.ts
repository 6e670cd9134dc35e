// A part of a graph by the tensors where it begins and ends: whoever has the model's verified files builds the same part
// from these names, so no part needs to be trusted that another node made.
import { WeftError } from './errors.ts';
import {
  DIM_NAME_LENGTH_MAX,
  PART_NAME_UNITS_MAX,
  TENSOR_NAME_LENGTH_MAX,
  TENSOR_RANK_MAX,
  TENSORS_MAX,
} from './limits.ts';
import { DataType, type DataTypeName } from './tensor.ts';

/** A tensor that a part takes: an input of the whole graph, or what another part gives. */
export interface PartInput {
  /** As in the whole graph. */
  readonly name: string;
  /** Element type: a graph must say it of its inputs, and only a run of the whole knows it of its inner tensors. */
  readonly type: DataTypeName;
  /**
   * A number for a dimension that is the same in every run, a name for one that a run decides. @default the rank is not told
   */
  readonly dims?: readonly (number | string)[];
}

/** What computes the outputs from the inputs: the nodes on every way between them, and their weights. */
export interface GraphPart {
  /** Those of the whole graph that are used included. At most TENSORS_MAX, as the outputs. */
  readonly inputs: readonly PartInput[];
  /** Tensors of the whole graph, its outputs or inner ones; at least one. */
  readonly outputs: readonly string[];
}

/**
 * Checks what can be checked without the graph: numbers, names, types, ranks.
 * @throws WeftError `bad_request` with the fact `param`
 */
export function checkPart({ inputs, outputs }: GraphPart): void {
  if (outputs.length === 0) throw bad('The part gives nothing.');
  const units = unitsOf(outputs) + unitsOfInputs(inputs);
  if (units > PART_NAME_UNITS_MAX) throw bad('The names in the part are too long together.');
}

/** As {@link checkPart}, of what a part takes alone. @throws WeftError `bad_request` with the fact `param` */
export function checkPartInputs(inputs: readonly PartInput[]): void {
  if (unitsOfInputs(inputs) > PART_NAME_UNITS_MAX) throw bad('The names in the part are too long together.');
}

/** Of names that are checked. */
function unitsOf(names: readonly string[]): number {
  if (names.length > TENSORS_MAX) throw bad(`A part takes, and gives, at most ${TENSORS_MAX} tensors.`);
  if (new Set(names).size < names.length) throw bad('The part names a tensor twice.');
  let units = 0;
  for (const name of names) {
    if (name === '' || name.length > TENSOR_NAME_LENGTH_MAX) throw bad('A name in the part is empty, or too long.');
    units += name.length;
  }
  return units;
}

function unitsOfInputs(inputs: readonly PartInput[]): number {
  let units = unitsOf(inputs.map(({ name }) => name));
  for (const { name, type, dims = [] } of inputs) {
    if (!Object.hasOwn(DataType, type)) throw bad(`"${name}" has an element type that is not known.`);
    if (dims.length > TENSOR_RANK_MAX) throw bad(`"${name}" has more than ${TENSOR_RANK_MAX} dimensions.`);
    for (const dim of dims) {
      if (typeof dim === 'string') units += dim.length;
      const isSound =
        typeof dim === 'string' ? dim.length <= DIM_NAME_LENGTH_MAX : Number.isSafeInteger(dim) && dim >= 0;
      if (!isSound) throw bad(`"${name}" has a dimension that can't be.`);
    }
  }
  return units;
}

const bad = (message: string): WeftError => new WeftError({ code: 'bad_request', message, facts: { param: 'part' } });

/** Which part it is, among all parts of one model: one text for one part, whatever order its tensors are named in. */
export function partText(part: GraphPart): string {
  const inputs = part.inputs.map(({ name, type, dims }) => [name, type, dims ?? null]);
  return JSON.stringify([inputs.sort(byFirst), [...part.outputs].sort()]);
}

const byFirst = (a: readonly unknown[], b: readonly unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);
