// Why a request went where it went, in a few sentences, from its trace. Pure.
import type { RequestAnswer } from '../../../../protocol/api/control/requests.ts';
import { text } from '../../text/en.ts';
import { duration, plural, safeName, safeText } from '../../text/format.ts';
import { REASONS_MAX } from './limits.ts';

/** @param nameOf name of a node by its id, already safe to show */
export function reasonsOf(request: RequestAnswer, nameOf: (node: string) => string): readonly string[] {
  const { why } = text.chat;
  const plan = request.plans.at(-1);
  if (plan === undefined) return [why.noPlan];
  const reasons: string[] = [];
  const { totalMs } = plan.price;
  if (plan.kind === 'local') reasons.push(why.local(duration(totalMs)));
  else if (plan.kind === 'remote') reasons.push(why.remote(nameOf(plan.node), duration(totalMs)));
  else if (plan.kind === 'hedged') reasons.push(why.hedged(plan.nodes.map(nameOf).join(', '), duration(totalMs)));
  else reasons.push(why.parts(plan.parts.map(({ node }) => nameOf(node)).join(', '), duration(totalMs)));
  if (plan.samples !== undefined) {
    reasons.push(plan.samples === 0 ? why.guessed : why.measured(plural(plan.samples, 'measured request')));
  }
  for (const { node, price } of plan.others.slice(0, REASONS_MAX)) {
    reasons.push(why.other(nameOf(node), duration(price.totalMs)));
  }
  for (const { node, reason } of plan.rejected.slice(0, REASONS_MAX)) {
    reasons.push(why.rejected(nameOf(node), safeText(reason)));
  }
  if (plan.others.length === 0 && plan.rejected.length === 0) reasons.push(why.alone);
  for (const { node, code } of request.failures.slice(0, REASONS_MAX)) {
    reasons.push(why.failed(nameOf(node), safeName(code)));
  }
  return reasons;
}
