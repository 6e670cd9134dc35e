// Plans as tables for people: what `weft plan` and `weft trace` print. Pure.
import type { PlanAnswer, ReplayAnswer, RequestAnswer } from '../../protocol/api/control.ts';
import { segmentsOf } from './cuts-view.ts';
import { type Column, formatMs, orDash, printable, table } from './format.ts';
import type { NameOf } from './node-names.ts';

type Plan = PlanAnswer['plan'];
type Placement = ReplayAnswer['placements'][number];
type Span = RequestAnswer['spans'][number];

/** Milliseconds by part, as far as they are known. */
type Parts = Partial<Omit<Plan['price'], 'totalMs'>> & { readonly totalMs?: number | undefined };

interface PlanRow {
  readonly mark: string;
  readonly node: string;
  readonly price: Parts;
  readonly samples: number | undefined;
  readonly correction: number | undefined;
}

/** A table of the chosen and the best others with their priced parts; below it conditions, and who can't, and why. */
export function planLines(plan: Plan, nameOf: NameOf): string {
  const rows: readonly PlanRow[] = [
    { mark: '→', node: chosen(plan, nameOf), price: plan.price, samples: plan.samples, correction: plan.correction },
    ...partRows(plan, nameOf),
    ...plan.others.map(({ node, price, samples, correction }) => ({
      mark: '',
      node: nameOf(node),
      price,
      samples,
      correction,
    })),
  ];
  const corrected = rows.some(({ correction }) => correction !== undefined && correction !== 1);
  const columns: readonly Column<PlanRow>[] = [
    { title: '', value: ({ mark }) => mark },
    { title: 'NODE', value: ({ node }) => node },
    ...partColumns<PlanRow>(({ price }) => price),
    // Zero measured requests: the compute time is a guess.
    {
      title: 'SAMPLES',
      value: ({ samples }) => orDash(samples, (n) => (n === 0 ? 'guess' : String(n))),
      align: 'right',
    },
    ...(corrected ? [{ title: 'CORRECTED', value: correctionOf, align: 'right' } satisfies Column<PlanRow>] : []),
  ];
  const condition =
    plan.withinMs === undefined
      ? ''
      : `The node declines, and the next is asked, where it would take more than ${formatMs(plan.withinMs)} itself.\n`;
  const rejected = plan.rejected.map(({ node, reason }) => `not ${printable(nameOf(node))}: ${printable(reason)}\n`);
  return table(columns, rows) + condition + rejected.join('');
}

/** Of a graph that is cut: the parts, one below the other. */
function partRows(plan: Plan, nameOf: NameOf): readonly PlanRow[] {
  if (plan.kind !== 'cut') return [];
  return plan.parts.map(({ node, from, to, price }, index) => ({
    mark: '',
    node: `  part ${index + 1}, segments ${segmentsOf(from, to)}: ${nameOf(node)}`,
    price,
    samples: undefined,
    correction: undefined,
  }));
}

const correctionOf = ({ correction }: PlanRow): string =>
  correction === undefined || correction === 1 ? '-' : `×${correction.toPrecision(2)}`;

function chosen(plan: Plan, nameOf: NameOf): string {
  if (plan.kind === 'local' || plan.kind === 'remote') return nameOf(plan.node);
  const nodes = plan.kind === 'hedged' ? plan.nodes : plan.parts.map(({ node }) => node);
  return `${plan.kind}: ${[...new Set(nodes)].map(nameOf).join(', ')}`;
}

/** What was asked for, in one line: `org/chat · generate · 12 tokens in`. */
export function planHeadline({ model, work, inputTokens, requests, plan }: PlanAnswer): string {
  return [
    printable(model),
    work,
    ...(inputTokens > 0 ? [`${inputTokens} tokens in`] : []),
    ...(requests > 1 ? [`sent in ${requests} pieces, of which this is the first`] : []),
    ...(plan.policy === undefined || plan.policy === 'weft' ? [] : [`by ${printable(plan.policy)}`]),
  ].join(' · ');
}

/** Whether the deadline can be met; empty where there is none. */
export function deadlineLine({ deadline, plan: { price } }: PlanAnswer): string {
  if (deadline === undefined) return '';
  const { deadlineMs, meetable, quotedMs, retryAfterMs } = deadline;
  const asked = formatMs(deadlineMs);
  if (meetable) return `A request with a deadline of ${asked} would be taken.\n`;
  const soonest = quotedMs === undefined ? '' : ` The soonest answer takes ${formatMs(quotedMs)}.`;
  // Where nothing is waited for, waiting helps nothing.
  const waits = price.queueMs + price.loadMs > 0;
  const again =
    retryAfterMs === undefined || retryAfterMs <= 1 || !waits ? '' : ` It may be taken in ${formatMs(retryAfterMs)}.`;
  return `A request with a deadline of ${asked} would be refused.${soonest}${again}\n`;
}

interface ReplayRow {
  readonly what: string;
  readonly node: string;
  readonly parts: Parts;
}

/** Each decision of a request: what was predicted and measured then, and what the policy chooses now. */
export function replayLines({ policy, placements }: ReplayAnswer, nameOf: NameOf): string {
  const columns: readonly Column<ReplayRow>[] = [
    { title: '', value: ({ what }) => what },
    { title: 'NODE', value: ({ node }) => node },
    ...partColumns<ReplayRow>(({ parts }) => parts),
  ];
  const blocks = placements.map((placement, at) => {
    const head = placements.length === 1 ? '' : `placement ${at + 1}, after ${formatMs(placement.atMs)}\n`;
    return head + table(columns, replayRows(placement, policy, nameOf)) + verdict(placement, policy);
  });
  return blocks.join('\n');
}

function replayRows({ old, measured, new: again }: Placement, policy: string, nameOf: NameOf): readonly ReplayRow[] {
  const known = Object.values(measured).filter((ms) => ms !== undefined);
  const totalMs = known.length === 0 ? undefined : known.reduce((sum, ms) => sum + ms, 0);
  const node = chosen(old, nameOf);
  return [
    { what: `${old.policy ?? 'weft'} then, predicted`, node, parts: old.price },
    { what: 'measured', node, parts: { ...measured, totalMs } },
    ...(again === undefined
      ? []
      : [{ what: `${policy} now, predicted`, node: chosen(again, nameOf), parts: again.price }]),
  ];
}

function verdict({ old, new: again, reason }: Placement, policy: string): string {
  if (again === undefined) return `${printable(reason ?? `${policy} finds no node.`)}\n`;
  const [before, now] = [old, again].map((plan) => JSON.stringify(chosen(plan, String)));
  return before === now
    ? `${printable(policy)} chooses the same node.\n`
    : `${printable(policy)} chooses another node.\n`;
}

/** Parts of a request in the order of time, what was measured beside what had been predicted. */
export function spanTable(spans: readonly Span[], nameOf: NameOf): string {
  return table<Span>(
    [
      { title: 'PART', value: ({ name }) => name },
      { title: 'NODE', value: ({ node }) => nameOf(node) },
      { title: 'BEGAN', value: ({ startMs }) => formatMs(startMs), align: 'right' },
      { title: 'MEASURED', value: ({ durationMs }) => formatMs(durationMs), align: 'right' },
      { title: 'PREDICTED', value: ({ predictedMs }) => orDash(predictedMs, formatMs), align: 'right' },
    ],
    spans,
  );
}

function partColumns<Row>(partsOf: (row: Row) => Parts): readonly Column<Row>[] {
  const column = (title: string, part: keyof Parts): Column<Row> => ({
    title,
    value: (row) => orDash(partsOf(row)[part], formatMs),
    align: 'right',
  });
  return [
    column('TOTAL', 'totalMs'),
    column('QUEUE', 'queueMs'),
    column('LOAD', 'loadMs'),
    column('UP', 'upMs'),
    column('COMPUTE', 'computeMs'),
    column('DOWN', 'downMs'),
  ];
}
