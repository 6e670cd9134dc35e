// What becomes of attention's scores before their softmax, found by putting scores in and looking at what comes out: by
// what they are multiplied, whether they are capped, and which tokens are seen. A graph may write that as it likes.
import { LONG_SAMPLE, type Sample, SHORT_SAMPLES, totalOf } from './samples.ts';
import { type AttentionSite, Refusal } from './site.ts';
import { elements, sizeOf, type Value, type Work } from './values/value.ts';

/** How scores of [batch, heads, new, total] are changed. */
export type Scoring = Pick<AttentionSite, 'scale' | 'softcap' | 'window'>;

/**
 * What softmax is given when the products of queries and keys are these.
 * @param score by place in row-major order, or one number for all
 * @returns [… , new, total], as many elements as there are scores; undefined where it can't be known
 */
export type Probe = (sample: Sample, score: number | ((index: number) => number)) => Value | undefined;

/** What is added to a score that must not count: exp of it is 0 in every type. Exporters write −10,000 to −∞. */
const HIDDEN_MAX = -1000;
/** For scores where a cap shows, and where it doesn't. */
const HUGE = 1e7;
const TINY = 1e-4;
const TOLERANCE = 1e-6;

const HIDES = 'its mask hides tokens in a way that is not known';
const CHANGES = 'its scores are changed in a way that is not known (a bias like that of ALiBi, say)';

/** @throws Refusal when it isn't causal attention over all tokens or the last few */
export function readScoring(work: Work, heads: number, probe: Probe): Scoring {
  const run = (sample: Sample, score: Parameters<Probe>[1]): Rows => rowsOf(work, heads, sample, probe(sample, score));
  const [sample] = SHORT_SAMPLES as readonly [Sample];
  const { scale, softcap } = readChange(sample, run);
  // One number for all keeps what heads have in common in one place, however long the sequence.
  const long = run(LONG_SAMPLE, 1);
  const window = readWindow(long);
  const check = (rows: Rows, each: Sample, score: (index: number) => number): void => {
    for (const [row, values] of rows.entries()) {
      const first = row * totalOf(each);
      checkRow(values, row % each.added, each, window, (column) => changed(score(first + column), scale, softcap));
    }
  };
  check(long, LONG_SAMPLE, () => 1);
  const edge = window === 0 ? [] : [{ batch: 1, past: window - 1, added: 3 }];
  for (const each of [...SHORT_SAMPLES, ...edge]) check(run(each, scoreAt), each, scoreAt);
  return { scale, softcap, window };
}

/** Scores of both signs, none of them 0. */
const scoreAt = (index: number): number => (((index * 37) % 101) - 50.5) / 16;

const changed = (score: number, scale: number, softcap: number): number =>
  softcap === 0 ? scale * score : softcap * Math.tanh((scale * score) / softcap);

type Rows = readonly Float64Array[];

/** One array for each new token of each head, or of all heads where they are the same. */
function rowsOf(work: Work, heads: number, sample: Sample, value: Value | undefined): Rows {
  const total = totalOf(sample);
  if (value?.data === undefined) throw new Refusal('its attention mask is made in a way that is not known');
  const whole = sample.batch * heads * sample.added * total;
  if (value.dims.at(-1) !== total || value.dims.at(-2) !== sample.added || sizeOf(value.dims) !== whole) {
    throw new Refusal('its attention mask is of another shape than its scores');
  }
  const inner = value.dims.length - 2;
  const once = value.dims.map((dim, axis) => (axis < inner && value.strides[axis] === 0 ? 1 : dim));
  const data = elements(work, { ...value, dims: once }) as Float64Array;
  return Array.from({ length: data.length / total }, (_, row) => data.subarray(row * total, (row + 1) * total));
}

/** By what the scores that are seen are multiplied, and the cap. */
function readChange(sample: Sample, run: (sample: Sample, score: number) => Rows): Omit<Scoring, 'window'> {
  // Every token sees itself.
  const own = (score: number): number => run(sample, score)[0]?.[sample.past] ?? Number.NaN;
  const [tiny, one, huge] = [own(TINY), own(1), own(HUGE)];
  const scale = tiny / TINY;
  if (tiny <= HIDDEN_MAX) throw new Refusal(HIDES);
  if (!(scale > 0 && Number.isFinite(scale))) throw new Refusal(CHANGES);
  if (isNear(one, scale) && isNear(huge, scale * HUGE)) return { scale: one, softcap: 0 };
  if (huge > 0 && isNear(one, changed(1, scale, huge))) return { scale, softcap: huge };
  throw new Refusal(CHANGES);
}

/** How many tokens a token far into a sequence sees; 0 = all. */
function readWindow(rows: Rows): number {
  const [first] = rows;
  if (first === undefined) return 0;
  const begin = first.findIndex((value) => !(value <= HIDDEN_MAX));
  return begin <= 0 ? 0 : first.length - begin;
}

function checkRow(
  values: Float64Array,
  token: number,
  { past }: Sample,
  window: number,
  wanted: (column: number) => number,
): void {
  const last = past + token;
  const first = window === 0 ? 0 : Math.max(0, last - window + 1);
  for (let column = 0; column < values.length; column++) {
    const value = values[column] as number;
    if (column < first || column > last) {
      if (!(value <= HIDDEN_MAX)) throw new Refusal('its tokens see others than those before them');
    } else if (value <= HIDDEN_MAX) {
      throw new Refusal(HIDES);
    } else if (!isNear(value, wanted(column))) {
      throw new Refusal(CHANGES);
    }
  }
}

const isNear = (value: number, wanted: number): boolean =>
  Math.abs(value - wanted) <= TOLERANCE * Math.max(Math.abs(wanted), TINY);
