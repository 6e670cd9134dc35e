import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  endsOf,
  levelOf,
  nextStep,
  type OpenChunk,
  type ScatterState,
  type WorkerState,
} from '../../../node/scheduler/scatter.ts';
import { runs } from '../../support/property.ts';

const worker = (changes: Partial<WorkerState> = {}): WorkerState => ({
  ratePerMs: 0.1,
  measured: true,
  freeAtMs: 0,
  open: 0,
  openMax: 2,
  ...changes,
});

/** Items of weight 1, of which the last ones wait. */
function state(
  waiting: number,
  workers: readonly WorkerState[],
  open: readonly OpenChunk[] = [],
  items = 1_000,
): ScatterState {
  const weightBefore = Float64Array.from({ length: items + 1 }, (_, item) => item);
  return {
    nowMs: 0,
    weightBefore,
    waiting: waiting === 0 ? [] : [{ from: items - waiting, to: items }],
    workers,
    open,
  };
}

/** How many items the next chunk has, and whose it is. */
function chunk(from: ScatterState): { readonly worker: number; readonly items: number } | undefined {
  const step = nextStep(from);
  return step?.kind === 'start' ? { worker: step.worker, items: step.range.to - step.range.from } : undefined;
}

const pace = fc.record({
  ratePerMs: fc.double({ min: 0.001, max: 10, noNaN: true }),
  freeAtMs: fc.double({ min: 0, max: 5_000, noNaN: true }),
});

describe('the level', () => {
  it('is where all end together, and gives nothing to those who come too late', () => {
    expect(levelOf(100, [{ ratePerMs: 0.1, freeAtMs: 0 }])).toBeCloseTo(1_000);
    expect(
      levelOf(100, [
        { ratePerMs: 0.1, freeAtMs: 500 },
        { ratePerMs: 0.1, freeAtMs: 0 },
      ]),
    ).toBeCloseTo(750);
    expect(
      levelOf(100, [
        { ratePerMs: 9, freeAtMs: 2_000 },
        { ratePerMs: 0.1, freeAtMs: 0 },
      ]),
    ).toBeCloseTo(1_000);
    expect(levelOf(100, [])).toBe(Number.POSITIVE_INFINITY);
  });

  it('pours exactly what there is, whoever they are', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 1e6, noNaN: true }),
        fc.array(pace, { minLength: 1, maxLength: 20 }),
        (weight, paces) => {
          const level = levelOf(weight, paces);
          const poured = paces.reduce(
            (sum, { ratePerMs, freeAtMs }) => sum + Math.max(0, level - freeAtMs) * ratePerMs,
            0,
          );
          expect(poured / weight).toBeCloseTo(1, 6);
        },
      ),
      runs(300),
    );
  });
});

describe('a chunk', () => {
  it('is worth half a second of what was measured, less of what was only claimed', () => {
    expect(chunk(state(1_000, [worker()]))).toEqual({ worker: 0, items: 50 });
    expect(chunk(state(1_000, [worker({ measured: false })]))).toEqual({ worker: 0, items: 20 });
  });

  it('shrinks towards the end, and is not cut any further when it is short', () => {
    const sizes = [100, 80, 40, 20, 10, 8, 4].map((waiting) => chunk(state(waiting, [worker()]))?.items);
    expect(sizes).toEqual([50, 40, 20, 10, 5, 8, 4]);
  });

  it('goes to whoever runs dry first, and never to one without room', () => {
    const full = worker({ open: 2 });
    const late = worker({ freeAtMs: 300, open: 1 });
    expect(chunk(state(1_000, [full, late, worker({ freeAtMs: 100 })]))?.worker).toBe(2);
    expect(chunk(state(1_000, [full, late]))?.worker).toBe(1);
    expect(chunk(state(1_000, [full, worker({ openMax: 0 })]))).toBeUndefined();
  });

  it('is left to the others when they end sooner without this worker', () => {
    const slow = worker({ ratePerMs: 0.005 });
    const busy = worker({ ratePerMs: 0.1, freeAtMs: 50, open: 2 });
    // One item takes 200 ms here; the busy one has done all three after 80.
    expect(chunk(state(3, [slow, busy]))).toBeUndefined();
    expect(chunk(state(30, [slow, busy]))).toEqual({ worker: 0, items: 1 });
  });

  it('ends within what waits first', () => {
    const { weightBefore, ...rest } = state(500, [worker()]);
    const step = nextStep({
      ...rest,
      weightBefore,
      waiting: [
        { from: 3, to: 5 },
        { from: 500, to: 1_000 },
      ],
    });
    expect(step).toEqual({ kind: 'start', worker: 0, range: { from: 3, to: 5 } });
  });

  it('is always given to someone while items wait and nobody works', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 1_000, noNaN: true }), { minLength: 1, maxLength: 30 }),
        fc.array(pace, { minLength: 1, maxLength: 12 }),
        (weights, paces) => {
          const weightBefore = new Float64Array(weights.length + 1);
          for (const [item, weight] of weights.entries())
            weightBefore[item + 1] = (weightBefore[item] as number) + weight;
          const workers = paces.map((one) => worker(one));
          const waiting = [{ from: 0, to: weights.length }];
          const step = nextStep({ nowMs: 0, weightBefore, waiting, workers, open: [] });
          expect(step).toMatchObject({ kind: 'start', range: { from: 0 } });
        },
      ),
      runs(500),
    );
  });
});

describe('doubling', () => {
  const open = (endsMs: number, workers: readonly number[] = [1], from = 0): OpenChunk => ({
    from,
    to: from + 10,
    workers,
    endsMs,
  });
  const busy = worker({ open: 1, freeAtMs: 5_000 });

  it('takes what would end last, of equals the oldest', () => {
    expect(nextStep(state(0, [worker(), busy], [open(400), open(900, [1], 10), open(900, [1], 20)]))).toEqual({
      kind: 'double',
      worker: 0,
      chunk: 1,
    });
  });

  it('is not done for less than it costs', () => {
    // Here it takes 100 ms.
    expect(nextStep(state(0, [worker(), busy], [open(109)]))).toBeUndefined();
    expect(nextStep(state(0, [worker(), busy], [open(111)]))).toBeDefined();
  });

  it('is not done while items wait, by a busy worker, by its own, or a third time', () => {
    expect(nextStep(state(3, [worker({ ratePerMs: 1e-4 }), busy], [open(9e9)]))?.kind).not.toBe('double');
    expect(nextStep(state(0, [worker({ open: 1 }), busy], [open(9_000)]))).toBeUndefined();
    expect(nextStep(state(0, [worker({ openMax: 0 }), busy], [open(9_000)]))).toBeUndefined();
    expect(nextStep(state(0, [worker()], [open(9_000, [0])]))).toBeUndefined();
    expect(nextStep(state(0, [worker(), busy, busy], [open(9_000, [1, 2])]))).toBeUndefined();
  });
});

describe('a prediction', () => {
  it('takes what is late to be as late again', () => {
    expect(endsOf(0, 0, 0.1, [10, 20])).toEqual([100, 300]);
    expect(endsOf(100, 0, 0.1, [10, 20])).toEqual([100, 300]);
    expect(endsOf(150, 0, 0.1, [10, 20])).toEqual([200, 400]);
  });
});
