import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readOnnx, readOnnxFile } from '../../../models/onnx/parse.ts';
import { memorySource } from '../../../models/onnx/protobuf.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { runs } from '../../support/property.ts';
import { MINILM, SMOLLM2 } from '../paths.ts';
import { temporaryFolder } from '../temporary.ts';
import { externalTensor, type Field, message, model, port, tinyGraph, varint } from './onnx-bytes.ts';

const read = (bytes: Uint8Array) => readOnnx(memorySource(bytes));
const corrupt = (pattern: RegExp) =>
  expect.objectContaining({ code: 'model_corrupt', message: expect.stringMatching(pattern) });

function errorOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const OUTPUT: Field = [12, port('y', 1, [1])];

/** A graph in a node's attribute, in a graph, … */
function nested(depth: number): Field[] {
  let graph: Field[] = [[5, externalTensor('deep', 'deep.bin')]];
  for (let level = 0; level < depth; level++) graph = [[1, [[5, [[6, graph]]]]]];
  return [...graph, OUTPUT];
}

describe('reading an ONNX file', () => {
  it('gives what the bundled graphs take and give', () => {
    const smol = readOnnxFile(join(SMOLLM2, 'onnx', 'model_q4.onnx'));
    expect(smol.inputs).toHaveLength(62);
    expect(smol.inputs[2]).toEqual({
      name: 'past_key_values.0.key',
      type: 'float32',
      dims: ['batch_size', 3, 'past_sequence_length', 64],
    });
    expect(smol.outputs[0]).toEqual({
      name: 'logits',
      type: 'float32',
      dims: ['batch_size', 'sequence_length', 49152],
    });
    expect(smol.externalLocations).toEqual(['model_q4.onnx_data', 'model_q4.onnx_data_1', 'model_q4.onnx_data_2']);
    const mini = readOnnxFile(join(MINILM, 'onnx', 'model_int8.onnx'));
    expect(mini.inputs.map((input) => input.name)).toEqual(['input_ids', 'attention_mask', 'token_type_ids']);
    expect(mini.initializers).toHaveLength(160);
    expect(mini.externalLocations).toEqual([]);
  });

  it('leaves out inputs that only name an initializer, and names unnamed dimensions', () => {
    const summary = read(
      model([[5, externalTensor('w', 'w.bin')], [11, port('w', 1, [4])], [11, port('x', 10, [-1, '', 8])], OUTPUT]),
    );
    expect(summary.inputs).toEqual([{ name: 'x', type: 'float16', dims: ['?', '?', 8] }]);
    expect(summary.initializers).toEqual(['w']);
  });

  it('finds external data in inner graphs, attributes, sparse tensors and functions', () => {
    const bytes = message([
      [
        7,
        [
          [1, [[5, [[5, externalTensor('a', 'attribute.bin')]]]]],
          [1, [[5, [[11, [[5, externalTensor('b', 'inner.bin')]]]]]]],
          [
            15,
            [
              [1, externalTensor('c', 'values.bin')],
              [2, externalTensor('', 'indices.bin')],
            ],
          ],
          OUTPUT,
        ],
      ],
      [25, [[7, [[5, [[10, externalTensor('d', 'function.bin')]]]]]]],
    ]);
    expect(read(bytes).externalLocations).toEqual([
      'attribute.bin',
      'inner.bin',
      'values.bin',
      'indices.bin',
      'function.bin',
    ]);
  });

  it('takes nested graphs and refuses nesting without end', () => {
    expect(read(model(nested(4))).externalLocations).toEqual(['deep.bin']);
    expect(errorOf(() => read(model(nested(200))))).toEqual(corrupt(/nested too deeply/));
  });

  it.each([
    ['a length beyond the file', Uint8Array.from([0x3a, 0x7f, 0x01]), /beyond the end/],
    ['a length of 2^63', Uint8Array.from([0x3a, ...varint(1n << 63n)]), /beyond the end/],
    [
      'a field length beyond its message',
      model([[1, 'x'], OUTPUT]).map((byte, index) => (index === 5 ? 0x70 : byte)),
      /beyond|type|number|wire/,
    ],
    ['a varint without end', Uint8Array.from(Array(12).fill(0xff)), /no end|64 bits/],
    ['a group, which protobuf 3 has not', Uint8Array.from([0x3b]), /wire type/],
    ['no graph', message([[1, 10]]), /no graph/],
    [
      'two graphs',
      message([
        [7, [OUTPUT]],
        [7, [OUTPUT]],
      ]),
      /two graphs/,
    ],
    ['a graph without outputs', model([[11, port('x', 1, [1])]]), /gives nothing/],
    ['an element type that ONNX lacks', model([[12, port('y', 99, [1])]]), /element type 99/],
    ['a dimension of 2^60', model([[12, port('y', 1, [1n << 60n])]]), /out of range/],
    ['a rank of 17', model([[12, port('y', 1, Array(17).fill(1))]]), /too many dimensions/],
    ['a name of 600 bytes', model([[12, port('y'.repeat(600), 1, [1])]]), /600 bytes/],
    [
      'a name that is not UTF-8',
      model([
        [
          12,
          [
            [1, Uint8Array.from([0xff])],
            [2, [[1, [[1, 1]]]]],
          ],
        ],
      ]),
      /UTF-8/,
    ],
    ['an input without a type', model([[11, [[1, 'x']]], OUTPUT]), /no name or type/],
  ])('refuses %s', (_what, bytes, pattern) => {
    expect(errorOf(() => read(bytes))).toEqual(corrupt(pattern));
  });

  it('refuses a file that was cut off', async () => {
    const path = join(await temporaryFolder(), 'cut.onnx');
    await writeFile(path, tinyGraph('w.bin').subarray(0, 60));
    expect(errorOf(() => readOnnxFile(path))).toEqual(corrupt(/beyond the end/));
  });

  it('ends in an answer or a typed error for any bytes, and for any damage to a good file', () => {
    const good = tinyGraph('w.bin');
    const damaged = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const bytes = Uint8Array.from(good);
        for (const [index, byte] of changes) bytes[index] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        try {
          read(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WeftError);
          expect((error as WeftError).code).toBe('model_corrupt');
        }
      }),
      runs(2_000),
    );
  });
});
