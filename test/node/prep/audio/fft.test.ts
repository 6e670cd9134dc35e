// The Fourier transform against its definition.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FourierTransform } from '../../../../node/prep/audio/fft.ts';
import { runs } from '../../../support/property.ts';

it('gives what the definition gives, at any size', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
      (size, values) => {
        const take = (): Float64Array => Float64Array.from({ length: size }, () => values.next().value ?? 0);
        const [real, imaginary, outReal, outImaginary] = [take(), take(), take(), take()];
        new FourierTransform(size).transform(real, imaginary, outReal, outImaginary);
        for (let k = 0; k < size; k++) {
          let [a, b] = [0, 0];
          for (let n = 0; n < size; n++) {
            const angle = (-2 * Math.PI * k * n) / size;
            const [x, y] = [real[n] as number, imaginary[n] as number];
            a += x * Math.cos(angle) - y * Math.sin(angle);
            b += x * Math.sin(angle) + y * Math.cos(angle);
          }
          expect(outReal[k]).toBeCloseTo(a, 9);
          expect(outImaginary[k]).toBeCloseTo(b, 9);
        }
      },
    ),
    runs(50),
  );
});
