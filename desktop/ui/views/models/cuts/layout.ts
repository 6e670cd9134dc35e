// Where the parts of the drawing of a graph stand. Pure: a table of cuts and a width go in, pixels come out.
import type { CutsAnswer } from '../../../../../protocol/api/control.ts';
import { bytes } from '../../../text/format.ts';
import { type CutPoint, inputBytesOf } from './cut-points.ts';

/** Rows from the top: stems of what crosses, segments by computing, weights below them. */
export const ROWS = {
  stems: { top: 34, bottom: 170 },
  band: { top: 186, height: 40 },
  weights: { top: 252, height: 52 },
  height: 308,
} as const;

/** So that a segment without computing can be seen, and pointed at. */
const SEGMENT_PX_MIN = 5;
/** Of one letter of a label, a little more than on average. */
const LETTER_PX = 6.4;
const LABEL_GAP_PX = 6;

export interface DrawnSegment {
  readonly x: number;
  readonly width: number;
  /** Of the weights row, pixels. */
  readonly weightHeight: number;
}

export interface DrawnPoint {
  readonly number: number;
  readonly x: number;
  /** Top of its stem. */
  readonly y: number;
  /** Left out where there is no room. */
  readonly label: string | undefined;
}

export interface CutLayout {
  readonly segments: readonly DrawnSegment[];
  readonly points: readonly DrawnPoint[];
  /** Powers of ten, and where they lie. */
  readonly ticks: readonly { readonly y: number; readonly label: string }[];
  /** What would cross if the whole ran elsewhere; undefined for a graph without inputs. */
  readonly input: { readonly y: number; readonly label: string } | undefined;
}

/** @param selected its label is never left out */
export function layoutOf(
  table: CutsAnswer,
  points: readonly CutPoint[],
  { width, selected }: { readonly width: number; readonly selected: number },
): CutLayout {
  const widths = segmentWidths(table, width);
  const heaviest = Math.max(1, ...table.segments.map(({ weightBytes }) => weightBytes));
  let at = 0;
  const segments = table.segments.map(({ weightBytes }, index): DrawnSegment => {
    const segment = {
      x: at,
      width: widths[index] ?? 0,
      weightHeight: weightBytes === 0 ? 0 : Math.max(1.5, (weightBytes / heaviest) * ROWS.weights.height),
    };
    at += segment.width;
    return segment;
  });
  const inputBytes = inputBytesOf(table);
  const scale = logScale([...points.map((point) => point.bytes), inputBytes].filter((value) => value > 0));
  const drawn = points.map(({ number, bytes: size }) => ({
    number,
    x: segments[number]?.x ?? 0,
    y: scale.y(size),
    text: bytes(size),
  }));
  const labelled = withRoom(drawn, { width, selected });
  return {
    segments,
    points: drawn.map(({ text, ...point }) => ({ ...point, label: labelled.has(point.number) ? text : undefined })),
    ticks: scale.ticks,
    input: inputBytes > 0 ? { y: scale.y(inputBytes), label: bytes(inputBytes) } : undefined,
  };
}

/** The point nearest to a place of the drawing. */
export function nearest(points: readonly Pick<DrawnPoint, 'number' | 'x'>[], x: number): number | undefined {
  return points.reduce<{ readonly number: number; readonly far: number } | undefined>((best, point) => {
    const far = Math.abs(point.x - x);
    return best === undefined || far < best.far ? { number: point.number, far } : best;
  }, undefined)?.number;
}

function segmentWidths({ segments }: CutsAnswer, width: number): number[] {
  const least = Math.min(SEGMENT_PX_MIN, width / Math.max(1, segments.length));
  const rest = width - least * segments.length;
  const whole = segments.reduce((all, { share }) => all + share, 0) || 1;
  return segments.map(({ share }) => least + (share / whole) * rest);
}

function logScale(values: readonly number[]) {
  const powers = values.map(Math.log10);
  const low = Math.floor(Math.min(3, ...powers) - 0.3);
  const high = Math.max(low + 1, Math.ceil(Math.max(4, ...powers) - 0.05));
  const { top, bottom } = ROWS.stems;
  const y = (value: number): number => {
    const share = (Math.log10(Math.max(1, value)) - low) / (high - low);
    return bottom - Math.min(1, Math.max(0.02, share)) * (bottom - top);
  };
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index))
    .filter((value) => value >= 10)
    .map((value) => ({ y: y(value), label: bytes(value) }));
  return { y, ticks };
}

/** Numbers of the points whose labels don't lie on another one: the selected first, then by what crosses. */
function withRoom(
  points: readonly { readonly number: number; readonly x: number; readonly y: number; readonly text: string }[],
  { width, selected }: { readonly width: number; readonly selected: number },
): ReadonlySet<number> {
  const taken: { readonly from: number; readonly to: number; readonly y: number }[] = [];
  const shown = new Set<number>();
  const rank = (number: number): number => (number === selected ? 0 : 1);
  for (const { number, x, y, text } of points.toSorted((a, b) => rank(a.number) - rank(b.number) || a.y - b.y)) {
    const half = (text.length * LETTER_PX) / 2 + LABEL_GAP_PX / 2;
    const middle = Math.min(width - half, Math.max(half, x));
    const box = { from: middle - half, to: middle + half, y };
    const clear = taken.every((other) => other.to <= box.from || other.from >= box.to || Math.abs(other.y - y) > 15);
    if (!clear && number !== selected) continue;
    taken.push(box);
    shown.add(number);
  }
  return shown;
}
