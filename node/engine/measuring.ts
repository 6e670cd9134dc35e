// What to measure of which model, and when. Pure: the profiler says what is there and does what comes out.
import type { InstalledModel } from '../../models/installed.ts';
import { byteLength } from '../../protocol/tensor.ts';
import { PROFILE_ATTEMPTS_MAX, PROFILE_QUIET_MS } from './limits.ts';

/** A model in memory, as far as it matters whether it is to be measured. */
export interface Candidate {
  readonly digest: string;
  readonly loaded: boolean;
  /** There is a profile of it on this device, or an attempt that has ended. */
  readonly known: boolean;
  /** Measurements that requests interrupted. */
  readonly attempts: number;
}

/** One thing to measure, in one go. */
export type Step =
  /** A prompt of so many tokens, and a few tokens behind it. */
  | { readonly kind: 'answer'; readonly context: number }
  /** So many answers side by side. */
  | { readonly kind: 'sequences'; readonly size: number }
  /** One text of so many tokens. */
  | { readonly kind: 'text'; readonly tokens: number }
  /** So many texts, or rows of a graph's inputs, in one run. */
  | { readonly kind: 'rows'; readonly size: number };

/** Tokens behind each prompt: enough that the clock's steps don't matter. */
export const ANSWER_TOKENS = 16;

/** Prompts of answers side by side: short, so that they soon decode together. */
export const SEQUENCE_PROMPT_TOKENS = 8;

/** Texts of the batch curve. */
export const ROW_TOKENS = 32;

const CONTEXTS = [32, 256];
const TEXT_TOKENS = [16, 128];
const SIZES = [1, 2, 4, 8, 16];

/** Bytes of a graph's inputs above which real requests are left to show its speed. */
const INPUT_BYTES_MAX = 4 << 20;

/**
 * The model to measure now: loaded, not known, and the one that was interrupted least. None before the node has been quiet
 * for some seconds: a pause within a conversation is no time to start.
 */
export function nextToMeasure<Model extends Candidate>(models: readonly Model[], quietMs: number): Model | undefined {
  if (quietMs < PROFILE_QUIET_MS) return undefined;
  const open = models.filter(({ loaded, known, attempts }) => loaded && !known && attempts < PROFILE_ATTEMPTS_MAX);
  return open.sort((a, b) => a.attempts - b.attempts)[0];
}

/**
 * What to measure of a model, the cheapest and most useful first: time may run out.
 * @param sequencesMax of a text generator: answers that it decodes side by side
 */
export function stepsOf({ manifest }: Pick<InstalledModel, 'manifest'>, sequencesMax: number): readonly Step[] {
  const { task, contextLength } = manifest;
  // A graph that names no length takes any.
  const fits = (tokens: number): boolean => contextLength === 0 || tokens <= contextLength;
  if (task === 'text-generation') {
    const contexts = CONTEXTS.filter((context) => fits(context + ANSWER_TOKENS));
    const sizes = SIZES.filter((size) => size <= sequencesMax && fits(SEQUENCE_PROMPT_TOKENS + ANSWER_TOKENS));
    return [
      ...contexts.map((context): Step => ({ kind: 'answer', context })),
      ...sizes.map((size): Step => ({ kind: 'sequences', size })),
    ];
  }
  if (task === 'feature-extraction') {
    return [
      ...TEXT_TOKENS.filter(fits).map((tokens): Step => ({ kind: 'text', tokens })),
      ...(fits(ROW_TOKENS) ? SIZES : []).map((size): Step => ({ kind: 'rows', size })),
    ];
  }
  if (task !== 'tensor') return [];
  return SIZES.filter((size) => inputShapes(manifest.inputs, size) !== undefined).map((size) => ({
    kind: 'rows',
    size,
  }));
}

type Ports = InstalledModel['manifest']['inputs'];

/**
 * Shapes of a graph's inputs at so many rows. Undefined where random numbers are no input: anything but float32 may be an
 * index or a choice, and a dimension that a run decides, other than the first, may have to agree with something.
 */
export function inputShapes(inputs: Ports, rows: number): readonly (readonly number[])[] | undefined {
  const shapes: number[][] = [];
  for (const { type, dims } of inputs) {
    const [first, ...rest] = dims;
    const open = typeof first === 'string';
    if (type !== 'float32' || first === undefined || first === '*' || (!open && rows > 1)) return undefined;
    const shape = [open ? rows : first, ...rest];
    if (!shape.every((dim) => typeof dim === 'number')) return undefined;
    const bytes = byteLength(type, shape);
    if (bytes === undefined || bytes > INPUT_BYTES_MAX) return undefined;
    shapes.push(shape);
  }
  return shapes;
}

/**
 * Milliseconds of one step that all sequences share, from the times at which their tokens came: only the time counts in
 * which all of them decode. Undefined where there was none.
 */
export function sharedStepMs(times: readonly (readonly number[])[]): number | undefined {
  const from = Math.max(...times.map((of) => of[0] ?? Number.POSITIVE_INFINITY));
  const to = Math.min(...times.map((of) => of.at(-1) ?? Number.NEGATIVE_INFINITY));
  const tokens = times.flat().filter((at) => at > from && at <= to).length;
  return to > from && tokens > 0 ? ((to - from) / tokens) * times.length : undefined;
}
