// What is measured of which model and when, and how a claim is read.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import type { Manifest } from '../../../models/manifest.ts';
import { decodeAt, residual, stepRatio } from '../../../node/engine/claim.ts';
import { PROFILE_ATTEMPTS_MAX, PROFILE_QUIET_MS, RESIDUAL_SAMPLES_MIN } from '../../../node/engine/limits.ts';
import { type Candidate, inputShapes, nextToMeasure, sharedStepMs, stepsOf } from '../../../node/engine/measuring.ts';
import { median } from '../../../node/engine/profile.ts';
import { runs } from '../../support/property.ts';

const candidate = (digest: string, over: Partial<Candidate> = {}): Candidate => ({
  digest,
  loaded: true,
  known: false,
  attempts: 0,
  ...over,
});

describe('nextToMeasure', () => {
  it('waits until the node has been quiet for a while', () => {
    const models = [candidate('a')];
    expect(nextToMeasure(models, 0)).toBeUndefined();
    expect(nextToMeasure(models, PROFILE_QUIET_MS - 1)).toBeUndefined();
    expect(nextToMeasure(models, PROFILE_QUIET_MS)?.digest).toBe('a');
  });

  it('takes only what is in memory, and each once', () => {
    const models = [candidate('disk', { loaded: false }), candidate('known', { known: true })];
    expect(nextToMeasure(models, 60_000)).toBeUndefined();
    expect(nextToMeasure([...models, candidate('open')], 60_000)?.digest).toBe('open');
  });

  it('prefers what was interrupted less, and gives up in the end', () => {
    const models = [candidate('often', { attempts: 3 }), candidate('once', { attempts: 1 })];
    expect(nextToMeasure(models, 60_000)?.digest).toBe('once');
    expect(nextToMeasure([candidate('a', { attempts: PROFILE_ATTEMPTS_MAX })], 60_000)).toBeUndefined();
  });
});

describe('stepsOf', () => {
  const model = (manifest: Partial<Manifest>) => ({ manifest }) as InstalledModel;

  it('measures a text generator at two contexts, and with as many sequences as it has slots', () => {
    const steps = stepsOf(model({ task: 'text-generation', contextLength: 2_048 }), 4);
    expect(steps).toEqual([
      { kind: 'answer', context: 32 },
      { kind: 'answer', context: 256 },
      { kind: 'sequences', size: 1 },
      { kind: 'sequences', size: 2 },
      { kind: 'sequences', size: 4 },
    ]);
  });

  it('asks for nothing beyond the context', () => {
    expect(stepsOf(model({ task: 'text-generation', contextLength: 64 }), 1)).toEqual([
      { kind: 'answer', context: 32 },
      { kind: 'sequences', size: 1 },
    ]);
    expect(stepsOf(model({ task: 'text-generation', contextLength: 8 }), 16)).toEqual([]);
    const encoder = stepsOf(model({ task: 'feature-extraction', contextLength: 20 }), 1);
    expect(encoder).toEqual([{ kind: 'text', tokens: 16 }]);
  });

  it('leaves alone graphs for which random numbers are no input', () => {
    const graph = (inputs: Manifest['inputs']) => stepsOf(model({ task: 'tensor', contextLength: 0, inputs }), 1);
    const sizes = (inputs: Manifest['inputs']) => graph(inputs).map((step) => 'size' in step && step.size);
    expect(sizes([{ name: 'x', type: 'float32', dims: ['n', 3, 8, 8] }])).toEqual([1, 2, 4, 8, 16]);
    expect(sizes([{ name: 'x', type: 'float32', dims: [1, 80, 100] }])).toEqual([1]);
    expect(graph([{ name: 'x', type: 'float32', dims: ['n', 'time'] }])).toEqual([]);
    expect(graph([{ name: 'x', type: 'int64', dims: [1] }])).toEqual([]);
    expect(graph([{ name: 'x', type: 'float32', dims: ['*'] }])).toEqual([]);
    expect(graph([{ name: 'x', type: 'float32', dims: [] }])).toEqual([]);
    expect(graph([{ name: 'x', type: 'float32', dims: [1, 4_096, 4_096] }])).toEqual([]);
  });

  it('gives every input the same rows', () => {
    const inputs: Manifest['inputs'] = [
      { name: 'x', type: 'float32', dims: ['n', 3] },
      { name: 'y', type: 'float32', dims: ['batch', 2, 2] },
    ];
    expect(inputShapes(inputs, 4)).toEqual([
      [4, 3],
      [4, 2, 2],
    ]);
  });
});

describe('sharedStepMs', () => {
  it('counts the time in which all decode', () => {
    // The first is alone for two steps of 10 ms, then both share steps of 15 ms.
    expect(
      sharedStepMs([
        [0, 10, 20, 35, 50, 65],
        [20, 35, 50, 65, 75],
      ]),
    ).toBe(15);
  });

  it('says nothing of sequences that did not overlap', () => {
    expect(
      sharedStepMs([
        [0, 10, 20],
        [30, 40, 50],
      ]),
    ).toBeUndefined();
    expect(sharedStepMs([[0, 10], []])).toBeUndefined();
    expect(sharedStepMs([])).toBeUndefined();
  });

  it('finds the step of sequences that run in turn, too', () => {
    const turns = 3;
    const times = Array.from({ length: turns }, (_, at) =>
      Array.from({ length: 40 }, (_token, n) => 10 * (n * turns + at)),
    );
    expect(sharedStepMs(times)).toBeCloseTo(10 * turns, 0);
  });
});

describe('a claim', () => {
  const decode = [
    { context: 40, ms: 10 },
    { context: 240, ms: 14 },
  ];
  const batch = [
    { size: 1, ms: 10 },
    { size: 4, ms: 19 },
    { size: 8, ms: 31 },
  ];

  it('is read between its points, and beyond them', () => {
    expect(decodeAt(decode, 40)).toBe(10);
    expect(decodeAt(decode, 140)).toBe(12);
    expect(decodeAt(decode, 440)).toBe(18);
    expect(decodeAt(decode, 1)).toBe(10);
    expect(decodeAt(decode.slice(0, 1), 900)).toBe(10);
    expect(decodeAt([], 5)).toBe(0);
    expect(stepRatio(batch, 1)).toBe(1);
    expect(stepRatio(batch, 2.5)).toBeCloseTo(1.45);
    expect(stepRatio(batch, 12)).toBeCloseTo(4.3);
    expect(stepRatio([], 8)).toBe(1);
    expect(stepRatio(batch.slice(1), 8)).toBe(1);
  });

  it('is never read as less than its fastest point, nor as company that makes steps shorter', () => {
    const point = fc.record({
      context: fc.integer({ min: 1, max: 5_000 }),
      ms: fc.double({ min: 0.01, max: 100, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 6 }), fc.nat(20_000), (points, context) => {
        const ms = decodeAt(points, context);
        expect(ms).toBeGreaterThanOrEqual(Math.min(...points.map((at) => at.ms)));
        expect(ms).toBeLessThan(Number.POSITIVE_INFINITY);
        const sizes = points.map((at) => ({ size: at.context, ms: at.ms }));
        expect(stepRatio(sizes, context)).toBeGreaterThanOrEqual(1);
      }),
      runs(200),
    );
  });

  it('is corrected by the median of enough requests, within bounds', () => {
    const ratios = (count: number, ratio: number) => new Array<number>(count).fill(ratio);
    expect(residual(ratios(RESIDUAL_SAMPLES_MIN - 1, 3), median)).toBe(1);
    expect(residual(ratios(RESIDUAL_SAMPLES_MIN, 3), median)).toBe(3);
    expect(residual([...ratios(RESIDUAL_SAMPLES_MIN, 1.5), ...ratios(3, 400)], median)).toBe(1.5);
    expect(residual(ratios(20, 0.01), median)).toBe(0.5);
    expect(residual(ratios(20, 1e9), median)).toBe(8);
  });
});
