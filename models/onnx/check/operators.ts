// Operators that a file may use, and how much the ones make that turn a few numbers into a huge tensor, where those
// numbers stand in the file. What only a run decides is up to the runner's cap.

/** ONNX's own operators, and those that the runtime brings. Anything else would have to be loaded from somewhere. */
const DOMAINS: ReadonlySet<string> = new Set([
  '',
  'ai.onnx',
  'ai.onnx.ml',
  'com.microsoft',
  'com.microsoft.experimental',
  'com.microsoft.nchwc',
  'com.ms.internal.nhwc',
  'ai.onnx.training',
  'ai.onnx.preview.training',
]);

export const isBuiltIn = (domain: string): boolean => DOMAINS.has(domain);

/** Operators of the runtime that name a file, a library or a program of somebody else's. */
const OUTSIDE: ReadonlySet<string> = new Set(['EPContext', 'PythonOp', 'PythonOpGrad', 'TritonOp', 'ATen', 'Snpe']);

export const namesOutside = (domain: string, op: string): boolean => domain === 'com.microsoft' && OUTSIDE.has(op);

export const isOnnx = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

/** A node, as far as it says how much it makes. */
export interface NodeFacts {
  readonly op: string;
  readonly inputs: readonly string[];
  /** Attributes that are a number or a few. */
  readonly numbers: ReadonlyMap<string, readonly number[]>;
}

/** The few numbers that the file has for an input; undefined for what a run decides. */
export type ValuesOf = (input: string) => readonly number[] | undefined;

type Made = (node: NodeFacts, at: (input: number) => readonly number[] | undefined) => number | undefined;

const product = (sizes: readonly number[] | undefined): number | undefined =>
  sizes?.reduce((all, size) => all * Math.max(1, size), 1);

/** What of its inputs says the size: a shape, or repeats of what has one element or more. */
const shapeAt =
  (input: number): Made =>
  (_node, at) =>
    product(at(input));

const windowSize: Made = (_node, at) => at(0)?.[0];

/** Elements that come out at least. Those of the input count as one where nothing says how many there are. */
const MAKERS: ReadonlyMap<string, Made> = new Map<string, Made>([
  ['ConstantOfShape', shapeAt(0)],
  ['Expand', shapeAt(1)],
  ['Tile', shapeAt(1)],
  ['CenterCropPad', shapeAt(1)],
  ['Col2Im', shapeAt(1)],
  ['MaxUnpool', shapeAt(2)],
  ['OneHot', (_node, at) => at(1)?.[0]],
  ['HannWindow', windowSize],
  ['HammingWindow', windowSize],
  ['BlackmanWindow', windowSize],
  ['RandomNormal', ({ numbers }) => product(numbers.get('shape'))],
  ['RandomUniform', ({ numbers }) => product(numbers.get('shape'))],
  // Sizes, or scales; the scales of opset 10 are the second input.
  ['Resize', (_node, at) => product(at(3)) ?? product(at(2)) ?? product(at(1))],
  ['Upsample', ({ numbers }, at) => product(at(1)) ?? product(numbers.get('scales'))],
  [
    'Range',
    (_node, at) => {
      const [start, limit, delta] = [at(0)?.[0], at(1)?.[0], at(2)?.[0]];
      if (start === undefined || limit === undefined || delta === undefined) return undefined;
      // No step is no end.
      return delta === 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.ceil((limit - start) / delta));
    },
  ],
  [
    'Pad',
    ({ numbers }, at) => {
      const pads = at(1) ?? numbers.get('pads') ?? numbers.get('paddings');
      if (pads === undefined) return undefined;
      const rank = pads.length >> 1;
      return product(Array.from({ length: rank }, (_, axis) => (pads[axis] ?? 0) + (pads[axis + rank] ?? 0)));
    },
  ],
]);

/** Whether an operator of ONNX's own may make much of little, so that it is worth keeping until its inputs are known. */
export const makes = (op: string): boolean => MAKERS.has(op);

/** Elements that the node makes at least, as far as the file tells. */
export function madeElements(node: NodeFacts, valuesOf: ValuesOf): number | undefined {
  const at = (input: number): readonly number[] | undefined => {
    const name = node.inputs[input];
    return name === undefined || name === '' ? undefined : valuesOf(name);
  };
  return MAKERS.get(node.op)?.(node, at);
}

/** What a Constant node holds, where it is a few numbers; its tensor aside. */
export function constantValues({ numbers }: NodeFacts): readonly number[] | undefined {
  for (const name of ['value_int', 'value_ints', 'value_float', 'value_floats']) {
    const values = numbers.get(name);
    if (values !== undefined) return values;
  }
  return undefined;
}

/** Turns of a loop above which it is as good as endless. */
const TURNS_MAX = 2 ** 31;

/** Whether nothing in the file bounds the turns of a Loop node. */
export function isEndless(node: NodeFacts, valuesOf: ValuesOf): boolean {
  const [trips = ''] = node.inputs;
  if (trips === '') return true;
  const [turns = 0] = valuesOf(trips) ?? [];
  return turns > TURNS_MAX;
}
