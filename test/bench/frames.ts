// A steady stream of frames over two equal nodes whose executors are emulated: they replay how long the parts took on this
// machine. Parts that work at the same time on different frames, beside whole frames spread over both, which is the plan to
// beat; the scheduler must take whichever is better.
import { setTimeout as sleep } from 'node:timers/promises';
import { type CutRequest, chooseCut } from '../../node/scheduler/choose-cut.ts';
import { SeededRandom } from '../support/seeded.ts';
import { type CutCase, cutCases, type TravelForm } from './cuts/cases.ts';
import { type MeasuredCase, measureCases } from './cuts/measure.ts';
import { chosenPlan, crossingOf, EDGE, mean, rangesOf, requestOf, type TruePlan, truePlans } from './cuts/plans.ts';
import type { Point } from './cuts/points.ts';
import { type Benchmark, type BenchOptions, interleave, median } from './harness.ts';

const FRAMES = 80;
/** Not counted: the stages fill. */
const FRAMES_FIRST = 20;

/** Frames under way: enough that every stage has one, and one that waits. */
const WINDOW = 8;

const MODEL = 'pp_ocr_rec';

interface Scene {
  readonly name: string;
  readonly form: TravelForm['name'];
  readonly mbitPerS: number;
  /** What each node may hold, as a share of the weights. @default all */
  readonly room?: number;
  /** Frames stay where the camera is. @default they may be sent */
  readonly rawLocal?: true;
}

/** Where pictures are small, where raw ones fill the way, where neither node has room for all, and where frames stay. */
const SCENES: readonly Scene[] = [
  { name: 'jpeg', form: 'jpeg', mbitPerS: 100 },
  { name: 'raw_slow', form: 'float', mbitPerS: 20 },
  { name: 'no_room', form: 'float', mbitPerS: 1_000, room: 0.9 },
  { name: 'raw_local', form: 'float', mbitPerS: 1_000, rawLocal: true },
];

export const frames: Benchmark = {
  name: 'frames',
  summary:
    'a stream of frames over two emulated nodes: parts that work at the same time, and whole frames spread over both',
  async run({ rounds, threads, say }) {
    const [measured] = await measureCases(cutCases().filter(isModel), { rounds, threads, say });
    if (measured === undefined) throw new Error(`${MODEL} is not there.`);
    const figures: Record<string, number> = {};
    const samples: Record<string, readonly number[]> = {};
    const pipelined: number[] = [];
    let right = 0;
    for (const scene of SCENES) {
      const outcome = await play(scene, measured, { rounds, say });
      Object.assign(samples, outcome.samples);
      pipelined.push(outcome.pipelineShare);
      figures[`${scene.name}_pipeline_share`] = outcome.pipelineShare;
      figures[`${scene.name}_chosen_over_best`] = outcome.chosenOverBest;
      if (outcome.isRight) right++;
    }
    return {
      figures: { pipeline_share: Math.min(...pipelined), chosen_right_share: right / SCENES.length, ...figures },
      samples,
    };
  },
};

const isModel = ({ name }: CutCase): boolean => name === MODEL;

async function play(scene: Scene, measured: MeasuredCase, { rounds, say }: Pick<BenchOptions, 'rounds' | 'say'>) {
  const form = measured.cutCase.forms.find(({ name }) => name === scene.form) as TravelForm;
  const point: Point = { measured, form, mbitPerS: scene.mbitPerS, rttMs: 2, peer: 1, edge: 1 };
  const plans = truePlans(point);
  const { room, rawLocal } = scene;
  const request: CutRequest = {
    ...requestOf(point, {
      ...(room !== undefined && { memory: { edge: room, peer: room } }),
      ...(rawLocal && { rule: { rawLocal: measured.cutCase.raw } }),
    }),
    steady: true,
  };
  const wholes = request.wholes.map((whole) => ({ ...whole, periodMs: periodOf(plans, whole.node, point) }));
  const choice = chooseCut({ ...request, wholes });
  const cut = chosenPlan({ ...request, wholes: [] }, plans) as TruePlan;
  const [local, remote] = plans as [TruePlan, TruePlan];
  // Whole frames go where they may.
  const spread = room !== undefined ? [] : rawLocal ? [local] : [local, remote];
  let seed = 1;
  const results = await interleave(rounds, {
    cut: async () => [await ratePerSecond(point, [cut], seed++)],
    ...(spread.length > 0 && { whole: async () => [await ratePerSecond(point, spread, seed++)] }),
  });
  const [inParts, whole] = [(results.cut ?? []).flat(), (results.whole ?? []).flat()];
  const slowestMs = Math.max(...stagesOf(cut, point));
  const cutRate = median(inParts);
  const wholeRate = whole.length > 0 ? median(whole) : 0;
  const isRight = (choice.chosen === 'cut') === cutRate > wholeRate;
  say(
    `  ${scene.name}: ${cutRate.toFixed(1)} frames/s in parts, slowest stage ${slowestMs.toFixed(1)} ms, ` +
      `${wholeRate.toFixed(1)} whole; taken: ${choice.chosen}`,
  );
  return {
    pipelineShare: (cutRate * slowestMs) / 1000,
    chosenOverBest: (choice.chosen === 'cut' ? cutRate : wholeRate) / Math.max(cutRate, wholeRate),
    isRight,
    samples: {
      [`${scene.name}_parts_frames_per_s`]: inParts,
      ...(whole.length > 0 && { [`${scene.name}_whole_frames_per_s`]: whole }),
    },
  };
}

/** Between two whole frames on one node: what takes longest of computing there and the ways. */
function periodOf(plans: readonly TruePlan[], node: string, point: Point): number {
  return Math.max(...stagesOf(plans[node === EDGE ? 0 : 1] as TruePlan, point));
}

/** Milliseconds of each stage of a plan, as executors and wires replay them. */
function stagesOf(plan: TruePlan, point: Point): number[] {
  const { up, down } = crossingOf(plan, point);
  return [...durationsOf(plan, point).map(({ samples }) => mean(samples)), wireMs(up, point), wireMs(down, point)];
}

const wireMs = (bytes: number, { mbitPerS }: Point): number => (bytes * 8) / mbitPerS / 1e3;

/** Of the plan's parts, in the order in which they run, who has them and how long they took. */
function durationsOf(
  plan: TruePlan,
  { measured }: Point,
): { readonly who: string; readonly samples: readonly number[] }[] {
  const last = measured.table.segments.length;
  const parts = Object.entries(rangesOf(plan, last)).map(([who, { from, to }]) => {
    const series = from === 0 && to === last ? 'whole' : from === 0 ? `head_${to}` : `tail_${from}`;
    return { who, from, samples: measured.samples[series] ?? [] };
  });
  return parts.sort((a, b) => a.from - b.from);
}

/** Does one thing after the other, in the order in which they come. */
class Serial {
  #freeMs = 0;

  /** Towards a moment, so that the timer's grain doesn't add up. */
  async take(ms: number): Promise<void> {
    this.#freeMs = Math.max(performance.now(), this.#freeMs) + ms;
    await sleep(Math.max(0, this.#freeMs - performance.now()));
  }
}

/** Frames per second of a stream of which each frame takes one of these plans: that which is predicted to be through first. */
async function ratePerSecond(point: Point, plans: readonly TruePlan[], seed: number): Promise<number> {
  const random = new SeededRandom(seed);
  const [nodes, up, down] = [new Map<string, Serial>(), new Serial(), new Serial()];
  const routes = plans.map((plan) => {
    const parts = durationsOf(plan, point);
    for (const { who } of parts) if (!nodes.has(who)) nodes.set(who, new Serial());
    const crossing = crossingOf(plan, point);
    return { parts, ...crossing, periodMs: Math.max(...stagesOf(plan, point)), given: 0 };
  });
  let begun = 0;
  let done = 0;
  let firstMs = 0;
  const oneAfterTheOther = async (): Promise<void> => {
    while (begun < FRAMES) {
      begun++;
      // In proportion to what each keeps up with.
      const route = routes.reduce((best, one) =>
        (one.given + 1) * one.periodMs < (best.given + 1) * best.periodMs ? one : best,
      );
      route.given++;
      for (const { who, samples } of route.parts) {
        const isThere = who !== EDGE;
        if (isThere) {
          await up.take(wireMs(route.up, point));
          await sleep(point.rttMs / 2);
        }
        await nodes.get(who)?.take(random.pick(samples));
        if (isThere) {
          await down.take(wireMs(route.down, point));
          await sleep(point.rttMs / 2);
        }
      }
      done++;
      if (done === FRAMES_FIRST) firstMs = performance.now();
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, oneAfterTheOther));
  return ((FRAMES - FRAMES_FIRST) * 1000) / (performance.now() - firstMs);
}
