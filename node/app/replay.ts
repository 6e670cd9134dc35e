// Decides an earlier request again, on what was known then: under another policy, or as today's code would. Called by the
// control API.
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type { ReplayedPlacement, ReplayedRequest } from '../core/control.ts';
import { fnv1a } from '../core/fnv1a.ts';
import type { PlacementRecord, Traces } from '../core/trace.ts';
import { explain } from '../scheduler/explain.ts';
import { POLICY_NAMES, policyNamed } from '../scheduler/policies.ts';
import type { RoutingPolicy } from '../scheduler/policy.ts';
import { replay } from '../scheduler/record.ts';

export interface ReplayComponents {
  readonly traces: Pick<Traces, 'get' | 'placements'>;
  readonly nameOf: (node: NodeId) => string;
}

/** @throws WeftError `not_found` for a request that isn't kept, `bad_request` for a policy that there isn't */
export function replayRequest(
  { traces, nameOf }: ReplayComponents,
  id: RequestId,
  policyName: string | undefined,
): ReplayedRequest {
  const policy = policyNamed(policyName ?? 'weft');
  if (policy === undefined) {
    throw new WeftError({
      code: 'bad_request',
      message: `There is no routing policy "${policyName}".`,
      remedy: `Name one of ${POLICY_NAMES.join(', ')}.`,
      facts: { param: 'policy' },
    });
  }
  const record = traces.get(id);
  const placements = traces.placements(id);
  if (record === undefined || placements === undefined) {
    throw new WeftError({
      code: 'not_found',
      message: 'No request of this id is kept here.',
      remedy: 'Ask the node whose API got the request, soon after: only the last ones are kept.',
    });
  }
  const random = drawsOf(id);
  return {
    requestId: id,
    model: record.model,
    status: record.status,
    durationMs: record.durationMs,
    policy: policy.name,
    placements: placements.map((placement) => decideAgain(placement, policy, random, nameOf)),
  };
}

function decideAgain(
  { plan: old, atMs, record, measured }: PlacementRecord,
  policy: RoutingPolicy,
  random: () => number,
  nameOf: (node: NodeId) => string,
): ReplayedPlacement {
  const without = (reason: string): ReplayedPlacement => ({
    atMs,
    old,
    measured,
    new: undefined,
    reason,
    explanation: [],
  });
  if (record === undefined) return without('What was known then is no longer kept: ask sooner after the request.');
  try {
    const plan = replay(record, policy, random);
    const quotes = record.nodes.flatMap(({ node, quotedMs }) =>
      quotedMs === undefined ? [] : [[node, quotedMs] as const],
    );
    const explanation = explain(plan, nameOf, new Map(quotes));
    return { atMs, old, measured, new: plan, reason: undefined, explanation };
  } catch (error) {
    const { code, message } = toWeftError(error);
    if (code !== 'no_capable_node') throw error;
    return without(message);
  }
}

/**
 * Numbers in [0, 1) that are the same for each replay of one request: it shall not be chance that two differ.
 * Mulberry32, seeded by a hash of the id.
 */
function drawsOf(id: RequestId): () => number {
  let state = fnv1a(id);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
