// Whether what goes into attention's two products is what should: the cached keys and values of each head's group, and
// the weights as softmax gave them. Numbers that tell each place apart are put in and looked for again, so it doesn't
// matter how a graph repeats, turns and reshapes.
import { HEADS_MAX } from './limits.ts';
import { type Sample, SHORT_SAMPLES, totalOf } from './samples.ts';
import { type MatchContext, Refusal } from './site.ts';
import { expandTo } from './values/shaping.ts';
import { broadcast, dense, elements, sizeOf, type Value } from './values/value.ts';

/** A product of two matrices, many at a time. */
export interface Product {
  /** The whole cache that goes into it, past and new. */
  readonly cache: string;
  readonly left: string;
  readonly right: string;
  readonly output: string;
  /** The right side is turned by the product itself. */
  readonly turnsRight: boolean;
}

/** The heads of a layer and how they stand in front of rows and columns. */
export interface Heads {
  readonly heads: number;
  /** [batch, heads], [batch · heads] or [batch, KV, group]. */
  readonly outer: (sample: Sample) => readonly number[];
}

const [SAMPLE] = SHORT_SAMPLES as readonly [Sample];

/**
 * The heads, by the product of queries and keys, and by what keys are multiplied on their way into it.
 * @throws Refusal when they are not those of each head's group
 */
export function readKeys(context: MatchContext, product: Product): Heads & { readonly scale: number } {
  const { spec, layer } = context;
  const { kvHeads, headSize } = spec;
  const known = new Map<Sample, readonly number[]>();
  const outer = (sample: Sample): readonly number[] => {
    const found = known.get(sample) ?? outerOf(context, product, sample);
    known.set(sample, found);
    return found;
  };
  const heads = sizeOf(outer(SAMPLE)) / SAMPLE.batch;
  if (!(Number.isInteger(heads) && heads >= 1 && heads <= HEADS_MAX && heads % kvHeads === 0)) {
    throw new Refusal(`the heads of layer ${layer} don't share its cache evenly`);
  }
  const total = totalOf(SAMPLE);
  const turned = product.turnsRight;
  const shape = turned ? [total, headSize] : [headSize, total];
  const data = spread(context, numberedOperand(context, product), outer(SAMPLE), shape);
  const columns = turned ? headSize : total;
  const plane = total * headSize;
  const wanted = (index: number): number => {
    const head = Math.floor(Math.floor(index / plane) / (heads / kvHeads));
    const [row, column] = [Math.floor((index % plane) / columns), index % columns];
    return numbered((head * total + (turned ? row : column)) * headSize + (turned ? column : row));
  };
  const scale = (data[0] ?? Number.NaN) / wanted(0);
  const agrees = data.every((value, index) => Math.abs(value - scale * wanted(index)) <= 1e-9 * Math.abs(scale));
  if (!(scale > 0 && Number.isFinite(scale) && agrees)) {
    throw new Refusal(`the cached keys of layer ${layer} are not compared with those of their heads`);
  }
  return { heads, outer, scale };
}

/** What stands in front of rows and columns in the product of queries and keys. */
function outerOf({ looks, spec, layer }: MatchContext, product: Product, sample: Sample): readonly number[] {
  const cache: Value = { type: 'float', dims: cacheDims(sample, spec), data: undefined, strides: [], offset: 0 };
  const keys = looks.with(sample, product.cache, cache).value(product.right)?.dims;
  const query = looks.at(sample).value(product.left)?.dims;
  const joined = keys && broadcast([keys.slice(0, -2), query?.slice(0, -2) ?? []]);
  if (joined === undefined) throw new Refusal(`the queries and keys of layer ${layer} don't go together`);
  return joined;
}

/** @throws Refusal when the values are not those of each head's group, as they are */
export function checkValues(context: MatchContext, product: Product, { heads, outer }: Heads): void {
  const { spec, layer } = context;
  const { kvHeads, headSize } = spec;
  const total = totalOf(SAMPLE);
  const plane = total * headSize;
  const operand = numberedOperand(context, product);
  const data = spread(context, operand, outer(SAMPLE), [total, headSize]);
  const agrees = data.every((value, index) => {
    const head = Math.floor(Math.floor(index / plane) / (heads / kvHeads));
    return value === numbered(head * plane + (index % plane));
  });
  if (!agrees || product.turnsRight) {
    throw new Refusal(`the cached values of layer ${layer} are not weighed by their heads`);
  }
}

/** @throws Refusal when more than the type of softmax's weights changes before they are used */
export function checkWeights(
  { looks, layer }: MatchContext,
  { output, dims }: { readonly output: string; readonly dims: readonly number[] },
  { left }: Product,
  { outer }: Heads,
): void {
  const data = Float64Array.from({ length: sizeOf(dims) }, (_, index) => numbered(index));
  const weights = looks.with(SAMPLE, output, dense('float', dims, data)).value(left);
  const wanted = [...outer(SAMPLE), SAMPLE.added, totalOf(SAMPLE)];
  const got = weights && elements(looks.work, weights);
  const isSame = got?.length === data.length && got.every((value, index) => value === data[index]);
  if (!isSame || weights === undefined || !isAlike(weights.dims, wanted)) {
    throw new Refusal(`the weights of layer ${layer} are changed behind their softmax`);
  }
}

export const isAlike = (dims: readonly number[], wanted: readonly number[]): boolean =>
  dims.length === wanted.length && dims.every((dim, axis) => dim === wanted[axis]);

/** Between ½ and 1½, no two alike: multiples of the golden ratio. */
const numbered = (index: number): number => 0.5 + ((index * 0.618_033_988_749_894_9) % 1);

const cacheDims = (sample: Sample, { kvHeads, headSize }: MatchContext['spec']): readonly number[] => [
  sample.batch,
  kvHeads,
  totalOf(sample),
  headSize,
];

/** What becomes of a cache whose elements are numbered on its way into a product. */
function numberedOperand({ looks, spec, layer }: MatchContext, { cache, right }: Product): Value {
  const dims = cacheDims(SAMPLE, spec);
  const data = looks.work.allocate(sizeOf(dims)).map((_, index) => numbered(index));
  const found = looks.with(SAMPLE, cache, dense('float', dims, data)).value(right);
  if (found?.data === undefined || found.dims.length < 3) {
    throw new Refusal(`what becomes of the cache of layer ${layer} is not known`);
  }
  return found;
}

/** The elements, repeated where the product repeats them, if they end in this shape. */
function spread(
  { looks, layer }: MatchContext,
  operand: Value,
  outer: readonly number[],
  shape: readonly number[],
): Float64Array {
  const data = isAlike(operand.dims.slice(-2), shape)
    ? elements(looks.work, expandTo(operand, [...outer, ...shape]) as Value)
    : undefined;
  if (data === undefined) throw new Refusal(`the cache of layer ${layer} goes into its products in another form`);
  return data;
}
