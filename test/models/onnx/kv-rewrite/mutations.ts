// Damages a decoder's graph as an attacker or a broken exporter might: by numbers that choose what and where.
import { create } from '@bufbuild/protobuf';
import { attribute } from '../../../../models/onnx/attributes.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  NodeProtoSchema,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { floatTensor, int64Tensor, valueInfo } from '../../../../models/onnx/tensors.ts';

/** A way of damage, and numbers that say where. */
export interface Mutation {
  readonly kind: number;
  readonly place: number;
  readonly other: number;
  readonly value: number;
}

const WHOLE = [0n, 1n, -1n, 2n, 3n, 16n, 17n, 1n << 31n, 1n << 53n, (1n << 63n) - 1n, -(1n << 63n)];
const FLOATS = [0, 1, -1, 0.5, 1e-30, 1e30, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const OPERATORS = [
  'Identity',
  'Concat',
  'MatMul',
  'Softmax',
  'Add',
  'Mul',
  'Where',
  'Reshape',
  'Transpose',
  'Expand',
  'Range',
  'Gather',
  'Shape',
  'ConstantOfShape',
  'CumSum',
  'Slice',
  'Tile',
  'Trilu',
  'GroupQueryAttention',
  'MultiHeadAttention',
  'RotaryEmbedding',
  'ScatterND',
  'If',
  'Constant',
  'NoSuchOperator',
];
const NAMES = [
  'weft_past.0.key',
  'weft_new_values',
  'weft_positions',
  'weft_split',
  'weft_past_bias',
  'past_key_values.0.key',
  'past_key_values.1.value',
  'present.0.key',
  'attention_mask',
  'position_ids',
  'input_ids',
  'logits',
  '',
];

const at = <T>(list: readonly T[], index: number): T | undefined => list[index % Math.max(1, list.length)];

const WAYS: readonly ((graph: GraphProto, mutation: Mutation, model: ModelProto) => void)[] = [
  function changeAttribute(graph, { place, other, value }) {
    const found = at(
      graph.node.filter((node) => node.attribute.length > 0),
      place,
    );
    const chosen = found && at(found.attribute, other);
    if (chosen === undefined) return;
    chosen.i = at(WHOLE, value) ?? 0n;
    chosen.f = at(FLOATS, value) ?? 0;
    if (value % 3 === 0) chosen.ints = chosen.ints.map((int, index) => (index === 0 ? chosen.i : int));
    if (value % 7 === 0) chosen.type = value % 2 === 0 ? AttributeType.FLOAT : AttributeType.UNDEFINED;
    if (value % 11 === 0) chosen.t = undefined;
  },
  function addAttribute(graph, { place, other, value }) {
    const names = [
      'axis',
      'axes',
      'perm',
      'scale',
      'softcap',
      'local_window_size',
      'unidirectional',
      'transB',
      'to',
      'keepdims',
    ];
    at(graph.node, place)?.attribute.push(
      attribute(at(names, other) as string, at<bigint | number>([...WHOLE, ...FLOATS], value) ?? 0),
    );
  },
  function rewire(graph, { place, other, value }) {
    const node = at(graph.node, place);
    const source = at(graph.node, other)?.output[0] ?? '';
    if (node !== undefined && node.input.length > 0) node.input[value % node.input.length] = source;
  },
  function rewireToPort(graph, { place, other, value }) {
    const node = at(graph.node, place);
    if (node !== undefined && node.input.length > 0) node.input[value % node.input.length] = at(NAMES, other) as string;
  },
  function swapInputs(graph, { place }) {
    at(graph.node, place)?.input.reverse();
  },
  function dropInputs(graph, { place, other }) {
    const node = at(graph.node, place);
    if (node !== undefined) node.input.length = Math.min(node.input.length, other % 4);
  },
  function manyInputs(graph, { place, value }) {
    const node = at(graph.node, place);
    const [first = ''] = node?.input ?? [];
    node?.input.push(...new Array<string>(value % 2000).fill(first));
  },
  function removeNode(graph, { place }) {
    graph.node.splice(place % graph.node.length, 1);
  },
  function repeatNode(graph, { place, value }) {
    const node = at(graph.node, place);
    if (node === undefined) return;
    graph.node.push(
      create(NodeProtoSchema, {
        ...node,
        output: value % 2 === 0 ? node.output : node.output.map((name) => `${name}_again`),
      }),
    );
  },
  function changeOperator(graph, { place, other, value }) {
    const node = at(graph.node, place);
    if (node === undefined) return;
    node.opType = at(OPERATORS, other) as string;
    if (value % 3 === 0) node.domain = value % 2 === 0 ? 'com.microsoft' : 'other';
  },
  function renameOutput(graph, { place, other }) {
    const node = at(graph.node, place);
    if (node !== undefined) node.output[0] = at(NAMES, other) as string;
  },
  function takeName(graph, { place, other }) {
    const name = at(NAMES, other) as string;
    if (place % 2 === 0) graph.initializer.push(floatTensor(name, [1], [0]));
    else graph.input.push(valueInfo(name, DataType.FLOAT, [1]));
  },
  function changeTensor(graph, { place, other, value }) {
    const tensor = at(graph.initializer, place);
    if (tensor === undefined) return;
    if (other % 3 === 0)
      tensor.dims = tensor.dims.map((dim, index) =>
        index === value % tensor.dims.length ? (at(WHOLE, value) ?? 0n) : dim,
      );
    if (other % 3 === 1) tensor.dataType = value % 24;
    if (other % 3 === 2) tensor.dims = new Array<bigint>(value % 300).fill(2n);
  },
  function changeNumbers(graph, { place, value }) {
    const lists = graph.initializer.filter(({ dataType }) => dataType === DataType.INT64);
    const tensor = at(lists, place);
    if (tensor === undefined) return;
    const view = new DataView(tensor.rawData.slice().buffer);
    if (view.byteLength >= 8) view.setBigInt64(0, at(WHOLE, value) ?? 0n, true);
    tensor.rawData = new Uint8Array(view.buffer);
  },
  function changeConstant(graph, { place, value }) {
    const node = at(
      graph.node.filter(({ opType }) => opType === 'Constant'),
      place,
    );
    const [held] = node?.attribute ?? [];
    if (held?.t === undefined) return;
    const isInt = held.t.dataType === DataType.INT64;
    held.t = isInt
      ? int64Tensor('', [], [at([0, 1, -1, 2, 2 ** 40, Number.MAX_SAFE_INTEGER], value) ?? 0])
      : floatTensor('', [], [at(FLOATS, value) ?? 0]);
  },
  function renamePort(graph, { place, other, value }) {
    const port = at(value % 2 === 0 ? graph.input : graph.output, place);
    if (port !== undefined) port.name = at(NAMES, other) as string;
  },
  function retypePort(graph, { place, value }) {
    const port = at([...graph.input, ...graph.output], place);
    if (port?.type?.value.case !== 'tensorType') return;
    if (value % 3 === 0) port.type.value.value.elemType = value % 24;
    else if (value % 3 === 1) port.type.value.value.shape = undefined;
    else port.type = undefined;
  },
  function hideInBranch(graph, { place, other }) {
    const node = at(graph.node, place);
    if (node === undefined || node.output[0] === undefined) return;
    const inner = create(GraphProtoSchema, {
      name: 'branch',
      node: [
        create(NodeProtoSchema, {
          opType: 'Identity',
          input: [at(NAMES, other) as string],
          output: ['inner'],
        }),
      ],
      output: [valueInfo('inner', DataType.FLOAT, [])],
    });
    node.opType = 'If';
    node.attribute = [attribute('then_branch', inner), attribute('else_branch', inner)];
  },
  function closeCircle(graph, { place, other }) {
    const node = at(graph.node, place);
    const later = at(graph.node.slice(place % graph.node.length), other);
    if (node !== undefined && later?.output[0] !== undefined) node.input.push(later.output[0]);
  },
  function oldOperators(_graph, { value }, model) {
    for (const set of model.opsetImport) set.version = at(WHOLE, value) ?? 0n;
  },
  function growth(graph, { place, value }) {
    // Each doubles what the one before it made.
    let name = at(graph.node, place)?.output[0] ?? '';
    const users = graph.node.filter(({ input }) => input.includes(name));
    const from = name;
    for (let step = 0; step < value % 60; step++) {
      const output = `grown_${place}_${step}`;
      graph.node.push(
        create(NodeProtoSchema, {
          opType: 'Concat',
          input: [name, name],
          output: [output],
          attribute: [attribute('axis', -1n)],
        }),
      );
      name = output;
    }
    for (const user of users) user.input = user.input.map((input) => (input === from ? name : input));
  },
  function shuffle(graph) {
    graph.node.reverse();
  },
];

export const MUTATION_KINDS = WAYS.length;

/** Those that change what is computed, but not how large it gets: the runtime would take all memory that there is. */
export const MODEST_KINDS: readonly number[] = [...WAYS.keys()].filter((kind) =>
  [
    'changeAttribute',
    'rewire',
    'rewireToPort',
    'swapInputs',
    'dropInputs',
    'removeNode',
    'repeatNode',
    'renameOutput',
    'renamePort',
    'retypePort',
    'hideInBranch',
    'closeCircle',
    'shuffle',
  ].includes(WAYS[kind]?.name ?? ''),
);

/** Damages the model in place. */
export function mutate(model: ModelProto, mutations: readonly Mutation[]): void {
  for (const mutation of mutations) {
    if (model.graph === undefined || model.graph.node.length === 0) return;
    WAYS[mutation.kind % WAYS.length]?.(model.graph, mutation, model);
  }
}
