// Parts of graphs as they cross a process: in requests of peers, and in what a daemon tells its runners.
import { WeftError } from './errors.ts';
import type * as pb from './messages/weft_pb.js';
import { checkPart, checkPartInputs, type GraphPart, type PartInput } from './part.ts';
import { DataType, dataTypeName } from './tensor.ts';
import type { Plain } from './wire.ts';

/** For the wire. @throws WeftError `bad_request` for a part that no one would take */
export function partToMessage(part: GraphPart): Plain<pb.GraphPart> {
  checkPart(part);
  return { inputs: partInputsToMessage(part.inputs), outputs: [...part.outputs] };
}

/** What parts, and whole graphs, take. */
export function partInputsToMessage(inputs: readonly PartInput[]): Plain<pb.PartInput>[] {
  return inputs.map(({ name, type, dims }) => ({
    name,
    dataType: DataType[type],
    ranked: dims !== undefined,
    dims: (dims ?? []).map(dimToMessage),
  }));
}

/** From the wire. @throws WeftError `bad_request` for inputs that no graph has, or `tensor_invalid` as below */
export function partInputsFromMessage(inputs: readonly Plain<pb.PartInput>[]): PartInput[] {
  const read = inputs.map(inputFromMessage);
  checkPartInputs(read);
  return read;
}

/** From the wire. @throws WeftError `bad_request`, or `tensor_invalid` for an element type that isn't one */
export function partFromMessage({ inputs, outputs }: Plain<pb.GraphPart>): GraphPart {
  const part = { inputs: inputs.map(inputFromMessage), outputs };
  checkPart(part);
  return part;
}

function inputFromMessage({ name, dataType, ranked, dims }: Plain<pb.PartInput>): PartInput {
  const type = dataTypeName(dataType);
  return ranked ? { name, type, dims: dims.map(dimFromMessage) } : { name, type };
}

const dimToMessage = (dim: number | string): Plain<pb.PartDim> =>
  typeof dim === 'number' ? { kind: { case: 'size', value: BigInt(dim) } } : { kind: { case: 'name', value: dim } };

/** What is too large for a number is refused as one that can't be. */
function dimFromMessage({ kind }: Plain<pb.PartDim>): number | string {
  if (kind.case === 'size') return Number(kind.value);
  if (kind.case === 'name') return kind.value;
  throw new WeftError({ code: 'bad_request', message: 'A dimension of the part says nothing.' });
}
