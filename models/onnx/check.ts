// Whether an ONNX file may be given to a runtime: cases that real loaders were fooled by, each refused by this reader
// before any of them sees the file. Nothing but the graph is read: weights are stepped over, and files beside it are
// looked at by their path alone. Called in the prep process, when a model is imported or pulled. Field numbers are those
// of onnx.proto.
import { dirname } from 'node:path';
import { TENSOR_NAME_LENGTH_MAX } from '../../protocol/limits.ts';
import {
  ONNX_CHECK_BYTES_MAX,
  ONNX_EXTERNAL_FILES_MAX,
  ONNX_INITIALIZERS_MAX,
  ONNX_MADE_ELEMENTS_MAX,
  ONNX_NODES_MAX,
  WARNINGS_MAX,
} from '../limits.ts';
import { externalFilesIn, type SizeOfExternal } from './check/external.ts';
import { Body, Functions, operatorKey, spelled } from './check/functions.ts';
import { ONNX_CHECKS, Once, type OnnxCheck, quoted } from './check/names.ts';
import {
  constantValues,
  isBuiltIn,
  isEndless,
  isOnnx,
  madeElements,
  makes,
  type NodeFacts,
  namesOutside,
} from './check/operators.ts';
import { TensorChecker, type TensorFacts } from './check/tensors.ts';
import { type OnnxSummary, readOnnx } from './parse.ts';
import { type ByteRange, type ByteSource, onnxCorrupt, ProtoWalker, withFileSource } from './protobuf.ts';

export { ONNX_CHECKS, type OnnxCheck } from './check/names.ts';

/** A file that passed. */
export interface OnnxChecked extends OnnxSummary {
  /** Files beside it that hold weights, each once. */
  readonly externalFiles: readonly { readonly location: string; readonly sizeBytes: number }[];
  /** Nodes of all graphs within it, its functions' own included. */
  readonly nodes: number;
  readonly tensors: number;
  /** What a person should know, one sentence each. */
  readonly warnings: readonly string[];
}

export interface OnnxCheckOptions {
  /** What is looked for; less than all is for tests. @default all of it */
  readonly checks?: ReadonlySet<OnnxCheck>;
}

/**
 * Checks a file and what it names beside it. Blocks on the disk, for as long as the graph takes: 0.1 s for one of 10,000
 * nodes, whatever its weights.
 * @throws WeftError `model_corrupt` that says what is wrong, in one sentence
 */
export function checkOnnxFile(path: string, options: OnnxCheckOptions = {}): OnnxChecked {
  const checks = options.checks ?? ONNX_CHECKS;
  return withFileSource(path, (source) => checkOnnx(source, externalFilesIn(dirname(path), checks), options));
}

/**
 * As `checkOnnxFile`, from any bytes.
 * @param sizeOf of a file beside them; throws when it may not be used
 */
export function checkOnnx(source: ByteSource, sizeOf: SizeOfExternal, options: OnnxCheckOptions = {}): OnnxChecked {
  const summary = readOnnx(source);
  return new OnnxChecker(source, sizeOf, options.checks ?? ONNX_CHECKS).check(
    { start: 0, end: source.sizeBytes },
    summary,
  );
}

/** Longest name of a node: those of exporters spell the path through the modules. */
const NODE_NAME_LENGTH_MAX = 4096;

/** Roughly, on the heap: a name that is kept, beside its characters. */
const KEPT_BYTES = 96;

/** Small constants and names of one graph; what a graph within another doesn't have is looked up around it. */
interface Scope {
  readonly around: Scope | undefined;
  readonly constants: Map<string, readonly number[]>;
  /** Tensors that something gives, and inputs. */
  readonly given: Set<string>;
  readonly inputs: Set<string>;
  readonly nodeNames: Set<string>;
}

class OnnxChecker {
  readonly #walker: ProtoWalker;
  readonly #checks: ReadonlySet<OnnxCheck>;
  readonly #tensors: TensorChecker;
  readonly #sizeOf: SizeOfExternal;
  readonly #locations = new Set<string>();
  readonly #functions = new Functions();
  readonly #main = new Body();
  /** Every operator that is used, and once more how often in the graph or function that is read now. */
  readonly #operators = new Set<string>();
  #body = this.#main;
  /** Nodes whose inputs may turn out to be constants that follow later in the file. */
  readonly #later: { readonly node: NodeFacts; readonly scope: Scope }[] = [];
  readonly #imported = new Set<string>();
  readonly #warnings = new Set<string>();
  #nodes = 0;
  #tensorCount = 0;
  #bytesLeft = ONNX_CHECK_BYTES_MAX;

  constructor(source: ByteSource, sizeOf: SizeOfExternal, checks: ReadonlySet<OnnxCheck>) {
    this.#walker = new ProtoWalker(source);
    this.#sizeOf = sizeOf;
    this.#checks = checks;
    this.#tensors = new TensorChecker(this.#walker, sizeOf, checks);
  }

  check(file: ByteRange, summary: OnnxSummary): OnnxChecked {
    this.#walker.walk(file, 0, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 7) this.#graph(field.range, 0, undefined);
      else if (field.number === 8) this.#operatorSet(field.range);
      else if (field.number === 20) this.#training(field.range);
      else if (field.number === 25) this.#function(field.range);
    });
    this.#checkOperators();
    if (this.#checks.has('calls')) this.#functions.check(this.#main);
    this.#checkLater();
    return {
      ...summary,
      externalFiles: [...this.#locations].map((location) => ({ location, sizeBytes: this.#sizeOf(location) })),
      nodes: this.#nodes,
      tensors: this.#tensorCount,
      warnings: [...this.#warnings],
    };
  }

  /** GraphProto. */
  #graph(range: ByteRange, depth: number, around: Scope | undefined): void {
    const scope = newScope(around);
    const initializers = new Set<string>();
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 1) this.#node(field.range, depth + 1, scope);
      else if (field.number === 5 || field.number === 15) {
        const tensor = field.number === 5 ? this.#tensor(field.range, depth + 1) : this.#sparse(field.range, depth + 1);
        this.#add(initializers, tensor.name, 'an initializer');
        if (tensor.values !== undefined) scope.constants.set(tensor.name, tensor.values);
      } else if (field.number >= 11 && field.number <= 13) {
        const name = this.#port(field.range, depth + 1);
        if (field.number === 11) this.#add(scope.inputs, name, 'an input');
      }
    });
    if (!this.#checks.has('names')) return;
    for (const name of initializers) if (scope.given.has(name)) throw twoSources(name);
    for (const name of scope.inputs) if (scope.given.has(name)) throw twoSources(name);
  }

  /** ValueInfoProto: types may be nested as well. @returns its name */
  #port(range: ByteRange, depth: number): string {
    const once = new Once();
    let name = '';
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes' || field.number > 2) return;
      once.see(field.number, 'the name or type of an input or output');
      if (field.number === 1) name = this.#name(field.range, TENSOR_NAME_LENGTH_MAX);
      else this.#type(field.range, depth + 1);
    });
    return name;
  }

  /** TypeProto: sequences, maps and optional values have a type within. */
  #type(range: ByteRange, depth: number): void {
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes' || (field.number !== 4 && field.number !== 5 && field.number !== 9)) return;
      const within = field.number === 5 ? 2 : 1;
      this.#walker.walk(field.range, depth + 1, (inner) => {
        if (inner.wire === 'bytes' && inner.number === within) this.#type(inner.range, depth + 2);
      });
    });
  }

  /** NodeProto. */
  #node(range: ByteRange, depth: number, scope: Scope): void {
    if (++this.#nodes > ONNX_NODES_MAX) throw onnxCorrupt('it has too many nodes');
    const once = new Once();
    const inputs: string[] = [];
    const outputs: string[] = [];
    const texts = new Map<number, string>();
    const numbers = new Map<string, readonly number[]>();
    let tensor: TensorFacts | undefined;
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes') return;
      const { number } = field;
      if (number === 1) inputs.push(this.#walker.text(field.range, TENSOR_NAME_LENGTH_MAX));
      else if (number === 2) outputs.push(this.#name(field.range, TENSOR_NAME_LENGTH_MAX));
      else if (number === 5) tensor = this.#attribute(field.range, depth + 1, scope, numbers) ?? tensor;
      else if (number === 3 || number === 4 || number === 7 || number === 8) {
        once.see(number, 'the name or operator of a node');
        texts.set(number, this.#walker.text(field.range, NODE_NAME_LENGTH_MAX));
      }
    });
    const [op = '', domain = '', overload = ''] = [texts.get(4), texts.get(7), texts.get(8)];
    const key = operatorKey(domain, op, overload);
    this.#operators.add(key);
    this.#body.use(key);
    for (const name of outputs) if (name !== '') this.#add(scope.given, name, 'an output of a node');
    const name = texts.get(3) ?? '';
    if (name !== '') {
      this.#charge(name.length);
      this.#add(scope.nodeNames, name, 'a node');
    }
    if (!isOnnx(domain)) return;
    const node: NodeFacts = { op, inputs, numbers };
    if (op === 'Constant') {
      const values = tensor?.values ?? constantValues(node);
      if (values !== undefined && outputs[0] !== undefined) scope.constants.set(outputs[0], values);
    } else if (op === 'Loop' || makes(op)) {
      for (const input of inputs) this.#charge(input.length);
      this.#later.push({ node, scope });
    }
  }

  /** AttributeProto: tensors and graphs may hide in it. @returns the tensor that it holds */
  #attribute(
    range: ByteRange,
    depth: number,
    scope: Scope,
    numbers: Map<string, readonly number[]>,
  ): TensorFacts | undefined {
    const once = new Once();
    let name = '';
    let tensor: TensorFacts | undefined;
    const ints: number[] = [];
    this.#walker.walk(range, depth, (field) => {
      const { number } = field;
      if (field.wire === 'varint') {
        if ((number === 3 || number === 8) && ints.length < LIST_MAX) ints.push(Number(BigInt.asIntN(64, field.value)));
        return;
      }
      if (field.wire !== 'bytes') return;
      if (number === 1) name = this.#walker.text(field.range, TENSOR_NAME_LENGTH_MAX);
      else if (number === 8) this.#list(field.range, ints);
      else if (number === 5 || number === 6 || number === 22) {
        once.see(number, 'the value of an attribute');
        if (number === 5) tensor = this.#tensor(field.range, depth + 1);
        else if (number === 6) this.#graph(field.range, depth + 1, scope);
        else this.#sparse(field.range, depth + 1);
      } else if (number === 10) this.#tensor(field.range, depth + 1);
      else if (number === 11) this.#graph(field.range, depth + 1, scope);
      else if (number === 23) this.#sparse(field.range, depth + 1);
      else if (number === 14 || number === 15) this.#type(field.range, depth + 1);
    });
    if (ints.length > 0) numbers.set(name, ints);
    return tensor;
  }

  /** Packed ints of an attribute, where they are few. */
  #list(range: ByteRange, ints: number[]): void {
    if (range.end - range.start > 10 * LIST_MAX) return;
    for (const value of this.#walker.packed(range, 10 * LIST_MAX)) if (ints.length < LIST_MAX) ints.push(Number(value));
  }

  #tensor(range: ByteRange, depth: number): TensorFacts {
    if (++this.#tensorCount > ONNX_INITIALIZERS_MAX) throw onnxCorrupt('it has too many tensors');
    return this.#placed(this.#tensors.tensor(range, depth));
  }

  #sparse(range: ByteRange, depth: number): TensorFacts {
    if (++this.#tensorCount > ONNX_INITIALIZERS_MAX) throw onnxCorrupt('it has too many tensors');
    return this.#placed(this.#tensors.sparse(range, depth));
  }

  #placed(tensor: TensorFacts): TensorFacts {
    if (tensor.values !== undefined) this.#charge(8 * tensor.values.length);
    if (tensor.location !== undefined) this.#locations.add(tensor.location);
    if (this.#locations.size > ONNX_EXTERNAL_FILES_MAX) throw onnxCorrupt('its weights lie in too many files');
    return tensor;
  }

  /** TrainingInfoProto: two more graphs that nothing runs here, and whose files a loader might read all the same. */
  #training(range: ByteRange): void {
    this.#warn('It holds a program for training, which is not run here.');
    this.#walker.walk(range, 0, (field) => {
      if (field.wire === 'bytes' && (field.number === 1 || field.number === 2)) this.#graph(field.range, 1, undefined);
    });
  }

  /** FunctionProto. */
  #function(range: ByteRange): void {
    const body = new Body();
    const once = new Once();
    const texts = new Map<number, string>();
    const scope = newScope(undefined);
    this.#body = body;
    this.#walker.walk(range, 1, (field) => {
      if (field.wire !== 'bytes') return;
      const { number } = field;
      if (number === 7) this.#node(field.range, 2, scope);
      else if (number === 11) this.#attribute(field.range, 2, scope, new Map());
      else if (number === 12) this.#port(field.range, 2);
      else if (number === 9) this.#operatorSet(field.range);
      else if (number === 4) this.#add(scope.inputs, this.#name(field.range, TENSOR_NAME_LENGTH_MAX), 'an input');
      else if (number === 1 || number === 10 || number === 13) {
        once.see(number, 'the name of a function');
        texts.set(number, this.#walker.text(field.range, NODE_NAME_LENGTH_MAX));
      }
    });
    this.#body = this.#main;
    this.#functions.define(operatorKey(texts.get(10) ?? '', texts.get(1) ?? '', texts.get(13) ?? ''), body);
  }

  /** OperatorSetIdProto. */
  #operatorSet(range: ByteRange): void {
    let domain = '';
    this.#walker.walk(range, 1, (field) => {
      if (field.wire === 'bytes' && field.number === 1) domain = this.#name(field.range, TENSOR_NAME_LENGTH_MAX);
    });
    this.#imported.add(domain);
  }

  #checkOperators(): void {
    const used = new Set<string>();
    for (const key of this.#operators) {
      const [domain = '', op = ''] = key.split('\0');
      used.add(domain);
      if (this.#checks.has('domains') && !isBuiltIn(domain) && !this.#functions.has(key)) {
        throw onnxCorrupt(`it needs the operator ${spelled(key)} of a library, and such libraries are never loaded`);
      }
      if (this.#checks.has('outside') && namesOutside(domain, op)) {
        throw onnxCorrupt(`its operator ${spelled(key)} names a file, a library or a program`);
      }
    }
    for (const domain of this.#imported) {
      if (!isBuiltIn(domain) && !used.has(domain)) {
        this.#warn(`It names the operator set ${quoted(domain)} of a library, and uses nothing of it.`);
      }
    }
  }

  /** Whatever could not be told before the whole file was read. */
  #checkLater(): void {
    for (const { node, scope } of this.#later) {
      const valuesOf = (name: string): readonly number[] | undefined => {
        for (let at: Scope | undefined = scope; at !== undefined; at = at.around) {
          const values = at.constants.get(name);
          if (values !== undefined) return values;
        }
        return undefined;
      };
      if (node.op === 'Loop') {
        if (isEndless(node, valuesOf)) this.#warn('It holds a loop whose end only a run decides.');
        continue;
      }
      const elements = madeElements(node, valuesOf) ?? 0;
      if (this.#checks.has('made') && elements > ONNX_MADE_ELEMENTS_MAX) {
        throw onnxCorrupt(`an operator ${node.op} makes a tensor of ${elements} elements of a few numbers`);
      }
    }
  }

  /** Notes that something has this name. @throws WeftError `model_corrupt` when something of its kind had it before */
  #add(names: Set<string>, name: string, what: string): void {
    if (names.has(name) && name !== '' && this.#checks.has('names')) {
      throw onnxCorrupt(`two things are called ${quoted(name)}, each ${what}`);
    }
    names.add(name);
  }

  /** A name that is kept. */
  #name(range: ByteRange, bytesMax: number): string {
    const name = this.#walker.text(range, bytesMax);
    this.#charge(name.length);
    return name;
  }

  #charge(bytes: number): void {
    this.#bytesLeft -= KEPT_BYTES + bytes;
    if (this.#bytesLeft < 0) throw onnxCorrupt('there is too much in it beside its weights');
  }

  #warn(warning: string): void {
    if (this.#warnings.size < WARNINGS_MAX) this.#warnings.add(warning);
  }
}

/** Numbers of an attribute that are kept: shapes, pads and scales are this long at most. */
const LIST_MAX = 32;

const twoSources = (name: string): Error => onnxCorrupt(`the tensor ${quoted(name)} has two sources`);

const newScope = (around: Scope | undefined): Scope => ({
  around,
  constants: new Map(),
  given: new Set(),
  inputs: new Set(),
  nodeNames: new Set(),
});
