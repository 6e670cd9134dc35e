// Whether a rewritten graph says what the graph said: both compute the same tokens, and the rewritten one must be as close
// to the plain loop as the plain loop is to itself when it cuts the same tokens otherwise. (Weights of 4 bits round
// activations to 8: a difference in the last bit moves logits visibly, so no fixed tolerance fits every model.) Run when
// a model is loaded for the first time.
import { toWeftError } from '../../../../protocol/errors.ts';
import type { TextGenerator, TextGeneratorFactory } from '../generator.ts';
import { KvBlock } from './kv-block.ts';
import type { DecoderModel } from './rewritten-model.ts';

/** Tokens of the check: of one sequence a prompt in two pieces, of the other the first piece only; then single ones of both. */
const PROMPT_TOKENS = 24;
const PIECE_TOKENS = 16;
const SINGLE_TOKENS = 8;
const CHECK_TOKENS = PROMPT_TOKENS + SINGLE_TOKENS;

/** What is allowed where the plain loop repeats itself to the bit: sums of float32 in another order. */
const DIFFERENCE_MIN = 2e-3;
/** How much more than the plain loop differs from itself. */
const NOISE_FACTOR = 3;
/** Beyond this no noise excuses it: logits of unrelated positions differ by 1 and more. */
const DIFFERENCE_MAX = 0.5;

/** What the plain loop gives for the check's tokens. */
export interface Reference {
  /** Logits behind each token from the last one of the first piece on. */
  readonly wanted: readonly Float32Array[];
  /** The last of them again, with a longer prompt. */
  readonly otherwise: readonly Float32Array[];
}

/** Computes what the rewritten graph is compared with. @throws WeftError when the plain loop fails */
export async function referenceOf(plain: TextGeneratorFactory, vocabularySize: number): Promise<Reference> {
  const ids = checkIds(vocabularySize);
  const wanted = await plainLogits(plain, ids, PIECE_TOKENS);
  return { wanted, otherwise: await plainLogits(plain, ids, PROMPT_TOKENS + SINGLE_TOKENS / 2) };
}

/** Compares a rewritten graph. @returns why it is not to be used, or undefined when it is */
export async function checkRewritten(model: DecoderModel, reference: Reference): Promise<string | undefined> {
  const { wanted, otherwise } = reference;
  let got: Awaited<ReturnType<typeof rewrittenLogits>>;
  try {
    got = await rewrittenLogits(model, checkIds(model.layout.vocabularySize));
  } catch (error) {
    return `the runtime does not run it: ${toWeftError(error).message}`;
  }
  const noise = worst(otherwise, wanted.slice(-otherwise.length));
  const allowed = Math.min(DIFFERENCE_MAX, Math.max(DIFFERENCE_MIN, NOISE_FACTOR * noise));
  const difference = Math.max(
    worst(got.longer, wanted.slice(-got.longer.length)),
    worst(got.shorter, wanted.slice(0, got.shorter.length)),
  );
  // Written so that NaN is no agreement.
  if (difference <= allowed) return undefined;
  return `its logits differ from the original's by ${difference.toFixed(4)} (${allowed.toFixed(4)} is allowed)`;
}

/**
 * Compares a form of the rewritten graph that is for prompts: all tokens at once. Its activations are rounded otherwise, or
 * not at all, so it must be no further off than noise may be at most. (SmolLM2 on float activations: 0.05.)
 * @returns as {@link checkRewritten}
 */
export async function checkManyRows(model: DecoderModel, { wanted }: Reference): Promise<string | undefined> {
  const block = new KvBlock(model.layout, 1, CHECK_TOKENS);
  try {
    const ids = checkIds(model.layout.vocabularySize);
    const { logits } = await model.step({ block, firstSlot: 0, lengths: [0], ids, wanted: [CHECK_TOKENS - 1] });
    const difference = worst([logits], wanted.slice(-1));
    return difference <= DIFFERENCE_MAX ? undefined : `its logits differ by ${difference.toFixed(4)}`;
  } finally {
    block.close();
  }
}

/** Ids spread over the vocabulary, the same every time. */
function checkIds(vocabularySize: number): Int32Array {
  return Int32Array.from(
    { length: CHECK_TOKENS },
    (_, index) => (7 + index * 7919 + index * index * 31) % vocabularySize,
  );
}

/** Logits behind the last prompt token and behind every single one, with a prompt of that length. */
async function plainLogits(
  plain: TextGeneratorFactory,
  ids: Int32Array,
  promptTokens: number,
): Promise<Float32Array[]> {
  const generator: TextGenerator = plain.open();
  try {
    const logits = [(await generator.step(ids.subarray(0, promptTokens))).slice()];
    for (let at = promptTokens; at < ids.length; at++)
      logits.push((await generator.step(ids.subarray(at, at + 1))).slice());
    return logits;
  } finally {
    generator.close();
  }
}

/** The same by the rewritten graph: two sequences of different lengths, in slots that have room for more. */
async function rewrittenLogits(
  model: DecoderModel,
  ids: Int32Array,
): Promise<{ readonly longer: Float32Array[]; readonly shorter: Float32Array[] }> {
  const { vocabularySize } = model.layout;
  const block = new KvBlock(model.layout, 2, 2 * ids.length);
  const logits: [Float32Array[], Float32Array[]] = [[], []];
  const lengths: [number, number] = [0, 0];
  const compute = async (slot: 0 | 1, end: number): Promise<void> => {
    const piece = ids.subarray(lengths[slot], end);
    const step = { block, firstSlot: slot, lengths: [lengths[slot]], ids: piece, wanted: [piece.length - 1] };
    const result = await model.step(step);
    block.append(result.rows, { index: 0, tokens: piece.length }, slot, lengths[slot], piece.length);
    lengths[slot] = end;
    logits[slot] = [result.logits.slice()];
  };
  try {
    await compute(0, PIECE_TOKENS);
    await compute(0, PROMPT_TOKENS);
    await compute(1, PIECE_TOKENS);
    for (let single = 0; single < SINGLE_TOKENS; single++) {
      const next = Int32Array.from(lengths, (length) => ids[length] as number);
      const result = await model.step({ block, firstSlot: 0, lengths: [...lengths], ids: next, wanted: [0, 1] });
      for (const slot of [0, 1] as const) {
        block.append(result.rows, { index: slot, tokens: 1 }, slot, lengths[slot], 1);
        logits[slot].push(result.logits.slice(slot * vocabularySize, (slot + 1) * vocabularySize));
        lengths[slot]++;
      }
    }
    return { longer: logits[0], shorter: logits[1] };
  } finally {
    block.close();
  }
}

/** The largest relative difference of two rows: the norm of what differs over that of what varies. NaN where one has NaN. */
function worst(rows: readonly Float32Array[], wanted: readonly Float32Array[]): number {
  let most = 0;
  for (const [index, row] of rows.entries()) {
    const difference = relative(row, wanted[index] as Float32Array);
    if (!(difference <= most)) most = difference;
    if (Number.isNaN(most)) return most;
  }
  return most;
}

function relative(row: Float32Array, wanted: Float32Array): number {
  const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
  let difference = 0;
  let varies = 0;
  for (const [index, value] of wanted.entries()) {
    difference += ((row[index] as number) - value) ** 2;
    varies += (value - mean) ** 2;
  }
  return Math.sqrt(difference / Math.max(varies, Number.MIN_VALUE));
}
