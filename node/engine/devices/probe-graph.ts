// The two small graphs that a device is measured with, written byte by byte: protobuf's wire format needs no library for
// this. Used by probe.ts.

/** Square matrices that are multiplied one after the other in one run. */
export const PRODUCTS = 8;

const OPSET = 17;
const IR_VERSION = 8;
const FLOAT = 1;

/** `y = max(x · x · … · x)` of float32 `x` [n, n], with {@link PRODUCTS} products: nearly all of a run is computing. */
export function productsGraph(): Uint8Array {
  const nodes = Array.from({ length: PRODUCTS }, (_, index) =>
    node('MatMul', [index === 0 ? 'x' : `p${index}`, 'x'], `p${index + 1}`),
  );
  return model([...nodes, node('ReduceMax', [`p${PRODUCTS}`], 'y')], ['one', 'one']);
}

/** `y = x + x` of float32 `x` [n, n]: nearly all of a run is bringing bytes there and back. */
export function copyGraph(): Uint8Array {
  return model([node('Add', ['x', 'x'], 'y')], ['n', 'n']);
}

function model(nodes: readonly Uint8Array[], outputDims: readonly string[]): Uint8Array {
  const graph = concat([
    ...nodes.map((bytes) => field(1, bytes)),
    field(2, text('g')),
    field(11, valueInfo('x', ['n', 'n'])),
    field(12, valueInfo('y', outputDims)),
  ]);
  return concat([varintField(1, IR_VERSION), field(7, graph), field(8, varintField(2, OPSET))]);
}

const node = (operator: string, inputs: readonly string[], output: string): Uint8Array =>
  concat([...inputs.map((name) => field(1, text(name))), field(2, text(output)), field(4, text(operator))]);

function valueInfo(name: string, dims: readonly string[]): Uint8Array {
  const shape = concat(dims.map((dim) => field(1, field(2, text(dim)))));
  const tensor = concat([varintField(1, FLOAT), field(2, shape)]);
  return concat([field(1, text(name)), field(2, field(1, tensor))]);
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const varintField = (number: number, value: number): Uint8Array => concat([varint(number << 3), varint(value)]);

const field = (number: number, bytes: Uint8Array): Uint8Array =>
  concat([varint((number << 3) | 2), varint(bytes.length), bytes]);

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
