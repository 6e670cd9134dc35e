// Sound files of every known kind → samples at 16 kHz, and what is refused.
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { OggOpusDecoder } from 'ogg-opus-decoder';
import { describe, expect, it } from 'vitest';
import { decodeSound } from '../../../../node/prep/audio/decode.ts';
import { Resampler } from '../../../../node/prep/audio/resample.ts';
import { decodeWav } from '../../../../node/prep/audio/wav.ts';
import { runs } from '../../../support/property.ts';
import { tone, type WavInit, wav } from './wav-bytes.ts';

const RATE = { sampleRate: 16_000, secondsMax: 10 };
const decode = (bytes: Uint8Array, init = RATE): Promise<Float32Array> => decodeSound(bytes, init);

/** Amplitude of 440 Hz in the middle of a sound at 16 kHz, and what else there is. */
function heard(samples: Float32Array): { readonly amplitude: number; readonly rest: number } {
  const [from, to] = [2_000, 6_000];
  let [cos, sin, power] = [0, 0, 0];
  for (let n = from; n < to; n++) {
    const sample = samples[n] as number;
    cos += sample * Math.cos((2 * Math.PI * 440 * n) / 16_000);
    sin += sample * Math.sin((2 * Math.PI * 440 * n) / 16_000);
    power += sample ** 2;
  }
  const amplitude = (2 * Math.hypot(cos, sin)) / (to - from);
  return { amplitude, rest: Math.sqrt(Math.max(0, power / (to - from) - amplitude ** 2 / 2)) };
}

describe('a sound file', () => {
  // Made by libsndfile 1.2.2: 0.5 s of 440 Hz, of amplitude 0.5 on the left and 0.25 on the right.
  it.each(['tone-44100.mp3', 'tone-22050.flac', 'tone-32000-vorbis.ogg', 'tone-48000-opus.ogg'])(
    'is decoded, mixed and brought to the rate: %s',
    async (name) => {
      const samples = await decode(await readFile(new URL(`../../../fixtures/sound/${name}`, import.meta.url)));
      expect(samples.length / 16_000).toBeCloseTo(0.5, 1);
      const { amplitude, rest } = heard(samples);
      expect(amplitude).toBeCloseTo(0.375, 1);
      expect(rest).toBeLessThan(0.02);
    },
  );

  it.each<[string, WavInit]>([
    ['8 bits', { bits: 8 }],
    ['16 bits', { bits: 16 }],
    ['24 bits', { bits: 24 }],
    ['32 bits', { bits: 32 }],
    ['floats', { bits: 32, tag: 3 }],
    ['doubles', { bits: 64, tag: 3 }],
    ['the extensible form', { bits: 24, tag: 0xfffe }],
    ['the extensible form with floats', { bits: 32, tag: 0xfffe, inner: 3 }],
  ])('may be a WAV file of %s', async (_what, init) => {
    const given = tone(16_000, 0.05);
    const samples = await decode(wav(given, init));
    expect(samples).toHaveLength(given.length);
    const tolerance = init.bits === 8 ? 0.005 : 1e-4;
    for (const [index, sample] of samples.entries())
      expect(Math.abs(sample - (given[index] as number))).toBeLessThan(tolerance);
  });

  it('has its channels mixed, whichever they are', async () => {
    const samples = await decode(wav([0.5, -0.25, 0.125, 1 / 16, 0, 0.25], { channels: 2, bits: 24 }));
    expect([...samples]).toEqual([0.125, 0.09375, 0.125].map((value) => expect.closeTo(value, 5)));
  });

  it('may say nothing, or too much, of its length, as streams do', async () => {
    const given = tone(16_000, 0.01);
    for (const saidBytes of [0, 0xffff_ffff, 1_000_000]) {
      expect(await decode(wav(given, { saidBytes }))).toHaveLength(given.length);
    }
  });

  it('may hold numbers that are none: they count as silence', async () => {
    const samples = await decode(wav([Number.NaN, 0.5, Number.POSITIVE_INFINITY], { bits: 32, tag: 3 }));
    expect([...samples]).toEqual([0, 0.5, 0]);
  });
});

/** An Ogg Opus file (RFC 7845) whose one stream is every one of 255 channels; packets of a byte, 60 ms each. */
function opusOfManyChannels(packets: number): Buffer {
  const head = Buffer.alloc(21 + 255);
  head.write('OpusHead\x01', 'latin1');
  head[9] = 255;
  head.writeUInt32LE(48_000, 12);
  head.set([255, 1, 0], 18);
  const tags = Buffer.concat([Buffer.from('OpusTags'), Buffer.alloc(8)]);
  const page = (number: number, flags: number, granule: number, parts: readonly Buffer[]): Buffer => {
    const lacing = parts.flatMap(({ length }) => [...Array<number>(Math.floor(length / 255)).fill(255), length % 255]);
    const header = Buffer.alloc(27);
    header.write('OggS');
    header[5] = flags;
    header.writeBigUInt64LE(BigInt(granule), 6);
    header.writeUInt32LE(1, 14);
    header.writeUInt32LE(number, 18);
    header[26] = lacing.length;
    return Buffer.concat([header, Buffer.from(lacing), ...parts]);
  };
  const silence = Array.from({ length: packets }, () => Buffer.of(0x18));
  return Buffer.concat([page(0, 2, 0, [head]), page(1, 0, 0, [tags]), page(2, 4, packets * 2_880, silence)]);
}

describe('what is refused', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /none of the kinds/],
    ['text', Buffer.from('hello, this is no sound'), /none of the kinds/],
    ['an MP4', Buffer.from('\0\0\0\x20ftypM4A ', 'latin1'), /none of the kinds/],
    ['FLAC without frames', Buffer.concat([Buffer.from('fLaC'), Buffer.alloc(5_000, 7)]), /No sound/],
    ['MP3 without frames', Buffer.concat([Buffer.of(0xff, 0xfb), Buffer.alloc(5_000, 9)]), /No sound/],
    ['Ogg of neither kind', Buffer.concat([Buffer.from('OggS'), Buffer.alloc(500)]), /neither Vorbis nor Opus/],
    ['WAV without sound', wav([]), /No sound/],
    ['WAV of an unknown kind', wav([0], { tag: 85 }), /not known/],
    ['WAV of 200 channels', wav([0], { channels: 200 }), /200 channels/],
    ['WAV at 1 Hz', wav([0], { sampleRate: 1 }), /samples a second/],
    ['WAV cut in its header', wav([0]).subarray(0, 30), /no sound|cut short/i],
  ])('%s', async (_what, bytes, message) => {
    await expect(decode(bytes)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(message),
      facts: { param: 'file' },
    });
  });

  it('a sound that is longer than what is taken, as soon as that is known', async () => {
    const long = wav(tone(8_000, 3), { sampleRate: 8_000 });
    expect(await decode(long, { ...RATE, secondsMax: 3 })).toHaveLength(48_000);
    await expect(decode(long, { ...RATE, secondsMax: 2 })).rejects.toThrow(/longer than the 2 s/);
  });

  it('an Ogg file whose packets would become 255 channels each: a few hundred bytes would take 50 MB and more', async () => {
    const hostile = opusOfManyChannels(20);
    expect(hostile.length).toBeLessThan(1_000);
    await expect(decode(hostile)).rejects.toThrow(/255 channels/);
    // What the decoder would make of it.
    const decoder = new OggOpusDecoder();
    await decoder.ready;
    const { channelData } = await decoder.decodeFile(hostile);
    decoder.free();
    expect(channelData.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeGreaterThan(50_000_000);

    const vorbis = await readFile(new URL('../../../fixtures/sound/tone-32000-vorbis.ogg', import.meta.url));
    vorbis[vorbis.indexOf('\x01vorbis') + 11] = 255;
    await expect(decode(vorbis)).rejects.toThrow(/255 channels/);
  });

  it('damage: any bytes give samples that are numbers, or a refusal', async () => {
    const names = ['tone-44100.mp3', 'tone-22050.flac', 'tone-32000-vorbis.ogg', 'tone-48000-opus.ogg'];
    const files: Buffer[] = await Promise.all(
      names.map((name) => readFile(new URL(`../../../fixtures/sound/${name}`, import.meta.url))),
    );
    files.push(wav(tone(16_000, 0.1)));
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), damage, fc.nat(10_000), async (file, changes, cut) => {
        const bytes = Buffer.from(file.subarray(0, Math.max(64, file.length - cut)));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          const samples = await decode(bytes);
          expect(samples.every((sample) => Number.isFinite(sample))).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad_request' });
        }
      }),
      runs(25),
    );
  });
});

describe('WAV files', () => {
  it('are read within their bytes, whatever they say', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(60), (noise, at) => {
        const bytes = wav(tone(16_000, 0.001));
        bytes.set(noise.subarray(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length));
        bytes.set(Buffer.from('RIFF'), 0);
        bytes.set(Buffer.from('WAVE'), 8);
        try {
          for (const { mono } of decodeWav(bytes)) expect(mono.length).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad_request' });
        }
      }),
      runs(200),
    );
  });
});

describe('resampling', () => {
  const all = (resampler: Resampler, input: Float32Array, sizes: readonly number[]): Float32Array => {
    const pieces: Float32Array[] = [];
    let at = 0;
    for (let turn = 0; at < input.length; turn++) {
      const size = sizes[turn % sizes.length] ?? 1;
      pieces.push(resampler.push(input.subarray(at, at + size)));
      at += size;
    }
    pieces.push(resampler.flush());
    return Float32Array.from(pieces.flatMap((piece) => [...piece]));
  };

  it.each([8_000, 11_025, 22_050, 44_100, 48_000, 96_000])('keeps a tone from %i Hz, in place', (from) => {
    const output = all(new Resampler({ from, to: 16_000 }), tone(from, 0.5), [4_096]);
    expect(output).toHaveLength(Math.ceil((Math.round(from / 2) * 16_000) / from));
    const wanted = tone(16_000, 0.5);
    for (let n = 500; n < 7_500; n++)
      expect(Math.abs((output[n] as number) - (wanted[n] as number))).toBeLessThan(1e-3);
  });

  it('leaves nothing of what the new rate cannot hold', () => {
    const high = Float32Array.from({ length: 24_000 }, (_, n) => Math.sin((2 * Math.PI * 12_000 * n) / 48_000));
    const output = all(new Resampler({ from: 48_000, to: 16_000 }), high, [24_000]);
    for (let n = 500; n < 7_500; n++) expect(Math.abs(output[n] as number)).toBeLessThan(1e-3);
  });

  it('gives the same however its input is cut', () => {
    const input = tone(44_100, 0.1);
    const whole = all(new Resampler({ from: 44_100, to: 16_000 }), input, [input.length]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 1, maxLength: 20 }), (sizes) => {
        expect(all(new Resampler({ from: 44_100, to: 16_000 }), input, sizes)).toEqual(whole);
      }),
      runs(20),
    );
  });
});
