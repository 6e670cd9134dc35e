// Spectrograms against numbers of transformers 5.23's WhisperFeatureExtractor (numpy 2.4), which were made so:
//
//   t = np.arange(8037) / 16000
//   x = (0.5*np.sin(2*np.pi*440*t)*np.exp(-2*t) + 0.3*np.sin(2*np.pi*(300*t + 600*t*t))).astype(np.float32)
//   f = WhisperFeatureExtractor(feature_size=bins)(x, sampling_rate=16000, return_tensors='np').input_features[0]
//   {column: [round(float(f[row, column]), 5) for row in (0, 3, 12, 25, 40, 60, bins - 1)] for column in COLUMNS}
import { describe, expect, it } from 'vitest';
import { spectrogram } from '../../../../node/prep/audio/spectrogram.ts';

const REFERENCE: Readonly<
  Record<number, { readonly sum: number; readonly columns: Readonly<Record<number, readonly number[]>> }>
> = {
  80: {
    sum: -1255.361,
    columns: {
      0: [1.12112, 1.16763, 1.35978, 0.7586, 0.49043, 0.17094, -0.00731],
      1: [0.60353, 0.61696, 1.29546, 0.24538, -0.01923, -0.339, -0.50192],
      7: [-0.45121, -0.06096, 1.2617, -0.50192, -0.50192, -0.50192, -0.50192],
      25: [-0.50192, -0.50192, 1.18595, -0.50192, -0.50192, -0.50192, -0.50192],
      49: [-0.50192, -0.50192, 1.08085, 0.72939, -0.50192, -0.50192, -0.50192],
      50: [0.71818, 0.7361, 1.04924, 1.06912, 0.40693, 0.09042, -0.04819],
      51: [0.48462, 0.49983, 0.55936, 0.63833, 0.17415, -0.14198, -0.27964],
      52: [-0.50192, -0.50192, -0.50192, -0.50192, -0.50192, -0.50192, -0.50192],
    },
  },
  128: {
    sum: -1846.976,
    columns: {
      0: [1.04536, 1.09523, 0.72616, 1.08933, 0.81406, 0.5277, -0.00778],
      1: [0.52777, 0.57179, 1.25685, 0.52431, 0.30115, 0.0194, -0.45335],
      7: [-0.45335, -0.33059, 0.83424, 0.02913, -0.45335, -0.45335, -0.45335],
      25: [-0.45335, -0.45335, -0.45335, 1.35031, -0.45335, -0.45335, -0.45335],
      49: [-0.45335, -0.45335, -0.45335, -0.299, 0.80031, -0.45335, -0.45335],
      50: [0.64242, 0.68632, 0.77357, 0.2807, 1.13723, 0.45493, -0.04851],
      51: [0.40886, 0.45199, 0.52173, 0.40599, 0.69417, 0.22236, -0.27996],
      52: [-0.45335, -0.45335, -0.45335, -0.45335, -0.45335, -0.45335, -0.45335],
    },
  },
};

const SPEC = { sampleRate: 16_000, fftSize: 400, hopLength: 160 };

const sound = Float32Array.from({ length: 8_037 }, (_, n) => {
  const t = n / 16_000;
  const tone = 0.5 * Math.sin(2 * Math.PI * 440 * t) * Math.exp(-2 * t);
  return tone + 0.3 * Math.sin(2 * Math.PI * (300 * t + 600 * t * t));
});

describe.each([80, 128])('a spectrogram of %i bins', (melBins) => {
  const made = spectrogram(sound, { ...SPEC, melBins });
  const at = (row: number, column: number): number =>
    column < made.frames ? (made.data[column * melBins + row] as number) : made.silence;

  it("is that of Whisper's feature extractor, the silence behind it included", () => {
    const { columns, sum } = REFERENCE[melBins] as (typeof REFERENCE)[number];
    for (const [column, values] of Object.entries(columns)) {
      const rows = [0, 3, 12, 25, 40, 60, melBins - 1];
      expect(rows.map((row) => at(row, Number(column)))).toEqual(values.map((value) => expect.closeTo(value, 4)));
    }
    let total = 0;
    for (let column = 0; column < 60; column++) for (let row = 0; row < melBins; row++) total += at(row, column);
    expect(total).toBeCloseTo(sum, 1);
  });

  it('ends where the sound does', () => {
    expect(made).toMatchObject({ contentFrames: 50, melBins });
    expect(made.data).toHaveLength(made.frames * melBins);
    expect(made.frames).toBeGreaterThan(50);
  });
});

it('is of numbers where there is nothing to hear', () => {
  const made = spectrogram(new Float32Array(1_600), { ...SPEC, melBins: 80 });
  expect(made.data.every((value) => value === made.silence)).toBe(true);
  expect(made.silence).toBe(-1.5);
});
