// The generator of speech models on small graphs of Whisper's layout: cached steps against whole runs, both layouts.
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../../models/installed.ts';
import { generate } from '../../../../node/engine/runner/generate.ts';
import { SpeechGenerators } from '../../../../node/engine/runner/speech.ts';
import { Turns } from '../../../../node/engine/runner/turns.ts';
import type { GenerateRequest } from '../../../../protocol/infer.ts';
import { type NamedTensor, tensorOf } from '../../../../protocol/tensor.ts';
import { temporaryFolder } from '../../../models/temporary.ts';
import { SeededRandom } from '../../../support/seeded.ts';
import { TINY_SPEECH, type TinySpeechInit, tinySpeech } from '../../../support/tiny-speech.ts';

const { start, en, transcribe, noTimestamps, firstTime, eos, frames, bins } = TINY_SPEECH;
const TEXT = Int32Array.of(start, en, transcribe, noTimestamps);
const TIMES = Int32Array.of(start, en, transcribe);

function sound(seed: number): NamedTensor {
  const random = new SeededRandom(seed);
  // Every bin has a level of its own: noise alone would sound all the same.
  const levels = Array.from({ length: bins }, () => random.next() * 3 - 1);
  const level = (index: number): number => levels[Math.floor(index / frames)] ?? 0;
  const values = Float32Array.from({ length: frames * bins }, (_, index) => level(index) + random.next() * 0.5);
  return tensorOf('features', 'float32', [1, bins, frames], values);
}

async function open(init: TinySpeechInit = {}) {
  const model = await tinySpeech(await temporaryFolder(), init);
  const { manifest, folder } = model;
  const session = (path: string) => InferenceSession.create(join(folder, path));
  let encoded = 0;
  const encoder = await session(manifest.graphs?.encoder?.path ?? '');
  const run = (...args: Parameters<typeof encoder.run>) => {
    encoded++;
    return encoder.run(...args);
  };
  const past = manifest.graphs?.decoderWithPast;
  const sessions = {
    encoder: { run } as unknown as InferenceSession,
    decoder: await session(manifest.graph),
    decoderWithPast: past === undefined ? undefined : await session(past.path),
  };
  return { model, sessions, generators: new SpeechGenerators(sessions, manifest), encoded: () => encoded };
}

const request = (
  model: InstalledModel,
  ids: Int32Array,
  features: NamedTensor | undefined,
  overrides: Partial<GenerateRequest> = {},
): GenerateRequest => ({
  model: model.ref,
  ids,
  promptLength: ids.length,
  maxNewTokens: 24,
  stopIds: [eos],
  sampling: { temperature: 0, topP: 1, topK: 0, seed: 1n },
  ...(features !== undefined && { features }),
  ...overrides,
});

async function write(opened: Awaited<ReturnType<typeof open>>, asked: GenerateRequest): Promise<number[]> {
  const generator = opened.generators.open(asked);
  const ids: number[] = [];
  const context = {
    signal: new AbortController().signal,
    item: (run: { ids: readonly number[] }) => void ids.push(...run.ids),
  };
  try {
    await generate(asked, 64, generator, new Turns({ flushed: () => undefined }), context);
  } finally {
    generator.close();
  }
  return ids;
}

describe.each(['merged', 'apart'] as const)('a speech model whose decoder is %s', (layout) => {
  it('gives step by step the logits that one run over all tokens gives', async () => {
    const opened = await open({ layout });
    const features = sound(1);
    const asked = request(opened.model, TEXT, features);
    const generator = opened.generators.open(asked);
    const ids = [...TEXT];
    let fresh = TEXT;
    for (let step = 0; step < 12; step++) {
      const logits = await generator.step(fresh);
      const whole = await wholeRun(opened, ids, features);
      // What the rules leave is what the graph says.
      const left = [...logits.keys()].filter((id) => Number.isFinite(logits[id]));
      expect(left.length).toBeGreaterThan(1);
      for (const id of left) expect(logits[id]).toBeCloseTo(whole[id] as number, 4);
      fresh = Int32Array.of(97 + step);
      ids.push(97 + step);
    }
    expect(generator.length).toBe(TEXT.length + 11);
    generator.close();
  });

  it('writes the same when it goes on where another one was lost', async () => {
    const opened = await open({ layout });
    const sampling = { temperature: 0.8, topP: 0.95, topK: 0, seed: 5n };
    const whole = await write(opened, request(opened.model, TIMES, sound(2), { sampling }));
    expect(whole.length).toBeGreaterThan(6);
    const resumed = request(opened.model, Int32Array.from([...TIMES, ...whole.slice(0, 5)]), sound(2), {
      promptLength: TIMES.length,
      sampling,
    });
    expect(await write(opened, resumed)).toEqual(whole.slice(5));
  });
});

/** Logits behind the last token, of the branch that takes no past. */
async function wholeRun(
  { sessions, model }: Awaited<ReturnType<typeof open>>,
  ids: readonly number[],
  features: NamedTensor,
): Promise<Float32Array> {
  const input = new Tensor('float32', new Float32Array(features.data.buffer), features.dims);
  const heard = (await sessions.encoder.run({ input_features: input })).last_hidden_state as Tensor;
  const feeds: Record<string, Tensor> = {};
  for (const { name } of model.manifest.inputs) {
    if (name.startsWith('past')) feeds[name] = new Tensor('float32', new Float32Array(0), [1, 2, 0, 4]);
  }
  if ('past_key_values.0.decoder.key' in feeds) feeds.use_cache_branch = new Tensor('bool', [false], [1]);
  feeds.input_ids = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
  feeds.encoder_hidden_states = heard;
  const { data } = (await sessions.decoder.run(feeds, ['logits'])).logits as Tensor;
  const logits = data as Float32Array;
  return logits.subarray(logits.length - logits.length / ids.length);
}

describe('a speech model', () => {
  it('listens once to a sound that it is asked of twice, and anew to another', async () => {
    const opened = await open();
    await write(opened, request(opened.model, Int32Array.of(start), sound(1), { maxNewTokens: 1 }));
    await write(opened, request(opened.model, TEXT, sound(1)));
    expect(opened.encoded()).toBe(1);
    await write(opened, request(opened.model, TEXT, sound(2)));
    expect(opened.encoded()).toBe(2);
  });

  it('hears: another sound is written down as something else', async () => {
    const opened = await open();
    const [one, again, other] = [sound(1), sound(1), sound(9)].map((features) => request(opened.model, TEXT, features));
    expect(await write(opened, again as GenerateRequest)).toEqual(await write(opened, one as GenerateRequest));
    expect(await write(opened, other as GenerateRequest)).not.toEqual(await write(opened, one as GenerateRequest));
  });

  it('names a language when that is all it is asked for', async () => {
    const opened = await open();
    const [language] = await write(opened, request(opened.model, Int32Array.of(start), sound(3), { maxNewTokens: 1 }));
    expect([TINY_SPEECH.en, TINY_SPEECH.de]).toContain(language);
  });

  it('writes times in pairs and in order, or none at all', async () => {
    const opened = await open();
    for (const seed of [1, 2, 3, 4]) {
      const sampling = { temperature: 1, topP: 1, topK: 0, seed: BigInt(seed) };
      const timed = await write(opened, request(opened.model, TIMES, sound(seed), { sampling, maxNewTokens: 40 }));
      const times = timed.filter((id) => id >= firstTime);
      expect(timed[0]).toBeGreaterThanOrEqual(firstTime);
      expect(timed[0]).toBeLessThanOrEqual(firstTime + 10);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      for (const [index, id] of timed.entries()) {
        if (id < firstTime || index === 0 || index === timed.length - 1) continue;
        // A time has exactly one other beside it.
        const beside = [timed[index - 1], timed[index + 1]].filter((one) => (one ?? 0) >= firstTime);
        if (timed[index + 1] !== eos) expect(beside).toHaveLength(1);
      }
      const plain = await write(opened, request(opened.model, TEXT, sound(seed), { sampling }));
      expect(plain.every((id) => id < firstTime)).toBe(true);
    }
  });

  it('refuses graphs of another layout', async () => {
    const { model, sessions } = await open();
    const { manifest } = model;
    const other = { ...manifest, inputs: [...manifest.inputs, { name: 'more', type: 'int64', dims: [1] }] };
    expect(() => new SpeechGenerators(sessions, other)).toThrow(/not known/);
    expect(() => new SpeechGenerators(sessions, { ...manifest, graphs: undefined })).toThrow(/no encoder/);
    const float = { ...manifest, outputs: manifest.outputs.filter(({ name }) => name !== 'present.1.encoder.key') };
    expect(() => new SpeechGenerators(sessions, float)).toThrow(/cache/);
  });
});
