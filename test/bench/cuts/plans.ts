// What each plan of a point really takes, by the judged half of the rounds, and which one the scheduler takes by the known half.
import { type CutChoice, type CutRequest, type CutRule, chooseCut } from '../../../node/scheduler/choose-cut.ts';
import { type CutNode, CutPrices, type Travels } from '../../../node/scheduler/cut-price.ts';
import type { Halves, MeasuredCase, Range } from './measure.ts';
import { mbPerMs, type Point } from './points.ts';

export const EDGE = 'edge';
export const PEER = 'peer';

/** One way to run the request at a point. */
export interface TruePlan {
  readonly kind: 'local' | 'remote' | 'cut';
  /** Of a cut: where, and who has the first part. */
  readonly cut: number;
  readonly first: typeof EDGE | typeof PEER;
  readonly ms: number;
}

/** The form of inputs and answers, for all tensors that are one. */
export function travelsOf({ table, cutCase }: MeasuredCase, formBytes: number): Travels {
  const isResident = (name: string): boolean => cutCase.resident?.test(name) === true;
  const inputs = table.tensors.filter(({ name, from }) => from === -1 && !isResident(name));
  const all = inputs.reduce((sum, { bytes }) => sum + bytes, 0);
  const outputs = table.tensors.filter(({ name, output }) => output && !isResident(name));
  return new Map([
    ...table.tensors.filter(({ name }) => isResident(name)).map(({ name }) => [name, 0] as const),
    ...inputs.map(({ name, bytes }) => [name, (formBytes * bytes) / all] as const),
    ...outputs.map(({ name }) => [name, cutCase.answerBytes / outputs.length] as const),
  ]);
}

/** Segments that a plan's nodes run; undefined for a node that has none. */
export function rangesOf(
  { kind, cut, first }: TruePlan,
  last: number,
): { readonly [Who in typeof EDGE | typeof PEER]?: Range } {
  if (kind === 'local') return { [EDGE]: { from: 0, to: last } };
  if (kind === 'remote') return { [PEER]: { from: 0, to: last } };
  const [head, tail] = [
    { from: 0, to: cut },
    { from: cut, to: last },
  ];
  return first === EDGE ? { [EDGE]: head, [PEER]: tail } : { [EDGE]: tail, [PEER]: head };
}

/** What crosses to the peer and back. */
export function crossingOf(plan: TruePlan, point: Point): { readonly up: number; readonly down: number } {
  const { prices } = pricesOf(point);
  const there = rangesOf(plan, prices.count)[PEER];
  if (there === undefined) return { up: 0, down: 0 };
  return { up: prices.taken(there.from, there.to), down: prices.given(there.from, there.to) };
}

/** Prices of a measured case, kept: a grid asks for each many times. */
const PRICES = new Map<
  string,
  { readonly measured: MeasuredCase; readonly prices: CutPrices; readonly travels: Travels }
>();

function pricesOf({ measured, form }: Point) {
  const key = `${measured.cutCase.name} ${form.name}`;
  const known = PRICES.get(key);
  if (known?.measured === measured) return known;
  const travels = travelsOf(measured, form.bytes);
  const made = { measured, prices: new CutPrices(measured.table, travels), travels };
  PRICES.set(key, made);
  return made;
}

/** All plans of a point by what they really take. @param half of the rounds */
export function truePlans(point: Point, half: keyof Halves = 'judged'): TruePlan[] {
  const { measured, rttMs, peer, edge } = point;
  const { prices } = pricesOf(point);
  const { whole, heads, tails } = measured;
  const last = prices.count;
  const wire = (bytes: number): number => bytes / 1e6 / mbPerMs(point);
  const here = (ms: Halves | undefined): number => (ms?.[half] ?? 0) / edge;
  const there = (ms: Halves | undefined): number => (ms?.[half] ?? 0) / peer;
  const around = (from: number, to: number): number =>
    rttMs + wire(prices.taken(from, to)) + wire(prices.given(from, to));
  const plans: TruePlan[] = [
    { kind: 'local', cut: 0, first: EDGE, ms: here(whole) },
    { kind: 'remote', cut: 0, first: PEER, ms: around(0, last) + there(whole) },
  ];
  for (let cut = 1; cut < last; cut++) {
    plans.push(
      { kind: 'cut', cut, first: EDGE, ms: here(heads[cut]) + around(cut, last) + there(tails[cut]) },
      { kind: 'cut', cut, first: PEER, ms: around(0, cut) + there(heads[cut]) + here(tails[cut]) },
    );
  }
  return plans;
}

export interface Asked {
  readonly rule?: CutRule;
  /** Of the weights of both, as shares of the whole's. @default there is room for all, on both */
  readonly memory?: { readonly edge: number; readonly peer: number };
}

/** The request of a point as dispatch would make it from the known half. */
export function requestOf(point: Point, { rule, memory }: Asked = {}): CutRequest {
  const { measured, rttMs, peer, edge } = point;
  const { prices, travels } = pricesOf(point);
  const rate = mbPerMs(point);
  const last = prices.count;
  const weights = prices.weightBytes([{ from: 0, to: last }]);
  const node = (name: string, speed: number, share = 1): CutNode => ({
    node: name,
    speed,
    queueMs: 0,
    loadMs: () => 0,
    memoryFreeBytes: weights * share,
    rttMs,
    upMbPerMs: rate,
    downMbPerMs: rate,
  });
  const crossing = (prices.taken(0, last) + prices.given(0, last)) / 1e6 / rate;
  const reason = memory === undefined ? {} : { reason: 'it has too little memory' };
  return {
    table: measured.table,
    self: { ...node(EDGE, 1 / edge, memory?.edge), self: true },
    peers: [node(PEER, 1 / peer, memory?.peer)],
    wholes: [
      { node: EDGE, totalMs: measured.whole.known / edge, ...reason },
      { node: PEER, totalMs: rttMs + crossing + measured.whole.known / peer, ...reason },
    ],
    travels,
    partsMax: 2,
    ...(rule !== undefined && { rule }),
  };
}

/** The plan that the scheduler takes, as one of the true ones; undefined where it refuses. */
export function chosenPlan(request: CutRequest, plans: readonly TruePlan[]): TruePlan | undefined {
  const choice = chooseCut(request);
  return choice.nodes.length === 0 ? undefined : planOf(choice, plans);
}

function planOf({ chosen, nodes, parts }: CutChoice, plans: readonly TruePlan[]): TruePlan | undefined {
  const kind = chosen === 'cut' ? 'cut' : nodes[0] === EDGE ? 'local' : 'remote';
  const [first, second] = parts;
  return plans.find(
    (plan) => plan.kind === kind && (kind !== 'cut' || (plan.cut === second?.from && plan.first === first?.node)),
  );
}

export const cheapest = (plans: readonly TruePlan[]): TruePlan =>
  plans.reduce((best, plan) => (plan.ms < best.ms ? plan : best));

/** What is lost by this plan against the best. */
export const regret = (plan: TruePlan, best: TruePlan): number => plan.ms / best.ms - 1;

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @param share 0.95 for the value that 95 % stay below */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
