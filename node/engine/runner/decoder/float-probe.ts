// Whether this machine computes products with weights of 4 bits faster on float activations than on activations rounded to
// 8 bits, and for how many rows. With AVX-512 it does for many: SmolLM2, one thread, processor time of a step in ms, rounded
// and float: 1 row 11 and 15, 8 rows 29 and 45, 64 rows 184 and 126, 128 rows 358 and 226, 256 rows 766 and 473; they are equal
// at about 20. (To measure it again: both forms in one process, steps of the two in turns, medians of process.cpuUsage: whatever
// else the machine does then disturbs little.) Asked by whoever opens a text generator; measured once per process.
import { create } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { attribute } from '../../../../models/onnx/attributes.ts';
import { floatActivations } from '../../../../models/onnx/float-activations.ts';
import {
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../../models/onnx/model-file.ts';
import { floatTensor, rawTensor, valueInfo } from '../../../../models/onnx/tensors.ts';
import { median } from '../../profile.ts';

/** From how many rows on float activations are faster; undefined where they aren't, or not clearly. */
export type FloatRows = () => Promise<number | undefined>;

/** A product in one of its two forms. */
export interface ProbedForm {
  /** Milliseconds of one product of so many rows. */
  ms(rows: number): Promise<number>;
  close(): Promise<void>;
}

/** A whole piece of a prompt, and the fewest rows for which a second form is ever used: prompts, not steps of sequences. */
const MANY_ROWS = 128;
const FEW_ROWS = 32;
/** Where few rows don't pay. */
const SOME_ROWS = 64;

/** A second form takes memory: float must win by this at many rows. 0.66 to 0.79 were measured with AVX-512. */
const MANY_SHARE_MAX = 0.85;
/** The probe's weights stay in the cache, which helps what is rounded: 0.98 here is 0.88 in a model. */
const FEW_SHARE_MAX = 1.05;

/** Rows and columns of the weights. Two sessions and all runs take 50 to 90 ms. */
const SIZE = 512;
const BLOCK = 32;
const ROUNDS = 11;
const WARM_ROUNDS = 2;

let known: Promise<number | undefined> | undefined;

/** As this machine is: measured when it is asked for the first time. Blocks this thread meanwhile. */
export const floatRows: FloatRows = () => {
  known ??= measureFloatRows().catch(() => undefined);
  return known;
};

/** Measures. @param open a product on float activations, or on rounded ones */
export async function measureFloatRows(
  open: (float: boolean) => Promise<ProbedForm> = openForm,
): Promise<number | undefined> {
  const rounded = await open(false);
  try {
    const float = await open(true);
    try {
      if (!((await shareOf(float, rounded, MANY_ROWS)) <= MANY_SHARE_MAX)) return undefined;
      return (await shareOf(float, rounded, FEW_ROWS)) <= FEW_SHARE_MAX ? FEW_ROWS : SOME_ROWS;
    } finally {
      await float.close();
    }
  } finally {
    await rounded.close();
  }
}

/** The time in float against the other: of pairs that run one after the other, so that what disturbs one disturbs both. */
async function shareOf(float: ProbedForm, rounded: ProbedForm, rows: number): Promise<number> {
  const shares: number[] = [];
  for (let round = 0; round < WARM_ROUNDS + ROUNDS; round++) {
    const roundedMs = await rounded.ms(rows);
    const floatMs = await float.ms(rows);
    if (round >= WARM_ROUNDS) shares.push(floatMs / roundedMs);
  }
  return median(shares);
}

/**
 * In one thread: it is kernels that are compared, which share rows and columns among threads alike. Two threads beside other
 * work gave anything between 0.6 and 1.1.
 */
async function openForm(float: boolean): Promise<ProbedForm> {
  const model = product();
  if (float) floatActivations(model);
  const session = await InferenceSession.create(writeModel(model), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    enableCpuMemArena: false,
  });
  const inputs = new Map<number, Tensor>();
  return {
    async ms(rows) {
      const values = inputs.get(rows) ?? new Tensor('float32', activations(rows * SIZE), [rows, SIZE]);
      inputs.set(rows, values);
      const begun = performance.now();
      await session.run({ rows: values });
      return performance.now() - begun;
    },
    close: () => session.release(),
  };
}

/** On rounded activations. */
function product(): ModelProto {
  const attributes = { K: SIZE, N: SIZE, bits: 4, block_size: BLOCK, accuracy_level: 4 };
  const blocks = SIZE / BLOCK;
  const weights = Uint8Array.from({ length: (SIZE * SIZE) / 2 }, (_, index) => index * 167);
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [
      { domain: '', version: 17n },
      { domain: 'com.microsoft', version: 1n },
    ],
    graph: {
      name: 'probe',
      node: [
        {
          opType: 'MatMulNBits',
          domain: 'com.microsoft',
          input: ['rows', 'weights', 'scales'],
          output: ['product'],
          attribute: Object.entries(attributes).map(([name, value]) => attribute(name, BigInt(value))),
        },
      ],
      initializer: [
        rawTensor('weights', DataType.UINT8, [SIZE, blocks, BLOCK / 2], weights),
        floatTensor('scales', [SIZE * blocks], new Float32Array(SIZE * blocks).fill(0.01)),
      ],
      input: [valueInfo('rows', DataType.FLOAT, ['count', SIZE])],
      output: [valueInfo('product', DataType.FLOAT, ['count', SIZE])],
    },
  });
}

const activations = (count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, index) => Math.sin(index));
