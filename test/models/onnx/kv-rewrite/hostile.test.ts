import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GenerationSpec } from '../../../../models/manifest.ts';
import { rewriteDecoder } from '../../../../models/onnx/kv-rewrite/rewrite.ts';
import type { ModelProto } from '../../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../../models/onnx/model-file.ts';
import { runs } from '../../../support/property.ts';
import { DECODERS, type DecoderName } from '../decoders/folder.ts';
import { MODEST_KINDS, MUTATION_KINDS, mutate } from './mutations.ts';
import { checkOf, copyOf, openPlain, openRewritten, releaseAll, specOf, worstDifference } from './support.ts';

const NAMES = Object.keys(DECODERS) as DecoderName[];
/** Each way is written once; mutations work on copies. */
const MODELS = Object.fromEntries(NAMES.map((name) => [name, DECODERS[name].write(DECODERS[name].config)])) as Record<
  DecoderName,
  ModelProto
>;

const place = fc.nat(100_000);
const mutationsOf = (kind: fc.Arbitrary<number>) =>
  fc.array(fc.record({ kind, place, other: place, value: place }), { minLength: 1, maxLength: 4 });
const mutations = mutationsOf(fc.nat(MUTATION_KINDS - 1));
const modest = mutationsOf(fc.constantFrom(...MODEST_KINDS));
const sizes = fc.constantFrom(1, 2, 3, 4, 5, 16, 17, 300, 4096, 2 ** 31, Number.MAX_SAFE_INTEGER);
const specs = fc.record({
  layers: fc.constantFrom(0, 1, 2, 3, 4, 2 ** 31, Number.MAX_SAFE_INTEGER),
  kvHeads: sizes,
  headSize: sizes,
  vocabularySize: sizes,
  eosIds: fc.constant([2]),
});

describe('a damaged graph', () => {
  it('is rewritten or left alone, and nothing is thrown', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...NAMES),
        mutations,
        fc.option(specs, { freq: 4, nil: undefined }),
        (name, damage, spec) => {
          const model = copyOf(MODELS[name]);
          mutate(model, damage);
          const rewritten = rewriteDecoder(
            model,
            (spec as GenerationSpec | undefined) ?? specOf(DECODERS[name].config),
          );
          if ('reason' in rewritten) expect(rewritten.reason.length).toBeGreaterThan(10);
          else expect(writeModel(rewritten.model).byteLength).toBeGreaterThan(1000);
        },
      ),
      runs(1500),
    );
  }, 120_000);

  it('gives no wrong answers: the runtime refuses it, the check finds it, or it agrees with the plain loop', async () => {
    const { config } = DECODERS.plainOptimum;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('gqaPacked', 'plainOptimum', 'plainDerivedPositions' as const),
        modest,
        async (name, damage) => {
          const model = copyOf(MODELS[name]);
          mutate(model, damage);
          const passed = await checkOf(model, model, config).then(
            (reason) => reason === undefined,
            () => false,
          );
          if (!passed) return releaseAll();
          const difference = await worstDifference(
            await openRewritten(model, config),
            await openPlain(model, config),
            config,
          );
          await releaseAll();
          expect(difference).toBeLessThan(0.02);
        },
      ),
      runs(200),
    );
  }, 120_000);
});
