// Routing policies by name: Weft's own and the published ones that it is compared with, in replays (`weft plan --replay`)
// and in the simulator. All choose among the same candidates; the published ones never look at a price.
import { draw } from './draw.ts';
import { KnownOffers } from './known-offers.ts';
import type { RoutingPolicy } from './policy.ts';
import { Prequal } from './prequal.ts';
import { Survey } from './survey.ts';
import { weftPolicy } from './weft-policy.ts';

const MAKERS: Readonly<Record<string, () => RoutingPolicy>> = {
  weft: () => weftPolicy,
  'round-robin': () => roundRobin(),
  random: () => byDraw('random', (survey, random) => draw(survey.count, random)),
  'least-connections': () => byDraw('least-connections', leastConnections),
  'power-of-two': () => byDraw('power-of-two', powerOfTwo),
  prequal: () => new Prequal(),
};

/** Weft's first. */
export const POLICY_NAMES: readonly string[] = Object.keys(MAKERS);

/** A policy as new: those that remember begin with nothing. Undefined for a name that is none of {@link POLICY_NAMES}. */
export function policyNamed(name: string): RoutingPolicy | undefined {
  return Object.hasOwn(MAKERS, name) ? MAKERS[name]?.() : undefined;
}

function byDraw(name: string, choose: (survey: Survey, random: () => number) => number): RoutingPolicy {
  const known = new KnownOffers();
  return {
    name,
    choose(request, snapshot, random) {
      const survey = new Survey(request, snapshot, known);
      return survey.plan(choose(survey, random), name);
    },
  };
}

/** One after the other, in the order of their ids. */
function roundRobin(): RoutingPolicy {
  const known = new KnownOffers();
  let last = '';
  return {
    name: 'round-robin',
    choose(request, snapshot) {
      const survey = new Survey(request, snapshot, known);
      let first = 0;
      let next = -1;
      for (let at = 0; at < survey.count; at++) {
        const node = survey.node(at);
        if (node < survey.node(first)) first = at;
        if (node > last && (next < 0 || node < survey.node(next))) next = at;
      }
      const chosen = next < 0 ? first : next;
      last = survey.node(chosen);
      return survey.plan(chosen, 'round-robin');
    },
  };
}

/** The fewest calls from here; among equals a drawn one. */
function leastConnections(survey: Survey, random: () => number): number {
  let best = 0;
  let equals = 1;
  for (let at = 1; at < survey.count; at++) {
    const difference = survey.callsTo(at) - survey.callsTo(best);
    if (difference > 0) continue;
    equals = difference < 0 ? 1 : equals + 1;
    if (difference < 0 || random() * equals < 1) best = at;
  }
  return best;
}

/** Of two that are drawn, the one with fewer calls from here (Mitzenmacher 2001). */
function powerOfTwo(survey: Survey, random: () => number): number {
  const a = draw(survey.count, random);
  if (survey.count === 1) return a;
  const b = (a + 1 + draw(survey.count - 1, random)) % survey.count;
  return survey.callsTo(b) < survey.callsTo(a) ? b : a;
}
