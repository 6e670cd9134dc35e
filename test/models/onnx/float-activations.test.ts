// Which products are changed so that they work on float activations, and that they say nearly the same then.
import { create, fromBinary } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { type AttributeValue, attribute, intAttribute } from '../../../models/onnx/attributes.ts';
import { floatActivations } from '../../../models/onnx/float-activations.ts';
import {
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
} from '../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../models/onnx/model-file.ts';
import { floatTensor, rawTensor, valueInfo } from '../../../models/onnx/tensors.ts';

const SIZE = 64;
const BLOCK = 32;

interface Product {
  readonly domain?: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** Products of the same input with the same weights. */
function modelOf(...products: readonly Product[]): ModelProto {
  const blocks = SIZE / BLOCK;
  const weights = Uint8Array.from({ length: (SIZE * SIZE) / 2 }, (_, index) => index * 167);
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [
      { domain: '', version: 17n },
      { domain: 'com.microsoft', version: 1n },
    ],
    graph: {
      name: 'products',
      node: products.map(({ domain = 'com.microsoft', attributes }, index) => ({
        opType: 'MatMulNBits',
        domain,
        input: ['rows', 'weights', 'scales'],
        output: [`product_${index}`],
        attribute: Object.entries({ K: BigInt(SIZE), N: BigInt(SIZE), block_size: BigInt(BLOCK), ...attributes }).map(
          ([name, value]) => attribute(name, value),
        ),
      })),
      initializer: [
        rawTensor('weights', DataType.UINT8, [SIZE, blocks, BLOCK / 2], weights),
        floatTensor('scales', [SIZE * blocks], new Float32Array(SIZE * blocks).fill(0.01)),
      ],
      input: [valueInfo('rows', DataType.FLOAT, ['count', SIZE])],
      output: products.map((_, index) => valueInfo(`product_${index}`, DataType.FLOAT, ['count', SIZE])),
    },
  });
}

const rounded = { bits: 4n, accuracy_level: 4n };
const levels = ({ graph }: ModelProto): number[] =>
  (graph?.node ?? []).map((node) => intAttribute(node, 'accuracy_level', -1));

describe('floatActivations', () => {
  it('changes products of 4 bits that round their activations, those that leave the bits out included', () => {
    const model = modelOf({ attributes: rounded }, { attributes: { accuracy_level: 4n } });
    expect(floatActivations(model)).toBe(true);
    expect(levels(model)).toEqual([1, 1]);
    expect(floatActivations(model)).toBe(false);
  });

  it('leaves other bits, levels and operators as they are', () => {
    const model = modelOf(
      { attributes: { bits: 8n, accuracy_level: 4n } },
      { attributes: { bits: 4n, accuracy_level: 2n } },
      { attributes: { bits: 4n } },
      { domain: 'elsewhere', attributes: rounded },
    );
    expect(floatActivations(model)).toBe(false);
    expect(levels(model)).toEqual([4, 2, -1, 4]);
    expect(floatActivations(create(ModelProtoSchema, {}))).toBe(false);
  });

  it('refuses what is no such product at all', () => {
    expect(() => floatActivations(modelOf({ attributes: { ...rounded, bits: 4 } }))).toThrow(/wrong type/);
  });

  it('is computed by the runtime, up to what rounding makes of it', async () => {
    const model = modelOf({ attributes: rounded });
    const rows = new Tensor(
      'float32',
      Float32Array.from({ length: 40 * SIZE }, (_, at) => Math.sin(at)),
      [40, SIZE],
    );
    const product = async (of: ModelProto): Promise<Float32Array> => {
      const session = await InferenceSession.create(writeModel(of), { intraOpNumThreads: 1, logSeverityLevel: 3 });
      try {
        return (await session.run({ rows })).product_0?.data as Float32Array;
      } finally {
        await session.release();
      }
    };
    const before = await product(fromBinary(ModelProtoSchema, writeModel(model)));
    floatActivations(model);
    const after = await product(model);
    const most = Math.max(...before.map(Math.abs));
    const differs = Math.max(...before.map((value, at) => Math.abs(value - (after[at] as number))));
    expect(differs).toBeLessThan(0.03 * most);
  });
});
