// Why a request went where it went, in words: what was chosen, by how much every other candidate lost, who could not, and why. Pure.
import type { RequestAnswer } from '../../../../protocol/api/control.ts';
import { text } from '../../text/en.ts';
import { duration, plural, safeText } from '../../text/format.ts';

export type Plan = RequestAnswer['plans'][number];
export type Price = Plan['price'];

export const PRICE_PARTS = ['queueMs', 'loadMs', 'upMs', 'computeMs', 'downMs'] as const;

/** A line of the table of candidates. */
export interface Candidate {
  readonly key: string;
  /** Node ids: of a choice with parts several. */
  readonly nodes: readonly string[];
  readonly role: 'chosen' | 'part' | 'other';
  /** Of a part, such as `Part 1, segments 0–5`. */
  readonly part: string | undefined;
  readonly price: Price;
  readonly note: string;
}

const { plan: words } = text.requests;

/** In one sentence. @param nameOf name of a node, safe to show */
export function headline(plan: Plan, nameOf: (node: string) => string): string {
  const total = duration(plan.price.totalMs);
  if (plan.kind === 'local') return words.local(nameOf(plan.node), total);
  if (plan.kind === 'remote') return words.remote(nameOf(plan.node), total);
  const names = nodesOf(plan).map(nameOf).join(', ');
  if (plan.kind === 'hedged') return words.hedged(names, duration(plan.afterMs));
  return words[plan.kind](names, total);
}

/** What else is to be known of it, a sentence each. */
export function remarks(plan: Plan): string[] {
  const soonest = Math.min(...plan.others.map(({ price }) => price.totalMs));
  return [
    plan.others.length === 0 ? words.alone : soonest < plan.price.totalMs ? words.against : words.best,
    ...(plan.policy === undefined || plan.policy === 'weft' ? [] : [words.by(safeText(plan.policy))]),
    ...(plan.withinMs === undefined ? [] : [words.within(duration(plan.withinMs))]),
  ];
}

/** The chosen with its parts, then those that lost, best first. */
export function candidates(plan: Plan): Candidate[] {
  return [
    {
      key: 'chosen',
      nodes: nodesOf(plan),
      role: 'chosen',
      part: undefined,
      price: plan.price,
      note: [words.chosen, ...evidence(plan.samples, plan.correction)].join(', '),
    },
    ...partsOf(plan).map(
      ({ node, from, to, price }, index): Candidate => ({
        key: `part ${index}`,
        nodes: [node],
        role: 'part',
        part: words.part(String(index + 1), to - from === 1 ? String(from) : `${from}–${to - 1}`),
        price,
        note: '',
      }),
    ),
    ...plan.others.map(
      ({ node, price, samples, correction }, index): Candidate => ({
        key: `other ${index}`,
        nodes: [node],
        role: 'other',
        part: undefined,
        price,
        note: [against(price.totalMs - plan.price.totalMs), ...evidence(samples, correction)].join(', '),
      }),
    ),
  ];
}

/** Every node that a plan names as doing something, each once. */
export function nodesOf(plan: Plan): readonly string[] {
  if (plan.kind === 'local' || plan.kind === 'remote') return [plan.node];
  return [...new Set(plan.kind === 'hedged' ? plan.nodes : plan.parts.map(({ node }) => node))];
}

/** By how much it lost. */
export function against(byMs: number): string {
  if (Math.abs(byMs) < 0.05) return words.same;
  return byMs < 0 ? words.lostSooner(duration(-byMs)) : words.lost(duration(byMs));
}

const partsOf = (plan: Plan): Extract<Plan, { kind: 'cut' }>['parts'] => (plan.kind === 'cut' ? plan.parts : []);

/** Zero measured requests: the compute time is a guess. */
function evidence(samples: number | undefined, correction: number | undefined): string[] {
  return [
    ...(samples === undefined
      ? []
      : [samples === 0 ? words.guess : words.measured(plural(samples, 'measured request'))]),
    ...(correction === undefined || Math.abs(correction - 1) < 0.005
      ? []
      : [words.corrected(`×${correction.toPrecision(2)}`)]),
  ];
}
