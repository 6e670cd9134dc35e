// The predicted completion time of a piece of work on each node that can do it:
//   rtt + bytes / goodput + queue + cold load + fixed + slope · tokens in + tokens out · time per token
// Called by choose. Figures in adverts are the peers' own words: each is made a finite number before it is added up.
import type { ModelOffer, ServiceProfile } from '../../protocol/capability.ts';
import type { Candidate, Price } from '../../protocol/plan.ts';
import type { Capable } from './candidates.ts';
import {
  EXPLORE_FACTOR,
  GOODPUT_UNKNOWN_BYTES_PER_SECOND,
  GUESS_FIXED_MS,
  GUESS_INPUT_MS_PER_BYTE,
  GUESS_LOAD_FIXED_MS,
  GUESS_LOAD_MS_PER_BYTE,
  GUESS_OUTPUT_MS_PER_BYTE,
  NEWCOMER_FACTOR,
  PART_MS_MAX,
  RTT_UNKNOWN_MS,
} from './limits.ts';
import type { PlacementRequest } from './snapshot.ts';

/** Prices every node, in the given order. Nodes without samples are priced by those that have some. */
export function estimate(request: PlacementRequest, nodes: readonly Capable[]): Candidate[] {
  const measured = nodes.filter(isMeasured).map((node) => computeMs(request, node.offer.profile, node.offer));
  const slowest = measured.length === 0 ? undefined : Math.max(...measured);
  const fastest = measured.length === 0 ? undefined : Math.min(...measured);
  return nodes.map((node) => {
    const { profile } = node.offer;
    if (isMeasured(node)) {
      const price = priceOf(request, node, computeMs(request, profile, node.offer));
      return { node: node.node, price, samples: profile.samples };
    }
    const guess =
      slowest === undefined || fastest === undefined
        ? computeMs(request, guessProfile(node.offer), node.offer)
        : request.explore
          ? fastest * EXPLORE_FACTOR
          : slowest * NEWCOMER_FACTOR;
    return { node: node.node, price: priceOf(request, node, guess), samples: 0 };
  });
}

const isMeasured = (node: Capable): boolean => node.offer.profile.samples > 0;

/** A number of milliseconds that can be added up, whatever was said. */
function sane(ms: number): number {
  return ms >= 0 ? Math.min(ms, PART_MS_MAX) : PART_MS_MAX;
}

/** What a model of this size costs at most on a slow core. */
function guessProfile(offer: ModelOffer): ServiceProfile {
  const bytes = Math.max(0, offer.sizeBytes);
  return {
    fixedMs: GUESS_FIXED_MS,
    perTokenMs: bytes * GUESS_INPUT_MS_PER_BYTE,
    decodeMs: bytes * GUESS_OUTPUT_MS_PER_BYTE,
    loadMs: GUESS_LOAD_FIXED_MS + bytes * GUESS_LOAD_MS_PER_BYTE,
    samples: 0,
  };
}

function computeMs(request: PlacementRequest, profile: ServiceProfile, offer: ModelOffer): number {
  // A model may have been measured by its prefill alone, when no answer was longer than one token.
  const decodeMs = profile.decodeMs === 0 ? guessProfile(offer).decodeMs : profile.decodeMs;
  const outputMs = request.outputTokens === 0 ? 0 : request.outputTokens * sane(decodeMs);
  return sane(sane(profile.fixedMs) + request.inputTokens * sane(profile.perTokenMs) + outputMs);
}

function priceOf(request: PlacementRequest, node: Capable, compute: number): Price {
  const { link, load, offer } = node;
  // Calls that have left since the node last spoke of its load wait there too.
  const unheard = Math.max(0, node.callsInFlight - load.requestsInFlight);
  const queueMs = sane(sane(load.queuedMs) + unheard * (load.latencyMs > 0 ? sane(load.latencyMs) : compute));
  const loadMs = offer.state === 'loaded' ? 0 : sane(offer.profile.loadMs || guessProfile(offer).loadMs);
  let upMs = 0;
  let downMs = 0;
  if (link !== undefined) {
    const oneWayMs = sane(link.rttMs ?? RTT_UNKNOWN_MS) / 2;
    const bytesPerMs = (link.goodputBytesPerSecond || GOODPUT_UNKNOWN_BYTES_PER_SECOND) / 1000;
    const answerBytes = request.answerBytes + request.answerRows * offer.dimensions * Float32Array.BYTES_PER_ELEMENT;
    upMs = sane(oneWayMs + request.requestBytes / bytesPerMs);
    downMs = sane(oneWayMs + answerBytes / bytesPerMs);
  }
  return {
    queueMs,
    loadMs,
    upMs,
    computeMs: compute,
    downMs,
    totalMs: queueMs + loadMs + upMs + compute + downMs,
  };
}
