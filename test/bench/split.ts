// What cutting graphs is worth for one request: every cut of real models, its parts measured on this machine, over computed
// links. Plans are chosen by one half of the interleaved rounds and judged by the other.

import { cutCases } from './cuts/cases.ts';
import { type MeasuredCase, measureCases } from './cuts/measure.ts';
import { cheapest, chosenPlan, mean, quantile, regret, requestOf, type TruePlan, truePlans } from './cuts/plans.ts';
import { aroundPoint, gridOf, nameOf, type Point } from './cuts/points.ts';
import { shapedErrors } from './cuts/shaped.ts';
import { type Benchmark, type BenchResult, median } from './harness.ts';

/** A cut truly wins where the best whole plan takes so much longer than it. */
const WIN_SHARE = 0.1;

/** Where it wins by so much, the grid is made finer: by less, it may be noise. */
const FINER_SHARE = 0.05;

/** Points that are run over real links. */
const SHAPED_POINTS = 40;

export const split: Benchmark = {
  name: 'split',
  summary: 'one request over two nodes: whole here, whole there or cut, against the best of all, over a grid of links',
  async run({ rounds, threads, say }) {
    const all = await measureCases(cutCases(), { rounds, threads, say });
    const judged = refined(all).map(judge);
    const wins = judged.filter(({ gain }) => gain >= WIN_SHARE);
    say(`  ${judged.length} points; a cut truly wins by ${WIN_SHARE * 100} % at ${wins.length}:`);
    for (const { point, best, chosen, gain } of wins) {
      const taken = chosen.kind === 'cut' ? `cut ${chosen.cut}` : chosen.kind;
      say(`    ${nameOf(point)}: cut ${best.cut} wins by ${(gain * 100).toFixed(0)} %, taken: ${taken}`);
    }
    const plans = judged.map(({ point, chosen }) => ({ point, plan: chosen }));
    const shaped = await shapedErrors(plans, { count: SHAPED_POINTS, threads, say });
    return result(judged, wins, shaped, all);
  },
};

export interface Judged {
  readonly point: Point;
  readonly best: TruePlan;
  readonly chosen: TruePlan;
  /** Of the best whole plan's time, what the best plan saves; 0 where that is whole. */
  readonly gain: number;
  /** What is lost against the best, by who chooses. */
  readonly regrets: Readonly<Record<'chosen' | 'never_cut' | 'always_local' | 'always_remote', number>>;
}

/** The grid, and around the points at which a cut wins a finer one. */
function refined(all: readonly MeasuredCase[]): Point[] {
  const grid = gridOf(all);
  const finer = grid.filter((point) => judge(point).gain >= FINER_SHARE).flatMap(aroundPoint);
  const byName = new Map([...grid, ...finer].map((point) => [nameOf(point), point]));
  return [...byName.values()];
}

function judge(point: Point): Judged {
  const plans = truePlans(point);
  const request = requestOf(point);
  const best = cheapest(plans);
  const chosen = chosenPlan(request, plans);
  if (chosen === undefined) throw new Error(`Nothing was chosen at ${nameOf(point)}.`);
  const [local, remote] = plans as [TruePlan, TruePlan];
  const [localMs = 0, remoteMs = 0] = request.wholes.map(({ totalMs }) => totalMs);
  const wholeMs = Math.min(local.ms, remote.ms);
  return {
    point,
    best,
    chosen,
    gain: 1 - best.ms / wholeMs,
    regrets: {
      chosen: regret(chosen, best),
      never_cut: regret(localMs <= remoteMs ? local : remote, best),
      always_local: regret(local, best),
      always_remote: regret(remote, best),
    },
  };
}

function result(
  judged: readonly Judged[],
  wins: readonly Judged[],
  shaped: readonly number[],
  all: readonly MeasuredCase[],
): BenchResult {
  const of = (who: keyof Judged['regrets']): number[] => judged.map(({ regrets }) => regrets[who]);
  const gains = wins.map(({ point, chosen }) => {
    const [local, remote] = truePlans(point) as [TruePlan, TruePlan];
    return 1 - chosen.ms / Math.min(local.ms, remote.ms);
  });
  const isRecalled = ({ chosen }: Judged): boolean => chosen.kind === 'cut';
  return {
    figures: {
      regret_mean: mean(of('chosen')),
      regret_p95: quantile(of('chosen'), 0.95),
      never_cut_regret_mean: mean(of('never_cut')),
      never_cut_regret_p95: quantile(of('never_cut'), 0.95),
      always_local_regret_mean: mean(of('always_local')),
      always_local_regret_p95: quantile(of('always_local'), 0.95),
      always_remote_regret_mean: mean(of('always_remote')),
      always_remote_regret_p95: quantile(of('always_remote'), 0.95),
      points: judged.length,
      cut_wins: wins.length,
      cut_recall: wins.length === 0 ? 0 : wins.filter(isRecalled).length / wins.length,
      cut_gain_median: gains.length === 0 ? 0 : median(gains),
      cuts_taken_in_vain: judged.filter(({ chosen, best }) => chosen.kind === 'cut' && best.kind !== 'cut').length,
      shaped_points: shaped.length,
      shaped_error_median: median(shaped),
      shaped_error_p95: quantile(shaped, 0.95),
    },
    samples: {
      regret: of('chosen'),
      shaped_error: shaped,
      ...Object.fromEntries(
        all.flatMap(({ cutCase, samples }) =>
          Object.entries(samples).map(([series, list]) => [`${cutCase.name}_${series}_ms`, list] as const),
        ),
      ),
    },
  };
}
