// WAV files for tests, of any format.

export interface WavInit {
  readonly sampleRate?: number;
  readonly channels?: number;
  readonly bits?: number;
  /** 1 = PCM, 3 = float, 0xfffe = extensible. */
  readonly tag?: number;
  /** What stands in the GUID of the extensible form. @default 1 */
  readonly inner?: number;
  /** What the data chunk says of its length. @default the truth */
  readonly saidBytes?: number;
}

/** @param samples full scale as 1, channels interleaved */
export function wav(samples: readonly number[] | Float32Array, init: WavInit = {}): Buffer {
  const { sampleRate = 16_000, channels = 1, bits = 16, tag = 1, inner = 1 } = init;
  const width = bits / 8;
  const isFloat = tag === 3 || (tag === 0xfffe && inner === 3);
  const data = Buffer.alloc(samples.length * width);
  for (const [index, sample] of samples.entries()) {
    const at = index * width;
    const whole = (full: number): number => Math.max(-full, Math.min(full - 1, Math.round(sample * full)));
    if (isFloat) bits === 32 ? data.writeFloatLE(sample, at) : data.writeDoubleLE(sample, at);
    else if (bits === 8) data.writeUInt8(whole(128) + 128, at);
    else data.writeIntLE(whole(2 ** (bits - 1)), at, width);
  }
  const format = Buffer.alloc(tag === 0xfffe ? 40 : 16);
  format.writeUInt16LE(tag, 0);
  format.writeUInt16LE(channels, 2);
  format.writeUInt32LE(sampleRate, 4);
  format.writeUInt32LE(sampleRate * channels * width, 8);
  format.writeUInt16LE(channels * width, 12);
  format.writeUInt16LE(bits, 14);
  if (tag === 0xfffe) format.writeUInt16LE(inner, 24);
  const chunk = (name: string, bytes: Buffer, said = bytes.length): Buffer => {
    const head = Buffer.alloc(8);
    head.write(name, 'latin1');
    head.writeUInt32LE(said, 4);
    return Buffer.concat([head, bytes, Buffer.alloc(bytes.length % 2)]);
  };
  // A chunk that nobody knows stands before the sound, of an odd length.
  const body = [chunk('fmt ', format), chunk('LIST', Buffer.from('abc')), chunk('data', data, init.saidBytes)];
  return Buffer.concat([Buffer.from('RIFF\0\0\0\0WAVE', 'latin1'), ...body]);
}

/** A tone of 440 Hz. */
export const tone = (sampleRate: number, seconds: number, amplitude = 0.5): Float32Array =>
  Float32Array.from(
    { length: Math.round(sampleRate * seconds) },
    (_, n) => amplitude * Math.sin((2 * Math.PI * 440 * n) / sampleRate),
  );
