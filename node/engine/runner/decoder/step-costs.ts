// What a run of the decoder takes, by its rows (tokens that are computed) and its context (tokens that each row looks
// at): medians of recent runs, with lines between them. Asked before every step, by what sizes pieces of prompts, drafts
// and runs. Fed after every run.
import { fitLine, median } from '../../profile.ts';

/** Recent runs of one kind over which the median is taken: it follows a machine that has changed after five. */
const SAMPLES = 8;
/** Runs of one kind after which their median is taken anew. */
const REFIT_EVERY = 4;
/** Contexts are told apart by powers of two, from this one on. */
const CONTEXT_MIN = 64;
const CONTEXT_KINDS = 13;
/** However short the context, a run takes this share of one that was measured: noise can make a line too steep. */
const LEAST_SHARE = 0.1;
/** Runs of fewer rows say how a step of sequences grows; those of more are prompts. */
const STEP_ROWS_MAX = 32;

/** ms ≈ fixedMs + rows · perRowMs + rows · context · perCellMs */
export interface StepLine {
  readonly fixedMs: number;
  readonly perRowMs: number;
  readonly perCellMs: number;
}

/** Runs of about so many rows at about such a context. */
interface Cell {
  readonly samples: { rows: number; context: number; ms: number }[];
  count: number;
  /** Medians of the samples. */
  rows: number;
  context: number;
  ms: number;
}

/** Runs of about so many rows. Times grow with the context along a line through the latest cell. */
interface RowKind {
  readonly cells: (Cell | undefined)[];
  latest: Cell;
  /** For each row and token of context; undefined while only one context is known. */
  perCellMs: number | undefined;
}

/** Rows and what they take. */
interface Point {
  readonly rows: number;
  readonly ms: number;
}

/** The measured costs of one model on one device. */
export class StepCosts {
  readonly #kinds: (RowKind | undefined)[] = [];
  readonly #bendRows: number;
  #perCellMs = 0;

  /**
   * @param bendRows from so many rows on the model computes in another form, of other costs: fewer rows say little of more,
   *   and more say little of fewer. @default it has one form
   */
  constructor(bendRows = Number.POSITIVE_INFINITY) {
    this.#bendRows = bendRows;
  }

  /**
   * A run, as it was.
   * @param rows tokens that were computed, of all sequences; ≥ 1
   * @param context tokens that each of them could look at: the block's capacity, where masked ones are computed too
   */
  add(rows: number, context: number, ms: number): void {
    if (!(rows >= 1 && context >= 0 && ms > 0 && Number.isFinite(rows * context * ms))) return;
    const kind = this.#kindOf(rows);
    const index = contextKind(context);
    kind.cells[index] ??= newCell();
    const cell = kind.cells[index];
    cell.samples[cell.count % SAMPLES] = { rows, context, ms };
    cell.count++;
    if (cell.count <= REFIT_EVERY || cell.count % REFIT_EVERY === 0) {
      cell.rows = median(cell.samples.map((sample) => sample.rows));
      cell.context = median(cell.samples.map((sample) => sample.context));
      cell.ms = median(cell.samples.map((sample) => sample.ms));
      kind.latest = cell;
      this.#refit(kind);
    }
  }

  /**
   * Expected time of a run; 0 while nothing was measured. Beyond the row counts that were, it goes on along the last two,
   * or in proportion where there is only one. Never less for more rows.
   */
  stepMs(rows: number, context: number): number {
    let below: Point | undefined;
    let before: Point | undefined;
    for (const at of this.#points(context)) {
      if (at.rows >= rows) return below === undefined ? (at.ms * rows) / at.rows : between(below, at, rows);
      before = below;
      below = at;
    }
    if (below === undefined) return 0;
    return before === undefined ? (below.ms * rows) / below.rows : between(before, below, rows);
  }

  /** What was measured, by rows; and where the line of few rows ends, as far as it is known. */
  #points(context: number): Point[] {
    const points: Point[] = [];
    for (const kind of this.#kinds) {
      if (kind === undefined) continue;
      const { rows } = kind.latest;
      const [below, before] = [points.at(-1), points.at(-2)];
      const ms = Math.max(this.#msOf(kind, context), below?.ms ?? 0);
      const last = this.#bendRows - 1;
      if (rows > last && before !== undefined && below !== undefined && below.rows < last) {
        points.push({ rows: last, ms: Math.min(ms, between(before, below, last)) });
      }
      points.push({ rows, ms });
    }
    return points;
  }

  /** A line through the steps of up to 32 rows, of one form; undefined while all had about the same number. */
  line(): StepLine | undefined {
    const points = this.#kinds
      .filter((kind) => kind !== undefined)
      .map((kind) => ({ tokens: kind.latest.rows, ms: this.#msOf(kind, 0) }))
      .filter(({ tokens }) => tokens <= STEP_ROWS_MAX && tokens < this.#bendRows);
    if (points.length < 2) return undefined;
    const { fixedMs, perTokenMs } = fitLine(points);
    return { fixedMs, perRowMs: perTokenMs, perCellMs: this.#perCellMs };
  }

  #kindOf(rows: number): RowKind {
    // Runs of different forms are of different kinds.
    const index = rowKind(rows) + (rows >= this.#bendRows ? 1 : 0);
    this.#kinds[index] ??= { cells: new Array(CONTEXT_KINDS), latest: newCell(), perCellMs: undefined };
    return this.#kinds[index];
  }

  #refit(kind: RowKind): void {
    const known = kind.cells.filter((cell) => cell !== undefined);
    kind.perCellMs =
      known.length < 2
        ? undefined
        : fitLine(known.map(({ context, ms }) => ({ tokens: context, ms }))).perTokenMs / kind.latest.rows;
    const slopes = this.#kinds.map((one) => one?.perCellMs).filter((slope) => slope !== undefined);
    this.#perCellMs = median(slopes);
  }

  #msOf({ latest, perCellMs }: RowKind, context: number): number {
    const slope = (perCellMs ?? this.#perCellMs) * latest.rows;
    return Math.max(LEAST_SHARE * latest.ms, latest.ms + slope * (context - latest.context));
  }
}

function newCell(): Cell {
  return { samples: [], count: 0, rows: 0, context: 0, ms: 0 };
}

/** 1, 2, 3, 4, then two for each power of two: 5–6, 7–8, 9–12, 13–16, … */
function rowKind(rows: number): number {
  if (rows <= 4) return Math.ceil(rows) - 1;
  const octave = Math.ceil(Math.log2(rows));
  return 2 * octave - (rows <= 0.75 * 2 ** octave ? 2 : 1);
}

function contextKind(context: number): number {
  return Math.min(CONTEXT_KINDS - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, context) / CONTEXT_MIN)) + 1));
}

function between(a: Point, b: Point, rows: number): number {
  return a.rows === b.rows ? b.ms : a.ms + ((b.ms - a.ms) * (rows - a.rows)) / (b.rows - a.rows);
}
