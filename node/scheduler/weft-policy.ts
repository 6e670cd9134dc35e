// Weft's own routing: the node whose whole answer is predicted to be here first, by estimates that measurements correct;
// Prequal's rule of hot and cold nodes against herding; and a condition, by which the executor itself checks the estimate.
// Called by dispatch for every placement and for every recovery.
import type { WholePlan } from '../../protocol/plan.ts';
import { KnownOffers } from './known-offers.ts';
import {
  CONDITION_CANDIDATES_MAX,
  CONDITION_SLACK_MS,
  CONDITION_SLACK_SHARE,
  HOT_DETOUR_SHARE,
  HOT_QUANTILE,
  REQUESTS_COUNTED_MAX,
} from './limits.ts';
import type { RoutingPolicy } from './policy.ts';
import type { PlacementRequest, Snapshot } from './snapshot.ts';
import { Survey } from './survey.ts';

/** What nodes offer changes seldom, and is the same whoever asks. */
const KNOWN = new KnownOffers();

/**
 * The cheapest; a hot one only where every cold one is clearly dearer. Queues are part of the price, so a busy node loses to
 * an idle one by itself. Nodes in doubt are taken only when there is no other.
 */
export const weftPolicy: RoutingPolicy = {
  name: 'weft',
  bindsLate: true,
  choose(request: PlacementRequest, snapshot: Snapshot): WholePlan {
    const survey = new Survey(request, snapshot, KNOWN);
    const chosen = chosenFrom(survey);
    return survey.plan(chosen, weftPolicy.name, conditionFor(chosen, survey, request));
  },
};

function chosenFrom(survey: Survey): number {
  let best = 0;
  for (let at = 1; at < survey.count; at++) if (isBetter(survey, at, best)) best = at;
  // Nobody has less than nothing: an idle node is never hot.
  if (survey.requestsAt(best) === 0) return best;
  const requestsMax = hotAbove(survey);
  // Mostly the best is cold, and that is the whole answer.
  if (survey.requestsAt(best) <= requestsMax) return best;
  const limitMs = survey.scoreMs(best) * (1 + HOT_DETOUR_SHARE);
  let chosen = best;
  for (let at = 0; at < survey.count; at++) {
    if (survey.scoreMs(at) > limitMs || survey.requestsAt(at) > requestsMax) continue;
    if (chosen === best || isBetter(survey, at, chosen)) chosen = at;
  }
  return chosen;
}

function isBetter(survey: Survey, at: number, best: number): boolean {
  const difference = survey.scoreMs(at) - survey.scoreMs(best);
  return difference < 0 || (difference === 0 && survey.compare(at, best) < 0);
}

/** Requests in flight above which a node counts as hot: those of the node at the pool's quantile. */
function hotAbove(survey: Survey): number {
  const nodes = new Uint16Array(REQUESTS_COUNTED_MAX + 1);
  for (let at = 0; at < survey.count; at++) {
    const requests = survey.requestsAt(at);
    const bin = requests < REQUESTS_COUNTED_MAX ? Math.trunc(requests) : REQUESTS_COUNTED_MAX;
    nodes[bin] = (nodes[bin] ?? 0) + 1;
  }
  const rank = Math.ceil(HOT_QUANTILE * survey.count);
  let below = 0;
  for (let requests = 0; requests < REQUESTS_COUNTED_MAX; requests++) {
    below += nodes[requests] ?? 0;
    if (below >= rank) return requests;
  }
  return REQUESTS_COUNTED_MAX;
}

/**
 * What the executor's own estimate may be at most, so that the next best would not have been better by more than the slack.
 * The last candidate must take it, and one that has told its time already is taken at its word.
 */
function conditionFor(chosen: number, survey: Survey, request: PlacementRequest): number | undefined {
  if (survey.isHere(chosen) || survey.count < 2 || survey.count > CONDITION_CANDIDATES_MAX) return undefined;
  if (request.quoted?.has(survey.node(chosen))) return undefined;
  let next = Number.POSITIVE_INFINITY;
  for (let at = 0; at < survey.count; at++) if (at !== chosen) next = Math.min(next, survey.totalMs(at));
  const price = Math.max(next, survey.totalMs(chosen));
  const executorMs = price - survey.linkMs(chosen) - survey.surchargeMs(chosen);
  return Math.max(1, Math.ceil(executorMs * (1 + CONDITION_SLACK_SHARE) + CONDITION_SLACK_MS));
}
