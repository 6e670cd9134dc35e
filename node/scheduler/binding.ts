// When a request is bound to its node: as late as the node can be kept busy all the same. What waits at one node can't go to
// another that is free sooner than anybody thought; what waits here can. With nodes that are alike this is one queue for all
// of them, which no knowledge of service times betters (late binding: Ousterhout et al., Sparrow, SOSP 2013). Pure.
import type { WholePlan } from '../../protocol/plan.ts';
import { AHEAD_MS_MIN, AHEAD_TRIPS, BIND_DEVIATIONS } from './limits.ts';

/**
 * Work that a node is given ahead, in milliseconds: so much that it never waits for the next request's way.
 * @param linkMs there and back
 */
export function givenAheadMs(linkMs: number): number {
  return Math.max(AHEAD_MS_MIN, linkMs * AHEAD_TRIPS);
}

/**
 * Milliseconds until the request may be sent where it is to go; 0 = now. Never later where there is no other node that could be
 * free sooner.
 * @param deviationMs how far the queue may be from its prediction: the less is known, the later it is bound
 * @param calls from here that the node hasn't answered: without one nothing would tell when it is free
 * @param places requests that it is known to do at once: all of them must be taken
 */
export function bindInMs({ price, others }: WholePlan, deviationMs: number, calls: number, places: number): number {
  if (others.length === 0 || calls < Math.max(1, places)) return 0;
  const queueMs = price.queueMs + BIND_DEVIATIONS * deviationMs;
  return Math.max(0, queueMs - givenAheadMs(price.upMs + price.downMs) * Math.max(1, places));
}
