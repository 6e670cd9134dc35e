// Tables and nodes for tests of cuts, and the judge: every assignment of segments to nodes, priced one by one.
import fc from 'fast-check';
import type { CutRequest, CutRule } from '../../../node/scheduler/choose-cut.ts';
import { type CutNode, CutPrices } from '../../../node/scheduler/cut-price.ts';
import { STREAM_DELAY_SHARE } from '../../../node/scheduler/limits.ts';
import type { CutSegment, CutTable, CutTensor } from '../../../protocol/cut-table.ts';

export const SELF = 'here';

/** A chain of equal segments of 10 ms and 1 MB, with 1 MB over each edge, in and out. */
export function table(changes: Partial<CutTable> = {}, count = 4): CutTable {
  return {
    model: { id: 'test/cut', digest: 'sha256:cut' },
    shapes: 'pixels:float32[1,3,8,8]',
    segments: Array.from({ length: count }, () => ({ share: 1 / count, weightBytes: 1e6, nodes: 3 })),
    shared: [],
    tensors: [
      tensor('pixels', -1, [0]),
      ...Array.from({ length: count - 1 }, (_, at) => tensor(`t${at}`, at, [at + 1])),
      { ...tensor('out', count - 1, []), output: true },
    ],
    wholeMs: 10 * count,
    partFixedMs: 0,
    partMsPerMb: 0,
    device: 'test',
    version: '0',
    measuredAtMs: 0,
    ...changes,
  };
}

export function tensor(name: string, from: number, to: readonly number[], bytes = 1e6): CutTensor {
  return { name, type: 'float32', bytes, from, to };
}

/** As fast as the table, idle, with room for everything, at 1 MB per ms without delay. */
export function node(name: string, changes: Partial<CutNode> = {}): CutNode {
  return {
    node: name,
    speed: 1,
    queueMs: 0,
    loadMs: () => 0,
    memoryFreeBytes: Number.POSITIVE_INFINITY,
    rttMs: 0,
    upMbPerMs: 1,
    downMbPerMs: 1,
    ...changes,
  };
}

export const self = (changes: Partial<CutNode> = {}): CutNode => node(SELF, { self: true, ...changes });

export interface Judged {
  readonly nodes: readonly number[];
  readonly totalMs: number;
  readonly periodMs: number;
  readonly score: number;
}

/** The best of all assignments of segments to nodes with at least two parts that keep to memory and rule. */
export function judge(request: CutRequest, minDepth: number): Judged | undefined {
  const nodes = [request.self, ...request.peers];
  const count = request.table.segments.length;
  let best: Judged | undefined;
  for (let code = 0; code < nodes.length ** count; code++) {
    const at = Array.from({ length: count }, (_, segment) => Math.trunc(code / nodes.length ** segment) % nodes.length);
    const judged = priced(request, nodes, at, minDepth);
    if (judged !== undefined && (best === undefined || judged.score < best.score)) best = judged;
  }
  return best;
}

function priced(
  { table, rule = {}, partsMax = 4, steady }: CutRequest,
  nodes: readonly CutNode[],
  at: readonly number[],
  minDepth: number,
): Judged | undefined {
  const edges = at.flatMap((_, segment) => (segment > 0 && at[segment] !== at[segment - 1] ? [segment] : []));
  if (edges.length < 1 || edges.length + 1 > partsMax) return undefined;
  if (rule.cutAt !== undefined && JSON.stringify(rule.cutAt) !== JSON.stringify(edges)) return undefined;
  if (at.some((who, segment) => segment < minDepth && who !== 0) || breaksRaw(table, rule, at)) return undefined;
  const parts = [0, ...edges].map((from, index) => ({ from, to: edges[index] ?? at.length, who: at[from] ?? 0 }));
  let totalMs = 0;
  let periodMs = 0;
  for (const [who, one] of nodes.entries()) {
    const own = parts.filter((part) => part.who === who);
    const missing = own.filter(({ from, to }) => one.holds?.(from, to) !== true);
    const held = new Set(missing.flatMap(({ from, to }) => at.map((_, segment) => segment).slice(from, to)));
    const weights =
      table.segments.reduce((sum, { weightBytes }, segment) => sum + (held.has(segment) ? weightBytes : 0), 0) +
      table.shared.reduce((sum, { bytes, segments }) => sum + (segments.some((s) => held.has(s)) ? bytes : 0), 0);
    if (weights > one.memoryFreeBytes) return undefined;
    const stages = [0, 0, 0];
    for (const { from, to } of own) {
      const { up, down } = crossing(table, from, to);
      const share = table.segments.slice(from, to).reduce((sum, segment) => sum + segment.share, 0);
      const computeMs =
        (share * table.wholeMs + table.partFixedMs + ((up + down) / 1e6) * table.partMsPerMb) * one.speed;
      const upMs = one.self ? 0 : up / 1e6 / one.upMbPerMs;
      const downMs = one.self ? 0 : down / 1e6 / one.downMbPerMs;
      const loadMs = steady || one.holds?.(from, to) ? 0 : one.loadMs(new CutPrices(table).weightBytes([{ from, to }]));
      totalMs += computeMs + upMs + downMs + (one.self ? 0 : one.rttMs) + one.queueMs + loadMs;
      for (const [stage, ms] of [computeMs, upMs, downMs].entries()) stages[stage] = (stages[stage] ?? 0) + ms;
    }
    periodMs = Math.max(periodMs, ...stages);
  }
  return { nodes: at, totalMs, periodMs, score: steady ? periodMs + STREAM_DELAY_SHARE * totalMs : totalMs };
}

/** Bytes that segments [from, to) take and give, straight from what they are. */
export function crossing(
  { tensors }: CutTable,
  from: number,
  to: number,
): { readonly up: number; readonly down: number } {
  const inside = (segment: number): boolean => from <= segment && segment < to;
  const up = tensors.filter((one) => one.from < from && one.to.some(inside));
  const down = tensors.filter((one) => inside(one.from) && (one.output || one.to.some((segment) => segment >= to)));
  const sum = (list: readonly CutTensor[]): number => list.reduce((bytes, one) => bytes + one.bytes, 0);
  return { up: sum(up), down: sum(down) };
}

function breaksRaw({ tensors }: CutTable, { rawLocal }: CutRule, at: readonly number[]): boolean {
  if (rawLocal === undefined) return false;
  const isRaw = ({ name, from }: CutTensor): boolean => from === -1 && (rawLocal === true || rawLocal.includes(name));
  return at[0] !== 0 || tensors.some((one) => isRaw(one) && one.to.some((segment) => at[segment] !== 0));
}

const ms = (max: number): fc.Arbitrary<number> => fc.double({ min: 0, max, noNaN: true });
const bytes = fc.double({ min: 1, max: 5e6, noNaN: true }).map(Math.round);

function segmentsOf(count: number): fc.Arbitrary<CutSegment[]> {
  return fc
    .array(fc.record({ share: fc.double({ min: 0.01, max: 1, noNaN: true }), weightBytes: bytes }), {
      minLength: count,
      maxLength: count,
    })
    .map((list) => {
      const sum = list.reduce((total, { share }) => total + share, 0);
      return list.map(({ share, weightBytes }) => ({ share: share / sum, weightBytes, nodes: 1 }));
    });
}

function tensorsOf(count: number): fc.Arbitrary<CutTensor[]> {
  const one = fc
    .tuple(fc.integer({ min: -1, max: count - 1 }), fc.subarray([...Array(count).keys()]), bytes, fc.boolean())
    .map(([from, uses, size, output]) => ({ from, to: uses.filter((at) => at > from), size, output }));
  return fc.array(one, { minLength: 1, maxLength: 8 }).map((list) =>
    list.map(({ from, to, size, output }, index) => ({
      ...tensor(`x${index}`, from, to, size),
      ...(output && from >= 0 && { output: true as const }),
    })),
  );
}

export const randomTable: fc.Arbitrary<CutTable> = fc.integer({ min: 2, max: 5 }).chain((count) =>
  fc
    .record({
      segments: segmentsOf(count),
      tensors: tensorsOf(count),
      shared: fc.array(
        fc.record({
          bytes,
          segments: fc.subarray([...Array(count).keys()], { minLength: 2 }),
        }),
        { maxLength: 2 },
      ),
      wholeMs: ms(200),
      partFixedMs: ms(3),
      partMsPerMb: ms(2),
    })
    .map((changes) => table(changes, count)),
);

export function randomNode(name: string): fc.Arbitrary<CutNode> {
  const rate = fc.double({ min: 0.001, max: 2, noNaN: true });
  return fc
    .record({
      speed: fc.double({ min: 0.05, max: 10, noNaN: true }),
      queueMs: ms(20),
      perMb: ms(20),
      memoryFreeBytes: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.double({ min: 1, max: 2e7, noNaN: true })),
      rttMs: ms(30),
      upMbPerMs: rate,
      downMbPerMs: rate,
      held: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    })
    .map(({ perMb, held, ...rest }) =>
      node(name, {
        ...rest,
        loadMs: (size) => (size / 1e6) * perMb,
        ...(held !== undefined && { holds: (from: number) => from === held }),
        ...(name === SELF && { self: true }),
      }),
    );
}

/** Small enough for the judge: up to five segments over up to four nodes. */
export const randomRequest: fc.Arbitrary<CutRequest> = fc
  .record({
    table: randomTable,
    self: randomNode(SELF),
    peers: fc
      .integer({ min: 1, max: 3 })
      .chain((count) => fc.tuple(...Array.from({ length: count }, (_, at) => randomNode(`p${at}`)))),
    partsMax: fc.integer({ min: 2, max: 4 }),
    raw: fc.boolean(),
    steady: fc.boolean(),
  })
  .map(({ raw, steady, ...rest }) => ({
    ...rest,
    wholes: [],
    ...(raw && { rule: { rawLocal: true as const } }),
    ...(steady && { steady: true as const }),
  }));
