// A picture of where a graph can be cut, as one SVG file: along its computing what crosses at each cut point, on a log axis,
// and what both sides hold of the weights. Pure text; for `weft show --cuts --svg`.
import type { CutsAnswer } from '../../protocol/api/control.ts';
import { type CutPoint, cutPointsOf, inputBytesOf, shortName, weightBytesOf } from './cut-points.ts';
import { formatBytes, formatMs, printable } from './format.ts';

const WIDTH = 1_080;
const LEFT = 84;
const RIGHT = WIDTH - 40;

/** From the top: title, names of tensors (upright), bytes that cross, weights, footer. */
const CROSSING = { top: 268, bottom: 508 };
const WEIGHTS = { top: 592, bottom: 692 };
const HEIGHT = 752;

/** Least distance of two names that stand beside each other. */
const NAME_PITCH = 13;
/** Of a name that stands upright: what fits above the bars. */
const NAME_LETTERS_MAX = 26;
/** Of such a name, on average and a little more. */
const LETTER_WIDTH = 6;
const BAR_WIDTH_MAX = 10;

/** Of text, lines, bars, what stays and what goes: chosen to be told apart without colours too. */
const INK = '#1d2733';
const FAINT = '#6b7785';
const GRID = '#dfe4ea';
const BAR = '#2f6fb0';
const BEFORE = '#2f6fb0';
const BEHIND = '#d9822b';
const INPUT = '#b3372f';

const FONT = "font-family=\"'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif\"";

/** @returns a whole SVG document, its last line ended */
export function cutsSvg(table: CutsAnswer): string {
  const points = cutPointsOf(table);
  const input = inputBytesOf(table);
  const bytes = new LogAxis([...points.map((point) => point.bytes), ...(input > 0 ? [input] : [])]);
  // Short names leave the room above them free.
  const longest = points.reduce((most, point) => Math.max(most, [...label(point)].length), 0);
  const rise = Math.round((NAME_LETTERS_MAX - longest) * LETTER_WIDTH);
  const height = HEIGHT - rise;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ${FONT} role="img">`,
    `<title>${escaped(`Where ${table.model.id} can be cut`)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...heading(table, points.length),
    `<g transform="translate(0 ${-rise})">`,
    ...crossingAxes(bytes),
    ...bars(points, bytes),
    ...(input > 0 ? inputLine(input, bytes, points.length > 0) : []),
    ...depthAxis(CROSSING.bottom, points),
    ...weights(table, points),
    text((LEFT + RIGHT) / 2, WEIGHTS.bottom + 40, 'share of the computing that lies before the cut', {
      size: 12,
      fill: FAINT,
      anchor: 'middle',
    }),
    '</g>',
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}

function heading(table: CutsAnswer, count: number): string[] {
  const { model, shapes, wholeMs, device, reason } = table;
  const cuts = count === 1 ? '1 cut point' : `${count} cut points`;
  const facts = `${shortName(shapes, 90)} · whole ${formatMs(wholeMs)} · ${formatBytes(weightBytesOf(table))} of weights · ${device}`;
  return [
    text(LEFT, 34, `${model.id}: ${cuts}`, { size: 20, weight: 600 }),
    text(LEFT, 56, shortName(facts, 150), { size: 12, fill: FAINT }),
    ...(reason === undefined ? [] : [text(LEFT, 74, shortName(reason, 150), { size: 12, fill: INPUT })]),
  ];
}

/** Bytes by powers of ten: a cut point may carry a kilobyte, and the next one megabytes. */
class LogAxis {
  readonly #low: number;
  readonly #high: number;

  constructor(bytes: readonly number[]) {
    const powers = bytes.filter((value) => value > 0).map(Math.log10);
    // A bar of the least must still be seen.
    this.#low = Math.floor(Math.min(3, ...powers) - 0.2);
    this.#high = Math.max(this.#low + 1, Math.ceil(Math.max(4, ...powers)));
  }

  y(bytes: number): number {
    const share = (Math.log10(Math.max(bytes, 1)) - this.#low) / (this.#high - this.#low);
    return CROSSING.bottom - Math.min(1, Math.max(0, share)) * (CROSSING.bottom - CROSSING.top);
  }

  ticks(): number[] {
    return Array.from({ length: this.#high - this.#low + 1 }, (_, index) => 10 ** (this.#low + index));
  }
}

const x = (depth: number): number => LEFT + Math.min(1, Math.max(0, depth)) * (RIGHT - LEFT);

function crossingAxes(axis: LogAxis): string[] {
  return [
    text(LEFT, CROSSING.top - 14, 'crosses', { size: 12, weight: 600, anchor: 'end', dx: -10 }),
    ...axis.ticks().flatMap((value) => {
      const at = axis.y(value);
      return [
        line(LEFT, at, RIGHT, at, GRID),
        text(LEFT - 10, at + 4, formatBytes(value), { size: 11, fill: FAINT, anchor: 'end' }),
      ];
    }),
  ];
}

/** What leaves where nothing is cut and the whole runs elsewhere: cut points below it send less. */
function inputLine(bytes: number, axis: LogAxis, isCompared: boolean): string[] {
  const at = axis.y(bytes);
  const label = `inputs: ${formatBytes(bytes)}${isCompared ? ', sent where the whole runs elsewhere' : ''}`;
  return [
    line(LEFT, at, RIGHT, at, INPUT, '6 4'),
    `<text x="${RIGHT}" y="${fixed(at - 5)}" font-size="11" fill="${INPUT}" text-anchor="end" stroke="#ffffff" stroke-width="4" paint-order="stroke">${escaped(label)}</text>`,
  ];
}

function bars(points: readonly CutPoint[], axis: LogAxis): string[] {
  const gaps = points.slice(1).map(({ depth }, index) => x(depth) - x((points[index] as CutPoint).depth));
  const width = Math.max(2, Math.min(BAR_WIDTH_MAX, ...gaps.map((gap) => gap - 1.5)));
  const names = spread(
    points.map(({ depth }) => x(depth)),
    NAME_PITCH,
    { from: LEFT, to: RIGHT },
  );
  return points.flatMap((point, index) => {
    const at = x(point.depth);
    const name = names[index] as number;
    const top = axis.y(point.bytes);
    const elbow = CROSSING.top - 24;
    return [
      `<g><title>${escaped(describe(point))}</title>`,
      `<path d="M${fixed(at)} ${fixed(top - 2)}V${elbow + 16}L${fixed(name)} ${elbow}" fill="none" stroke="${GRID}"/>`,
      `<rect x="${fixed(at - width / 2)}" y="${fixed(top)}" width="${fixed(width)}" height="${fixed(CROSSING.bottom - top)}" fill="${BAR}" fill-opacity="0.85"/>`,
      `<text transform="translate(${fixed(name + 4)} ${elbow - 4}) rotate(-90)" font-size="11" fill="${INK}">${escaped(label(point))}</text>`,
      '</g>',
    ];
  });
}

function label({ number, tensors }: CutPoint): string {
  const [first] = [...tensors].sort((a, b) => b.bytes - a.bytes);
  const more = tensors.length > 1 ? ` +${tensors.length - 1}` : '';
  const head = `${number}  `;
  return `${head}${shortName(first?.name ?? '', NAME_LETTERS_MAX - head.length - more.length)}${more}`;
}

/** In full, for whoever points at it. */
function describe(point: CutPoint): string {
  const { number, depth, bytes, tensors, beforeMs, behindMs, beforeWeightBytes, behindWeightBytes } = point;
  return [
    `cut point ${number}, behind ${percent(depth)} of the computing`,
    `${formatBytes(bytes)} cross: ${tensors.map(({ name, bytes: size }) => `${name} (${formatBytes(size)})`).join(', ')}`,
    `before: ${formatMs(beforeMs)}, ${formatBytes(beforeWeightBytes)} of weights`,
    `behind: ${formatMs(behindMs)}, ${formatBytes(behindWeightBytes)} of weights`,
  ].join('\n');
}

/** Percents below, and ticks where the graph can be cut. */
function depthAxis(bottom: number, points: readonly CutPoint[]): string[] {
  const marks = Array.from({ length: 11 }, (_, index) => index / 10);
  return [
    line(LEFT, bottom, RIGHT, bottom, INK),
    ...points.map(({ depth }) => line(x(depth), bottom, x(depth), bottom + 6, INK)),
    ...marks.map((share) => text(x(share), bottom + 21, percent(share), { size: 11, fill: FAINT, anchor: 'middle' })),
  ];
}

/** Of both sides at each cut point, on a linear axis: weights are known there only, so what lies between is joined up. */
function weights(table: CutsAnswer, points: readonly CutPoint[]): string[] {
  const whole = weightBytesOf(table);
  const { top, bottom } = WEIGHTS;
  const y = (bytes: number): number => bottom - (whole > 0 ? bytes / whole : 0) * (bottom - top);
  const before = [[0, 0], ...points.map((point) => [point.depth, point.beforeWeightBytes]), [1, whole]];
  const behind = [[0, whole], ...points.map((point) => [point.depth, point.behindWeightBytes]), [1, 0]];
  const path = (side: readonly (readonly number[])[]): string =>
    side.map(([depth = 0, bytes = 0]) => `${fixed(x(depth))},${fixed(y(bytes))}`).join(' ');
  const side = (values: readonly (readonly number[])[], fill: string, dash: string): string[] => [
    `<polygon points="${fixed(x(0))},${bottom} ${path(values)} ${fixed(x(1))},${bottom}" fill="${fill}" fill-opacity="0.12"/>`,
    `<polyline points="${path(values)}" fill="none" stroke="${fill}" stroke-width="2"${dash}/>`,
    ...values
      .slice(1, -1)
      .map(
        ([depth = 0, bytes = 0]) => `<circle cx="${fixed(x(depth))}" cy="${fixed(y(bytes))}" r="2.5" fill="${fill}"/>`,
      ),
  ];
  const legend = (at: number, fill: string, dash: string, words: string): string[] => [
    `<line x1="${at}" y1="${top - 26}" x2="${at + 26}" y2="${top - 26}" stroke="${fill}" stroke-width="2"${dash}/>`,
    text(at + 34, top - 22, words, { size: 12 }),
  ];
  const dashed = ' stroke-dasharray="7 4"';
  return [
    text(LEFT, top - 22, 'weights', { size: 12, weight: 600, anchor: 'end', dx: -10 }),
    ...legend(LEFT, BEFORE, '', 'before the cut'),
    ...legend(LEFT + 150, BEHIND, dashed, 'behind it'),
    ...[0, 0.5, 1].flatMap((share) => [
      line(LEFT, y(share * whole), RIGHT, y(share * whole), GRID),
      text(LEFT - 10, y(share * whole) + 4, formatBytes(Math.round(share * whole)), {
        size: 11,
        fill: FAINT,
        anchor: 'end',
      }),
    ]),
    ...side(before, BEFORE, ''),
    ...side(behind, BEHIND, dashed),
    ...depthAxis(bottom, points),
  ];
}

/**
 * Places that are at least a pitch apart and as near as can be to those that are wanted; closer together where there is no
 * room for that.
 * @param wanted ascending
 */
export function spread(
  wanted: readonly number[],
  pitch: number,
  { from, to }: { readonly from: number; readonly to: number },
): number[] {
  const gap = wanted.length > 1 ? Math.min(pitch, (to - from) / (wanted.length - 1)) : 0;
  // Groups of neighbours that touch, each around the mean of what its members want.
  const groups: { first: number; count: number; sum: number }[] = [];
  const begin = ({ count, sum }: (typeof groups)[number]): number => {
    const span = (count - 1) * gap;
    return Math.min(Math.max(sum / count - span / 2, from), to - span);
  };
  for (const [index, place] of wanted.entries()) {
    groups.push({ first: index, count: 1, sum: place });
    for (let last = groups.at(-1), before = groups.at(-2); last !== undefined && before !== undefined; ) {
      if (begin(before) + before.count * gap <= begin(last) + 1e-9) break;
      before.count += last.count;
      before.sum += last.sum;
      groups.pop();
      last = groups.at(-1);
      before = groups.at(-2);
    }
  }
  return groups.flatMap((group) => Array.from({ length: group.count }, (_, index) => begin(group) + index * gap));
}

function text(
  at: number,
  y: number,
  words: string,
  { size, fill = INK, weight = 400, anchor = 'start', dx = 0 }: TextStyle,
): string {
  return `<text x="${fixed(at + dx)}" y="${fixed(y)}" font-size="${size}" fill="${fill}" font-weight="${weight}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

interface TextStyle {
  readonly size: number;
  readonly fill?: string;
  readonly weight?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly dx?: number;
}

function line(x1: number, y1: number, x2: number, y2: number, stroke: string, dash?: string): string {
  const dashes = dash === undefined ? '' : ` stroke-dasharray="${dash}"`;
  return `<line x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}" stroke="${stroke}"${dashes}/>`;
}

const fixed = (value: number): string => String(Math.round(value * 10) / 10);

const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** Names come from anybody's graph: none may end the text, or drive a terminal that shows the file. */
function escaped(words: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return words
    .split('\n')
    .map((part) => printable(part.toWellFormed()).replace(/[&<>"]/g, (letter) => entities[letter] as string))
    .join('\n');
}
