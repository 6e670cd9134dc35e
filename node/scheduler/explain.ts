// A plan in words: why this node, and not another. Called by whoever shows a plan to people.
import type { NodeId } from '../../protocol/ids.ts';
import type { Plan, Price } from '../../protocol/plan.ts';

/**
 * One line per fact, the choice first, then what it beat and what could not run.
 * @param quoted milliseconds that nodes quoted for this request when they declined it
 */
export function explain(
  plan: Plan,
  nameOf: (node: NodeId) => string,
  quoted: ReadonlyMap<NodeId, number> = new Map(),
): string[] {
  const asked = plan.kind === 'local' || plan.kind === 'remote' ? quoted.get(plan.node) : undefined;
  return [
    `${chosen(plan, nameOf)}: ${parts(plan.price)}${basis(plan.samples, plan.correction, asked)}`,
    ...condition(plan),
    ...plan.others.map(({ node, price, samples, correction }) => {
      const difference = price.totalMs - plan.price.totalMs;
      const slower = `${milliseconds(Math.abs(difference))} ${difference < 0 ? 'faster' : 'slower'}`;
      return `not ${nameOf(node)}: ${slower}, ${parts(price)}${basis(samples, correction, quoted.get(node))}`;
    }),
    ...plan.rejected.map(({ node, reason }) => `not ${nameOf(node)}: ${reason}`),
  ];
}

function chosen(plan: Plan, nameOf: (node: NodeId) => string): string {
  switch (plan.kind) {
    case 'local':
      return `here (${nameOf(plan.node)})`;
    case 'remote':
      return `on ${nameOf(plan.node)}`;
    case 'hedged':
      return `raced on ${plan.nodes.map(nameOf).join(', ')}`;
    default:
      return `${plan.kind} over ${plan.parts.map((part) => nameOf(part.node)).join(', ')}`;
  }
}

/** How far the price can be trusted. */
function basis(samples: number | undefined, correction: number | undefined, quotedMs: number | undefined): string {
  const guess = samples === 0 ? ', a guess: never measured' : '';
  // Under a twentieth it is noise.
  const corrected =
    correction !== undefined && Math.abs(correction - 1) >= 0.05
      ? `, compute times ${correction.toPrecision(2)} as measured from here`
      : '';
  const declined = quotedMs === undefined ? '' : `, after it declined with a quote of ${milliseconds(quotedMs)}`;
  return `${guess}${corrected}${declined}`;
}

function condition({ withinMs, policy }: Plan): string[] {
  const lines = withinMs === undefined ? [] : [`on condition that it takes at most ${milliseconds(withinMs)} there`];
  return policy === undefined || policy === 'weft' ? lines : [`chosen by ${policy}`, ...lines];
}

/** "12.3 ms = queue 1.0 + compute 11.3": parts that cost nothing are left out. */
function parts(price: Price): string {
  const terms = [
    ['queue', price.queueMs],
    ['load', price.loadMs],
    ['up', price.upMs],
    ['compute', price.computeMs],
    ['down', price.downMs],
  ] as const;
  const named = terms.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name} ${milliseconds(ms)}`);
  return named.length === 0 ? milliseconds(price.totalMs) : `${milliseconds(price.totalMs)} = ${named.join(' + ')}`;
}

function milliseconds(ms: number): string {
  return `${ms >= 100 ? Math.round(ms) : ms.toFixed(1)} ms`;
}
