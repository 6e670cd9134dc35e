// Attention as one MultiHeadAttention node of com.microsoft, as onnxruntime-genai's builder and the runtime's optimiser
// write it where every head has keys and values of its own.
import { intAttribute } from '../attributes.ts';
import type { NodeProto } from '../messages/onnx_pb.js';
import { byHead, scaleOf, splitInto } from './heads.ts';
import { type Sample, totalOf } from './samples.ts';
import { readScoring } from './scores.ts';
import { type AttentionSite, type MatchContext, Refusal } from './site.ts';
import type { Evaluator } from './values/evaluator.ts';
import { dense, elementwise, filled, type Value, type Work } from './values/value.ts';

const DOMAIN = 'com.microsoft';
/** Of the operator's inputs in contrib_ops: those from which on nothing is known here (lengths of a shared buffer, beams). */
const INPUT = { bias: 3, padding: 4, scores: 5, pastKey: 6, pastValue: 7, others: 8 } as const;

/** Matches a layer whose cache is kept by a MultiHeadAttention. */
export function matchMultiHead(context: MatchContext): AttentionSite | undefined {
  const { editor, spec, ports, looks } = context;
  const node = editor.producer(ports.presentKey);
  if (node?.opType !== 'MultiHeadAttention' || node.domain !== DOMAIN) return undefined;
  const [output, presentKey, presentValue, products = ''] = node.output;
  const cachesFit =
    node.input[INPUT.pastKey] === ports.pastKey &&
    node.input[INPUT.pastValue] === ports.pastValue &&
    presentKey === ports.presentKey &&
    presentValue === ports.presentValue;
  if (!cachesFit || !output) throw new Refusal('a MultiHeadAttention keeps another cache than its own');
  if (products !== '' || node.input.slice(INPUT.others).some((name) => name !== '')) {
    throw new Refusal('a MultiHeadAttention works on a shared cache or gives its scores');
  }
  const heads = intAttribute(node, 'num_heads', 0);
  if (heads !== spec.kvHeads) throw new Refusal('a MultiHeadAttention has other heads than its manifest');
  const [query = '', key = '', value = ''] = node.input;
  if (query === '' || key === '' || value === '') {
    throw new Refusal('a MultiHeadAttention takes its queries, keys and values in one');
  }
  const scale = scaleOf(node, spec.headSize);
  const { window } = readScoring(looks.work, heads, (sample, score) =>
    maskedScores(looks.at(sample), looks.work, node, heads, sample, score),
  );
  const biases = biasesOf(context, node, heads);
  const part = (tensor: string, bias: string | undefined): string =>
    byHead(context, bias === undefined ? tensor : editor.apply('Add', [tensor, bias]), heads);
  return {
    query: part(query, biases?.[0]),
    key: part(key, biases?.[1]),
    value: part(value, biases?.[2]),
    heads,
    scale,
    window,
    softcap: 0,
    output,
    form: 'flat',
  };
}

/** The biases of queries, keys and values, which lie side by side. */
function biasesOf(context: MatchContext, node: NodeProto, heads: number): readonly string[] | undefined {
  const bias = node.input[INPUT.bias];
  if (!bias) return undefined;
  const width = heads * context.spec.headSize;
  return splitInto(context, bias, 0, [width, width, width]);
}

/** What the operator adds to scores, by its attribute, its mask of keys and its bias. */
function maskedScores(
  evaluator: Evaluator,
  work: Work,
  node: NodeProto,
  heads: number,
  sample: Sample,
  score: number | ((index: number) => number),
): Value | undefined {
  const { batch, past, added } = sample;
  const total = totalOf(sample);
  const dims = [batch, heads, added, total];
  let scores: Value | undefined =
    typeof score === 'number'
      ? filled('float', dims, score)
      : dense(
          'float',
          dims,
          Float64Array.from({ length: batch * heads * added * total }, (_, index) => score(index)),
        );
  if (intAttribute(node, 'unidirectional', 0) === 1) {
    const rows = dense(
      'int',
      [added, 1],
      Float64Array.from({ length: added }, (_, row) => past + row),
    );
    const columns = dense(
      'int',
      [total],
      Float64Array.from({ length: total }, (_, column) => column),
    );
    const later = elementwise(work, 'bool', [columns, rows], (column, row) => (column > row ? 1 : 0)) as Value;
    scores = elementwise(work, 'float', [scores, later], hide);
  }
  const padding = node.input[INPUT.padding];
  if (padding) scores = scores && hidePadding(work, evaluator.value(padding), scores, sample);
  const bias = node.input[INPUT.scores];
  if (!bias || scores === undefined) return scores;
  const more = evaluator.value(bias);
  return more && elementwise(work, 'float', [scores, more], (a, b) => a + b);
}

/** [batch, total] or [batch, new, total]: 1 where a key is seen. The other forms are lengths, which nobody writes here. */
function hidePadding(work: Work, mask: Value | undefined, scores: Value, sample: Sample): Value | undefined {
  const inner = mask?.dims.length === 3 ? sample.added : 1;
  const outer = mask?.dims[0];
  if (mask === undefined || (mask.dims.length !== 2 && mask.dims.length !== 3) || outer === undefined) return undefined;
  const strides = mask.data && [
    mask.strides[0] as number,
    0,
    mask.strides.length === 3 ? (mask.strides[1] as number) : 0,
  ];
  const seen: Value = {
    ...mask,
    dims: [outer, 1, inner, mask.dims.at(-1) as number],
    strides: strides === undefined ? [] : [...strides, mask.strides.at(-1) as number],
  };
  return elementwise(work, 'float', [scores, seen], (a, b) => (b === 0 ? hide(a, 1) : a));
}

const hide = (score: number, isHidden: number): number => (isHidden === 0 ? score : -1e9);
