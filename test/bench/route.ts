// Where requests are sent: Weft beside round-robin, random, least connections, power of two, Prequal as published and an
// oracle that knows every queue, time and link but not the future, on the same simulated arrivals.
// WEFT_BENCH_SCENARIOS=a,b takes these scenarios only; WEFT_BENCH_REQUESTS=0 runs the steady ones to their very end.
import { POLICY_NAMES } from '../../node/scheduler/policies.ts';
import { weftPolicy } from '../../node/scheduler/weft-policy.ts';
import { type Experiment, ORACLE, runScenario } from '../sim/experiment.ts';
import { readScenarios, type Scenario } from '../sim/scenarios.ts';
import { type Benchmark, type BenchResult, median } from './harness.ts';
import { decisionTimes, readTimes } from './route-decision.ts';
import { type RouteRun, runAll } from './route-runs.ts';

const WEFT = 'weft';
const PUBLISHED = POLICY_NAMES.filter((name) => name !== WEFT);
const POLICIES = [WEFT, ...PUBLISHED, ORACLE];

/** Loaded to half at most: every sane policy is near the best one there. */
const UP_TO_HALF: readonly string[] = ['even-half', 'thin-uplink', 'cold-models', 'churn'];

/**
 * Where nothing changes but chance, a run ends after so many requests: its p99 is that of a few hundred already, and a
 * table of seven policies and five seeds takes minutes, not an hour.
 */
const REQUESTS_MAX = Number(process.env.WEFT_BENCH_REQUESTS ?? 10_000) || Number.POSITIVE_INFINITY;

const DECISIONS = 3_000;

/** Sixteen nodes at a rate that keeps them a twentieth busy: what a second of simulated time costs is mostly events. */
const SPEED_RPS = 40;

type Runs = ReadonlyMap<string, readonly Experiment[]>;

export const route: Benchmark = {
  name: 'route',
  summary: 'p99 of routing policies over an oracle, simulated; --rounds are the seeds (5 for a figure that is quoted)',
  async run({ rounds, say }) {
    const decisions = decisionTimes(weftPolicy, 1_000, DECISIONS);
    const readings = readTimes(1_000, DECISIONS);
    const speedups = await simSpeedups();
    const scenarios = chosenScenarios();
    // The longest first: the last threads then end at about the same time.
    const size = ({ arrivals, durationS, groups }: Scenario): number =>
      Math.min(REQUESTS_MAX, durationS * (arrivals[0]?.rps ?? 0)) * groups.reduce((sum, { count }) => sum + count, 50);
    const runs = scenarios
      .toSorted((a, b) => size(b) - size(a))
      .flatMap((scenario) =>
        Array.from({ length: rounds }, (_, round) =>
          POLICIES.map((policy) => ({ scenario: scenario.name, seed: round + 1, policy, untilS: untilS(scenario) })),
        ).flat(),
      );
    const results = await runAll(runs, ({ scenario, seed, policy }, { p99, failedShare, speedup }) =>
      say(
        `  ${scenario} ${seed} ${policy}: p99 ${ms(p99)} ms, ${percent(failedShare)} failed, ${Math.round(speedup)}×`,
      ),
    );
    const byScenario = group(runs, results);
    for (const line of table(scenarios, byScenario)) say(line);
    const open = scenarios.filter(({ name }) => !standing(name, byScenario.get(name) ?? new Map()).holds);
    if (open.length > 0) say(`  not held: ${open.map(({ name }) => name).join(', ')}`);
    return resultOf(scenarios, byScenario, { decisions, readings, speedups });
  },
};

function chosenScenarios(): readonly Scenario[] {
  const wanted = process.env.WEFT_BENCH_SCENARIOS?.split(',');
  return readScenarios().filter(({ name }) => wanted === undefined || wanted.includes(name));
}

/** Scenarios in which something happens run to their end; the others until they have had their requests. */
function untilS({ arrivals, durationS, events }: Scenario): number {
  const steady = events.length === 0 && arrivals.length === 1;
  return steady ? Math.min(durationS, REQUESTS_MAX / (arrivals[0]?.rps ?? 1)) : durationS;
}

/** Simulated over real time, of three runs of sixteen nodes. */
async function simSpeedups(): Promise<number[]> {
  const sixteen = readScenarios().find(({ name }) => name === 'even-half');
  if (sixteen === undefined) throw new RangeError('There is no scenario of sixteen nodes.');
  const quiet = { ...sixteen, arrivals: [{ fromS: 0, toS: sixteen.durationS, rps: SPEED_RPS }] };
  const speedups: number[] = [];
  for (let seed = 0; seed <= 3; seed++) speedups.push((await runScenario(quiet, seed, WEFT)).speedup);
  // The first one is the compiler's.
  return speedups.slice(1);
}

/** By scenario and policy, in the order of the seeds. */
function group(runs: readonly RouteRun[], results: readonly Experiment[]): ReadonlyMap<string, Runs> {
  const grouped = new Map<string, Map<string, Experiment[]>>();
  for (const [index, { scenario, policy }] of runs.entries()) {
    const policies = grouped.get(scenario) ?? new Map<string, Experiment[]>();
    grouped.set(scenario, policies.set(policy, [...(policies.get(policy) ?? []), results[index] as Experiment]));
  }
  return grouped;
}

const p99s = (runs: Runs, policy: string): readonly number[] => (runs.get(policy) ?? []).map(({ p99 }) => p99);

/** Median over the seeds of one policy's p99 over that of others, the best of them on that seed. */
function ratio(runs: Runs, policy: string, others: readonly string[]): number {
  return median(
    p99s(runs, policy).map((p99, seed) => {
      const best = Math.min(...others.map((other) => p99s(runs, other)[seed] ?? Number.NaN));
      return Number.isFinite(p99) || Number.isFinite(best) ? p99 / best : 1;
    }),
  );
}

interface Standing {
  readonly vsOracle: number;
  /** Over the best of the published policies: below 1 is better. */
  readonly vsPublished: number;
  readonly failedShare: number;
  readonly holds: boolean;
}

/** Up to half load: within 3 % of the best. Above: a tenth better than the best published one, or within 8 % of the oracle. */
function standing(name: string, runs: Runs): Standing {
  const vsOracle = ratio(runs, WEFT, [ORACLE]);
  const vsPublished = ratio(runs, WEFT, PUBLISHED);
  const failedShare = Math.max(...(runs.get(WEFT) ?? []).map((run) => run.failedShare));
  const holds = UP_TO_HALF.includes(name)
    ? ratio(runs, WEFT, [...PUBLISHED, ORACLE]) <= 1.03
    : vsPublished <= 0.9 || vsOracle <= 1.08;
  return { vsOracle, vsPublished, failedShare, holds: holds && failedShare === 0 };
}

/** Lines of Markdown: median p99 of each policy over the oracle's, Weft over the best published one. */
function table(scenarios: readonly Scenario[], byScenario: ReadonlyMap<string, Runs>): string[] {
  const rows = scenarios.map(({ name }) => {
    const runs = byScenario.get(name) ?? new Map();
    const { vsPublished, failedShare, holds } = standing(name, runs);
    const oracle = p99s(runs, ORACLE);
    const range = `${ms(median(oracle))} (${ms(Math.min(...oracle))} … ${ms(Math.max(...oracle))})`;
    const ratios = [WEFT, ...PUBLISHED].map((policy) => ratio(runs, policy, [ORACLE]).toFixed(2));
    return [name, range, ...ratios, vsPublished.toFixed(2), percent(failedShare), holds ? 'yes' : 'no'];
  });
  const head = ['scenario', 'oracle p99, ms', ...[WEFT, ...PUBLISHED], 'Weft / best published', 'Weft failed', 'holds'];
  return [head, head.map((_, column) => (column === 0 ? '---' : '--:')), ...rows].map(
    (cells) => `| ${cells.join(' | ')} |`,
  );
}

function resultOf(
  scenarios: readonly Scenario[],
  byScenario: ReadonlyMap<string, Runs>,
  { decisions, readings, speedups }: Readonly<Record<'decisions' | 'readings' | 'speedups', readonly number[]>>,
): BenchResult {
  const standings = scenarios.map(({ name }) => [name, standing(name, byScenario.get(name) ?? new Map())] as const);
  const samples: Record<string, readonly number[]> = {
    decision_us_at_1000: decisions,
    records_us_at_1000: readings,
    sim_speedup: speedups,
  };
  for (const [scenario, runs] of byScenario) {
    for (const policy of POLICIES) samples[`${scenario}.${policy}.p99_ms`] = p99s(runs, policy);
    samples[`${scenario}.weft.failed_share`] = (runs.get(WEFT) ?? []).map(({ failedShare }) => failedShare);
  }
  return {
    figures: {
      p99_vs_oracle_median: median(standings.map(([, { vsOracle }]) => vsOracle)),
      failed_share: Math.max(...standings.map(([, { failedShare }]) => failedShare)),
      decision_us_at_1000: median(decisions),
      records_us_at_1000: median(readings),
      sim_speedup: median(speedups),
      scenarios_held: standings.filter(([, { holds }]) => holds).length,
      ...Object.fromEntries(standings.map(([name, { vsOracle }]) => [`${name}.vs_oracle`, vsOracle])),
      ...Object.fromEntries(standings.map(([name, { vsPublished }]) => [`${name}.vs_best_published`, vsPublished])),
    },
    samples,
  };
}

const ms = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.01 ? 2 : 0)} %`;
