// What decoders of sound give, piece by piece, and how several channels become one.

/** Some samples, full scale as 1, channels mixed. */
export interface Piece {
  readonly mono: Float32Array;
  /** Samples a second. */
  readonly sampleRate: number;
}

/** The mean of all channels. */
export function mixed(channels: readonly Float32Array[], length: number): Float32Array {
  const mono = new Float32Array(length);
  for (const channel of channels) {
    for (let index = 0; index < length; index++) mono[index] = (mono[index] as number) + (channel[index] ?? 0);
  }
  if (channels.length > 1)
    for (let index = 0; index < length; index++) mono[index] = (mono[index] as number) / channels.length;
  return mono;
}
