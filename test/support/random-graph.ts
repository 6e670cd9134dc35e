// Random ONNX graphs that the runtime's CPU provider can run: branches, skips, shared and folded weights, control flow,
// several outputs, dynamic shapes, many element types. Every float in an exact graph is a small whole number, so that no
// order of additions changes it, and casts, roundings and branches are the same however the graph is cut.
import { create } from '@bufbuild/protobuf';
import { Tensor } from 'onnxruntime-node';
import { type AttributeValue, attribute } from '../../models/onnx/attributes.ts';
import {
  TensorProto_DataType as DataType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  ValueInfoProtoSchema,
} from '../../models/onnx/messages/onnx_pb.js';
import { floatTensor, int64Tensor, rawTensor, valueInfo } from '../../models/onnx/tensors.ts';
import { SeededRandom } from './seeded.ts';

/** A graph, and what to feed it. */
export interface RandomGraph {
  readonly model: ModelProto;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

export interface RandomGraphInit {
  readonly seed: number;
  /** Steps of making it; each adds one to some ten nodes. */
  readonly steps: number;
  /** All results are whole numbers; else smooth functions without any rounding. */
  readonly exact: boolean;
}

/** A tensor of rows × columns; the number of rows is the same in all of a graph, and only a run tells it. */
interface Value {
  readonly name: string;
  readonly columns: number;
  readonly type: DataType;
}

const COLUMNS = [2, 4, 6];
const ROWS = 3;

/** Types that take part by being converted, moved and compared; sums are for those that the provider adds. */
const EXACT_TYPES = [
  DataType.INT64,
  DataType.INT32,
  DataType.INT16,
  DataType.INT8,
  DataType.UINT8,
  DataType.UINT16,
  DataType.UINT32,
  DataType.UINT64,
  DataType.DOUBLE,
  DataType.FLOAT16,
  DataType.BOOL,
  DataType.STRING,
];
const SMOOTH_TYPES = [DataType.DOUBLE];
const SUMMED = new Set<DataType>([DataType.FLOAT, DataType.DOUBLE, DataType.INT64, DataType.INT32]);

export function randomGraph(init: RandomGraphInit): RandomGraph {
  const maker = new Maker(init);
  for (let step = 0; step < init.steps; step++) maker.step();
  return maker.finish();
}

class Maker {
  readonly #random: SeededRandom;
  readonly #exact: boolean;
  readonly #nodes: NodeProto[] = [];
  readonly #weights: TensorProto[] = [];
  readonly #values: Value[] = [];
  readonly #inputs: Value[] = [];
  #count = 0;

  constructor({ seed, exact }: RandomGraphInit) {
    this.#random = new SeededRandom(seed);
    this.#exact = exact;
    for (let index = this.#random.between(1, 3); index > 0; index--) {
      const input = { name: `in${index}`, columns: this.#random.pick(COLUMNS), type: DataType.FLOAT };
      this.#inputs.push(input);
      this.#values.push(input);
    }
  }

  step(): void {
    const steps: (() => void)[] = [
      () => this.#unary(),
      () => this.#sum(),
      () => this.#product(),
      () => this.#join(),
      () => this.#split(),
      () => this.#shaped(),
      () => this.#convert(),
      () => this.#ranked(),
      () => this.#branch(),
      () => this.#loop(),
      () => this.#scan(),
      () => this.#clip(),
      () => this.#folded(),
    ];
    if (this.#exact)
      steps.push(
        () => this.#quantize(),
        () => this.#compare(),
      );
    else
      steps.push(
        () => this.#normalize(),
        () => this.#recurrent(),
      );
    this.#random.pick(steps)();
  }

  finish(): RandomGraph {
    const outputs = new Set<Value>([this.#values.at(-1) as Value]);
    for (let index = this.#random.between(0, 2); index > 0; index--) outputs.add(this.#random.pick(this.#values));
    // An input that is an output as well stays in: parts must bear it.
    const model = create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: '', version: 17n }],
      graph: {
        name: 'random',
        node: this.#nodes,
        initializer: this.#weights,
        input: this.#inputs.map(({ name, columns, type }) => valueInfo(name, type, ['rows', columns])),
        output: [...outputs].map(({ name }) => create(ValueInfoProtoSchema, { name })),
      },
    });
    const feeds = Object.fromEntries(
      this.#inputs.map(({ name, columns }) => [
        name,
        new Tensor('float32', this.#floats(ROWS * columns), [ROWS, columns]),
      ]),
    );
    return { model, feeds };
  }

  #unary(): void {
    const from = this.#float();
    const ops = this.#exact
      ? ['Relu', 'Neg', 'Abs', 'Identity']
      : ['Tanh', 'Sigmoid', 'Neg', 'Softmax', 'Erf', 'Identity'];
    this.#values.push({ ...from, name: this.#op(this.#random.pick(ops), [from.name]) });
  }

  /** Of any type that can be added: the last two of it, or with a weight that is used elsewhere too. */
  #sum(): void {
    const from = this.#random.pick(this.#values.filter(({ type }) => SUMMED.has(type)));
    const others = this.#values.filter(({ type, columns }) => type === from.type && columns === from.columns);
    const float = from.type === DataType.FLOAT;
    const other = float && this.#random.next() < 0.3 ? this.#weight([from.columns]) : this.#random.pick(others).name;
    const name = this.#op('Add', [from.name, other]);
    this.#bounded({ ...from, name });
  }

  #product(): void {
    const from = this.#float();
    const columns = this.#random.pick(COLUMNS);
    // The other way round: a weight that is tied to a product in the other direction.
    const name =
      this.#random.next() < 0.5
        ? this.#op('MatMul', [from.name, this.#weight([from.columns, columns])])
        : this.#op('Gemm', [from.name, this.#weight([columns, from.columns]), ''], { transB: 1n });
    this.#bounded({ name, columns, type: DataType.FLOAT });
  }

  #join(): void {
    const [a, b] = [this.#float(), this.#float()];
    const name = this.#op('Concat', [a.name, b.name], { axis: 1n });
    const columns = this.#random.pick(COLUMNS);
    const product = this.#op('MatMul', [name, this.#weight([a.columns + b.columns, columns])]);
    this.#bounded({ name: product, columns, type: DataType.FLOAT });
  }

  /** Two outputs, of which the second may never be used. */
  #split(): void {
    const wide = this.#values.filter(({ columns, type }) => columns > 2 && type !== DataType.BOOL);
    if (wide.length === 0) return;
    const from = this.#random.pick(wide);
    const [left, right] = [this.#fresh(), this.#fresh()];
    const sizes = this.#int64([2], [2, from.columns - 2]);
    this.#node('Split', [from.name, sizes], [left, right], { axis: 1n });
    this.#values.push({ ...from, name: left, columns: 2 }, { ...from, name: right, columns: from.columns - 2 });
  }

  /** A cheap cone: of one value's shape, a tensor that depends on nothing else. */
  #shaped(): void {
    const from = this.#float();
    const shape = this.#op('Shape', [this.#random.pick(this.#values).name]);
    const rows = this.#op('Gather', [shape, this.#int64([1], [0])]);
    const wanted = this.#op('Concat', [rows, this.#int64([1], [from.columns])], { axis: 0n });
    const ones = this.#op('ConstantOfShape', [wanted], { value: floatTensor('', [1], [1]) });
    this.#bounded({ ...from, name: this.#op('Add', [from.name, ones]) });
  }

  #convert(): void {
    const from = this.#random.pick(this.#values);
    const type = this.#random.pick([DataType.FLOAT, ...(this.#exact ? EXACT_TYPES : SMOOTH_TYPES)]);
    let { name } = from;
    // Negative numbers and texts have no meaning that all types share.
    if (from.type === DataType.STRING) name = this.#cast(name, DataType.FLOAT);
    if (this.#exact) name = this.#op('Abs', [this.#cast(name, DataType.FLOAT)]);
    this.#values.push({ ...from, name: this.#cast(name, type), type });
  }

  /** Values and their places, of two types. */
  #ranked(): void {
    const from = this.#float();
    const [values, places] = [this.#fresh(), this.#fresh()];
    this.#node('TopK', [from.name, this.#int64([1], [2])], [values, places], { axis: 1n });
    this.#values.push({ name: values, columns: 2, type: DataType.FLOAT });
    // Ties, and numbers that differ in their last digits only, may stand either way round.
    if (!this.#exact) return;
    const sum = this.#op('ReduceSum', [places, this.#int64([1], [1])], { keepdims: 1n });
    const zero = this.#op('Sub', [sum, sum]);
    this.#values.push({ name: this.#op('Concat', [zero, zero], { axis: 1n }), columns: 2, type: DataType.INT64 });
  }

  /** If, with tensors that its graphs take from around them, and perhaps another If within. */
  #branch(): void {
    const from = this.#float();
    const other = this.#random.pick(
      this.#values.filter(({ type, columns }) => type === from.type && columns === from.columns),
    );
    const flag = this.#flag(from);
    const output = this.#fresh();
    this.#node('If', [flag], [output], {
      then_branch: this.#inner(['Neg', [from.name]]),
      else_branch:
        this.#random.next() < 0.3
          ? this.#nested(flag, from.name, other.name)
          : this.#inner(['Add', [from.name, other.name]]),
    });
    this.#bounded({ ...from, name: output });
  }

  /** Three rounds that add a tensor from around the loop; its second output is what each round made. */
  #loop(): void {
    const from = this.#float();
    const around = this.#random.pick(
      this.#values.filter(({ type, columns }) => type === from.type && columns === from.columns),
    );
    const names = { round: this.#fresh(), more: this.#fresh(), state: this.#fresh() };
    const [keep, next, row] = [this.#fresh(), this.#fresh(), this.#fresh()];
    const body = graph(
      'body',
      [
        node('Identity', [names.more], [keep]),
        node(this.#exact ? 'Add' : 'Mul', [names.state, around.name], [next]),
        node('Identity', [names.state], [row]),
      ],
      [
        valueInfo(names.round, DataType.INT64, []),
        valueInfo(names.more, DataType.BOOL, []),
        valueInfo(names.state, DataType.FLOAT, ['rows', from.columns]),
      ],
      [keep, next, row],
    );
    const [last, all] = [this.#fresh(), this.#fresh()];
    const [times, yes] = [this.#int64([], [2]), this.#constant(rawTensor('', DataType.BOOL, [], Uint8Array.of(1)))];
    this.#node('Loop', [times, yes, from.name], [last, all], { body });
    this.#bounded({ ...from, name: last });
    const rows = this.#op('ReduceMax', [all], { axes: [0n], keepdims: 0n });
    this.#bounded({ ...from, name: rows });
  }

  /** Running sums down the rows. */
  #scan(): void {
    const from = this.#float();
    const [sum, row, next, out] = [this.#fresh(), this.#fresh(), this.#fresh(), this.#fresh()];
    const port = (name: string) => valueInfo(name, DataType.FLOAT, [from.columns]);
    const body = graph(
      'body',
      [node(this.#exact ? 'Max' : 'Mul', [sum, row], [next]), node('Identity', [next], [out])],
      [port(sum), port(row)],
      [next, out],
    );
    const [last, all] = [this.#fresh(), this.#fresh()];
    this.#node('Scan', [this.#weight([from.columns]), from.name], [last, all], { body, num_scan_inputs: 1n });
    this.#values.push({ ...from, name: all });
  }

  /** An optional input that is left out. */
  #clip(): void {
    const from = this.#float();
    this.#values.push({ ...from, name: this.#op('Clip', [from.name, '', this.#scalar(5)]) });
  }

  /** Weights that are computed of weights: they depend on no input. */
  #folded(): void {
    const from = this.#float();
    const doubled = this.#op('Neg', [this.#weight([from.columns])]);
    this.#bounded({ ...from, name: this.#op('Sub', [from.name, doubled]) });
  }

  #quantize(): void {
    const from = this.#float();
    const scale = this.#scalar(2);
    const zero = this.#random.pick([
      rawTensor(this.#fresh(), DataType.UINT8, [], Uint8Array.of(128)),
      rawTensor(this.#fresh(), DataType.INT8, [], Int8Array.of(3)),
    ]);
    this.#weights.push(zero);
    const small = this.#op('QuantizeLinear', [from.name, scale, zero.name]);
    const back = this.#op('DequantizeLinear', [small, scale, zero.name]);
    this.#values.push({ ...from, name: small, type: zero.dataType }, { ...from, name: back });
  }

  #compare(): void {
    const from = this.#float();
    const flags = this.#op('Greater', [from.name, this.#scalar(this.#random.between(-2, 2))]);
    const chosen = this.#op('Where', [flags, from.name, this.#weight([from.columns])]);
    this.#values.push({ ...from, name: flags, type: DataType.BOOL }, { ...from, name: chosen });
  }

  #normalize(): void {
    const from = this.#float();
    const inputs = [from.name, this.#weight([from.columns]), this.#weight([from.columns])];
    this.#values.push({ ...from, name: this.#op('LayerNormalization', inputs, { axis: -1n, epsilon: 1e-2 }) });
  }

  /** A GRU over the rows, with inputs and an output left out. */
  #recurrent(): void {
    const from = this.#float();
    const size = this.#random.pick(COLUMNS);
    const steps = this.#op('Unsqueeze', [from.name, this.#int64([1], [1])]);
    const weights = [this.#weight([1, 3 * size, from.columns]), this.#weight([1, 3 * size, size])];
    const all = this.#fresh();
    this.#node('GRU', [steps, ...weights, '', '', ''], [all, ''], { hidden_size: BigInt(size) });
    const name = this.#op('Squeeze', [all, this.#int64([2], [1, 2])]);
    this.#values.push({ name, columns: size, type: DataType.FLOAT });
  }

  /** Something that is yes or no: by the number of rows, or of the numbers where they are exact. */
  #flag(from: Value): string {
    const rows = this.#op('Gather', [this.#op('Shape', [from.name]), this.#int64([], [0])]);
    if (!this.#exact) return this.#op('Greater', [rows, this.#int64([], [this.#random.between(2, 3)])]);
    const sum = this.#op('ReduceSum', [from.name, this.#int64([2], [0, 1])], { keepdims: 0n });
    return this.#op('Greater', [sum, this.#scalar(0)]);
  }

  #inner([op, inputs]: readonly [string, readonly string[]]): GraphProto {
    const output = this.#fresh();
    return graph('branch', [node(op, inputs, [output])], [], [output]);
  }

  #nested(flag: string, first: string, second: string): GraphProto {
    const output = this.#fresh();
    const inner = node('If', [flag], [output], {
      then_branch: this.#inner(['Identity', [first]]),
      else_branch: this.#inner(['Identity', [second]]),
    });
    return graph('branch', [inner], [], [output]);
  }

  /** Keeps the numbers small, so that they stay exact. */
  #bounded(value: Value): void {
    if (!this.#exact || value.type !== DataType.FLOAT) {
      this.#values.push(value);
      return;
    }
    this.#values.push({ ...value, name: this.#op('Clip', [value.name, this.#scalar(-9), this.#scalar(9)]) });
  }

  #float(): Value {
    const floats = this.#values.filter(({ type }) => type === DataType.FLOAT);
    // The latest more often than not, so that graphs are long as well as wide.
    return this.#random.next() < 0.6 ? (floats.at(-1) as Value) : this.#random.pick(floats);
  }

  /** A weight of that shape: one that is there already, half of the time. */
  #weight(dims: readonly number[]): string {
    const same = this.#weights.filter(
      ({ dims: other, dataType }) => dataType === DataType.FLOAT && String(other) === String(dims),
    );
    if (same.length > 0 && this.#random.next() < 0.5) return this.#random.pick(same).name;
    const count = dims.reduce((product, dim) => product * dim, 1);
    return this.#add(floatTensor(this.#fresh('w'), dims, this.#floats(count)));
  }

  #scalar(value: number): string {
    return this.#add(floatTensor(this.#fresh('w'), [], [value]));
  }

  #int64(dims: readonly number[], values: readonly number[]): string {
    return this.#random.next() < 0.5
      ? this.#constant(int64Tensor('', dims, values))
      : this.#add(int64Tensor(this.#fresh('w'), dims, values));
  }

  #constant(value: TensorProto): string {
    return this.#op('Constant', [], { value });
  }

  #add(tensor: TensorProto): string {
    this.#weights.push(tensor);
    return tensor.name;
  }

  #floats(count: number): Float32Array {
    const value = (): number => (this.#exact ? this.#random.between(-2, 2) : this.#random.next() * 2 - 1);
    return Float32Array.from({ length: count }, value);
  }

  #cast(name: string, to: DataType): string {
    return this.#op('Cast', [name], { to: BigInt(to) });
  }

  #op(opType: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeValue>> = {}): string {
    const output = this.#fresh();
    this.#node(opType, inputs, [output], attributes);
    return output;
  }

  #node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): void {
    this.#nodes.push(node(opType, inputs, outputs, attributes));
  }

  #fresh(prefix = 't'): string {
    return `${prefix}${this.#count++}`;
  }
}

/** A node without a name, as many files have them. */
const node = (
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
): NodeProto =>
  create(NodeProtoSchema, {
    opType,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  });

const graph = (name: string, nodes: NodeProto[], inputs: GraphProto['input'], outputs: readonly string[]): GraphProto =>
  create(GraphProtoSchema, {
    name,
    node: nodes,
    input: inputs,
    output: outputs.map((output) => create(ValueInfoProtoSchema, { name: output })),
  });
