// A decoder in its two forms side by side: as it was exported, in the plain loop, and rewritten.
import { fromBinary } from '@bufbuild/protobuf';
import { InferenceSession } from 'onnxruntime-node';
import { expect, onTestFinished } from 'vitest';
import type { GenerationSpec, Manifest } from '../../../../models/manifest.ts';
import { rewriteDecoder } from '../../../../models/onnx/kv-rewrite/rewrite.ts';
import {
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
  type ValueInfoProto,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../../models/onnx/model-file.ts';
import { checkRewritten, referenceOf } from '../../../../node/engine/runner/decoder/check.ts';
import { KvBlock } from '../../../../node/engine/runner/decoder/kv-block.ts';
import { RewrittenModel } from '../../../../node/engine/runner/decoder/rewritten-model.ts';
import { plainGenerator, type TextGeneratorFactory } from '../../../../node/engine/runner/generator.ts';
import { SeededRandom } from '../../../support/seeded.ts';
import type { DecoderConfig } from '../decoders/config.ts';

export const specOf = ({ layers, kvHeads, headSize, vocabulary }: DecoderConfig): GenerationSpec => ({
  layers,
  kvHeads,
  headSize,
  vocabularySize: vocabulary,
  eosIds: [2],
});

export const copyOf = (model: ModelProto): ModelProto => fromBinary(ModelProtoSchema, writeModel(model));

const TYPES: Readonly<Record<number, string>> = {
  [DataType.FLOAT]: 'float32',
  [DataType.FLOAT16]: 'float16',
  [DataType.INT64]: 'int64',
};

/** As much of a manifest as the plain loop reads. */
function manifestOf(model: ModelProto, config: DecoderConfig): Manifest {
  const ports = (of: readonly ValueInfoProto[] = []) =>
    of.map(({ name, type }) => {
      const elemType = type?.value.case === 'tensorType' ? type.value.value.elemType : 0;
      return { name, type: TYPES[elemType], dims: [] };
    });
  return {
    generation: specOf(config),
    contextLength: config.contextLength,
    inputs: ports(model.graph?.input),
    outputs: ports(model.graph?.output),
  } as unknown as Manifest;
}

const opened: InferenceSession[] = [];

/** Ends what was opened so far; happens by itself when a test ends. */
export async function releaseAll(): Promise<void> {
  for (const session of opened.splice(0)) await session.release();
}

async function sessionOf(model: ModelProto): Promise<InferenceSession> {
  const session = await InferenceSession.create(writeModel(model), { intraOpNumThreads: 1, logSeverityLevel: 3 });
  opened.push(session);
  onTestFinished(releaseAll);
  return session;
}

export async function openPlain(model: ModelProto, config: DecoderConfig): Promise<TextGeneratorFactory> {
  return plainGenerator(await sessionOf(model), manifestOf(model, config));
}

/** @throws where the rewriter gives a reason */
export async function openRewritten(model: ModelProto, config: DecoderConfig): Promise<RewrittenModel> {
  const rewritten = rewriteDecoder(copyOf(model), specOf(config));
  if ('reason' in rewritten) throw new Error(`not rewritten: ${rewritten.reason}`);
  return new RewrittenModel(await sessionOf(rewritten.model), rewritten.layout);
}

/** Why it is left alone; undefined when it is rewritten. */
export function reasonOf(model: ModelProto, config: DecoderConfig): string | undefined {
  const rewritten = rewriteDecoder(copyOf(model), specOf(config));
  return 'reason' in rewritten ? rewritten.reason : undefined;
}

/** What the check at load says of one model's rewritten form beside another as it was exported. */
export async function checkOf(rewritten: ModelProto, exported: ModelProto, config: DecoderConfig) {
  const reference = await referenceOf(await openPlain(exported, config), config.vocabulary);
  return checkRewritten(await openRewritten(rewritten, config), reference);
}

function idsOf(seed: number, count: number, vocabulary: number): Int32Array {
  const random = new SeededRandom(seed);
  return Int32Array.from({ length: count }, () => random.between(3, vocabulary - 1));
}

/** Logits behind every token. */
async function every(plain: TextGeneratorFactory, ids: Int32Array): Promise<Float32Array[]> {
  const generator = plain.open();
  const rows: Float32Array[] = [];
  for (let at = 0; at < ids.length; at++) {
    rows.push(Float32Array.from(await generator.step(ids.subarray(at, at + 1))));
  }
  generator.close();
  return rows;
}

/** The largest difference of two rows, against their spread. */
export function difference(row: Float32Array, wanted: Float32Array): number {
  const spread = Math.max(...wanted) - Math.min(...wanted);
  const most = wanted.reduce((sum, value, index) => {
    const each = Math.abs(value - (row[index] as number));
    return each <= sum ? sum : each;
  }, 0);
  return row.length === wanted.length ? most / spread : Number.NaN;
}

/**
 * Three sequences of different lengths in one block whose unused rows hold rubbish: prompts in pieces, single steps of
 * all, several new tokens of all on what they have, another capacity in between, and logits of some rows only.
 * @returns the largest difference from the plain loop
 */
export async function worstDifference(
  model: RewrittenModel,
  plain: TextGeneratorFactory,
  config: DecoderConfig,
  lengths: readonly number[] = [17, 9, 3],
): Promise<number> {
  const random = new SeededRandom(9);
  const texts = lengths.map((length, index) => idsOf(40 + index, length + 8, config.vocabulary));
  const wanted = await Promise.all(texts.map(async (ids) => every(plain, ids)));
  const block = new KvBlock(model.layout, lengths.length, Math.max(...lengths) + 2);
  const dirty = (): void => {
    for (const array of [...block.keys, ...block.values]) {
      // Of float16 these are the bits of numbers around 1.
      for (const index of array.keys()) array[index] = model.layout.type === 'float32' ? random.next() - 0.5 : 0x3c00;
    }
  };
  dirty();
  let worst = 0;
  const compare = (row: Float32Array, sequence: number, at: number): void => {
    const by = difference(row, wanted[sequence]?.[at] as Float32Array);
    if (!(by <= worst)) worst = by;
  };
  const run = async (slots: readonly number[], at: readonly number[], tokens: number, rows: readonly number[]) => {
    const ids = slots.flatMap((slot, index) => [
      ...(texts[slot] as Int32Array).subarray(at[index], (at[index] as number) + tokens),
    ]);
    const step = { block, firstSlot: slots[0] as number, lengths: at, ids: Int32Array.from(ids), wanted: rows };
    const result = await model.step(step);
    for (const [index, row] of rows.entries()) {
      const logits = result.logits.subarray(index * config.vocabulary, (index + 1) * config.vocabulary);
      const sequence = Math.floor(row / tokens);
      compare(logits, slots[sequence] as number, (at[sequence] as number) + (row % tokens));
    }
    for (const [index, slot] of slots.entries()) {
      block.append(result.rows, { index, tokens }, slot, at[index] as number, tokens);
    }
  };
  const slots = [...lengths.keys()];
  for (const slot of slots) {
    const length = lengths[slot] as number;
    const half = Math.ceil(length / 2);
    await run([slot], [0], half, slot === 0 ? [] : [half - 1]);
    await run(
      [slot],
      [half],
      length - half,
      [...Array(length - half).keys()].filter((row) => row % 2 === 0),
    );
  }
  let at = [...lengths];
  for (let step = 0; step < 2; step++) {
    await run(slots, at, 1, step === 0 ? slots : [lengths.length - 1]);
    at = at.map((length) => length + 1);
  }
  block.resize(lengths.length, block.capacity + 70, at);
  await run(
    slots,
    at,
    4,
    [1, 3, 4, 11].filter((row) => row < 4 * lengths.length),
  );
  at = at.map((length) => length + 4);
  await run(slots, at, 1, slots);
  block.close();
  expect(wanted.flat().every((row) => row.every(Number.isFinite))).toBe(true);
  return worst;
}
