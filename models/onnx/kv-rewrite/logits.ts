// Logits of the tokens that are asked for only: of a prompt's piece that is the last token at most, and the projection to
// the vocabulary is a quarter of a small model's work.
import type { GraphEditor } from '../graph.ts';
import type { NodeProto } from '../messages/onnx_pb.js';
import { int64Tensor } from '../tensors.ts';
import { PORTS } from './layout.ts';

/** What may stand between the projection and the logits: works on each element by itself. */
const ELEMENTWISE: ReadonlySet<string> = new Set(['Cast', 'Mul', 'Div', 'Add', 'Tanh', 'Identity']);
const PROJECTIONS: ReadonlySet<string> = new Set([
  'MatMul',
  'MatMulNBits',
  'FusedMatMul',
  'MatMulInteger',
  'DynamicQuantizeMatMul',
]);

/**
 * Makes `logits` give the rows that PORTS.rows names: chosen before the projection where that is found, behind it
 * otherwise.
 * @returns how many dimensions of 1 stand before its rows now
 */
export function chooseLogits(editor: GraphEditor): 0 | 1 {
  const projection = findProjection(editor);
  if (projection === undefined) {
    editor.setOutput(PORTS.logits, rowsOf(editor, PORTS.logits));
    return 0;
  }
  const [hidden = ''] = projection.input;
  const axes = editor.addInitializer(int64Tensor(editor.freshName('axes'), [1], [0]));
  // Three dimensions as before, for whatever comes behind.
  editor.setInput(projection, 0, editor.apply('Unsqueeze', [rowsOf(editor, hidden), axes]));
  return 1;
}

/** [B, S, n] → [L, n] */
function rowsOf(editor: GraphEditor, tensor: string): string {
  return editor.apply('Gather', [editor.apply('Flatten', [tensor], { axis: 2n }), PORTS.rows], { axis: 0n });
}

/** The matrix product that gives the logits, each row by itself. */
function findProjection(editor: GraphEditor): NodeProto | undefined {
  let tensor: string = PORTS.logits;
  for (let step = 0; step < 16; step++) {
    const node = editor.producer(tensor);
    if (node === undefined) return undefined;
    if (PROJECTIONS.has(node.opType)) return weightsAreConstant(editor, node) ? node : undefined;
    if (!ELEMENTWISE.has(node.opType) || node.input.slice(1).some((name) => !isForAll(editor, name))) return undefined;
    const [first = ''] = node.input;
    tensor = first;
  }
  return undefined;
}

/** A constant, or what quantising the hidden states gave beside them: a scale or a zero for all rows. */
function isForAll(editor: GraphEditor, name: string): boolean {
  const isGiven = (tensor: string): boolean => {
    if (tensor === '' || editor.constantTensor(tensor) !== undefined) return true;
    const node = editor.producer(tensor);
    return node?.opType === 'DynamicQuantizeLinear' && node.output[0] !== tensor;
  };
  const node = editor.producer(name);
  return isGiven(name) || (node?.opType === 'Mul' && node.input.every(isGiven));
}

/** Its right side depends on no input: an initializer, or one that is turned or cast. */
function weightsAreConstant(editor: GraphEditor, node: NodeProto): boolean {
  let name = node.input[1] ?? '';
  for (let step = 0; step < 4; step++) {
    if (editor.constantTensor(name) !== undefined) return true;
    const source = editor.producer(name);
    if (source === undefined || !['Transpose', 'Cast', 'DequantizeLinear', 'Identity'].includes(source.opType))
      return false;
    name = source.input[0] ?? '';
  }
  return false;
}
