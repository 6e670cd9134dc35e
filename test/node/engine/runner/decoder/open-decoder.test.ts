// Decoders as a runner opens them, on small graphs: in the form that their graph allows, and gone when they are unloaded.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buildManifest } from '../../../../../models/build-manifest.ts';
import type { Manifest } from '../../../../../models/manifest.ts';
import { type AttributeValue, attribute } from '../../../../../models/onnx/attributes.ts';
import { TensorProto_DataType as DataType, type ModelProto } from '../../../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../../../models/onnx/model-file.ts';
import { plainDecoder } from '../../../../../node/engine/runner/decoder/text-decoder.ts';
import { LoadedModel } from '../../../../../node/engine/runner/loaded-model.ts';
import { runGraph } from '../../../../../node/engine/runner/session.ts';
import { Turns } from '../../../../../node/engine/runner/turns.ts';
import type { TokenRun } from '../../../../../protocol/codec.ts';
import { type NamedTensor, tensorOf } from '../../../../../protocol/tensor.ts';
import { GROUPED } from '../../../../models/onnx/decoders/config.ts';
import { writeDecoder } from '../../../../models/onnx/decoders/folder.ts';
import { gqaPacked, gqaSeparate } from '../../../../models/onnx/decoders/fused.ts';
import { plainOptimum } from '../../../../models/onnx/decoders/plain.ts';
import { Edit } from '../../../../models/onnx/kv-rewrite/edits.ts';
import { checkOf } from '../../../../models/onnx/kv-rewrite/support.ts';
import { temporaryFolder } from '../../../../models/temporary.ts';
import { request } from './toy-loop.ts';

/** Sets attributes of attention in every layer. */
function withAttention(model: ModelProto, attributes: Readonly<Record<string, AttributeValue>>): ModelProto {
  const edit = new Edit(model, GROUPED);
  for (const node of edit.nodes('GroupQueryAttention')) {
    const given = Object.entries(attributes).map(([name, value]) => attribute(name, value));
    node.attribute = [...node.attribute.filter(({ name }) => !(name in attributes)), ...given];
  }
  edit.editor.finish();
  return model;
}

/** The same decoder with a cache of float16, between casts. */
function withHalfCache(model: ModelProto): ModelProto {
  const edit = new Edit(model, GROUPED);
  const { graph } = edit.editor;
  for (const port of [...graph.input, ...graph.output]) {
    if (/^(past_key_values|present)\./.test(port.name) && port.type?.value.case === 'tensorType') {
      port.type.value.value.elemType = DataType.FLOAT16;
    }
  }
  const cast = (tensor: string, to: DataType): string => edit.op('Cast', [tensor], { to: BigInt(to) });
  for (const node of edit.nodes('Concat')) {
    const present = node.output[0] ?? '';
    if (!present.startsWith('present.')) continue;
    edit.before(node, 1, (x) => cast(x, DataType.FLOAT16));
    edit.behind(present, (x) => cast(x, DataType.FLOAT));
  }
  edit.editor.finish();
  return model;
}

const never = new AbortController().signal;
const sequence = { ids: [5, 6, 7, 8, 9], count: 30 };

async function open(
  more: { readonly model?: ModelProto; readonly decoderChecked?: boolean; readonly kvBytesMax?: number } = {},
): Promise<LoadedModel> {
  const { model, decoderChecked = false, kvBytesMax = 2 ** 24 } = more;
  const root = await temporaryFolder();
  const { folder, graph, manifest: written } = await writeDecoder(root, 'gqaSeparate');
  let manifest: Manifest = written;
  if (model !== undefined) {
    await writeFile(graph, writeModel(model));
    manifest = await buildManifest(folder);
    await writeFile(join(folder, 'weft-manifest.json'), JSON.stringify(manifest));
  }
  const settings = { threads: 1, shareCores: true, verifyLarge: true, exact: false, sequencesMax: 4 };
  const init = { folder, manifest, kvBytesMax, decoderChecked, ...settings };
  const opened = await LoadedModel.open(init, new Turns({ flushed: () => undefined }), never);
  const release = opened.release.bind(opened);
  let released: Promise<void> | undefined;
  opened.release = () => {
    released ??= release();
    return released;
  };
  onTestFinished(opened.release);
  return opened;
}

async function generated(
  { decoder }: Pick<LoadedModel, 'decoder'>,
  item: (run: TokenRun) => Promise<void> | undefined = () => undefined,
): Promise<number[]> {
  const tokens: number[] = [];
  const onItem = (run: TokenRun): Promise<void> | undefined => {
    tokens.push(...run.ids);
    return item(run);
  };
  await decoder?.generate(request(sequence.ids, sequence.count), { signal: never, item: onItem });
  return tokens;
}

/** The first id by the graph as it was exported. */
async function firstByGraph(model: LoadedModel): Promise<number> {
  const { ids } = sequence;
  const { kvHeads, headSize, vocabulary } = GROUPED;
  const inputs = model.manifest.inputs.map(({ name }): NamedTensor => {
    if (name.startsWith('past')) return tensorOf(name, 'float32', [1, kvHeads, 0, headSize], new Float32Array(0));
    const values = name === 'input_ids' ? ids : ids.map((_, index) => (name === 'position_ids' ? index : 1));
    return tensorOf(name, 'int64', [1, ids.length], BigInt64Array.from(values, BigInt));
  });
  const ref = { id: 'tests/gqaSeparate', digest: '' };
  const [logits] = await model.withGraph((session) => runGraph(session, { model: ref, inputs, outputs: ['logits'] }));
  const all = new Float32Array(logits?.data.slice().buffer ?? new ArrayBuffer(0));
  const last = all.subarray(all.length - vocabulary);
  return last.indexOf(Math.max(...last));
}

describe('a decoder', () => {
  it.each([
    ['compared with the original', false],
    ['as it was found good before', true],
  ])('of a known graph is rewritten, %s', async (_what, decoderChecked) => {
    const model = await open({ decoderChecked });
    expect(model.decoder?.form).toBe('rewritten');
    expect(model.decoderReason).toBeUndefined();
    expect(await generated(model)).toHaveLength(sequence.count);
  });

  it('of a graph that is not known runs as it was exported, and says why', async () => {
    const model = await open({ model: withAttention(gqaSeparate(GROUPED), { smooth_softmax: 1n }) });
    expect(model.decoder?.form).toBe('plain');
    expect(model.decoderReason).toMatch(/smooth|softmax|not known/i);
    expect((await generated(model))[0]).toBe(await firstByGraph(model));
  });

  it('says the same in both forms', async () => {
    const model = await open();
    const { manifest } = model;
    const plain = await model.withGraph(async (session) => {
      const turns = new Turns({ flushed: () => undefined });
      const init = { manifest, turns, kvBytesMax: 0, sequencesMax: 1, exact: false };
      return generated({ decoder: plainDecoder(session, init) });
    });
    expect(await generated(model)).toEqual(plain);
  });

  it('keeps float16 where its graph does, in both forms', async () => {
    const model = await open({ model: withHalfCache(plainOptimum(GROUPED)) });
    expect(model.decoderReason).toBeUndefined();
    expect(model.decoder?.form).toBe('rewritten');
    expect(model.decoder?.kvBytesPerToken).toBe(2 * GROUPED.layers * GROUPED.kvHeads * GROUPED.headSize * 2);
    const { manifest } = model;
    const [first] = await generated(model);
    const plain = await model.withGraph(async (session) => {
      const turns = new Turns({ flushed: () => undefined });
      const init = { manifest, turns, kvBytesMax: 0, sequencesMax: 1, exact: false };
      return generated({ decoder: plainDecoder(session, init) });
    });
    expect(plain[0]).toBe(first);
    expect(plain).toHaveLength(sequence.count);
  });

  it('whose numbers are wrong once rewritten is found out; the same with the right ones is not', async () => {
    const exported = gqaPacked(GROUPED);
    const scale = 1 / Math.sqrt(GROUPED.headSize);
    const wrong = withAttention(gqaPacked(GROUPED), { scale: 1.2 * scale });
    expect(await checkOf(wrong, exported, GROUPED)).toMatch(/its logits differ/);
    expect(await checkOf(withAttention(gqaPacked(GROUPED), { scale }), exported, GROUPED)).toBeUndefined();
  });

  it('lends its graph as it was exported to whoever asks, many at once, and to itself after that', async () => {
    const model = await open();
    const firsts = await Promise.all([firstByGraph(model), firstByGraph(model), firstByGraph(model)]);
    const [first] = await generated(model);
    expect(firsts).toEqual([first, first, first]);
    expect(await firstByGraph(model)).toBe(first);
  });

  it('ends what is under way when it is unloaded, and then runs nothing', async () => {
    const model = await open();
    let released: Promise<void> | undefined;
    const outcome = generated(model, () => {
      released ??= model.release();
      return undefined;
    });
    await expect(outcome).rejects.toMatchObject({ code: 'stopping', elsewhere: true });
    await released;
    await expect(generated(model)).rejects.toMatchObject({ code: 'stopping' });
    expect(model.decoder?.stats).toMatchObject({ sequences: 0, waiting: 0, kvBytes: 0 });
  });
});
