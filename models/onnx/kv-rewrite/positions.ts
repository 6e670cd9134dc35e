// What a decoder makes of the mask and of the length of its past beside attention: positions above all, the sizes of
// shapes, the part of a table that a sequence can reach. Each tensor is known by its values, and replaced by what the
// runner gives.
import type { GraphEditor } from '../graph.ts';
import type { NodeProto } from '../messages/onnx_pb.js';
import { int64Tensor } from '../tensors.ts';
import { PORTS } from './layout.ts';
import { LONG_SAMPLE, type Looks, type Sample, SHORT_SAMPLES, totalOf } from './samples.ts';
import { Refusal } from './site.ts';
import { elements, integers, type Value } from './values/value.ts';

const SAMPLES: readonly Sample[] = [...SHORT_SAMPLES, { batch: 3, past: 6, added: 2 }, LONG_SAMPLE];
/** Numbers of a shape. */
const SIZES_MAX = 8;

/**
 * Replaces what depends on these inputs where it is known what it is.
 * @param inputs of the graph, which its runner won't feed
 */
export function replacePositions(editor: GraphEditor, looks: Looks, inputs: readonly string[]): void {
  const dependent = dependents(editor, looks, inputs);
  for (const node of dependent) {
    for (const tensor of node.output) {
      if (tensor === '' || editor.isOutput(tensor)) continue;
      const replacement = positionsAs(editor, looks, tensor) ?? sizesAs(editor, looks, tensor);
      if (replacement !== undefined) editor.replaceUses(tensor, replacement);
    }
  }
  for (const node of dependent) if (node.opType === 'Slice') widenTable(editor, looks, node);
}

/** Nodes that need these tensors, at any distance. */
function dependents(editor: GraphEditor, looks: Looks, inputs: readonly string[]): ReadonlySet<NodeProto> {
  const found = new Set<NodeProto>();
  const waiting = [...inputs];
  for (let tensor = waiting.pop(); tensor !== undefined; tensor = waiting.pop()) {
    for (const node of editor.consumers(tensor)) {
      looks.work.take(1);
      if (found.has(node)) continue;
      found.add(node);
      waiting.push(...node.output.filter((name) => name !== ''));
    }
  }
  return found;
}

/** PORTS.positions, or that and a constant, where a tensor [batch or 1, new] is so in all samples. */
function positionsAs(editor: GraphEditor, looks: Looks, tensor: string): string | undefined {
  let shift: number | undefined;
  for (const sample of SAMPLES) {
    const value = looks.at(sample).value(tensor);
    const [rows = 0, columns = 0] = value?.dims ?? [];
    const fits = value?.dims.length === 2 && value.type === 'int' && columns === sample.added;
    if (!fits || (rows !== 1 && rows !== sample.batch)) return undefined;
    const data = elements(looks.work, value);
    shift ??= data === undefined ? undefined : (data[0] ?? Number.NaN) - sample.past;
    const by = shift;
    if (by === undefined || !Number.isSafeInteger(by)) return undefined;
    if (data?.every((position, index) => position === sample.past + (index % columns) + by) !== true) return undefined;
  }
  if (shift === 0) return PORTS.positions;
  const constant = editor.addInitializer(int64Tensor(editor.freshName('shift'), [], [shift as number]));
  return editor.apply('Add', [PORTS.positions, constant]);
}

/** The same numbers from the shape of the ids, where each is a constant, the batch or the number of new tokens. */
function sizesAs(editor: GraphEditor, looks: Looks, tensor: string): string | undefined {
  const values: (readonly number[])[] = [];
  let rank = 0;
  for (const sample of SAMPLES) {
    const value = looks.at(sample).value(tensor);
    const found = value?.type === 'int' ? integers(value) : undefined;
    if (value === undefined || found === undefined || found.length > SIZES_MAX) return undefined;
    rank = value.dims.length;
    values.push(found);
  }
  const [first = []] = values;
  if (values.some((each) => each.length !== first.length)) return undefined;
  const parts = first.map((_, index) => sizeAs(values.map((each) => each[index] as number)));
  if (!parts.every((part) => part !== undefined)) return undefined;
  const constant = (value: number): string =>
    editor.addInitializer(int64Tensor(editor.freshName('size'), [1], [value]));
  const list = parts.map((part) =>
    typeof part === 'number'
      ? constant(part)
      : editor.apply('Gather', [editor.apply('Shape', [PORTS.ids]), constant(part.axis)], { axis: 0n }),
  );
  const [only = ''] = list;
  if (rank === 0)
    return editor.apply('Reshape', [only, editor.addInitializer(int64Tensor(editor.freshName('none'), [0], []))]);
  return list.length === 0 ? undefined : editor.apply('Concat', list, { axis: 0n });
}

function sizeAs(values: readonly number[]): number | { readonly axis: 0 | 1 } | undefined {
  const [first] = values;
  if (values.every((value) => value === first)) return Number.isSafeInteger(first) ? first : undefined;
  if (values.every((value, index) => value === SAMPLES[index]?.batch)) return { axis: 0 };
  if (values.every((value, index) => value === SAMPLES[index]?.added)) return { axis: 1 };
  return undefined;
}

/** A table cut off behind the last position is read at positions only: the whole of it gives the same. */
function widenTable(editor: GraphEditor, looks: Looks, node: NodeProto): void {
  const [table = '', starts = '', ends = ''] = node.input;
  const [output = ''] = node.output;
  const isTable = editor.constantTensor(table) !== undefined;
  const reaches = SAMPLES.every((sample) => {
    const at = looks.at(sample);
    const value = (name: string): readonly number[] | undefined => integers(at.value(name));
    const [from, to, step] = [value(starts), value(ends), node.input[4] ? value(node.input[4]) : [1]];
    return isOnly(from, 0) && isOnly(step, 1) && isOnly(to, totalOf(sample));
  });
  if (isTable && reaches && isReadAtPositions(editor, output)) editor.replaceUses(output, table);
}

const isOnly = (list: readonly number[] | undefined, value: number): boolean => list?.length === 1 && list[0] === value;

/** Whether all that becomes of a tensor, through changes of form, is that rows are picked by position. */
function isReadAtPositions(editor: GraphEditor, tensor: string): boolean {
  const waiting = [{ tensor, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const node of editor.consumers(next.tensor)) {
      const [data, index] = node.input;
      if (node.opType === 'Gather' && data === next.tensor && index === PORTS.positions) continue;
      const passes = ['Squeeze', 'Unsqueeze', 'Cast', 'Identity'].includes(node.opType) && next.depth < SIZES_MAX;
      if (!passes) return false;
      waiting.push({ tensor: node.output[0] ?? '', depth: next.depth + 1 });
    }
  }
  return true;
}

/** Works on each position by itself, or brings them into another form. */
const EACH: ReadonlySet<string> = new Set([
  'Cast',
  'CastLike',
  'Identity',
  'Unsqueeze',
  'Squeeze',
  'Transpose',
  'Expand',
  'Concat',
  'Neg',
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Min',
  'Max',
  'Clip',
  'MatMul',
  'Einsum',
]);
/** Turns positions into something else, or says only how many they are. */
const ENDS: ReadonlySet<string> = new Set(['Cos', 'Sin', 'Shape', 'Size']);

/**
 * Positions of different sequences must not meet: a scaling chosen by the longest, say, would make answers depend on who
 * else is served.
 */
export function checkPositions(editor: GraphEditor, looks: Looks): void {
  const [sample] = SHORT_SAMPLES as readonly [Sample];
  const seen = new Set<string>();
  const waiting: string[] = [PORTS.positions];
  for (let tensor = waiting.pop(); tensor !== undefined; tensor = waiting.pop()) {
    if (seen.has(tensor)) continue;
    seen.add(tensor);
    for (const node of editor.consumers(tensor)) {
      looks.work.take(1);
      const isIndex = node.opType.startsWith('Gather') && node.input[1] === tensor && node.input[0] !== tensor;
      const isPlace = node.opType === 'RotaryEmbedding';
      if (isIndex || isPlace || ENDS.has(node.opType)) continue;
      const stays =
        EACH.has(node.opType) ||
        (node.opType === 'Reshape' && keepsRows(looks.at(sample).value(node.output[0] ?? ''), sample));
      if (!stays) throw new Refusal(`a ${node.opType} takes positions of all sequences at once`);
      waiting.push(...node.output.filter((name) => name !== ''));
    }
  }
}

const keepsRows = (value: Value | undefined, { batch }: Sample): boolean => value?.dims[0] === batch;
