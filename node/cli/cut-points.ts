// The cut points of a graph as a person sees them: how deep each lies, what crosses there, and what both sides take. Pure; for
// `weft show --cuts` and its picture.
import type { CutsAnswer } from '../../protocol/api/control.ts';
import { takenBy } from '../../protocol/cut-table.ts';
import { type CutNode, CutPrices } from '../scheduler/cut-price.ts';

export interface CutPoint {
  /** As `--cut` takes it: it lies in front of this segment. */
  readonly number: number;
  /** Of the computing, that lies before it: 0 to 1. */
  readonly depth: number;
  /** What is used behind it and made before it; inputs of the graph too, where they are used behind it. */
  readonly tensors: readonly { readonly name: string; readonly bytes: number; readonly input?: true }[];
  readonly bytes: number;
  /** Predicted milliseconds of both sides as parts, each with what a part costs. */
  readonly beforeMs: number;
  readonly behindMs: number;
  readonly beforeWeightBytes: number;
  readonly behindWeightBytes: number;
}

/** The device on which the table was measured. */
const MEASURED: CutNode = {
  node: '',
  self: true,
  speed: 1,
  queueMs: 0,
  loadMs: () => 0,
  memoryFreeBytes: Number.POSITIVE_INFINITY,
  rttMs: 0,
  upMbPerMs: Number.POSITIVE_INFINITY,
  downMbPerMs: Number.POSITIVE_INFINITY,
};

/** In the order of the graph; none of a graph that can't be cut. */
export function cutPointsOf(table: CutsAnswer): CutPoint[] {
  const prices = new CutPrices(table);
  const { count } = prices;
  let depth = 0;
  return table.segments.slice(0, -1).map(({ share }, index) => {
    const number = index + 1;
    depth += share;
    const tensors = takenBy(table, number, count).map(({ name, bytes, from }) => ({
      name,
      bytes,
      ...(from === -1 && { input: true as const }),
    }));
    return {
      number,
      depth,
      tensors,
      bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
      beforeMs: prices.price(MEASURED, 0, number).computeMs,
      behindMs: prices.price(MEASURED, number, count).computeMs,
      beforeWeightBytes: prices.weightBytes([{ from: 0, to: number }]),
      behindWeightBytes: prices.weightBytes([{ from: number, to: count }]),
    };
  });
}

/** Weights of the whole graph. */
export function weightBytesOf(table: CutsAnswer): number {
  const prices = new CutPrices(table);
  return prices.weightBytes([{ from: 0, to: prices.count }]);
}

/** Bytes of the graph's inputs. */
export function inputBytesOf({ tensors }: CutsAnswer): number {
  return tensors.filter(({ from }) => from === -1).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** A name of a tensor, its middle left out where it is longer: ends tell more than what they share. */
export function shortName(name: string, lengthMax: number): string {
  const letters = [...name];
  if (letters.length <= lengthMax) return name;
  const head = Math.floor((lengthMax - 1) / 3);
  return `${letters.slice(0, head).join('')}…${letters.slice(letters.length - (lengthMax - 1 - head)).join('')}`;
}
