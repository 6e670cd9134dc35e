// Corrections of predictions: quick to follow a machine that has turned slow, deaf to a single accident, and forgetful.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  PROMISE_FACTOR,
  RESIDUAL_FACTOR_MAX,
  RESIDUAL_HALF_LIFE_MS,
  RESIDUAL_NODES_MAX,
} from '../../../node/dispatch/limits.ts';
import { computedThere } from '../../../node/dispatch/measured.ts';
import { Residuals } from '../../../node/dispatch/residuals.ts';
import { Surprises } from '../../../node/dispatch/surprises.ts';
import { runs } from '../../support/property.ts';
import { ManualClock } from './fakes.ts';

const DIGEST = 'sha256:1';

function fresh() {
  const clock = new ManualClock();
  const residuals = new Residuals({ clock });
  const factor = (node = 'a'): number => residuals.current().compute(node, DIGEST);
  const note = (ratio: number, node = 'a'): void => residuals.note(node, DIGEST, 100, 100 * ratio);
  return { clock, residuals, factor, note };
}

/** Normally distributed draws (Box and Muller) of a small generator (mulberry32). */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

describe('a correction', () => {
  it('is 1 for whoever was never measured', () => {
    const { residuals, factor } = fresh();
    expect(factor()).toBe(1);
    expect(residuals.samples('a', DIGEST)).toBe(0);
  });

  it.each([2, 4, 16, 1 / 4])('follows a node that has become %d times as slow within three answers', (times) => {
    const { note, factor } = fresh();
    for (let answer = 0; answer < 30; answer++) note(1 + (answer % 5) / 50);
    expect(factor()).toBeCloseTo(1, 0);
    for (let answer = 0; answer < 3; answer++) note(times);
    expect(factor() / times).toBeGreaterThan(0.8);
    expect(factor() / times).toBeLessThan(1.25);
  });

  it('follows one that was never what it claims', () => {
    const { note, factor } = fresh();
    for (let answer = 0; answer < 3; answer++) note(50);
    expect(factor()).toBeGreaterThan(25);
  });

  it.each([10, 1_000, 1e-3])('is not moved far by a single answer that took %d times as long', (times) => {
    const { note, factor } = fresh();
    for (let answer = 0; answer < 30; answer++) note(1 + (answer % 5) / 50);
    note(times);
    expect(factor()).toBeGreaterThan(0.9);
    expect(factor()).toBeLessThan(1.2);
  });

  it('stays where it belongs under noise, and finds another level within a few answers', () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0.05, max: 0.6, noNaN: true }), (seed, sigma) => {
        const { note, factor } = fresh();
        const draw = normals(seed);
        for (let answer = 0; answer < 60; answer++) note(3 * Math.exp(sigma * draw()));
        let off = 0;
        for (let answer = 0; answer < 400; answer++) {
          note(3 * Math.exp(sigma * draw()));
          off += Math.abs(Math.log(factor() / 3));
        }
        // One answer alone would be off by 0.8 sigma.
        expect(off / 400).toBeLessThan(0.4 * sigma + 0.02);
        for (let answer = 0; answer < 12; answer++) note(30 * Math.exp(sigma * draw()));
        expect(factor()).toBeGreaterThan(6);
      }),
      runs(100),
    );
  });

  it('is of one model on one node', () => {
    const { residuals, note, factor } = fresh();
    for (let answer = 0; answer < 5; answer++) note(8);
    expect(factor('b')).toBe(1);
    expect(residuals.compute('a', 'sha256:2')).toBe(1);
    expect(residuals.forModel(DIGEST).get('a')).toMatchObject({ factor: factor(), samples: 5 });
    expect(residuals.forModel('sha256:2').get('a')).toBeUndefined();
  });

  it('is told with how far single answers are off', () => {
    const { residuals, note } = fresh();
    const draw = normals(7);
    for (let answer = 0; answer < 2_000; answer++) note(2 * Math.exp(0.7 * draw()));
    expect(residuals.spread(DIGEST)).toBeGreaterThan(0.5);
    expect(residuals.spread(DIGEST)).toBeLessThan(0.9);
  });

  it('fades when nothing is heard any more', () => {
    const { clock, note, factor } = fresh();
    for (let answer = 0; answer < 5; answer++) note(16);
    const before = factor();
    clock.advance(RESIDUAL_HALF_LIFE_MS);
    expect(Math.log(factor()) / Math.log(before)).toBeGreaterThan(0.3);
    expect(Math.log(factor()) / Math.log(before)).toBeLessThan(0.6);
    clock.advance(20 * RESIDUAL_HALF_LIFE_MS);
    expect(factor()).toBeCloseTo(1, 4);
  });

  it('is a number within bounds, whatever was measured', () => {
    const figure = fc.oneof(fc.double(), fc.constantFrom(0, -0, -1, Number.MAX_VALUE, Number.POSITIVE_INFINITY));
    fc.assert(
      fc.property(fc.array(fc.tuple(figure, figure), { maxLength: 30 }), (answers) => {
        const { residuals, factor } = fresh();
        for (const [predicted, measured] of answers) residuals.note('a', DIGEST, predicted, measured);
        expect(factor()).toBeGreaterThanOrEqual(1 / RESIDUAL_FACTOR_MAX / 1.001);
        expect(factor()).toBeLessThanOrEqual(RESIDUAL_FACTOR_MAX * 1.001);
      }),
      runs(500),
    );
  });

  it('is kept for so many nodes and no more', () => {
    const { residuals, note } = fresh();
    for (let node = 0; node < RESIDUAL_NODES_MAX + 500; node++) note(2, `node ${node}`);
    expect(residuals.size).toBe(RESIDUAL_NODES_MAX);
    for (let model = 0; model < 2_000; model++) residuals.note('a', `sha256:${model}`, 1, 2);
    expect(residuals.size).toBeLessThan(RESIDUAL_NODES_MAX + 500);
  });
});

describe('what a peer computed', () => {
  const price = { queueMs: 0, loadMs: 0, upMs: 5, computeMs: 100, downMs: 5, totalMs: 110 };
  const seen = { price, withinMs: undefined, claimedMs: 100, patience: 2 };
  const timing = { queueMs: 0, loadMs: 0, computeMs: 100, prefillMs: 0 };

  it('is what it says, where that fits what was seen', () => {
    expect(computedThere({ ...seen, timing, tookMs: 112, sinceAcknowledgedMs: 102 })).toBe(100);
    // A queue that nobody could know of.
    const queued = { ...timing, queueMs: 90, computeMs: 105 };
    expect(computedThere({ ...seen, timing: queued, tookMs: 206, sinceAcknowledgedMs: 196 })).toBe(105);
  });

  it('is what was seen, where it says less', () => {
    const modest = { ...timing, computeMs: 1 };
    expect(computedThere({ ...seen, timing: modest, tookMs: 610, sinceAcknowledgedMs: 600 })).toBeGreaterThan(550);
    // Without an acknowledgement the link is taken for what it was predicted to be.
    expect(computedThere({ ...seen, timing: modest, tookMs: 610, sinceAcknowledgedMs: undefined })).toBeGreaterThan(
      550,
    );
  });

  it('is what was seen, where it blames a queue that it had not told of', () => {
    const blaming = { ...timing, queueMs: 900, computeMs: 100 };
    const took = { tookMs: 1_010, sinceAcknowledgedMs: 1_000 };
    expect(computedThere({ ...seen, timing: blaming, ...took })).toBeGreaterThan(850);
    // A condition that allowed for the queue is one that it kept.
    expect(computedThere({ ...seen, withinMs: 1_000, timing: blaming, ...took })).toBe(100);
  });

  it('is no more than it took', () => {
    const boasting = { ...timing, computeMs: 1e9 };
    expect(computedThere({ ...seen, timing: boasting, tookMs: 110, sinceAcknowledgedMs: 100 })).toBe(100);
  });
});

describe('how long work stays at a peer', () => {
  it('is a surprise of one node only as far as it is none at the others', () => {
    const surprises = new Surprises();
    expect(surprises.patience('a')).toBe(PROMISE_FACTOR);
    // Its own surprises excuse nothing.
    for (let answer = 0; answer < 50; answer++) surprises.note('a', 10, 300);
    expect(surprises.patience('a')).toBe(PROMISE_FACTOR);
    for (let answer = 0; answer < 50; answer++) surprises.note('b', 10, 10 + answer);
    expect(surprises.patience('a')).toBeGreaterThan(4);
    expect(surprises.patience('a')).toBeLessThan(6);
    for (let answer = 0; answer < 500; answer++) surprises.note('b', 10, 10);
    expect(surprises.patience('a')).toBe(PROMISE_FACTOR);
  });
});
