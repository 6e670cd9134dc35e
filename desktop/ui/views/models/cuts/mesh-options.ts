// What the mesh would make of a cut: the graph whole here, whole on each peer, and cut between here and each peer, with predicted
// prices out of dry runs. Pure.
import type { PlanAnswer } from '../../../../../protocol/api/control.ts';

/** Predicted milliseconds by part; the way there and back is one. */
export interface OptionPrice {
  readonly queueMs: number;
  readonly loadMs: number;
  readonly wayMs: number;
  readonly computeMs: number;
}

export const OPTION_PARTS = ['queueMs', 'loadMs', 'wayMs', 'computeMs'] as const;

export interface Option {
  readonly key: string;
  readonly kind: 'here' | 'there' | 'cut';
  /** The peer; this node where it is whole, here. */
  readonly node: string;
  /** Absent with a reason. */
  readonly price: OptionPrice | undefined;
  readonly reason: string | undefined;
}

type Price = PlanAnswer['plan']['price'];

/** The dry run of one peer. */
export interface Asked {
  readonly node: string;
  readonly answer: PlanAnswer | undefined;
  /** Why there is no answer. */
  readonly problem: string | undefined;
}

/** In the order: whole here, then for each peer cut and whole. */
export function optionsOf(self: string, asked: readonly Asked[]): Option[] {
  const answers = asked.flatMap(({ answer }) => answer ?? []);
  const first = answers[0];
  return [
    ...(first === undefined ? [] : [whole(first, self, 'here')]),
    ...asked.flatMap(({ node, answer, problem }) => [
      { key: `cut ${node}`, kind: 'cut' as const, node, ...cutPrice(answer, problem) },
      ...(answer === undefined ? [] : [whole(answer, node, 'there')]),
    ]),
  ];
}

/** @param loaded as if everything were in memory already */
export function totalOf({ queueMs, loadMs, wayMs, computeMs }: OptionPrice, loaded: boolean): number {
  return queueMs + (loaded ? 0 : loadMs) + wayMs + computeMs;
}

function whole({ plan, cut }: PlanAnswer, node: string, kind: 'here' | 'there'): Option {
  const chosen = (plan.kind === 'local' || plan.kind === 'remote') && plan.node === node ? plan.price : undefined;
  const price = chosen ?? plan.others.find((other) => other.node === node)?.price;
  const rejected = [...plan.rejected, ...(cut?.rejected ?? [])].find((other) => other.node === node);
  return {
    key: `${kind} ${node}`,
    kind,
    node,
    price: price === undefined ? undefined : folded([price]),
    reason: price === undefined ? (rejected?.reason ?? '') : undefined,
  };
}

function cutPrice(answer: PlanAnswer | undefined, problem: string | undefined): Pick<Option, 'price' | 'reason'> {
  const cut = answer?.cut;
  if (cut === undefined) return { price: undefined, reason: problem ?? '' };
  if (cut.chosen !== 'cut' || cut.refused !== undefined) return { price: undefined, reason: cut.refused ?? '' };
  return { price: folded(cut.parts.map(({ price }) => price)), reason: undefined };
}

function folded(prices: readonly Price[]): OptionPrice {
  const sum = (of: (price: Price) => number): number => prices.reduce((all, price) => all + of(price), 0);
  return {
    queueMs: sum(({ queueMs }) => queueMs),
    loadMs: sum(({ loadMs }) => loadMs),
    wayMs: sum(({ upMs, downMs }) => upMs + downMs),
    computeMs: sum(({ computeMs }) => computeMs),
  };
}
