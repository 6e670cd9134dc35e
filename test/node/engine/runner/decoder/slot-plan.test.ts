// Which sequences share a run: against all the ways in which they could.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bestRuns, planSlots, type Runs, runsMs } from '../../../../../node/engine/runner/decoder/slot-plan.ts';
import type { StepLine } from '../../../../../node/engine/runner/decoder/step-costs.ts';
import { runs } from '../../../../support/property.ts';

const LINE: StepLine = { fixedMs: 8, perRowMs: 2, perCellMs: 0.005 };
const known = (line: StepLine | undefined) => ({ line: () => line });
const sorted = (plan: Runs): number[][] => plan.map((run) => run.toSorted((a, b) => a - b));

/** All ways to put so many into groups. */
function* partitions(count: number): Generator<number[][]> {
  if (count === 0) {
    yield [];
    return;
  }
  for (const rest of partitions(count - 1)) {
    yield [...rest, [count - 1]];
    for (const at of rest.keys()) yield rest.map((run, index) => (index === at ? [...run, count - 1] : run));
  }
}

const cost = fc.double({ min: 0, max: 20, noNaN: true });
const line = fc.record({ fixedMs: cost, perRowMs: cost, perCellMs: fc.double({ min: 0, max: 0.05, noNaN: true }) });
const lengths = (maxLength: number) => fc.array(fc.integer({ min: 1, max: 8_000 }), { maxLength, size: 'max' });

/** Everyone once, the longest first. */
function expectWhole(plan: Runs, of: readonly number[]): void {
  expect(plan.flat().sort((a, b) => a - b)).toEqual([...of.keys()]);
  for (const run of plan) {
    expect(run.length).toBeGreaterThan(0);
    const own = run.map((index) => of[index] as number);
    expect(own).toEqual(own.toSorted((a, b) => b - a));
  }
  const firsts = plan.map((run) => of[run[0] as number] as number);
  expect(firsts).toEqual(firsts.toSorted((a, b) => b - a));
}

describe('bestRuns', () => {
  it('is as cheap as the cheapest of all groupings', () => {
    fc.assert(
      fc.property(lengths(8), line, (all, costs) => {
        const plan = bestRuns(all, costs);
        expectWhole(plan, all);
        const least = Math.min(...partitions(all.length).map((one) => runsMs(one, all, costs)));
        expect(runsMs(plan, all, costs)).toBeCloseTo(least, 6);
      }),
      runs(60),
    );
  });

  it('leaves a long one alone, and keeps those of one length together', () => {
    const all = [100, 90, 6_000, 110, 120, 80, 100, 100];
    expect(sorted(bestRuns(all, LINE))).toEqual([[2], [0, 1, 3, 4, 5, 6, 7]]);
    expect(bestRuns([100, 120, 110], LINE)).toHaveLength(1);
    expect(bestRuns([], LINE)).toEqual([]);
  });
});

describe('planSlots', () => {
  it('puts all into one run while it does not know what more rows cost', () => {
    expect(planSlots({ lengths: [5, 9_000, 7], current: [[0], [1]], costs: known(undefined) })).toEqual([[1, 2, 0]]);
    expect(planSlots({ lengths: [], current: [], costs: known(undefined) })).toEqual([]);
  });

  it('brings newcomers in, each in a block of its own so far', () => {
    const current = [[0], [1], [2]];
    expect(planSlots({ lengths: [100, 120, 6_000], current, costs: known(LINE) })).toEqual([[2], [1, 0]]);
  });

  it('moves nobody for what moving costs more than it saves in 32 steps', () => {
    // Apart they take 8 ms more per step: 256 ms in 32 steps, against 100 tokens to move.
    const apart = { lengths: [100, 120], current: [[0], [1]], costs: known(LINE) };
    expect(planSlots({ ...apart, moveMsPerToken: 2.5 })).toEqual([[1, 0]]);
    expect(planSlots({ ...apart, moveMsPerToken: 2.6 })).toEqual([[1], [0]]);
  });

  it('counts as moved all but those whose block goes on with them', () => {
    // Apart they take 51 ms less per step: 1,634 in 32 steps, against the 190 tokens of the two short ones.
    const together = { lengths: [6_000, 100, 90], current: [[0, 1, 2]], costs: known(LINE) };
    expect(planSlots({ ...together, moveMsPerToken: 8.5 })).toEqual([[0], [1, 2]]);
    expect(planSlots({ ...together, moveMsPerToken: 8.7 })).toEqual([[0, 1, 2]]);
  });

  it('puts those that have no block yet where they cost least, when the others had better stay', () => {
    const current = [[0], [1, -1], []];
    const plan = planSlots({ lengths: [6_000, 100, 90, 5_900], current, costs: known(LINE), moveMsPerToken: 1_000 });
    expect(sorted(plan)).toEqual([
      [0, 3],
      [1, 2],
    ]);
  });

  it('says the same again, once it was followed: it never flaps', () => {
    const runsNow = fc.array(fc.nat(3), { minLength: 12, maxLength: 12 });
    const move = fc.double({ min: 0, max: 2, noNaN: true });
    fc.assert(
      fc.property(lengths(12), runsNow, line, move, (all, blocks, costs, moveMsPerToken) => {
        // Block 3 stands for none.
        const current = [0, 1, 2].map((block) => [...all.keys()].filter((index) => blocks[index] === block));
        const plan = planSlots({ lengths: all, current, costs: known(costs), moveMsPerToken });
        expectWhole(plan, all);
        expect(planSlots({ lengths: all, current: plan, costs: known(costs), moveMsPerToken })).toEqual(plan);
        // One token later nothing has changed that is worth a move, unless one has outgrown a step of capacity.
        const later = all.map((length) => length + (length % 64 === 0 ? 0 : 1));
        const again = planSlots({ lengths: later, current: plan, costs: known(costs), moveMsPerToken });
        expect(sorted(again).sort()).toEqual(sorted(plan).sort());
      }),
      runs(300),
    );
  });
});
