// What a runner says of itself, and what it can't make the daemon believe.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LifelineReader, type RunnerReading } from '../../../node/engine/lifeline-reader.ts';
import { runs } from '../../support/property.ts';

function reader(): { push(text: string): void; readonly readings: RunnerReading[]; readonly over: number[][] } {
  const readings: RunnerReading[] = [];
  const over: number[][] = [];
  const made = new LifelineReader({
    onReading: (reading) => readings.push(reading),
    onOver: (...numbers) => over.push(numbers),
  });
  return { push: (text) => made.push(text), readings, over };
}

describe('LifelineReader', () => {
  it('reads lines wherever they were cut', () => {
    const text = '100 120 0\n200 300 40\nover 500 400\n';
    for (let cut = 0; cut <= text.length; cut++) {
      const { push, readings, over } = reader();
      push(text.slice(0, cut));
      push(text.slice(cut));
      expect(readings).toEqual([
        { residentBytes: 100, peakBytes: 120, stalledMs: 0 },
        { residentBytes: 200, peakBytes: 300, stalledMs: 40 },
      ]);
      expect(over).toEqual([[500, 400]]);
    }
  });

  it('drops what is no line of its own, and keeps none of it', () => {
    const { push, readings, over } = reader();
    for (const bad of ['', '1 2', '1 2 3 4', '-1 2 3', '1e9 2 3', 'NaN 2 3', 'over 1', `${'9'.repeat(16)} 1 1`]) {
      push(`${bad}\n`);
    }
    for (let piece = 0; piece < 1_000; piece++) push('9'.repeat(1_000));
    push('\n7 8 9\n');
    expect(readings).toEqual([{ residentBytes: 7, peakBytes: 8, stalledMs: 9 }]);
    expect(over).toEqual([]);
  });

  it('survives anything', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom(...'0123456789 over\n') })), (pieces) => {
        const { push, readings } = reader();
        for (const piece of pieces) push(piece);
        for (const numbers of readings) for (const value of Object.values(numbers)) expect(value).toBeLessThan(1e15);
      }),
      runs(200),
    );
  });
});
