// Cuts as text for people: where a graph can be cut, and which plan was considered beside which. Pure; for `weft show --cuts`,
// `weft plan --cut` and `weft trace`.
import type { ConsideredCut, CutsAnswer, RequestAnswer } from '../../protocol/api/control.ts';
import { type CutPoint, cutPointsOf, shortName, weightBytesOf } from './cut-points.ts';
import { type Column, formatBytes, formatMs, orDash, printable, table } from './format.ts';
import type { NameOf } from './node-names.ts';

/** Of a name in a table, and names in one cell: more are counted. */
const NAME_LETTERS_MAX = 48;
const NAMES_SHOWN_MAX = 3;

type Part = ConsideredCut['parts'][number];
type Span = RequestAnswer['spans'][number];

/** Each cut point with both of its sides, below what was measured. */
export function cutsText(answer: CutsAnswer): string {
  const { model, segments, wholeMs, shapes, device, reason } = answer;
  const head = `${model.id} · ${formatMs(wholeMs)} · ${formatBytes(weightBytesOf(answer))} of weights\n${shapes}\non ${device}\n`;
  const why = reason === undefined ? '' : `${printable(reason)}\n`;
  if (segments.length < 2) return `${lines(head)}\nIt can't be cut, and runs whole.\n${why}`;
  return `${lines(head)}\n${table(CUT_COLUMNS, cutPointsOf(answer))}${why}`;
}

const lines = (text: string): string =>
  text
    .split('\n')
    .map((line) => printable(line))
    .join('\n');

const CUT_COLUMNS: readonly Column<CutPoint>[] = [
  { title: 'CUT', value: ({ number }) => String(number), align: 'right' },
  { title: 'DEPTH', value: ({ depth }) => `${(depth * 100).toFixed(1)} %`, align: 'right' },
  { title: 'CROSSES', value: ({ bytes }) => formatBytes(bytes), align: 'right' },
  { title: 'BEFORE', value: ({ beforeMs }) => formatMs(beforeMs), align: 'right' },
  { title: 'BEHIND', value: ({ behindMs }) => formatMs(behindMs), align: 'right' },
  { title: 'WEIGHTS', value: ({ beforeWeightBytes }) => formatBytes(beforeWeightBytes), align: 'right' },
  { title: 'BEHIND', value: ({ behindWeightBytes }) => formatBytes(behindWeightBytes), align: 'right' },
  { title: 'TENSORS', value: ({ tensors }) => namesOf(tensors) },
];

function namesOf(tensors: readonly { readonly name: string; readonly input?: true }[]): string {
  const names = tensors
    .slice(0, NAMES_SHOWN_MAX)
    .map(({ name, input }) => shortName(name, NAME_LETTERS_MAX) + (input ? ' (input)' : ''));
  const more = tensors.length - names.length;
  return names.join(', ') + (more > 0 ? `, ${more} more` : '');
}

/** The plan that was chosen, part by part, and by how much every other one lost. */
export function consideredText(cut: ConsideredCut, nameOf: NameOf): string {
  const { chosen, parts, totalMs, lostBy, rejected, refused, table: measured } = cut;
  const cannot = rejected.map(({ node, reason }) => `not whole on ${printable(nameOf(node))}: ${printable(reason)}\n`);
  const why = measured.reason === undefined ? '' : `${printable(measured.reason)}\n`;
  if (refused !== undefined) return `Refused: ${printable(named(refused, cut, nameOf))}\n${why}${cannot.join('')}`;
  const head =
    chosen === 'cut'
      ? `Cut into ${parts.length} parts, ${formatMs(totalMs ?? 0)} in all:\n${table(partColumns(nameOf), parts.map(numbered))}`
      : `Not cut: whole on ${cut.nodes.map(nameOf).map(printable).join(', ')}, ${formatMs(totalMs ?? 0)}.\n`;
  const others = lostBy.map(({ what, nodes, totalMs: ms, byMs }) => {
    const who = nodes.map(nameOf).map(printable).join(', ');
    const by =
      byMs < 0 ? `would be sooner by ${formatMs(-byMs)}, and is not what was asked for` : `loses by ${formatMs(byMs)}`;
    return `${what} on ${who}: ${formatMs(ms)}, ${by}\n`;
  });
  return `${head}${others.join('')}${cannot.join('')}${why}`;
}

/** Reasons name nodes by their ids. */
function named(text: string, { rejected, nodes }: ConsideredCut, nameOf: NameOf): string {
  const ids = [...nodes, ...rejected.map(({ node }) => node)];
  return ids.reduce((words, id) => words.replaceAll(id, nameOf(id)), text);
}

interface NumberedPart {
  readonly number: number;
  readonly part: Part;
}

const numbered = (part: Part, index: number): NumberedPart => ({ number: index + 1, part });

function partColumns(nameOf: NameOf): readonly Column<NumberedPart>[] {
  const ms = (title: string, of: keyof Part['price']): Column<NumberedPart> => ({
    title,
    value: ({ part }) => formatMs(part.price[of]),
    align: 'right',
  });
  return [
    { title: 'PART', value: ({ number }) => String(number), align: 'right' },
    { title: 'NODE', value: ({ part }) => nameOf(part.node) },
    { title: 'SEGMENTS', value: ({ part: { from, to } }) => segmentsOf(from, to) },
    ms('TOTAL', 'totalMs'),
    ms('QUEUE', 'queueMs'),
    ms('LOAD', 'loadMs'),
    ms('UP', 'upMs'),
    ms('COMPUTE', 'computeMs'),
    ms('DOWN', 'downMs'),
    { title: 'SENT', value: ({ part: { up } }) => crossingOf(up) },
    { title: 'BACK', value: ({ part: { down } }) => crossingOf(down) },
  ];
}

/** As `--cut` counts: cut point n lies in front of segment n. */
export const segmentsOf = (from: number, to: number): string => (to - from === 1 ? String(from) : `${from}–${to - 1}`);

function crossingOf(tensors: Part['up']): string {
  if (tensors.length === 0) return '-';
  return `${formatBytes(tensors.reduce((sum, { bytes }) => sum + bytes, 0))}: ${namesOf(tensors)}`;
}

/**
 * What left this node for parts of the graph, and what of it and of what came back was lost as blocks, by the spans of the
 * request. Empty where nothing did.
 */
export function leftText(spans: readonly Span[], nameOf: NameOf): string {
  return spans
    .filter(({ tensors = [] }) => tensors.length > 0)
    .map(({ name: way, node, tensors = [] }) => {
      const what = tensors.map(({ name, bytes, error }) => {
        const lost = error === undefined ? '' : `, ${(100 * error).toPrecision(2)} % lost`;
        return `${printable(name)} (${formatBytes(bytes)}${lost})`;
      });
      return `${way === 'down' ? 'came from' : 'left for'} ${printable(nameOf(node))}: ${what.join(', ')}\n`;
    })
    .join('');
}

/** What a part of a cut took, beside what it had been predicted to take. */
interface RanPart {
  readonly number: number;
  readonly node: string;
  readonly from: number;
  readonly to: number;
  readonly predicted: Part['price'];
  readonly measured: Readonly<Record<keyof Part['price'], number>> | undefined;
}

type CutPlan = Extract<RequestAnswer['plans'][number], { kind: 'cut' }>;

/** Prediction and measurement of each part, one below the other. Parts that never ended have no measurement. */
export function ranText(plan: CutPlan, spans: readonly Span[], nameOf: NameOf): string {
  const runs = runsOf(spans);
  let at = 0;
  const parts = plan.parts.map(({ node, from, to, price }, index): RanPart => {
    const found = runs.findIndex((run, place) => place >= at && run.node === node);
    if (found >= 0) at = found + 1;
    return { number: index + 1, node, from, to, predicted: price, measured: runs[found]?.measured };
  });
  const rows = parts.flatMap((part) => [
    { part, what: 'predicted', price: part.predicted },
    { part, what: 'measured', price: part.measured },
  ]);
  type Row = (typeof rows)[number];
  const ms = (title: string, of: keyof Part['price']): Column<Row> => ({
    title,
    value: ({ price }) => orDash(price?.[of], formatMs),
    align: 'right',
  });
  const first = (value: (row: Row) => string) => (row: Row) => (row.what === 'predicted' ? value(row) : '');
  return table<Row>(
    [
      { title: 'PART', value: first(({ part }) => String(part.number)), align: 'right' },
      { title: 'NODE', value: first(({ part }) => nameOf(part.node)) },
      { title: 'SEGMENTS', value: first(({ part: { from, to } }) => segmentsOf(from, to)) },
      { title: '', value: ({ what }) => what },
      ms('TOTAL', 'totalMs'),
      ms('QUEUE', 'queueMs'),
      ms('LOAD', 'loadMs'),
      ms('UP', 'upMs'),
      ms('COMPUTE', 'computeMs'),
      ms('DOWN', 'downMs'),
    ],
    rows,
  );
}

const ORDER: readonly Span['name'][] = ['prepare', 'up', 'acknowledge', 'queue', 'load', 'compute', 'down'];

/** Spans of one run on one node belong together: another begins where the order of a run begins again. Runs without computing ended in a failure. */
function runsOf(
  spans: readonly Span[],
): { readonly node: string; readonly measured: Record<keyof Part['price'], number> }[] {
  const runs: Span[][] = [];
  for (const span of spans) {
    if (span.name === 'prepare') continue;
    const last = runs.at(-1)?.at(-1);
    const goesOn = last !== undefined && last.node === span.node && ORDER.indexOf(span.name) > ORDER.indexOf(last.name);
    if (goesOn) runs.at(-1)?.push(span);
    else runs.push([span]);
  }
  return runs
    .filter((run) => run.some(({ name }) => name === 'compute'))
    .map((run) => {
      const of = (name: Span['name']): number =>
        run.filter((span) => span.name === name).reduce((sum, { durationMs }) => sum + durationMs, 0);
      const [queueMs, loadMs, upMs, computeMs, downMs] = [of('queue'), of('load'), of('up'), of('compute'), of('down')];
      const totalMs = queueMs + loadMs + upMs + computeMs + downMs;
      return { node: (run[0] as Span).node, measured: { queueMs, loadMs, upMs, computeMs, downMs, totalMs } };
    });
}
