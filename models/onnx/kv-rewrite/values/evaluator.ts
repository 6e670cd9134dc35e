// Computes tensors of a graph from the values or shapes of its inputs, as far as they can be: nothing of the weights is
// read, and what depends on hidden states has a shape only. The rewriter sees by it what masks and positions are,
// whichever operators they are written in.
import type { GraphEditor } from '../../graph.ts';
import type { NodeProto, TensorProto } from '../../messages/onnx_pb.js';
import { innerGraphs } from '../../subgraphs.ts';
import { tensorValues } from '../../tensors.ts';
import { CONSTANT_ELEMENTS_MAX } from '../limits.ts';
import { ELEMENTWISE, typeOf } from './elementwise.ts';
import type { Operator } from './operator.ts';
import { PICKING } from './picking.ts';
import { SHAPING } from './shaping.ts';
import { SIZES } from './sizes.ts';
import { dense, shapeOnly, sizeOf, type Value, type Work } from './value.ts';

const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  [SIZES, SHAPING, PICKING, ELEMENTWISE].flatMap((table) => Object.entries(table)),
);
const DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx', 'com.microsoft']);
/** No tensor of a decoder has more axes. */
const RANK_MAX = 16;

type Known = Map<string, Value | undefined>;

/** What doesn't depend on a changed value is as it is in the whole. */
interface Changed {
  readonly whole: Evaluator;
  readonly dependents: ReadonlySet<string>;
}

/** The tensors of one graph for one set of inputs. Each is computed once. */
export class Evaluator {
  readonly #editor: GraphEditor;
  readonly #work: Work;
  readonly #given: ReadonlyMap<string, Value>;
  readonly #known: Known = new Map();
  readonly #changed: Changed | undefined;

  /** @param given values of inputs */
  constructor(editor: GraphEditor, work: Work, given: ReadonlyMap<string, Value>, changed?: Changed) {
    this.#editor = editor;
    this.#work = work;
    this.#given = given;
    this.#changed = changed;
  }

  /**
   * The same graph where a tensor has another value.
   * @param dependents tensors that depend on it
   */
  with(tensor: string, value: Value, dependents: ReadonlySet<string>): Evaluator {
    return new Evaluator(this.#editor, this.#work, new Map([[tensor, value]]), { whole: this, dependents });
  }

  /**
   * The value of a tensor; undefined where nothing is known of it.
   * @throws Refusal when it takes too much to compute
   */
  value(tensor: string): Value | undefined {
    const waiting = [tensor];
    const entered = new Set<NodeProto>();
    for (let name = waiting.at(-1); name !== undefined; name = waiting.at(-1)) {
      const node = this.#holder(name) === undefined ? this.#editor.producer(name) : undefined;
      const missing = node === undefined || entered.has(node) ? [] : node.input.filter((input) => this.#isOpen(input));
      if (node !== undefined && missing.length > 0) {
        entered.add(node);
        for (const input of missing) waiting.push(input);
        this.#work.take(missing.length);
        continue;
      }
      waiting.pop();
      if (this.#holder(name) !== undefined) continue;
      if (node === undefined) (this.#changed?.whole ?? this).#known.set(name, this.#leaf(name));
      else this.#compute(node);
    }
    return this.#holder(tensor)?.get(tensor);
  }

  #isOpen(name: string): boolean {
    return name !== '' && this.#holder(name) === undefined;
  }

  /** Where the value of a tensor is, or that it has none. */
  #holder(name: string): ReadonlyMap<string, Value | undefined> | undefined {
    if (this.#given.has(name)) return this.#given;
    if (this.#known.has(name)) return this.#known;
    return this.#changed === undefined || this.#changed.dependents.has(name)
      ? undefined
      : this.#changed.whole.#holder(name);
  }

  #compute(node: NodeProto): void {
    this.#work.take(1);
    const isDependent = node.output.some((name) => this.#changed?.dependents.has(name));
    const target = this.#changed === undefined || isDependent ? this : this.#changed.whole;
    const inputs = node.input.map((name) => (name === '' ? undefined : this.#holder(name)?.get(name)));
    const isKnown = DOMAINS.has(node.domain) && innerGraphs(node).length === 0;
    const operator = isKnown ? OPERATORS.get(node.opType) : undefined;
    const result = node.opType === 'Constant' ? this.#constant(node) : operator?.({ node, inputs, work: this.#work });
    const outputs = Array.isArray(result) ? (result as readonly (Value | undefined)[]) : [result as Value | undefined];
    for (const [index, name] of node.output.entries()) {
      if (name === '' || target.#holder(name) !== undefined) continue;
      const output = outputs[index];
      target.#known.set(name, output && output.dims.length <= RANK_MAX ? output : undefined);
    }
  }

  #leaf(name: string): Value | undefined {
    const tensor = this.#editor.initializer(name);
    return tensor && ofTensor(tensor);
  }

  #constant(node: NodeProto): Value | undefined {
    const [name = ''] = node.output;
    const tensor = this.#editor.constantTensor(name);
    if (tensor !== undefined) return ofTensor(tensor);
    const values = this.#editor.constant(name);
    const [attribute] = node.attribute;
    const type = attribute?.name.startsWith('value_int') ? 'int' : 'float';
    if (values === undefined) return undefined;
    return dense(type, attribute?.name.endsWith('s') ? [values.length] : [], Float64Array.from(values));
  }
}

function ofTensor(tensor: TensorProto): Value | undefined {
  const type = typeOf(tensor.dataType);
  const dims = tensor.dims.map(Number);
  if (dims.length > RANK_MAX) return undefined;
  const shape = shapeOnly(type ?? 'float', dims);
  const isSmall = shape !== undefined && sizeOf(dims) <= CONSTANT_ELEMENTS_MAX;
  const values = type !== undefined && isSmall ? tensorValues(tensor) : undefined;
  return shape && values ? dense(shape.type, dims, Float64Array.from(values)) : shape;
}
