// Transcription with a model that writes what a test says: prompts, languages, windows and their times, what goes out when.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RequestOptions, TranscribeRequest } from '../../../node/core/coordinator.ts';
import type { SoundSpec, Spectrogram } from '../../../node/core/prep.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { float32Elements } from '../../../protocol/tensor.ts';
import { TINY_SPEECH, tinySpeech } from '../../support/tiny-speech.ts';
import { TIMING } from '../dispatch/fakes.ts';
import { bundledStore, fakeCoordinator, type Generate, planOn } from './fakes.ts';

const { start, en, de, transcribe, translate, previous, noTimestamps, firstTime, eos, frames, bins } = TINY_SPEECH;

const options: RequestOptions = { signal: new AbortController().signal, requestId: 'req_1' };
const REQUEST: TranscribeRequest = {
  model: 'tiny-whisper',
  file: Buffer.from('a sound'),
  translate: false,
  temperature: 0,
  timestamps: false,
};

/** A time, in seconds of its window. */
const at = (seconds: number): number => firstTime + Math.round(seconds / 0.02);
const letters = (text: string): number[] => [...Buffer.from(text)];

let many: string;
let english: string;
beforeAll(async () => {
  const root = await mkdtemp(join(tmpdir(), 'weft-speech-'));
  [many, english] = [join(root, 'many'), join(root, 'english')];
  await tinySpeech(many);
  await tinySpeech(english, { multilingual: false });
  return () => rm(root, { recursive: true, force: true });
});

/** A sound of so many frames of 10 ms, each bin's value the number of its frame. */
function sound(contentFrames: number): Spectrogram {
  const all = contentFrames + 2;
  const data = Float32Array.from({ length: all * bins }, (_, index) => Math.floor(index / bins));
  return { data, frames: all, melBins: bins, contentFrames, silence: -1 };
}

/** A coordinator whose model writes these answers, one after the other. */
async function speaking(answers: readonly (readonly number[])[], contentFrames: number, root = many) {
  const requests: GenerateRequest[] = [];
  const specs: SoundSpec[] = [];
  const ids: string[] = [];
  const generate: Generate = async (request, placed, onTokens) => {
    const answer = answers[requests.length] ?? [eos];
    requests.push(request);
    ids.push(placed.requestId);
    placed.onPlan?.(planOn('self'));
    for (const [index, id] of answer.entries()) onTokens(index, [id], [{ logprob: -0.5, top: [] }]);
    const finish = answer.at(-1) === eos ? 'stop' : 'length';
    return { finish, generated: answer.length, node: 'self', timing: TIMING, plan: planOn('self'), nodes: ['self'] };
  };
  const listen = async (_file: Uint8Array, spec: SoundSpec): Promise<Spectrogram> => {
    specs.push(spec);
    return sound(contentFrames);
  };
  const { coordinator } = fakeCoordinator({ store: await bundledStore([root]), generate, listen });
  const texts: string[] = [];
  const ask = (change: Partial<TranscribeRequest> = {}) =>
    coordinator.transcribe({ ...REQUEST, ...change }, options, { onText: (text) => texts.push(text) });
  return { ask, requests, specs, ids, texts };
}

describe('a short sound', () => {
  it('is written down as text alone', async () => {
    const { ask, requests, specs, texts } = await speaking([[...letters(' hello you'), eos]], 150);
    const answer = await ask({ language: 'en' });
    expect(answer).toMatchObject({
      model: 'owner/tiny-whisper',
      text: 'hello you',
      language: 'en',
      durationS: 1.5,
      usage: { promptTokens: 4, completionTokens: 11 },
      nodes: ['self'],
    });
    expect(answer.segments).toMatchObject([{ startS: 0, endS: 1.5, text: ' hello you', averageLogprob: -0.5 }]);
    expect(texts.join('')).toBe('hello you');
    expect([...(requests[0]?.ids ?? [])]).toEqual([start, en, transcribe, noTimestamps]);
    expect(requests[0]).toMatchObject({ stopIds: [eos], maxNewTokens: 32 });
    expect(specs).toMatchObject([{ sampleRate: 16_000, fftSize: 400, hopLength: 160, melBins: bins }]);
  });

  it('goes to the model bin by bin, silence behind it', async () => {
    const { ask, requests } = await speaking([[eos]], 150);
    await ask({ language: 'en' });
    const { features } = requests[0] as GenerateRequest;
    expect(features).toMatchObject({ type: 'float32', dims: [1, bins, frames] });
    const values = float32Elements(features as NonNullable<typeof features>);
    for (let bin = 0; bin < bins; bin++) {
      expect([...values.subarray(bin * frames, bin * frames + 3)]).toEqual([0, 1, 2]);
      expect(values[bin * frames + 151]).toBe(151);
      expect(values[bin * frames + 152]).toBe(-1);
    }
  });

  it('has its language found out where none is given', async () => {
    const { ask, requests, ids } = await speaking([[de], [...letters(' ja'), eos]], 150);
    expect(await ask()).toMatchObject({ language: 'de', text: 'ja' });
    expect([...(requests[0]?.ids ?? [])]).toEqual([start]);
    expect(requests[0]?.maxNewTokens).toBe(1);
    expect([...(requests[1]?.ids ?? [])]).toEqual([start, de, transcribe, noTimestamps]);
    expect(new Set(ids).size).toBe(2);
  });

  it.each([['de'], ['German'], ['de-AT'], ['GERMAN']])('may have its language named as %j', async (language) => {
    const { ask, requests } = await speaking([[eos]], 150);
    await ask({ language });
    expect(requests[0]?.ids[1]).toBe(de);
  });

  it('is translated where that is asked for', async () => {
    const { ask, requests } = await speaking([[eos]], 150);
    await ask({ language: 'de', translate: true });
    expect([...(requests[0]?.ids ?? [])]).toEqual([start, de, translate, noTimestamps]);
  });

  it('may come with earlier text, cut to half of the context from its beginning', async () => {
    const { ask, requests } = await speaking([[eos], [eos]], 150);
    await ask({ language: 'en', prompt: 'Weft ' });
    expect([...(requests[0]?.ids ?? [])]).toEqual([previous, ...letters(' Weft'), start, en, transcribe, noTimestamps]);
    await ask({ language: 'en', prompt: `${'a'.repeat(100)}z` });
    expect([...(requests[1]?.ids ?? [])].slice(0, 32)).toEqual([previous, ...letters(`${'a'.repeat(30)}z`)]);
    expect(requests[1]?.maxNewTokens).toBe(64 - 36);
  });

  it('is written by a model of English without naming it', async () => {
    const { ask, requests } = await speaking([[...letters(' hi'), eos]], 150, english);
    expect(await ask()).toMatchObject({ text: 'hi', language: undefined });
    expect([...(requests[0]?.ids ?? [])]).toEqual([start, noTimestamps]);
    await ask({ language: 'en' });
    await expect(ask({ language: 'de' })).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'language' } });
    await expect(ask({ translate: true })).rejects.toMatchObject({ facts: { param: 'model' } });
  });
});

describe('times', () => {
  it('divide a text into segments', async () => {
    const answer = [at(0), ...letters(' one.'), at(0.5), at(0.6), ...letters(' two.'), at(1.2), eos];
    const { ask, requests, texts } = await speaking([answer], 150);
    const { segments, text } = await ask({ language: 'en', timestamps: true });
    expect(requests[0]?.ids.at(-1)).toBe(transcribe);
    expect(segments).toMatchObject([
      { id: 0, startS: 0, endS: 0.5, text: ' one.', seek: 0 },
      { id: 1, startS: 0.6, endS: 1.2, text: ' two.', tokens: [at(0.6), ...letters(' two.'), at(1.2)] },
    ]);
    expect(text).toBe('one. two.');
    expect(texts).toEqual(['one.', ' two.']);
  });
});

describe('a long sound', () => {
  it('is listened to window by window, each where the last whole segment ended', async () => {
    const { ask, requests, texts } = await speaking(
      [
        // Cut off in the second segment: 1.4 s are certain.
        [at(0), ...letters(' one'), at(1.4), at(1.4), ...letters(' tw'), eos],
        [at(0), ...letters(' two'), at(1.8), eos],
      ],
      320,
    );
    const answer = await ask({ language: 'en' });
    expect(answer.text).toBe('one two');
    expect(answer.segments.map(({ startS, endS, seek }) => [startS, endS, seek])).toEqual([
      [0, 1.4, 0],
      [1.4, 3.2, 140],
    ]);
    expect(texts).toEqual(['one', ' two']);
    // The second window begins at 1.4 s, and ends with the sound.
    expect(requests).toHaveLength(2);
    const { features } = requests[1] as GenerateRequest;
    expect(float32Elements(features as NonNullable<typeof features>)[0]).toBe(140);
  });

  it('goes on window by window where a model says nothing of time', async () => {
    const { ask, requests } = await speaking(
      [
        [...letters(' a'), eos],
        [...letters(' b'), eos],
        [...letters(' c'), eos],
      ],
      500,
    );
    const answer = await ask({ language: 'en' });
    expect(answer.text).toBe('a b c');
    expect(answer.segments.map(({ startS, endS }) => [startS, endS])).toEqual([
      [0, 2],
      [2, 4],
      [4, 5],
    ]);
    expect(requests).toHaveLength(3);
  });

  it('comes to its end though a model goes on by nothing', async () => {
    const still = [at(0), ...letters('x'), at(0), at(0), ...letters('y'), eos];
    const { ask, requests } = await speaking(
      Array.from({ length: 100 }, () => still),
      1_000,
    );
    const answer = await ask({ language: 'en' });
    expect(requests).toHaveLength(5);
    expect(answer.text).toBe('xyxyxyxyxy');
  });

  it('has the earlier text before its first window alone', async () => {
    const { ask, requests } = await speaking([], 500);
    await ask({ language: 'en', prompt: 'Hm' });
    expect(requests.map(({ ids }) => ids[0])).toEqual([previous, start, start]);
  });
});

describe('what is refused', () => {
  it('an empty file, one too short, a language that is unknown, a prompt that is endless', async () => {
    const { ask } = await speaking([], 150);
    await expect(ask({ file: new Uint8Array(0) })).rejects.toMatchObject({ facts: { param: 'file' } });
    await expect(ask({ language: 'klingon' })).rejects.toMatchObject({ facts: { param: 'language' } });
    await expect(ask({ prompt: 'a'.repeat(20_000) })).rejects.toMatchObject({ facts: { param: 'prompt' } });
    await expect(ask({ model: 'nothing' })).rejects.toMatchObject({ code: 'model_not_found' });
    const short = await speaking([], 9);
    await expect(short.ask()).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'file' } });
  });

  it("a window's failure ends the request with it", async () => {
    const { coordinator } = fakeCoordinator({
      store: await bundledStore([many]),
      listen: async () => sound(150),
      generate: async () => Promise.reject(new WeftError({ code: 'no_capable_node', message: 'gone' })),
    });
    await expect(coordinator.transcribe({ ...REQUEST, language: 'en' }, options, {})).rejects.toMatchObject({
      code: 'no_capable_node',
    });
  });
});
