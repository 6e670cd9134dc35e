// Attention as one GroupQueryAttention node of com.microsoft, as onnxruntime-genai's builder and the hub's q4 graphs have
// it: packed or separate queries, keys and values, rotary embedding inside the node or before it.
import { floatAttribute, intAttribute } from '../attributes.ts';
import type { NodeProto } from '../messages/onnx_pb.js';
import { byHead, scaleOf, splitInto } from './heads.ts';
import { SHORT_SAMPLES, totalOf } from './samples.ts';
import { type AttentionSite, type MatchContext, Refusal } from './site.ts';
import { elements } from './values/value.ts';

const DOMAIN = 'com.microsoft';
/** Of the operator's inputs in contrib_ops: those from which on nothing is known here (bias, sinks, scales of a quantised cache). */
const INPUT = {
  query: 0,
  key: 1,
  value: 2,
  pastKey: 3,
  pastValue: 4,
  last: 5,
  total: 6,
  cos: 7,
  sin: 8,
  positions: 9,
  others: 10,
} as const;

/** Matches a layer whose cache is kept by a GroupQueryAttention. */
export function matchGroupQuery(context: MatchContext): AttentionSite | undefined {
  const { editor, spec, ports } = context;
  const node = editor.producer(ports.presentKey);
  if (node?.opType !== 'GroupQueryAttention' || node.domain !== DOMAIN) return undefined;
  const [output, presentKey, presentValue] = node.output;
  const cachesFit =
    node.input[INPUT.pastKey] === ports.pastKey &&
    node.input[INPUT.pastValue] === ports.pastValue &&
    presentKey === ports.presentKey &&
    presentValue === ports.presentValue;
  if (!cachesFit || output === undefined) throw new Refusal('a GroupQueryAttention keeps another cache than its own');
  if (node.input.slice(INPUT.others).some((name) => name !== '')) {
    throw new Refusal('a GroupQueryAttention takes a bias, sinks or a quantised cache');
  }
  for (const name of ['smooth_softmax', 'qk_output', 'kv_cache_bit_width']) {
    if (intAttribute(node, name, 0) > 0) throw new Refusal(`a GroupQueryAttention sets ${name}`);
  }
  const heads = intAttribute(node, 'num_heads', 0);
  if (intAttribute(node, 'kv_num_heads', 0) !== spec.kvHeads || heads < 1 || heads % spec.kvHeads !== 0) {
    throw new Refusal('a GroupQueryAttention has other heads than its manifest');
  }
  checkPlaces(context, node);
  const { query, key, value } = split(context, node, heads);
  return {
    query,
    key,
    value,
    heads,
    scale: scaleOf(node, spec.headSize),
    window: Math.max(0, intAttribute(node, 'local_window_size', -1)),
    softcap: floatAttribute(node, 'softcap', 0),
    output,
    form: 'flat',
  };
}

/** Where it takes lengths and positions from is to give those of a plain run, as far as that is known. */
function checkPlaces({ looks }: MatchContext, node: NodeProto): void {
  for (const sample of SHORT_SAMPLES) {
    const isOther = (input: number, wanted: (index: number) => number): boolean => {
      const value = looks.at(sample).value(node.input[input] ?? '');
      return (
        value?.data !== undefined && !elements(looks.work, value)?.every((found, index) => found === wanted(index))
      );
    };
    const total = totalOf(sample);
    const isOff =
      isOther(INPUT.last, () => total - 1) ||
      isOther(INPUT.total, () => total) ||
      isOther(INPUT.positions, (index) => sample.past + (index % sample.added));
    if (isOff) throw new Refusal('a GroupQueryAttention is told other lengths or positions than those of its tokens');
  }
}

type Heads = Pick<AttentionSite, 'query' | 'key' | 'value'>;

/** Queries, keys and values by head, rotated where the node did it. */
function split(context: MatchContext, node: NodeProto, heads: number): Heads {
  const { kvHeads } = context.spec;
  const rotates = intAttribute(node, 'do_rotary', 0) === 1;
  const rotate = (tensor: string, count: number): string => (rotates ? rotary(context, node, tensor, count) : tensor);
  const [packed = '', key = '', value = ''] = node.input;
  if (key === '' && value === '') {
    const all = byHead(context, packed, heads + 2 * kvHeads);
    // Queries and keys turn alike: one operator does for both.
    const [queryKey, values] = splitInto(context, all, 1, [heads + kvHeads, kvHeads]);
    const [query, keys] = splitInto(context, rotate(queryKey, heads + kvHeads), 1, [heads, kvHeads]);
    return { query, key: keys, value: values };
  }
  if (key === '' || value === '' || packed === '') throw new Refusal('a GroupQueryAttention lacks an input');
  return {
    query: rotate(byHead(context, packed, heads), heads),
    key: rotate(byHead(context, key, kvHeads), kvHeads),
    value: byHead(context, value, kvHeads),
  };
}

/** com.microsoft RotaryEmbedding on [B, heads, S, D], with the tables of the node. */
function rotary({ editor, spec, positions }: MatchContext, node: NodeProto, tensor: string, heads: number): string {
  const [cos = '', sin = ''] = [node.input[INPUT.cos], node.input[INPUT.sin]];
  const half = Number(editor.constantTensor(cos)?.dims[1] ?? 0n);
  if (half < 1 || editor.constantTensor(sin) === undefined || 2 * half > spec.headSize) {
    throw new Refusal('a GroupQueryAttention rotates by tables that are not in the graph');
  }
  const interleaved = intAttribute(node, 'rotary_interleaved', 0);
  if (interleaved !== 0 && interleaved !== 1) throw new Refusal('a GroupQueryAttention rotates in an unknown order');
  const partly = 2 * half < spec.headSize && { num_heads: BigInt(heads), rotary_embedding_dim: BigInt(2 * half) };
  return editor.apply(
    'RotaryEmbedding',
    [tensor, positions, cos, sin],
    { interleaved: BigInt(interleaved), ...partly },
    DOMAIN,
  );
}
