// The cut points of a graph as a person sees them: how deep each lies, what crosses there, and what both sides take. Pure.
import type { CutsAnswer } from '../../../../../protocol/api/control.ts';
import { givenBy, takenBy } from '../../../../../protocol/cut-table.ts';
import { duration } from '../../../text/format.ts';

export interface CrossingTensor {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | string)[] | undefined;
  readonly bytes: number;
  /** It is an input of the graph, which is used behind the cut. */
  readonly input: boolean;
}

/** One side of a cut, run as a part of its own on the device that was measured. */
export interface CutSide {
  readonly ms: number;
  readonly weightBytes: number;
  readonly segments: number;
  /** Of the graph. */
  readonly nodes: number;
}

export interface CutPoint {
  /** As `x-weft-cut` takes it: it lies in front of this segment. */
  readonly number: number;
  /** Share of the computing in front of it, 0 to 1. */
  readonly depth: number;
  /** The largest first. */
  readonly tensors: readonly CrossingTensor[];
  readonly bytes: number;
  readonly before: CutSide;
  readonly behind: CutSide;
}

/** In the order of the graph; none of one that can't be cut. */
export function cutPointsOf(table: CutsAnswer): CutPoint[] {
  const end = table.segments.length;
  let depth = 0;
  return table.segments.slice(0, -1).map(({ share }, index) => {
    const number = index + 1;
    depth += share;
    const tensors = takenBy(table, number, end).map(({ name, type, dims, bytes, from }) => ({
      name,
      type,
      dims,
      bytes,
      input: from === -1,
    }));
    return {
      number,
      depth,
      tensors: tensors.toSorted((a, b) => b.bytes - a.bytes),
      bytes: sum(tensors),
      before: sideOf(table, 0, number),
      behind: sideOf(table, number, end),
    };
  });
}

/** The cut that is shown first: where least crosses among those in the middle of the computing, or among all. */
export function firstShown(points: readonly CutPoint[]): number {
  const middle = points.filter(({ depth }) => depth >= 0.2 && depth <= 0.8);
  const from = middle.length > 0 ? middle : points;
  const [best] = from.toSorted((a, b) => a.bytes - b.bytes || Math.abs(a.depth - 0.5) - Math.abs(b.depth - 0.5));
  return best?.number ?? 1;
}

/** Weights of the whole graph, each once. */
export const weightBytesOf = (table: CutsAnswer): number => weigh(table, 0, table.segments.length);

/** Bytes of the graph's inputs. */
export const inputBytesOf = ({ tensors }: CutsAnswer): number => sum(tensors.filter(({ from }) => from === -1));

/** Milliseconds as text; parts of small graphs take hundredths of one. */
export const fineDuration = (ms: number): string => (ms < 1 ? `${ms.toFixed(2)} ms` : duration(ms));

/** What {@link CutsAnswer} was measured with, as a dry run of a plan takes it. */
export function planInputs(shapes: string): { name: string; dtype: string; shape: number[] }[] {
  return shapes.split(';').flatMap((text) => {
    // Names of tensors may have colons in them.
    const match = /^(.+):([a-z0-9]+)\[([\d,]*)\]$/s.exec(text);
    const [, name, dtype, dims] = match ?? [];
    if (name === undefined || dtype === undefined || dims === undefined) return [];
    return [{ name, dtype, shape: dims === '' ? [] : dims.split(',').map(Number) }];
  });
}

function sideOf(table: CutsAnswer, from: number, to: number): CutSide {
  const parts = table.segments.slice(from, to);
  const share = parts.reduce((all, segment) => all + segment.share, 0);
  const tensorsMb = (sum(takenBy(table, from, to)) + sum(givenBy(table, from, to))) / 1e6;
  return {
    ms: share * table.wholeMs + table.partFixedMs + tensorsMb * table.partMsPerMb,
    weightBytes: weigh(table, from, to),
    segments: to - from,
    nodes: parts.reduce((all, segment) => all + segment.nodes, 0),
  };
}

/** What several segments use lies in each part that has one of them. */
function weigh({ segments, shared }: CutsAnswer, from: number, to: number): number {
  const own = segments.slice(from, to).reduce((all, { weightBytes }) => all + weightBytes, 0);
  return own + sum(shared.filter(({ segments: users }) => users.some((user) => user >= from && user < to)));
}

const sum = (of: readonly { readonly bytes: number }[]): number => of.reduce((all, { bytes }) => all + bytes, 0);
