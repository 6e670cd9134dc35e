// Where a graph must be cut, because no node may hold the whole of it or raw input stays where it is: the scheduler's cut
// against the best one, beside rules of thumb. Measured and judged as in `split`.

import { depthOf } from '../../node/scheduler/choose-cut.ts';
import { CutPrices } from '../../node/scheduler/cut-price.ts';
import { RAW_SHARE_MIN } from '../../node/scheduler/limits.ts';
import { cutCases } from './cuts/cases.ts';
import { measureCases } from './cuts/measure.ts';
import {
  type Asked,
  cheapest,
  chosenPlan,
  EDGE,
  mean,
  quantile,
  regret,
  requestOf,
  type TruePlan,
  truePlans,
} from './cuts/plans.ts';
import { gridOf, nameOf, type Point } from './cuts/points.ts';
import type { Benchmark } from './harness.ts';

/** Room of each node, as shares of the whole's weights: neither holds it all. */
const MEMORIES = [
  { edge: 0.9, peer: 0.9 },
  { edge: 0.65, peer: 0.65 },
  { edge: 0.4, peer: 0.9 },
] as const;

export const forced: Benchmark = {
  name: 'forced',
  summary: 'graphs that must be cut, for want of memory or because raw input stays: the cut taken against the best one',
  async run({ rounds, threads, say }) {
    const all = await measureCases(cutCases(), { rounds, threads, say });
    const outcomes = gridOf(all).flatMap((point) =>
      constraints(point).flatMap((asked) => outcomeOf(point, asked) ?? []),
    );
    const possible = outcomes.filter((outcome) => outcome !== 'impossible');
    say(`  ${possible.length} points; ${outcomes.length - possible.length} that no single cut can keep`);
    const of = (who: keyof Regrets): number[] => possible.map((regrets) => regrets[who]);
    return {
      figures: {
        forced_regret_mean: mean(of('chosen')),
        forced_regret_p95: quantile(of('chosen'), 0.95),
        half_and_half_regret_mean: mean(of('half')),
        half_and_half_regret_p95: quantile(of('half'), 0.95),
        by_memory_regret_mean: mean(of('memory')),
        by_memory_regret_p95: quantile(of('memory'), 0.95),
        fewest_bytes_regret_mean: mean(of('bytes')),
        fewest_bytes_regret_p95: quantile(of('bytes'), 0.95),
        points: possible.length,
        impossible_points: outcomes.length - possible.length,
      },
      samples: {
        forced_regret: of('chosen'),
        half_and_half_regret: of('half'),
        by_memory_regret: of('memory'),
        fewest_bytes_regret: of('bytes'),
      },
    };
  },
};

interface Regrets {
  readonly chosen: number;
  readonly half: number;
  readonly memory: number;
  readonly bytes: number;
}

/** Memory in three ways in every form of the input, and raw input that stays, which has no form: it doesn't travel. */
function constraints({ measured, form }: Point): Asked[] {
  const asked: Asked[] = MEMORIES.map((memory) => ({ memory }));
  if (form !== measured.cutCase.forms[0]) return asked;
  return [...asked, { memory: { edge: 0.95, peer: 0.95 }, rule: { rawLocal: measured.cutCase.raw } }];
}

/** Undefined for a graph without cuts. */
function outcomeOf(point: Point, asked: Asked): Regrets | 'impossible' | undefined {
  const { table } = point.measured;
  if (table.segments.length < 2) return undefined;
  const plans = allowed(point, asked);
  const chosen = chosenPlan(requestOf(point, asked), truePlans(point));
  if (plans.length === 0) {
    if (chosen !== undefined) throw new Error(`Chosen at ${nameOf(point)}, which allows nothing.`);
    return 'impossible';
  }
  if (chosen === undefined)
    throw new Error(`Nothing was chosen at ${nameOf(point)}, which allows ${plans.length} cuts.`);
  const best = cheapest(plans);
  const nearest = (to: (plan: TruePlan) => number): TruePlan =>
    plans.reduce((found, plan) => (to(plan) < to(found) ? plan : found));
  const prices = new CutPrices(table);
  const { edge = 1, peer = 1 } = asked.memory ?? {};
  const weightShare = (plan: TruePlan): number => {
    const head = prices.weightBytes([{ from: 0, to: plan.cut }]) / prices.weightBytes([{ from: 0, to: prices.count }]);
    return plan.first === EDGE ? head : 1 - head;
  };
  // The rules of thumb know nothing of who is faster: the requester's part comes first.
  const preferred = (plan: TruePlan): number => (plan.first === EDGE ? 0 : 10);
  const rules: Omit<Regrets, 'chosen'> = {
    half: regret(
      nearest((plan) => preferred(plan) + Math.abs(prices.share(0, plan.cut) - 0.5)),
      best,
    ),
    memory: regret(
      nearest((plan) => preferred(plan) + Math.abs(weightShare(plan) - edge / (edge + peer))),
      best,
    ),
    bytes: regret(
      nearest((plan) => bytesAt(point, plan.cut) + preferred(plan) * 1e9),
      best,
    ),
  };
  return { chosen: regret(chosen, best), ...rules };
}

/** Cuts that keep to the memory and the rule, worked out from the table alone. */
function allowed(point: Point, { memory, rule }: Asked): TruePlan[] {
  const { table, cutCase } = point.measured;
  const prices = new CutPrices(table);
  const last = prices.count;
  const all = prices.weightBytes([{ from: 0, to: last }]);
  const raw = table.tensors.filter(({ name, from }) => from === -1 && cutCase.raw.includes(name));
  const rawEnd = Math.max(0, ...raw.flatMap(({ to }) => to)) + 1;
  const depth = depthOf(table, RAW_SHARE_MIN);
  return truePlans(point).filter(({ kind, cut, first }) => {
    if (kind !== 'cut') return false;
    const [head, tail] = [prices.weightBytes([{ from: 0, to: cut }]), prices.weightBytes([{ from: cut, to: last }])];
    const [own, other] = first === EDGE ? [head, tail] : [tail, head];
    if (memory !== undefined && (own > memory.edge * all || other > memory.peer * all)) return false;
    return rule === undefined || (first === EDGE && cut >= Math.max(rawEnd, depth));
  });
}

/** What crosses in the middle. */
function bytesAt({ measured }: Point, cut: number): number {
  return measured.table.tensors
    .filter(({ from, to }) => from >= 0 && from < cut && to.some((segment) => segment >= cut))
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
