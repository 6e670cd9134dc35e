// How well the times of parts are predicted: by a profile that the parts of a few cuts set right, from one half of the
// interleaved rounds, against the other half; beside how well the same parts repeat themselves.
import { CutPrices } from '../../node/scheduler/cut-price.ts';
import { cutCases } from './cuts/cases.ts';
import { type Halves, type MeasuredCase, measureCases } from './cuts/measure.ts';
import { quantile } from './cuts/plans.ts';
import { type Benchmark, median } from './harness.ts';

/** Parts of less are timers' noise: the figures are of those that take as long, the others are counted. */
const PART_MS_MIN = 0.2;

export const predict: Benchmark = {
  name: 'predict',
  summary: 'predicted times of all parts of all cuts against measured ones, beside how well these repeat',
  async run({ rounds, threads, say }) {
    const all = await measureCases(cutCases(), { rounds, threads, say });
    const parts = all.flatMap(partsOf);
    const counted = parts.filter(({ judgedMs }) => judgedMs >= PART_MS_MIN);
    const error = counted.map(({ predictedMs, judgedMs }) => Math.abs(predictedMs / judgedMs - 1));
    const share = counted.map(({ shareMs, judgedMs }) => Math.abs(shareMs / judgedMs - 1));
    const unseen = counted.flatMap(({ isSeen }, at) => (isSeen ? [] : [error[at] as number]));
    const noise = counted.map(({ knownMs, judgedMs }) => Math.abs(knownMs / judgedMs - 1));
    for (const { cutCase } of all) {
      const own = counted.flatMap((part, at) => (part.name === cutCase.name ? [error[at] as number] : []));
      if (own.length > 0)
        say(`  ${cutCase.name.padEnd(20)} ${own.length} parts, median error ${median(own).toFixed(3)}`);
    }
    return {
      figures: {
        part_error_median: median(error),
        part_error_p95: quantile(error, 0.95),
        unseen_part_error_median: median(unseen),
        unseen_part_error_p95: quantile(unseen, 0.95),
        repeat_noise_median: median(noise),
        repeat_noise_p95: quantile(noise, 0.95),
        share_only_error_median: median(share),
        share_only_error_p95: quantile(share, 0.95),
        parts: counted.length,
        short_parts: parts.length - counted.length,
      },
      samples: { part_error: error, repeat_noise: noise, share_only_error: share },
    };
  },
};

interface PredictedPart {
  readonly name: string;
  /** It is of one of the cuts that set the profile right. */
  readonly isSeen: boolean;
  readonly predictedMs: number;
  /** By its share of the whole alone. */
  readonly shareMs: number;
  readonly knownMs: number;
  readonly judgedMs: number;
}

function partsOf({ cutCase, table, shares, seen, whole, heads, tails }: MeasuredCase): PredictedPart[] {
  const prices = new CutPrices(table);
  const here = {
    node: 'here',
    speed: 1,
    queueMs: 0,
    loadMs: () => 0,
    memoryFreeBytes: 0,
    rttMs: 0,
    upMbPerMs: 1,
    downMbPerMs: 1,
  };
  const part = (cut: number, from: number, to: number, halves: Halves | undefined): PredictedPart[] => {
    if (halves === undefined) return [];
    const shareMs = shares.slice(from, to).reduce((sum, share) => sum + share, 0) * whole.known;
    const predictedMs = prices.computeMs(here, from, to);
    return [
      {
        name: cutCase.name,
        isSeen: seen.has(cut),
        predictedMs,
        shareMs,
        knownMs: halves.known,
        judgedMs: halves.judged,
      },
    ];
  };
  return table.segments.flatMap((_, cut) =>
    cut === 0 ? [] : [...part(cut, 0, cut, heads[cut]), ...part(cut, cut, prices.count, tails[cut])],
  );
}
