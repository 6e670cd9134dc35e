import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { GraphEditor } from '../../../../models/onnx/graph.ts';
import { rewriteDecoder } from '../../../../models/onnx/kv-rewrite/rewrite.ts';
import { readModel, writeModel } from '../../../../models/onnx/model-file.ts';
import { checkRewritten, referenceOf } from '../../../../node/engine/runner/decoder/check.ts';
import { RewrittenModel } from '../../../../node/engine/runner/decoder/rewritten-model.ts';
import { plainGenerator } from '../../../../node/engine/runner/generator.ts';
import { manifestOf, SMOLLM2 } from '../../paths.ts';
import { GROUPED, MULTI_HEAD } from '../decoders/config.ts';
import { DECODERS, type DecoderName } from '../decoders/folder.ts';
import { checkOf, openPlain, openRewritten, worstDifference } from './support.ts';

const WAYS = (Object.keys(DECODERS) as DecoderName[]).flatMap((name) =>
  // MultiHeadAttention has as many heads of keys as of queries.
  (name === 'mha' || name === 'mhaRotary' ? [MULTI_HEAD] : [GROUPED, MULTI_HEAD]).map(
    (config) => [name, config === GROUPED ? 'grouped' : 'multi-head', config] as const,
  ),
);

describe('a rewritten decoder', () => {
  it.each(WAYS)('%s, %s, gives the logits of the plain loop', async (name, _kind, config) => {
    const model = DECODERS[name].write(config);
    const rewritten = await openRewritten(model, config);
    expect(rewritten.layout).toMatchObject({ group: config.heads / config.kvHeads, windows: [0], type: 'float32' });
    expect(await worstDifference(rewritten, await openPlain(model, config), config)).toBeLessThan(1e-4);
    expect(await checkOf(model, model, config)).toBeUndefined();
  });

  it.each(WAYS)('%s, %s, keeps nothing of the past in its graph', (name, _kind, config) => {
    const model = DECODERS[name].write(config);
    const rewritten = rewriteDecoder(model, { ...config, vocabularySize: config.vocabulary, eosIds: [2] });
    expect(rewritten).not.toHaveProperty('reason');
    const inputs = model.graph?.input.map((port) => port.name) ?? [];
    expect(inputs.filter((input) => /^(past_key_values|attention_mask|position_ids)/.test(input))).toEqual([]);
    const ops = model.graph?.node.map((node) => node.opType) ?? [];
    expect(ops.filter((op) => op.endsWith('Attention') || op === 'Range' || op === 'CumSum')).toEqual([]);
    expect(new GraphEditor(model).nodes.length).toBeLessThan(100 * config.layers + 60);
  });

  it('SmolLM2 passes the check', async () => {
    const manifest = manifestOf(SMOLLM2);
    const graph = join(SMOLLM2, 'onnx', 'model_q4.onnx');
    const exported = await InferenceSession.create(graph);
    const spec = manifest.generation;
    if (spec === undefined) throw new Error('it generates');
    const reference = await referenceOf(plainGenerator(exported, manifest), spec.vocabularySize);
    await exported.release();
    const rewritten = rewriteDecoder(readModel(graph), spec);
    if ('reason' in rewritten) throw new Error(rewritten.reason);
    const session = await InferenceSession.create(writeModel(rewritten.model), {
      extra: { session: { model_external_initializers_file_folder_path: join(SMOLLM2, 'onnx') } },
    });
    onTestFinished(() => session.release());
    expect(await checkRewritten(new RewrittenModel(session, rewritten.layout), reference)).toBeUndefined();
  });
});
