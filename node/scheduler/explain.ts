// A plan in words: why this node, and not another. Called by whoever shows a plan to people.
import type { NodeId } from '../../protocol/ids.ts';
import type { Plan, Price } from '../../protocol/plan.ts';

/** One line per fact, the choice first, then what it beat and what could not run. */
export function explain(plan: Plan, nameOf: (node: NodeId) => string): string[] {
  return [
    `${chosen(plan, nameOf)}: ${parts(plan.price)}`,
    ...plan.others.map(({ node, price, samples }) => {
      const guess = samples === 0 ? ', a guess: never measured' : '';
      const slower = milliseconds(price.totalMs - plan.price.totalMs);
      return `not ${nameOf(node)}: ${slower} slower, ${parts(price)}${guess}`;
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
