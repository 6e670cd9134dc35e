// Operators that work on each element by itself. Sums of float32 are those of float64 here: what is looked at are masks
// and positions, which are zeros, ones, whole numbers and the far end of the range.
import { attributeOf, intAttribute } from '../../attributes.ts';
import { TensorProto_DataType as DataType } from '../../messages/onnx_pb.js';
import type { Call, Operator, Operators } from './operator.ts';
import { type Element, elementwise, type Value, type ValueType } from './value.ts';

/** The kind of a data type; undefined for texts and the like. */
export function typeOf(dataType: number): ValueType | undefined {
  switch (dataType) {
    case DataType.FLOAT:
    case DataType.FLOAT16:
    case DataType.BFLOAT16:
    case DataType.DOUBLE:
      return 'float';
    case DataType.BOOL:
      return 'bool';
    case DataType.INT64:
    case DataType.INT32:
    case DataType.INT16:
    case DataType.INT8:
    case DataType.UINT8:
    case DataType.UINT16:
    case DataType.UINT32:
    case DataType.UINT64:
      return 'int';
    default:
      return undefined;
  }
}

/** With that many operands; the result is of the type of the first of them, or of that given. */
const op =
  (operands: number, element: Element, type?: ValueType): Operator =>
  ({ inputs, work }) => {
    const given = known(inputs.slice(0, operands), operands);
    return given && elementwise(work, type ?? (given[0] as Value).type, given, element);
  };

/** All of them, if each is known and there are as many as there should be. */
function known(inputs: readonly (Value | undefined)[], count: number): readonly Value[] | undefined {
  const found = inputs.filter((input) => input !== undefined);
  return found.length === count ? found : undefined;
}

/** Two operands at a time. */
const fold =
  (element: Element): Operator =>
  ({ inputs, work }) => {
    const [first, ...others] = known(inputs, inputs.length) ?? [];
    return others.reduce<Value | undefined>(
      (sum, other) => sum && elementwise(work, sum.type, [sum, other], element),
      first,
    );
  };

const truth = (value: boolean): number => (value ? 1 : 0);

function divide(call: Call): Value | undefined {
  const isInt = call.inputs[0]?.type === 'int';
  return op(2, isInt ? (a, b) => Math.trunc(a / b) : (a, b) => a / b)(call) as Value | undefined;
}

function modulo(call: Call): Value | undefined {
  const like = intAttribute(call.node, 'fmod', 0) === 1;
  return op(2, like ? (a, b) => a % b : (a, b) => a - b * Math.floor(a / b))(call) as Value | undefined;
}

function cast({ node, inputs: [input], work }: Call): Value | undefined {
  const type = typeOf(intAttribute(node, 'to', 0));
  return input && type && castTo(input, type, work);
}

function castTo(input: Value, type: ValueType, work: Call['work']): Value | undefined {
  if (input.type === type) return input;
  if (input.data === undefined || type === 'float' || input.type === 'bool') return { ...input, type };
  return elementwise(work, type, [input], type === 'bool' ? (a) => truth(a !== 0) : (a) => Math.trunc(a));
}

function where({ inputs, work }: Call): Value | undefined {
  const given = known(inputs.slice(0, 3), 3);
  return given && elementwise(work, (given[1] as Value).type, given, (a, b, c) => (a !== 0 ? b : c));
}

function clip({ inputs, node, work }: Call): Value | undefined {
  const [input, least, most] = inputs;
  if (input === undefined || (node.input[1] && !least) || (node.input[2] && !most)) return undefined;
  // Before version 11 the bounds were attributes.
  if (attributeOf(node, 'min') !== undefined || attributeOf(node, 'max') !== undefined) return undefined;
  const bounded = least ? elementwise(work, input.type, [input, least], (a, b) => Math.max(a, b)) : input;
  return bounded && most ? elementwise(work, input.type, [bounded, most], (a, b) => Math.min(a, b)) : bounded;
}

const same: Operator = ({ inputs: [input] }) => input;

export const ELEMENTWISE: Operators = {
  Add: op(2, (a, b) => a + b),
  Sub: op(2, (a, b) => a - b),
  Mul: op(2, (a, b) => a * b),
  Div: divide,
  Mod: modulo,
  Pow: op(2, (a, b) => a ** b),
  Sum: fold((a, b) => a + b),
  Min: fold((a, b) => Math.min(a, b)),
  Max: fold((a, b) => Math.max(a, b)),
  Equal: op(2, (a, b) => truth(a === b), 'bool'),
  Greater: op(2, (a, b) => truth(a > b), 'bool'),
  GreaterOrEqual: op(2, (a, b) => truth(a >= b), 'bool'),
  Less: op(2, (a, b) => truth(a < b), 'bool'),
  LessOrEqual: op(2, (a, b) => truth(a <= b), 'bool'),
  And: op(2, (a, b) => truth(a !== 0 && b !== 0), 'bool'),
  Or: op(2, (a, b) => truth(a !== 0 || b !== 0), 'bool'),
  Xor: op(2, (a, b) => truth((a !== 0) !== (b !== 0)), 'bool'),
  Not: op(1, (a) => truth(a === 0), 'bool'),
  IsNaN: op(1, (a) => truth(Number.isNaN(a)), 'bool'),
  Where: where,
  Neg: op(1, (a) => -a),
  Abs: op(1, (a) => Math.abs(a)),
  Sqrt: op(1, (a) => Math.sqrt(a)),
  Reciprocal: op(1, (a) => 1 / a),
  Exp: op(1, (a) => Math.exp(a)),
  Log: op(1, (a) => Math.log(a)),
  Tanh: op(1, (a) => Math.tanh(a)),
  Sigmoid: op(1, (a) => 1 / (1 + Math.exp(-a))),
  Relu: op(1, (a) => Math.max(0, a)),
  Floor: op(1, (a) => Math.floor(a)),
  Ceil: op(1, (a) => Math.ceil(a)),
  Sign: op(1, (a) => Math.sign(a)),
  Cos: op(1, (a) => Math.cos(a)),
  Sin: op(1, (a) => Math.sin(a)),
  Clip: clip,
  Cast: cast,
  CastLike: ({ inputs: [input, like], work }) => input && like && castTo(input, like.type, work),
  Identity: same,
  // At inference it passes everything.
  Dropout: same,
};
