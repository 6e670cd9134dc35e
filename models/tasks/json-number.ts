// Numbers within bounds as patterns of digits: exact for whole numbers, and for others in decimal, where two texts of at
// most 15 digits never become the same double. Used for the numbers of JSON schemas.
import { type Pattern, textPattern } from './json-shape.ts';

/** The bounds of a schema. */
export interface NumberBounds {
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

/** As many decimal digits as a double keeps apart. */
const DIGITS = 15;
/** Digits before the point, and behind it, where the bounds ask for no more. */
const INTEGER_DIGITS = 9;
const FRACTION_DIGITS = 6;

/**
 * Whole numbers within the bounds, in decimal, up to 15 digits.
 * @returns undefined when there is none
 */
export function integerPattern(bounds: NumberBounds): Pattern | undefined {
  const limit = 10 ** DIGITS - 1;
  const { minimum = -limit, exclusiveMinimum = -Infinity, maximum = limit, exclusiveMaximum = Infinity } = bounds;
  const low = Math.max(-limit, Math.ceil(minimum), Math.floor(exclusiveMinimum) + 1);
  const high = Math.min(limit, Math.floor(maximum), Math.ceil(exclusiveMaximum) - 1);
  return signed(BigInt(low), BigInt(high), (from, to) => wholes(from, to));
}

/**
 * Numbers within the bounds. Without bounds in any notation, otherwise in decimal with as many digits behind the point
 * as 15 in all allow.
 * @returns undefined when there is none, 'digits' when the bounds have more digits than can be kept apart
 */
export function numberPattern(bounds: NumberBounds): Pattern | 'digits' | undefined {
  const given = Object.values(bounds).filter((value) => value !== undefined);
  if (given.length === 0) return UNBOUNDED;
  const written = given.map(decimal);
  if (written.some((value) => value === undefined)) return 'digits';
  const fraction = Math.max(FRACTION_DIGITS, ...written.map((value) => value?.fraction ?? 0));
  const whole = Math.max(Math.min(INTEGER_DIGITS, DIGITS - fraction), ...written.map((value) => value?.whole ?? 0));
  if (whole + fraction > DIGITS) return 'digits';
  const limit = 10n ** BigInt(whole + fraction) - 1n;
  const scaled = (value: number): bigint => scale(value, fraction);
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = bounds;
  let low = -limit;
  let high = limit;
  if (minimum !== undefined) low = larger(low, scaled(minimum));
  if (exclusiveMinimum !== undefined) low = larger(low, scaled(exclusiveMinimum) + 1n);
  if (maximum !== undefined) high = smaller(high, scaled(maximum));
  if (exclusiveMaximum !== undefined) high = smaller(high, scaled(exclusiveMaximum) - 1n);
  return signed(low, high, (from, to) => decimals(from, to, fraction));
}

const digit = (from: number, to: number): Pattern => ({ kind: 'set', points: [[0x30 + from, 0x30 + to]] });
const repeat = (part: Pattern, min: number, max: number): Pattern => ({ kind: 'repeat', part, min, max });
const sequence = (...parts: Pattern[]): Pattern => ({ kind: 'sequence', parts });
const optional = (part: Pattern): Pattern => repeat(part, 0, 1);
const choice = (options: readonly Pattern[]): Pattern =>
  options.length === 1 ? (options[0] as Pattern) : { kind: 'choice', options };
const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** At most 2 digits of exponent: every such number is finite. */
const UNBOUNDED: Pattern = sequence(
  optional(textPattern('-')),
  choice([textPattern('0'), sequence(digit(1, 9), repeat(digit(0, 9), 0, DIGITS - 1))]),
  optional(sequence(textPattern('.'), repeat(digit(0, 9), 1, DIGITS))),
  optional(
    sequence(
      {
        kind: 'set',
        points: [
          [0x45, 0x45],
          [0x65, 0x65],
        ],
      },
      optional({
        kind: 'set',
        points: [
          [0x2b, 0x2b],
          [0x2d, 0x2d],
        ],
      }),
      repeat(digit(0, 9), 1, 2),
    ),
  ),
);

/** Both signs, the magnitudes by `magnitudes`. Zero has no sign. */
function signed(low: bigint, high: bigint, magnitudes: (from: bigint, to: bigint) => Pattern): Pattern | undefined {
  const options: Pattern[] = [];
  if (low < 0n && low <= high) {
    options.push(sequence(textPattern('-'), magnitudes(larger(1n, -high), -low)));
  }
  if (high >= 0n && low <= high) options.push(magnitudes(larger(0n, low), high));
  return options.length === 0 ? undefined : choice(options);
}

/** Whole numbers from ≥ 0, without leading zeros. */
function wholes(from: bigint, to: bigint): Pattern {
  const options: Pattern[] = [];
  for (let length = String(from).length; length <= String(to).length; length++) {
    const first = length === 1 ? 0n : 10n ** BigInt(length - 1);
    const last = 10n ** BigInt(length) - 1n;
    options.push(between(String(larger(from, first)), String(smaller(to, last)), false));
  }
  return choice(options);
}

/** Numbers with up to `fraction` digits behind the point; the bounds are multiplied by 10 ** fraction. */
function decimals(from: bigint, to: bigint, fraction: number): Pattern {
  const unit = 10n ** BigInt(fraction);
  const parts = (value: bigint): [bigint, string] => [value / unit, String(value % unit).padStart(fraction, '0')];
  const [wholeFrom, restFrom] = parts(from);
  const [wholeTo, restTo] = parts(to);
  const zeros = '0'.repeat(fraction);
  const nines = '9'.repeat(fraction);
  if (wholeFrom === wholeTo) return sequence(wholes(wholeFrom, wholeFrom), fractions(restFrom, restTo));
  const options = [sequence(wholes(wholeFrom, wholeFrom), fractions(restFrom, nines))];
  if (wholeTo - wholeFrom > 1n) {
    options.push(sequence(wholes(wholeFrom + 1n, wholeTo - 1n), fractions(zeros, nines)));
  }
  options.push(sequence(wholes(wholeTo, wholeTo), fractions(zeros, restTo)));
  return choice(options);
}

/** A point and digits, or nothing where that is within the bounds: zeros at the end may be left out. */
function fractions(from: string, to: string): Pattern {
  const nothing = /^0*$/.test(from);
  const pointed = sequence(textPattern('.'), between(from, to, true));
  return nothing ? optional(pointed) : pointed;
}

/**
 * Digits from `from` to `to`, which are as long as each other and not empty.
 * @param shorter trailing zeros may be left out, but one digit stays
 */
function between(from: string, to: string, shorter: boolean): Pattern {
  const rest = from.length - 1;
  const low = Number(from[0]);
  const high = Number(to[0]);
  const any = rest === 0 ? sequence() : repeat(digit(0, 9), shorter ? 0 : rest, rest);
  const behind = (a: string, b: string): Pattern => {
    if (rest === 0) return sequence();
    if (/^0+$/.test(a) && /^9+$/.test(b)) return any;
    const tail = between(a, b, shorter);
    return shorter && /^0+$/.test(a) ? optional(tail) : tail;
  };
  if (low === high) return sequence(digit(low, low), behind(from.slice(1), to.slice(1)));
  const zeros = '0'.repeat(rest);
  const nines = '9'.repeat(rest);
  const options: Pattern[] = [sequence(digit(low, low), behind(from.slice(1), nines))];
  if (high - low > 1) options.push(sequence(digit(low + 1, high - 1), any));
  options.push(sequence(digit(high, high), behind(zeros, to.slice(1))));
  return choice(options);
}

/** Digits before and behind the point; undefined for a number that needs more than can be kept apart. */
function decimal(value: number): { readonly whole: number; readonly fraction: number } | undefined {
  const [mantissa = '', exponent] = String(Math.abs(value)).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  if (exponent !== undefined) {
    const shift = Number(exponent);
    return shift < 0 ? { whole: 1, fraction: fraction.length - shift } : undefined;
  }
  return { whole: whole.length, fraction: fraction.length };
}

/** A decimal of no more digits than fit, times 10 ** fraction. */
function scale(value: number, fraction: number): bigint {
  const text = Math.abs(value).toFixed(fraction).replace('.', '');
  return value < 0 ? -BigInt(text) : BigInt(text);
}
