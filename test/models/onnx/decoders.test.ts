import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TextTokenizer } from '../../../models/tasks/tokenizer.ts';
import { parseTokenizerConfig, parseTokenizerJson } from '../../../models/tasks/tokenizer-json.ts';
import { plainGenerator, type TextGeneratorFactory } from '../../../node/engine/runner/generator.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { temporaryFolder } from '../temporary.ts';
import { MULTI_HEAD } from './decoders/config.ts';
import { DECODERS, type DecoderName, writeDecoder } from './decoders/folder.ts';

const NAMES = Object.keys(DECODERS) as DecoderName[];

/** Twenty tokens of the small vocabulary. */
const IDS = ((): Int32Array => {
  const random = new SeededRandom(5);
  return Int32Array.from({ length: 20 }, () => random.between(3, 299));
})();

async function open(name: DecoderName, config?: Parameters<typeof writeDecoder>[2]) {
  const { graph, manifest } = await writeDecoder(await temporaryFolder(), name, config);
  const session = await InferenceSession.create(graph);
  onTestFinished(() => session.release());
  return { session, manifest, factory: plainGenerator(session, manifest) };
}

/** Logits behind all of the ids, without a past. */
async function whole(factory: TextGeneratorFactory, ids: Int32Array): Promise<Float32Array> {
  const generator = factory.open();
  const logits = Float32Array.from(await generator.step(ids));
  generator.close();
  return logits;
}

const difference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] as number))), 0);

describe('small decoders', () => {
  it.each(NAMES)('%s answers with its cache as without it', async (name) => {
    const { factory, manifest } = await open(name);
    expect(manifest.task).toBe('text-generation');
    const generator = factory.open();
    await generator.prefill(IDS.subarray(0, 5));
    await generator.prefill(IDS.subarray(5, 9));
    for (let end = 12; end <= IDS.length; end++) {
      const logits = await generator.step(IDS.subarray(end === 12 ? 9 : end - 1, end));
      expect(difference(logits, await whole(factory, IDS.subarray(0, end)))).toBeLessThan(1e-4);
    }
    generator.close();
  });

  it('are one model, however they are written', async () => {
    const ways = NAMES.filter((name) => name !== 'mha' && name !== 'mhaRotary');
    const answers = await Promise.all(ways.map(async (name) => whole((await open(name)).factory, IDS)));
    for (const answer of answers) expect(difference(answer, answers[0] as Float32Array)).toBeLessThan(1e-4);
    const many = await Promise.all(
      (['mhaRotary', 'plainOptimum', 'gqaPacked'] as const).map(async (name) =>
        whole((await open(name, MULTI_HEAD)).factory, IDS),
      ),
    );
    for (const answer of many) expect(difference(answer, many[0] as Float32Array)).toBeLessThan(1e-4);
    expect(difference(many[0] as Float32Array, answers[0] as Float32Array)).toBeGreaterThan(0.1);
  });

  it.each(NAMES)('%s answers by what came before, and in which order', async (name) => {
    const { factory } = await open(name);
    const swapped = Int32Array.from(IDS);
    [swapped[3], swapped[4]] = [IDS[4] as number, IDS[3] as number];
    const answer = await whole(factory, IDS);
    expect(difference(answer, await whole(factory, swapped))).toBeGreaterThan(0.01);
    expect(Math.max(...answer) - Math.min(...answer)).toBeGreaterThan(1);
  });

  it('come with a tokenizer that fills their vocabulary', async () => {
    const { folder, manifest } = await writeDecoder(await temporaryFolder(), 'gqaPacked');
    const tokenizer = new TextTokenizer(
      parseTokenizerJson(await readFile(join(folder, 'tokenizer.json'))),
      parseTokenizerConfig(await readFile(join(folder, 'tokenizer_config.json'))),
    );
    const text = 'the other tea, 12 × ünïcödé\n';
    const { ids } = tokenizer.encode(text, { tokensMax: 100, specialTokens: false });
    expect(ids.length).toBeLessThan(Buffer.byteLength(text));
    expect(Math.max(...ids)).toBeLessThan(300);
    expect(manifest.generation).toMatchObject({ vocabularySize: 300, eosIds: [2] });
  });

  it.each(['mha', 'mhaRotary', 'plainOptimum', 'plainDerivedPositions'] as const)(
    '%s leaves out what the mask hides',
    async (name) => {
      const { session, factory, manifest } = await open(name);
      const { layers, kvHeads, headSize } = manifest.generation ?? { layers: 0, kvHeads: 0, headSize: 0 };
      // A row of four ids behind two that are padding.
      const ids = [7, 7, ...IDS.subarray(0, 4)];
      const feeds: Record<string, Tensor> = {
        input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, 6]),
        attention_mask: new Tensor('int64', BigInt64Array.from([0n, 0n, 1n, 1n, 1n, 1n]), [1, 6]),
      };
      if (session.inputNames.includes('position_ids')) {
        feeds.position_ids = new Tensor('int64', BigInt64Array.from([1n, 1n, 0n, 1n, 2n, 3n]), [1, 6]);
      }
      for (let layer = 0; layer < layers; layer++) {
        for (const half of ['key', 'value']) {
          feeds[`past_key_values.${layer}.${half}`] = new Tensor('float32', [], [1, kvHeads, 0, headSize]);
        }
      }
      const { logits } = await session.run(feeds, ['logits']);
      const last = (logits as Tensor).data.slice(5 * 300) as Float32Array;
      expect(difference(last, await whole(factory, IDS.subarray(0, 4)))).toBeLessThan(1e-4);
    },
  );
});
