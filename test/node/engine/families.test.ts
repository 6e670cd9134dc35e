// Rerankers and speech models through the engine, on real runner processes: batches of pairs, transcripts that go on where
// a runner was lost, requests that don't fit the model.
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { EncodeRequest, GenerateRequest } from '../../../protocol/infer.ts';
import { tensorOf } from '../../../protocol/tensor.ts';
import { workOptions } from '../../compliance/engine-requests.ts';
import { temporaryFolder } from '../../models/temporary.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { tinyLogit, tinyReranker } from '../../support/tiny-reranker.ts';
import { TINY_SPEECH, tinySpeech } from '../../support/tiny-speech.ts';
import { minilm, startEngine } from './support.ts';

const { start, en, transcribe, frames, bins, eos } = TINY_SPEECH;

/** Pairs of random tokens, and where the first segment of each ends. */
function pairs({ ref }: InstalledModel, count: number, seed: number): EncodeRequest & { firstLengths: Int32Array } {
  const random = new SeededRandom(seed);
  const lengths = Int32Array.from({ length: count }, () => random.between(3, 64));
  const firstLengths = lengths.map((length) => random.between(1, length - 1));
  const ids = Int32Array.from({ length: lengths.reduce((sum, length) => sum + length, 0) }, () =>
    random.between(999, 30_000),
  );
  return { model: ref, ids, lengths, firstLengths, pooling: 'logits', normalize: false };
}

function logits({ ids, lengths, firstLengths }: ReturnType<typeof pairs>): number[] {
  let from = 0;
  return [...lengths].map((length, text) => {
    const own = ids.subarray(from, from + length);
    from += length;
    return tinyLogit(own, firstLengths[text] ?? 0);
  });
}

describe('a reranker', () => {
  it('gives each pair its logit, whatever shares its batch', async () => {
    const model = await tinyReranker(await temporaryFolder());
    await using started = await startEngine([model]);
    const requests = [1, 2, 3, 4, 5, 6].map((seed) => pairs(model, seed * 3, seed));
    const results = await Promise.all(requests.map((request) => started.engine.encode(request, workOptions())));
    for (const [index, { embeddings, dimensions }] of results.entries()) {
      expect(dimensions).toBe(1);
      const wanted = logits(requests[index] as (typeof requests)[number]);
      expect([...embeddings]).toEqual(wanted.map((value) => expect.closeTo(value, 3)));
    }
  });

  it('is offered as what it is, without a length of vectors', async () => {
    const model = await tinyReranker(await temporaryFolder());
    await using started = await startEngine([model]);
    expect(started.engine.offers()).toMatchObject([{ task: 'text-ranking', dimensions: 0, contextLength: 64 }]);
  });

  it('refuses what is no pair of its own kind', async () => {
    const model = await tinyReranker(await temporaryFolder());
    const mini = await minilm();
    await using started = await startEngine([model, mini]);
    const good = pairs(model, 2, 1);
    const bad: [Partial<EncodeRequest>, string][] = [
      [{ pooling: 'mean' }, 'model'],
      [{ firstLengths: Int32Array.of(1) }, 'firstLengths'],
      [{ firstLengths: Int32Array.of(1, 1_000) }, 'firstLengths'],
      [{ firstLengths: Int32Array.of(-1, 1) }, 'firstLengths'],
      [{ model: mini.ref }, 'model'],
    ];
    for (const [change, param] of bad) {
      const work = started.engine.encode({ ...good, ...change }, workOptions());
      await expect(work).rejects.toMatchObject({ code: 'bad_request', facts: { param } });
    }
  });
});

function speech({ ref }: InstalledModel, overrides: Partial<GenerateRequest> = {}): GenerateRequest {
  const random = new SeededRandom(4);
  const values = Float32Array.from({ length: frames * bins }, () => random.next());
  const ids = Int32Array.of(start, en, transcribe);
  return {
    model: ref,
    ids,
    promptLength: ids.length,
    maxNewTokens: 20,
    stopIds: [eos],
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 1n },
    features: tensorOf('features', 'float32', [1, bins, frames], values),
    ...overrides,
  };
}

describe('a speech model', () => {
  it('writes a sound down, and goes on where it was', async () => {
    const model = await tinySpeech(await temporaryFolder());
    await using started = await startEngine([model]);
    const { engine } = started;
    const run = async (request: GenerateRequest): Promise<number[]> => {
      const ids: number[] = [];
      await engine.generate(request, workOptions(), (_first, some) => void ids.push(...some));
      return ids;
    };
    const whole = await run(speech(model));
    expect(whole.length).toBeGreaterThan(4);
    const request = speech(model);
    const ids = Int32Array.from([...request.ids, ...whole.slice(0, 3)]);
    expect(await run({ ...request, ids })).toEqual(whole.slice(3));
    expect(engine.offers()).toMatchObject([
      { task: 'automatic-speech-recognition', state: 'loaded', contextLength: 64 },
    ]);
    // Its memory is given back with both of its graphs, and it can be loaded again.
    expect(await engine.unload(model.ref.digest)).toBe(true);
    expect(await run(speech(model))).toEqual(whole);
  });

  it('refuses a sound that is missing, of another shape, or meant for another model', async () => {
    const model = await tinySpeech(await temporaryFolder());
    await using started = await startEngine([model]);
    const generate = (overrides: Partial<GenerateRequest>): Promise<unknown> => {
      const { features, ...rest } = { ...speech(model), ...overrides };
      const request = features === undefined ? rest : { ...rest, features };
      return started.engine.generate(request, workOptions(), () => undefined);
    };
    const half = tensorOf('features', 'float32', [1, bins, frames / 2], new Float32Array((bins * frames) / 2));
    const whole = tensorOf('features', 'int32', [1, bins, frames], new Int32Array(bins * frames));
    const short = { ...half, dims: [1, bins, frames] };
    await expect(generate({ features: undefined as never })).rejects.toMatchObject({ facts: { param: 'features' } });
    for (const features of [half, whole, short]) {
      await expect(generate({ features })).rejects.toMatchObject({ code: 'tensor_invalid' });
    }
    await expect(generate({ constraint: { kind: 'json_object' } })).rejects.toBeInstanceOf(WeftError);
  });
});
