// Attention in ONNX's own operators, as torch.onnx writes it. The two products and the softmax are found by following
// the caches; what stands between them is not recognised by its form but looked at by values.
import { attributeOf, floatAttribute, intAttribute } from '../attributes.ts';
import { TensorProto_DataType as DataType, type NodeProto } from '../messages/onnx_pb.js';
import { int64Tensor } from '../tensors.ts';
import { PORTS } from './layout.ts';
import { FOLLOWED_NODES_MAX } from './limits.ts';
import { checkValues, checkWeights, type Heads, isAlike, type Product, readKeys } from './operands.ts';
import { type Sample, SHORT_SAMPLES, totalOf } from './samples.ts';
import { readScoring } from './scores.ts';
import { type AttentionSite, type MatchContext, Refusal } from './site.ts';
import { dense, filled, sizeOf, type Value } from './values/value.ts';

/** Between a cache and its product: repeats heads, turns, scales. */
const BEFORE_PRODUCT: ReadonlySet<string> = new Set([
  'Transpose',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Expand',
  'Tile',
  'Concat',
  'Slice',
  'Gather',
  'Cast',
  'Mul',
  'Div',
  'Identity',
]);
/** Between the first product and softmax: scales, caps, masks. */
const BEFORE_SOFTMAX: ReadonlySet<string> = new Set([
  'Mul',
  'Div',
  'Add',
  'Sub',
  'Where',
  'Cast',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Tanh',
  'Max',
  'Min',
  'Clip',
  'Identity',
]);
const PRODUCTS: ReadonlySet<string> = new Set(['MatMul', 'FusedMatMul']);

/** Matches a layer whose cache is joined with its new keys and values by Concat. */
export function matchPlain(context: MatchContext): AttentionSite | undefined {
  const { ports, looks, type, editor } = context;
  const key = joinedWith(context, ports.pastKey, ports.presentKey);
  const value = joinedWith(context, ports.pastValue, ports.presentValue);
  if (key === undefined || value === undefined) return undefined;
  const scoring = productOf(context, ports.presentKey, 'keys');
  const weighing = productOf(context, ports.presentValue, 'values');
  const keys = readKeys(context, scoring);
  const softmax = softmaxBehind(context, scoring.output);
  const [input = '', output = ''] = [softmax.input[0], softmax.output[0]];
  const probe = (sample: Sample, score: number | ((index: number) => number)): Value | undefined => {
    const dims = [...keys.outer(sample), sample.added, totalOf(sample)];
    const given =
      typeof score === 'number'
        ? filled('float', dims, score)
        : dense(
            'float',
            dims,
            Float64Array.from({ length: sizeOf(dims) }, (_, index) => score(index)),
          );
    return looks.with(sample, scoring.output, given).value(input);
  };
  const [sample] = SHORT_SAMPLES as readonly [Sample];
  const dims = probe(sample, 1)?.dims ?? [];
  checkAxis(context, softmax, dims.length);
  const { scale, softcap, window } = readScoring(looks.work, keys.heads, probe);
  checkWeights(context, { output, dims }, weighing, keys);
  checkValues(context, weighing, keys);
  const { query, form } = queryOf(context, scoring.left, keys);
  const isHalf = type === 'float16' && (editor.opset() ?? 0) >= 15;
  return {
    // Attention may have been computed in float32 over a cache of float16.
    query: isHalf ? editor.apply('Cast', [query], { to: BigInt(DataType.FLOAT16) }) : query,
    key,
    value,
    heads: keys.heads,
    scale: scale * keys.scale * scoring.alpha,
    window,
    softcap,
    output: weighing.output,
    form,
    ...(isHalf && { typed: scoring.left }),
  };
}

/** The new half of a cache, where the whole is past and new, one behind the other. */
function joinedWith({ editor }: MatchContext, past: string, present: string): string | undefined {
  const node = editor.producer(original(editor, present));
  if (node?.opType !== 'Concat' || node.input.length !== 2 || node.input[0] !== past) return undefined;
  return [2, -2].includes(intAttribute(node, 'axis', 0)) ? node.input[1] : undefined;
}

/** The tensor that an output of the graph is a copy of. */
function original(editor: MatchContext['editor'], tensor: string): string {
  let name = tensor;
  for (let step = 0; step < 4; step++) {
    const node = editor.producer(name);
    if (node?.opType !== 'Identity') break;
    name = node.input[0] ?? '';
  }
  return name;
}

/** Nodes of other kinds that a tensor reaches through nodes of these kinds, and by which of their inputs. */
function reach(
  { editor, looks, layer }: MatchContext,
  from: string,
  through: ReadonlySet<string>,
): { readonly node: NodeProto; readonly by: string }[] {
  const found: { node: NodeProto; by: string }[] = [];
  const passed = new Set<NodeProto>();
  const waiting = [from];
  for (let tensor = waiting.pop(); tensor !== undefined; tensor = waiting.pop()) {
    for (const node of editor.consumers(tensor)) {
      looks.work.take(1);
      if (!through.has(node.opType)) found.push({ node, by: tensor });
      else if (!passed.has(node)) {
        passed.add(node);
        waiting.push(...node.output.filter((name) => name !== ''));
      }
    }
    if (passed.size > FOLLOWED_NODES_MAX) throw new Refusal(`the attention of layer ${layer} has too many operators`);
  }
  return found;
}

/** The one product into which a cache goes. */
function productOf(context: MatchContext, present: string, what: string): Product & { readonly alpha: number } {
  const { layer, editor } = context;
  const cache = original(editor, present);
  const reached = reach(context, cache, BEFORE_PRODUCT);
  const products = reached.filter(({ node }) => PRODUCTS.has(node.opType));
  const [first] = products;
  if (first === undefined) throw new Refusal(`no product takes the cached ${what} of layer ${layer}`);
  if (products.some(({ node }) => node !== first.node)) {
    throw new Refusal(`more than one attention takes the cached ${what} of layer ${layer}`);
  }
  const { node, by } = first;
  const [left = '', right = ''] = node.input;
  const turnsOthers = ['transA', 'transBatchA', 'transBatchB'].some((name) => intAttribute(node, name, 0) !== 0);
  if (right !== by || products.length > 1 || turnsOthers) {
    throw new Refusal(`the cached ${what} of layer ${layer} are multiplied in a way that is not known`);
  }
  return {
    cache,
    left,
    right,
    output: node.output[0] ?? '',
    turnsRight: intAttribute(node, 'transB', 0) === 1,
    alpha: floatAttribute(node, 'alpha', 1),
  };
}

function softmaxBehind(context: MatchContext, scores: string): NodeProto {
  const reached = reach(context, scores, BEFORE_SOFTMAX).map(({ node }) => node);
  const found = new Set(reached.filter(({ opType }) => opType === 'Softmax'));
  const [softmax] = found;
  if (softmax === undefined || found.size > 1) {
    throw new Refusal(`the scores of layer ${context.layer} go into ${found.size} softmaxes, not one`);
  }
  return softmax;
}

function checkAxis({ editor, layer }: MatchContext, softmax: NodeProto, rank: number): void {
  const isSet = attributeOf(softmax, 'axis') !== undefined;
  // Before version 13 another default held.
  const axis = intAttribute(softmax, 'axis', -1);
  if ((!isSet && (editor.opset() ?? 0) < 13) || (axis !== -1 && axis !== rank - 1)) {
    throw new Refusal(`the softmax of layer ${layer} is not over all tokens`);
  }
}

/** Queries by head, and the form in which attention gave its output. */
function queryOf(
  { editor, looks, spec, layer }: MatchContext,
  tensor: string,
  { heads, outer }: Heads,
): Pick<AttentionSite, 'query' | 'form'> {
  const [sample] = SHORT_SAMPLES as readonly [Sample];
  const dims = looks.at(sample).value(tensor)?.dims;
  const before = outer(sample);
  // Where the shape isn't known, that of the keys has told it.
  if (before.length === 2 && before[0] === sample.batch && (dims?.[1] ?? heads) === heads) {
    return { query: tensor, form: 'heads' };
  }
  if (dims === undefined || !isAlike(dims, [...before, sample.added, spec.headSize])) {
    throw new Refusal(`the queries of layer ${layer} have a shape that is not known`);
  }
  const constant = (value: number): string =>
    editor.addInitializer(int64Tensor(editor.freshName('size'), [1], [value]));
  const ids = editor.apply('Shape', [PORTS.ids]);
  const size = (axis: number): string => editor.apply('Gather', [ids, constant(axis)], { axis: 0n });
  const shape = editor.apply('Concat', [size(0), constant(heads), size(1), constant(spec.headSize)], { axis: 0n });
  return { query: editor.apply('Reshape', [tensor, shape]), form: { like: tensor } };
}
