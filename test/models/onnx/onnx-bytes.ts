// Writes the few protobuf fields of which tests make ONNX files, well-formed or not.

/** A varint field, or a length-delimited one. */
export type Field = readonly [number: number, value: number | bigint | string | Uint8Array | readonly Field[]];

export function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

export function message(fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [number, value] of fields) {
    if (typeof value === 'number' || typeof value === 'bigint') {
      parts.push(Uint8Array.from([...varint(number << 3), ...varint(value)]));
      continue;
    }
    const bytes = typeof value === 'string' ? Buffer.from(value) : value instanceof Uint8Array ? value : message(value);
    parts.push(Uint8Array.from([...varint((number << 3) | 2), ...varint(bytes.byteLength)]), bytes);
  }
  return Buffer.concat(parts);
}

/** A ValueInfoProto of a tensor. */
export const port = (name: string, elementType: number, dims: readonly (number | bigint | string)[]): Field[] => [
  [1, name],
  [
    2,
    [
      [
        1,
        [
          [1, elementType],
          [2, dims.map((dim): Field => [1, [[typeof dim === 'string' ? 2 : 1, dim]]])],
        ],
      ],
    ],
  ],
];

/** A TensorProto whose bytes lie in another file. */
export const externalTensor = (name: string, location: string): Field[] => [
  [1, 1],
  [2, 1],
  [8, name],
  [
    13,
    [
      [1, 'location'],
      [2, location],
    ],
  ],
  [14, 1],
];

/** A ModelProto with that graph. */
export const model = (graph: readonly Field[]): Uint8Array =>
  message([
    [1, 10],
    [7, graph],
  ]);

/** A graph that looks like MiniLM's from outside. */
export const tinyGraph = (location: string): Uint8Array =>
  model([
    [5, externalTensor('weights', location)],
    [11, port('input_ids', 7, ['batch', 'sequence'])],
    [11, port('attention_mask', 7, ['batch', 'sequence'])],
    [12, port('last_hidden_state', 1, ['batch', 'sequence', 384])],
  ]);
