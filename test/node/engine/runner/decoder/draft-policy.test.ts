// Drafting only while it pays: against streams whose drafts are accepted at a known rate, and steps of known cost.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DraftPolicy } from '../../../../../node/engine/runner/decoder/draft-policy.ts';
import { runs } from '../../../../support/property.ts';
import { SeededRandom } from '../../../../support/seeded.ts';

const DRAFTS = 10;

type StepMs = (rows: number) => number;

interface Stream {
  readonly tokens: number;
  readonly stepMs: StepMs;
  /** Whether a draft of the token at this index is right. */
  readonly isRight: (index: number) => boolean;
  /** Drafts that there are at this index. */
  readonly available?: (index: number) => number;
  readonly others?: number;
}

/** Generates a stream. `choose` says how many to draft of how many. */
function generate(stream: Stream, policy: DraftPolicy, choose = policy.choose.bind(policy)) {
  const { tokens, stepMs, isRight, available = () => DRAFTS, others = 0 } = stream;
  let [costMs, at, steps, drafting] = [0, 0, 0, 0];
  while (at < tokens) {
    const there = available(at);
    const drafted = choose(stepMs, there, others);
    expect(drafted).toBeLessThanOrEqual(there);
    let accepted = 0;
    while (accepted < drafted && isRight(at + accepted)) accepted++;
    if (drafted > 0) policy.observe(drafted, accepted);
    costMs += stepMs(1 + drafted);
    at += 1 + accepted;
    steps++;
    if (drafted > 0) drafting++;
  }
  return { msPerToken: costMs / at, costMs, tokens: at, steps, drafting };
}

const line =
  (slope: number): StepMs =>
  (rows) =>
    10 * (1 + slope * (rows - 1));
const rate = (acceptance: number, random: SeededRandom) => () => random.next() < acceptance;

/** Time per token with always so many drafts where there are any: for a share of the steps. */
function fixedMs(stepMs: StepMs, drafts: number, acceptance: number, share: number): number {
  let expected = 1;
  for (let draft = 1; draft <= drafts; draft++) expected += acceptance ** draft;
  return (share * stepMs(1 + drafts) + (1 - share) * stepMs(1)) / (share * expected + (1 - share));
}

const bestFixedMs = (stepMs: StepMs, acceptance: number, share: number): number =>
  Math.min(...Array.from({ length: DRAFTS + 1 }, (_, drafts) => fixedMs(stepMs, drafts, acceptance, share)));

describe('DraftPolicy', () => {
  it('never costs more than a step and 2 % over no drafts at all, whatever is accepted and what steps take', () => {
    const increments = fc.array(fc.double({ min: 0, max: 15, noNaN: true }), { minLength: DRAFTS, maxLength: DRAFTS });
    const pattern = fc.array(fc.record({ right: fc.boolean(), times: fc.integer({ min: 1, max: 80 }) }), {
      minLength: 1,
      maxLength: 12,
      size: 'max',
    });
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    const tokens = fc.integer({ min: 1, max: 1_500 });
    fc.assert(
      fc.property(increments, pattern, tokens, fc.nat(3), unit, (more, phases, length, others, acceptance) => {
        const stepMs: StepMs = (rows) => 10 + more.slice(0, rows - 1).reduce((sum, ms) => sum + ms, 0);
        const rights = phases.flatMap(({ right, times }) => Array.from({ length: times }, () => right));
        const isRight = (index: number): boolean => rights[index % rights.length] as boolean;
        const stream: Stream = { tokens: length, stepMs, isRight, others };
        const { costMs, steps, tokens: got } = generate(stream, new DraftPolicy({ acceptance }));
        // Beside others a step that is saved is worth one of their tokens less.
        const worthMs = 10 * (steps + (got - steps) / (others + 1));
        expect(costMs).toBeLessThanOrEqual(1.02 * worthMs + 10 + 1e-6);
      }),
      runs(200),
    );
  });

  it('costs at most 3 % more than none where drafts are always wrong, which a fixed number of them does not', () => {
    const stream: Stream = { tokens: 400, stepMs: line(0.27), isRight: () => false };
    expect(generate(stream, new DraftPolicy()).msPerToken).toBeLessThan(10.3);
    expect(generate(stream, new DraftPolicy(), () => 4).msPerToken).toBeGreaterThan(20);
    // Not even when earlier sequences promised much.
    const misled = generate({ ...stream, tokens: 2, stepMs: line(0.8) }, new DraftPolicy({ acceptance: 0.99 }));
    expect(misled.costMs).toBeLessThan(31);
  });

  it('comes within a tenth of the best fixed number of drafts', () => {
    const acceptance = fc.double({ min: 0, max: 1, noNaN: true });
    const slope = fc.double({ min: 0.02, max: 1, noNaN: true });
    const share = fc.constantFrom(1, 0.5, 0.2);
    fc.assert(
      fc.property(acceptance, slope, share, fc.integer(), (accepted, more, drafted, seed) => {
        const stepMs = line(more);
        const random = new SeededRandom(seed);
        const isRight = rate(accepted, random);
        const available = (): number => (random.next() < drafted ? DRAFTS : 0);
        const { msPerToken } = generate({ tokens: 5_000, stepMs, isRight, available }, new DraftPolicy());
        expect(msPerToken).toBeLessThan(1.1 * bestFixedMs(stepMs, accepted, drafted));
      }),
      runs(40),
    );
  });

  it('makes the most of costs as measured: 1.24 for two rows, 3.1 for eight', () => {
    const measured = [10, 12.4, 16, 19.2, 22, 25, 28, 31, 34, 37, 40];
    const stepMs: StepMs = (rows) => measured[rows - 1] as number;
    const at = (accepted: number): number =>
      generate({ tokens: 20_000, stepMs, isRight: rate(accepted, new SeededRandom(1)) }, new DraftPolicy()).msPerToken;
    expect([0.1, 0.5, 0.8, 0.95].map((accepted) => at(accepted) < 10.3)).toEqual([true, true, true, true]);
    expect(at(0.5)).toBeLessThan(8.6);
    expect(at(0.95)).toBeLessThan(5.4);
  });

  it('knows what a token is worth: long drafts pay only where the steps in between draft nothing', () => {
    // Up to four rows cost next to nothing, any more cost three steps in all.
    const stepMs: StepMs = (rows) => (rows > 4 ? 30 : 10 + 0.3 * (rows - 1));
    const ratios = [1, 0.2].map((share) => {
      const random = new SeededRandom(2);
      const available = (): number => (random.next() < share ? DRAFTS : 0);
      const stream: Stream = { tokens: 20_000, stepMs, isRight: rate(0.97, random), available };
      return generate(stream, new DraftPolicy()).msPerToken / bestFixedMs(stepMs, 0.97, share);
    });
    for (const ratio of ratios) expect(ratio).toBeLessThan(1.03);
  });

  it('learns the rate at which single drafts are accepted, whatever stands behind the first wrong one', () => {
    const rates = [0.3, 0.6, 0.9].map((accepted) => {
      const policy = new DraftPolicy();
      const random = new SeededRandom(3);
      let sum = 0;
      for (let step = 0; step < 2_000; step++) {
        let right = 0;
        while (right < 5 && random.next() < accepted) right++;
        policy.choose(line(0.01), 5);
        policy.observe(5, right);
        sum += policy.acceptance;
      }
      return sum / 2_000 - accepted;
    });
    for (const error of rates) expect(Math.abs(error)).toBeLessThan(0.03);
  });

  it('loses no more than twelve steps of all that it has gained', () => {
    const policy = new DraftPolicy();
    const stepMs = line(0.5);
    generate({ tokens: 3_000, stepMs, isRight: () => true }, policy);
    const { costMs } = generate({ tokens: 200, stepMs, isRight: () => false }, policy);
    expect(costMs).toBeLessThan(1.02 * 10 * 200 + 12 * 10 + 1);
  });

  it('tries again at most once in fifty steps while drafts are wrong, and follows a text that repeats itself again', () => {
    let isRight = false;
    const stepMs = line(0.2);
    const policy = new DraftPolicy();
    const prose = generate({ tokens: 1_000, stepMs, isRight: () => isRight }, policy);
    expect(policy.acceptance).toBeLessThan(0.2);
    const quiet = generate({ tokens: 1_000, stepMs, isRight: () => isRight }, policy);
    expect(prose.drafting).toBeGreaterThan(quiet.drafting);
    expect(quiet.drafting).toBeLessThanOrEqual(20);
    expect(quiet.drafting).toBeGreaterThan(5);
    isRight = true;
    expect(generate({ tokens: 300, stepMs, isRight: () => isRight }, policy).msPerToken).toBeLessThan(7);
  });

  it('never drafts without drafts, without known costs, or where even right ones cost as much as steps', () => {
    const none: Stream = { tokens: 300, stepMs: line(0.1), isRight: () => true, available: () => 0 };
    expect(generate(none, new DraftPolicy()).drafting).toBe(0);
    for (const unknown of [0, Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      expect(new DraftPolicy().choose(() => unknown, 5)).toBe(0);
      expect(new DraftPolicy().choose((rows) => (rows === 1 ? 10 : unknown), 5)).toBe(0);
    }
    const dear: Stream = { tokens: 300, stepMs: line(1.1), isRight: () => true };
    expect(generate(dear, new DraftPolicy()).drafting).toBe(0);
  });

  it('drafts less where others wait for the same step', () => {
    const chosen = [0, 1, 7].map((others) => {
      const policy = new DraftPolicy({ acceptance: 0.7 });
      for (let step = 0; step < 300; step++) policy.choose(line(0.1), 0, others);
      // The first choice may be a trial.
      policy.choose(line(0.1), DRAFTS, others);
      return policy.choose(line(0.1), DRAFTS, others);
    });
    // Each draft costs 1 ms; the k-th is worth 10 ms · 0.7^k to one alone, half of that beside another one.
    expect(chosen).toEqual([6, 4, 0]);
  });

  it('begins with what earlier sequences showed', () => {
    expect(new DraftPolicy({ acceptance: 0.02 }).choose(line(0.3), 1)).toBe(1);
    const sceptic = new DraftPolicy({ acceptance: 0.02 });
    sceptic.observe(sceptic.choose(line(0.3), 1), 0);
    expect(sceptic.choose(line(0.3), DRAFTS)).toBe(0);
    const trusting = new DraftPolicy({ acceptance: 0.9 });
    expect(trusting.choose(line(0.1), DRAFTS)).toBeGreaterThan(4);
    expect(new DraftPolicy({ acceptance: 0.9, draftMax: 2 }).choose(line(0.1), DRAFTS)).toBe(2);
  });
});
