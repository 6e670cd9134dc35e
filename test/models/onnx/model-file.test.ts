import { open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { create, fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { INLINE_TENSOR_BYTES_MAX } from '../../../models/limits.ts';
import { GraphEditor } from '../../../models/onnx/graph.ts';
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
  TensorProtoSchema,
} from '../../../models/onnx/messages/onnx_pb.js';
import { readModel, readModelFrom, writeModel } from '../../../models/onnx/model-file.ts';
import { type ByteSource, memorySource } from '../../../models/onnx/protobuf.ts';
import { floatTensor, valueInfo } from '../../../models/onnx/tensors.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { runs } from '../../support/property.ts';
import { MINILM, SMOLLM2 } from '../paths.ts';
import { temporaryFolder } from '../temporary.ts';
import { externalTensor, type Field, message, model, port, tinyGraph, varint } from './onnx-bytes.ts';

const MINILM_GRAPH = join(MINILM, 'onnx', 'model_int8.onnx');
const SMOLLM2_GRAPH = join(SMOLLM2, 'onnx', 'model_q4.onnx');
const OUTPUT: Field = [12, port('y', 1, [1])];
const LARGE = INLINE_TENSOR_BYTES_MAX + 4;

const read = (bytes: Uint8Array): ModelProto => readModelFrom(memorySource(bytes), 'model.onnx');
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

const references = (from: ModelProto): Record<string, string>[] =>
  (from.graph?.initializer ?? []).map(({ externalData }) =>
    Object.fromEntries(externalData.map(({ key, value }) => [key, value])),
  );

const sessionOf = (bytes: Uint8Array, folder: string): Promise<InferenceSession> =>
  InferenceSession.create(bytes, {
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });

/** Feeds for a graph of the usual names: no past, one sequence of a few tokens. */
function feedsOf(session: InferenceSession): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const input of session.inputMetadata) {
    if (!input.isTensor) continue;
    const dims = input.shape.map((dim) =>
      typeof dim === 'number' ? dim : /^past/.test(dim) ? 0 : /batch/.test(dim) ? 1 : 6,
    );
    const count = dims.reduce((product, dim) => product * dim, 1);
    const value = (index: number): bigint =>
      input.name === 'input_ids' ? BigInt(1000 + 17 * index) : input.name === 'attention_mask' ? 1n : 0n;
    feeds[input.name] =
      input.type === 'int64'
        ? new Tensor(
            'int64',
            BigInt64Array.from({ length: count }, (_, index) => value(index)),
            dims,
          )
        : new Tensor('float32', new Float32Array(count), dims);
  }
  return feeds;
}

describe('reading a model to edit it', () => {
  it.each([
    ['with its weights inside', MINILM_GRAPH, 'last_hidden_state'],
    ['with its weights beside it', SMOLLM2_GRAPH, 'logits'],
  ])('gives a graph %s that answers as the file does', async (_where, path, output) => {
    const bytes = writeModel(readModel(path));
    expect(bytes.byteLength).toBeLessThan(320_000);
    const plain = await InferenceSession.create(path);
    const read = await sessionOf(bytes, dirname(path));
    const feeds = feedsOf(plain);
    const expected = (await plain.run(feeds))[output];
    expect((await read.run(feeds))[output]?.data).toEqual(expected?.data);
    await Promise.all([plain.release(), read.release()]);
  });

  it('refers to large tensors where they lie, and keeps small ones', () => {
    const { initializer = [] } = readModel(MINILM_GRAPH).graph ?? {};
    const external = initializer.filter(({ dataLocation }) => dataLocation === DataLocation.EXTERNAL);
    expect(initializer).toHaveLength(160);
    expect(external.length).toBeGreaterThan(30);
    for (const tensor of external) expect(tensor.rawData).toHaveLength(0);
    for (const tensor of initializer) expect(tensor.rawData.byteLength).toBeLessThanOrEqual(INLINE_TENSOR_BYTES_MAX);
    const at = readModel(SMOLLM2_GRAPH).graph?.initializer.find(({ externalData }) => externalData.length > 0);
    expect(at?.externalData.map(({ value }) => value)).toEqual(['model_q4.onnx_data', '0', '28311552']);
  });

  it('opens a file of 3 GB', async () => {
    const path = join(await temporaryFolder(), 'large.onnx');
    const weights = 3 * 2 ** 30;
    const tensorHead = message([
      [1, weights / 4],
      [2, DataType.FLOAT],
    ]);
    const tensorTail = message([[8, 'w']]);
    const rawTag = Uint8Array.from([(9 << 3) | 2, ...varint(weights)]);
    const tensorBytes = tensorHead.byteLength + rawTag.byteLength + weights + tensorTail.byteLength;
    const tensorTag = Uint8Array.from([(5 << 3) | 2, ...varint(tensorBytes)]);
    const graphTail = message([OUTPUT]);
    const graphTag = Uint8Array.from([
      (7 << 3) | 2,
      ...varint(tensorTag.byteLength + tensorBytes + graphTail.byteLength),
    ]);
    const head = Buffer.concat([message([[1, 10]]), graphTag, tensorTag, tensorHead, rawTag]);
    await using handle = await open(path, 'w');
    await handle.write(head);
    await handle.write(Buffer.concat([tensorTail, graphTail]), 0, null, head.byteLength + weights);
    const model = readModel(path);
    expect(references(model)).toEqual([
      { location: 'large.onnx', offset: String(head.byteLength), length: String(weights) },
    ]);
    expect(model.graph?.initializer[0]?.name).toBe('w');
  });

  it('looks at no byte of the weights but by the way', () => {
    const bytes = model([
      [
        5,
        [
          [1, 1 << 22],
          [2, DataType.FLOAT],
          [8, 'w'],
          [9, new Uint8Array(4 << 22)],
        ],
      ],
      OUTPUT,
    ]);
    let looked = 0;
    const inner = memorySource(bytes);
    const source: ByteSource = {
      sizeBytes: inner.sizeBytes,
      view: (offset, length) => {
        looked += length;
        return inner.view(offset, length);
      },
    };
    readModelFrom(source, 'model.onnx');
    expect(looked).toBeLessThan(4096);
  });

  it('refers to packed floats too, which are the same bytes, and to nothing that is packed otherwise', async () => {
    const weights = Float32Array.from({ length: 70 * 70 }, (_, index) => Math.sin(index));
    const folder = await temporaryFolder();
    const bytes = matMul(70, [[4, new Uint8Array(weights.buffer)]]);
    await writeFile(join(folder, 'model.onnx'), bytes);
    const read = readModel(join(folder, 'model.onnx'));
    expect(references(read)).toEqual([expect.objectContaining({ location: 'model.onnx', length: '19600' })]);
    expect(await product(await sessionOf(writeModel(read), folder), 70)).toEqual(
      await product(await InferenceSession.create(bytes), 70),
    );
    const halves = model([
      [
        5,
        [
          [1, LARGE],
          [2, DataType.FLOAT16],
          [5, new Uint8Array(LARGE)],
          [8, 'w'],
        ],
      ],
      OUTPUT,
    ]);
    expect(references(readModelFrom(memorySource(halves), 'model.onnx'))).toEqual([{}]);
  });

  it.each([0, 1, 2, 3])('gives the runtime weights that begin %i bytes behind a multiple of four', async (odd) => {
    const weights = Float32Array.from({ length: 70 * 70 }, (_, index) => Math.cos(index));
    const folder = await temporaryFolder();
    // The document string moves what follows.
    const bytesAt = (text: string): Uint8Array =>
      matMul(70, [
        [12, text],
        [9, new Uint8Array(weights.buffer)],
      ]);
    const text = ['', 'x', 'xx', 'xxx']
      .map((shift) => `doc${shift}`)
      .find((candidate) => Number(references(read(bytesAt(candidate)))[0]?.offset) % 4 === odd);
    const bytes = bytesAt(text ?? '');
    await writeFile(join(folder, 'model.onnx'), bytes);
    const edited = writeModel(readModel(join(folder, 'model.onnx')));
    expect(await product(await sessionOf(edited, folder), 70)).toEqual(
      await product(await InferenceSession.create(bytes), 70),
    );
  });

  it('keeps what it does not know', () => {
    const bytes = message([
      [7, [OUTPUT, [900, 'later']]],
      [901, 77],
    ]);
    expect(Buffer.from(writeModel(read(bytes))).includes('later')).toBe(true);
    expect(read(writeModel(read(bytes))).$unknown).toHaveLength(1);
  });
});

describe('refusing a model', () => {
  /** Sequences of sequences of …, which only the schema knows to be nested. */
  function nestedType(depth: number): Field[] {
    let type: Field[] = [[1, [[1, 1]]]];
    for (let level = 0; level < depth; level++) type = [[4, [[1, type]]]];
    return [
      [
        13,
        [
          [1, 'x'],
          [2, type],
        ],
      ],
      OUTPUT,
    ];
  }

  it.each([
    [
      'two graphs',
      message([
        [7, [OUTPUT]],
        [7, [OUTPUT]],
      ]),
      /two graphs/,
    ],
    ['no graph', message([[1, 10]]), /no graph/],
    ['a graph that gives nothing', model([[11, port('x', 1, [1])]]), /gives nothing/],
    ['types nested without end', model(nestedType(40)), /nested too deeply/],
    ['a number where a message should be', model([[1, 5], OUTPUT]), /wire type of "node"/],
    [
      'a message where a number should be',
      message([
        [1, 'x'],
        [7, [OUTPUT]],
      ]),
      /wire type of "ir_version"/,
    ],
    ['a packed number without an end', model([[5, [[1, Uint8Array.of(0x80)]]], OUTPUT]), /wire type of "dims"/],
    ['three bytes of floats', model([[5, [[4, new Uint8Array(3)]]], OUTPUT]), /wire type of "float_data"/],
    [
      'a tensor with its bytes in two places',
      model([[5, [...externalTensor('w', 'w.bin'), [9, new Uint8Array(LARGE)]]], OUTPUT]),
      /two places/,
    ],
  ])('with %s', (_what, bytes, pattern) => {
    expect(errorOf(() => read(bytes))).toEqual(corrupt(pattern));
  });

  it('that would take 200 times its size in memory, as the plain decoder would let it', () => {
    // Two bytes each, some 500 on the heap. The twin takes a twentieth of them, to be kind to the machine.
    const nodes = (count: number): Uint8Array => {
      const body = new Uint8Array(2 * count);
      for (let index = 0; index < body.length; index += 2) body[index] = 0x0a;
      const tail = message([OUTPUT]);
      return Buffer.concat([Uint8Array.from([0x3a, ...varint(body.length + tail.length)]), body, tail]);
    };
    expect(errorOf(() => read(nodes(1.2e6)))).toEqual(corrupt(/too much in it/));
    expect(fromBinary(ModelProtoSchema, nodes(60_000)).graph?.node).toHaveLength(60_000);
  });

  it('whose lengths are written as numbers, which the plain decoder follows', () => {
    // Tag of a node as a varint, its "value" the length of what follows.
    const node = message([[4, 'Relu']]);
    const graph = Buffer.concat([Uint8Array.from([0x08, node.length]), node, message([OUTPUT])]);
    const bytes = message([[7, graph]]);
    expect(fromBinary(ModelProtoSchema, bytes).graph?.node[0]?.opType).toBe('Relu');
    expect(errorOf(() => read(bytes))).toEqual(corrupt(/wire type of "node"/));
  });

  it('for any bytes with a typed error, and editing what it takes ends so too', () => {
    const good = [tinyGraph('w.bin'), nestedGraphs(), writeModel(readModel(MINILM_GRAPH)).subarray(0, 4000)];
    const damaged = fc
      .tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }))
      .map(([bytes, changes]) => {
        const changed = Uint8Array.from(bytes);
        for (const [index, byte] of changes) changed[index % changed.length] = byte;
        return changed;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        try {
          const editor = new GraphEditor(read(bytes));
          for (const node of editor.nodes) for (const name of node.input) editor.constant(name);
          for (const node of editor.nodes) editor.replaceUses(node.input[0] ?? '', editor.freshName('x'));
          writeModel(editor.finish());
        } catch (error) {
          expect(error).toBeInstanceOf(WeftError);
          expect((error as WeftError).code).toBe('model_corrupt');
        }
      }),
      runs(1_000),
    );
  });
});

/** y = x · w, with w in these fields. */
function matMul(size: number, weights: readonly Field[]): Uint8Array {
  return message([
    [1, 10],
    [
      7,
      [
        [
          1,
          [
            [1, 'x'],
            [1, 'w'],
            [2, 'y'],
            [4, 'MatMul'],
          ],
        ],
        [2, 'g'],
        [5, [[1, size], [1, size], [2, DataType.FLOAT], [8, 'w'], ...weights]],
        [11, port('x', 1, [1, size])],
        [12, port('y', 1, [1, size])],
      ],
    ],
    [8, [[2, 17]]],
  ]);
}

async function product(session: InferenceSession, size: number): Promise<unknown> {
  const x = new Tensor(
    'float32',
    Float32Array.from({ length: size }, (_, index) => index % 7),
    [1, size],
  );
  const { y } = await session.run({ x });
  await session.release();
  return y?.data;
}

/** A graph with a graph in it, a constant and a tensor without values. */
function nestedGraphs(): Uint8Array {
  const model = create(ModelProtoSchema, { irVersion: 10n, graph: { name: 'g' } });
  const editor = new GraphEditor(model);
  editor.addInput(valueInfo('x', DataType.FLOAT, ['n', 4]));
  editor.addInitializer(floatTensor('scale', [4], [1, 2, 3, 4]));
  editor.addInitializer(create(TensorProtoSchema, { name: 'empty', dims: [0n], dataType: DataType.INT64 }));
  const scaled = editor.apply('Mul', ['x', 'scale']);
  const branch = create(ModelProtoSchema, { graph: { name: 'then' } });
  const inner = new GraphEditor(branch);
  inner.addNode({ op: 'Relu', inputs: [scaled], outputs: ['branch_y'], attributes: { alpha: 0.5, axes: [1n, -1n] } });
  inner.addOutput(valueInfo('branch_y', DataType.FLOAT, ['n', 4]));
  const flag = editor.apply('Constant', [], { value_int: 1n });
  editor.addNode({ op: 'If', inputs: [flag], outputs: ['y'], attributes: { then_branch: inner.graph } });
  editor.addOutput(valueInfo('y', DataType.FLOAT, ['n', 4]));
  return writeModel(editor.finish());
}
