// What a part of a graph costs on a node, by the graph's table of cuts: the way there, queue, load, computing, the way back.
// Called by chooseCut for every range of segments; what a peer says of itself is made a finite number first.
import type { CutTable } from '../../protocol/cut-table.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Price } from '../../protocol/plan.ts';
import { amount, sane } from './estimate.ts';
import { COMPRESS_GAIN_MS_MIN, COMPRESS_MS_PER_MB, COMPRESSED_SHARE } from './limits.ts';

/** A node that may run parts. Megabytes are 1e6 bytes. */
export interface CutNode {
  readonly node: NodeId;
  /** It made the request: it holds the graph's inputs, and nothing crosses for its parts. @default false */
  readonly self?: true;
  /** Its time over the time in the table, for the same work: 0.25 is four times as fast. */
  readonly speed: number;
  /** Until work that comes now would begin. */
  readonly queueMs: number;
  /** Milliseconds until a part with so many bytes of weights could run there, fetching them included. */
  loadMs(weightBytes: number): number;
  /** For weights of parts that it doesn't hold yet. */
  readonly memoryFreeBytes: number;
  /** To it and back, without any load; 0 for this node, as with the rates, which don't count for it. */
  readonly rttMs: number;
  /** What crosses to it in a millisecond. */
  readonly upMbPerMs: number;
  /** And from it. */
  readonly downMbPerMs: number;
  /** Whether the part of these segments is loaded there. @default none is */
  holds?(from: number, to: number): boolean;
}

/** How long a part keeps a node, and the way to it, from the next one of the same kind: what a steady stream runs into. */
export interface Busy {
  readonly computeMs: number;
  readonly upMs: number;
  readonly downMs: number;
}

/** Bytes of the graph's inputs and outputs in the form in which they travel, by name, where that is another than the tensor's. */
export type Travels = ReadonlyMap<string, number>;

/** What ranges [from, to) of one table's segments take, give and hold. */
export class CutPrices {
  /** Segments. */
  readonly count: number;
  readonly #table: CutTable;
  /** Ascending sums of the segments before each. */
  readonly #shareBefore: Float64Array;
  readonly #weightBefore: Float64Array;
  readonly #travels: Travels | undefined;
  // By from × (count + 1) + to: what crosses, and what all of it is as tensors.
  readonly #taken: Float64Array;
  readonly #given: Float64Array;
  readonly #tensors: Float64Array;
  readonly #weights: Float64Array;

  /** @param travels compressed pictures, answers that are read where they are made: the tensors' own bytes by default */
  constructor(table: CutTable, travels?: Travels) {
    const { segments } = table;
    this.count = segments.length;
    this.#table = table;
    this.#travels = travels;
    this.#shareBefore = sumsBefore(segments.map(({ share }) => amount(share)));
    this.#weightBefore = sumsBefore(segments.map(({ weightBytes }) => amount(weightBytes)));
    this.#taken = new Float64Array((this.count + 1) ** 2);
    this.#given = new Float64Array((this.count + 1) ** 2);
    this.#tensors = new Float64Array((this.count + 1) ** 2);
    this.#weights = new Float64Array((this.count + 1) ** 2);
    for (let from = 0; from < this.count; from++) {
      this.#addRanges(from);
      for (let to = from + 1; to <= this.count; to++) {
        this.#weights[from * (this.count + 1) + to] = this.#weigh([{ from, to }]);
      }
    }
  }

  /** Bytes that cross to whoever runs these segments: tensors that they use and don't make themselves. */
  taken(from: number, to: number): number {
    return this.#taken[from * (this.count + 1) + to] ?? 0;
  }

  /** And back: tensors that they make and that are used behind them, or are outputs of the graph. */
  given(from: number, to: number): number {
    return this.#given[from * (this.count + 1) + to] ?? 0;
  }

  /** Of the whole graph's computing. */
  share(from: number, to: number): number {
    return (this.#shareBefore[to] ?? 0) - (this.#shareBefore[from] ?? 0);
  }

  /** Weights of parts on one node, each once. @param parts ranges that don't overlap */
  weightBytes(parts: readonly { readonly from: number; readonly to: number }[]): number {
    const [first] = parts;
    if (first === undefined) return 0;
    return parts.length === 1 ? (this.#weights[first.from * (this.count + 1) + first.to] ?? 0) : this.#weigh(parts);
  }

  /** Milliseconds that one part computes there. */
  computeMs(node: CutNode, from: number, to: number): number {
    const { wholeMs, partFixedMs, partMsPerMb } = this.#table;
    const tensorsMb = (this.#tensors[from * (this.count + 1) + to] ?? 0) / 1e6;
    return sane((this.share(from, to) * wholeMs + partFixedMs + tensorsMb * partMsPerMb) * node.speed);
  }

  /** Until what the part gives is back with whoever made the request. */
  price(node: CutNode, from: number, to: number): Price {
    const queueMs = sane(node.queueMs);
    const isHeld = node.holds?.(from, to) === true;
    const loadMs = isHeld ? 0 : sane(node.loadMs(this.weightBytes([{ from, to }])));
    const computeMs = this.computeMs(node, from, to);
    const oneWay = node.self ? 0 : sane(node.rttMs / 2);
    const upMs = node.self ? 0 : oneWay + wireMs(this.taken(from, to), node.upMbPerMs);
    const downMs = node.self ? 0 : oneWay + wireMs(this.given(from, to), node.downMbPerMs);
    const totalMs = queueMs + loadMs + upMs + computeMs + downMs;
    return { queueMs, loadMs, upMs, computeMs, downMs, totalMs };
  }

  /** Of each way apart: what crosses to a node, in it and back are three stages of a stream. */
  busy(node: CutNode, from: number, to: number): Busy {
    return {
      computeMs: this.computeMs(node, from, to),
      upMs: node.self ? 0 : wireMs(this.taken(from, to), node.upMbPerMs),
      downMs: node.self ? 0 : wireMs(this.given(from, to), node.downMbPerMs),
    };
  }

  #weigh(parts: readonly { readonly from: number; readonly to: number }[]): number {
    let bytes = 0;
    for (const { from, to } of parts) bytes += (this.#weightBefore[to] ?? 0) - (this.#weightBefore[from] ?? 0);
    for (const shared of this.#table.shared) {
      const isHeld = shared.segments.some((at) => parts.some(({ from, to }) => from <= at && at < to));
      if (isHeld) bytes += amount(shared.bytes);
    }
    return bytes;
  }

  /** All ranges that begin here: each tensor counts from the first end on behind which the range takes or gives it. */
  #addRanges(from: number): void {
    const row = from * (this.count + 1);
    for (const tensor of this.#table.tensors) {
      const bytes = amount(tensor.bytes);
      const uses = tensor.to.filter((at) => at > tensor.from && at < this.count);
      const isTaken = tensor.from < from;
      const first = isTaken ? Math.min(...uses.filter((at) => at >= from)) : tensor.from;
      const last = isTaken || tensor.output ? this.count : Math.max(tensor.from, ...uses);
      const crossing = isTaken ? this.#taken : this.#given;
      for (let to = first + 1; to <= last; to++) {
        // What is used behind the range crosses as it is, an output of the graph or not.
        const asItIs = tensor.from >= 0 && (isTaken || uses.some((at) => at >= to));
        const crosses = asItIs ? bytes : amount(this.#travels?.get(tensor.name) ?? bytes);
        crossing[row + to] = (crossing[row + to] ?? 0) + crosses;
        this.#tensors[row + to] = (this.#tensors[row + to] ?? 0) + bytes;
      }
    }
  }
}

/**
 * Whether a float32 tensor that crosses is there sooner as blocks of eight bits: only where the time that is saved on the way is
 * more than what both ends compute for it.
 */
export function worthCompressing(bytes: number, mbPerMs: number): boolean {
  const savedMs = wireMs(bytes, mbPerMs) - wireMs(bytes * COMPRESSED_SHARE, mbPerMs);
  return savedMs - (amount(bytes) / 1e6) * COMPRESS_MS_PER_MB > COMPRESS_GAIN_MS_MIN;
}

/** A rate of nothing takes as long as is believed of anything. */
function wireMs(bytes: number, mbPerMs: number): number {
  return bytes === 0 ? 0 : sane(amount(bytes) / 1e6 / mbPerMs);
}

function sumsBefore(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (const [at, value] of values.entries()) sums[at + 1] = (sums[at] ?? 0) + value;
  return sums;
}
