// What `weft top` shows: one reading of nodes and requests as lines that fit a window. Pure.
import type {
  PeersAnswer,
  PsAnswer,
  RequestsAnswer,
  StatusAnswer,
  TransfersAnswer,
} from '../../protocol/api/control.ts';
import { type Column, formatBytes, formatMs, orDash, printable, table } from './format.ts';
import { type NameOf, namesOf } from './node-names.ts';
import { formatRate } from './ps-view.ts';
import { fitText } from './text-width.ts';
import { transferBrief } from './transfer-view.ts';
import { withheldWords } from './withheld-words.ts';

/** One reading of everything, by the control API's own names. `--json` prints it as it is. */
export interface TopSnapshot {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly status: StatusAnswer;
  readonly peers: PeersAnswer['peers'];
  /** Of this node's memory. */
  readonly models: PsAnswer['models'];
  /** Newest first. */
  readonly requests: RequestsAnswer['requests'];
  /** Pulls, imports and repairs that run. */
  readonly transfers: TransfersAnswer['transfers'];
}

export interface Window {
  readonly columns: number;
  readonly rows: number;
}

type Request = TopSnapshot['requests'][number];

interface NodeRow {
  readonly name: string;
  readonly state: string;
  readonly running: number | undefined;
  readonly queuedMs: number | undefined;
  readonly memoryFreeBytes: number | undefined;
  readonly rttMs: number | undefined;
  readonly goodput: number | undefined;
  readonly models: readonly string[];
}

/** The whole reading, however long; for pipes. */
export function topLines(snapshot: TopSnapshot): string[] {
  const { nodes, requests } = tables(snapshot);
  return [headline(snapshot), ...transfersLine(snapshot), '', ...nodes, '', ...requests];
}

/**
 * As much of it as the window holds: running requests before others, each line cut at the right edge.
 * @param problem why this reading is an old one
 */
export function topWindow(snapshot: TopSnapshot, window: Window, problem?: string): string[] {
  const { nodes, requests } = tables(snapshot);
  const head = [
    headline(snapshot),
    problem === undefined ? 'q leaves' : printable(problem),
    ...transfersLine(snapshot),
    '',
  ];
  // Nodes get half of what is left where both tables are long, and requests the rest.
  const left = Math.max(0, window.rows - head.length - 1);
  const nodeLines = Math.min(nodes.length, Math.max(Math.floor(left / 2), left - requests.length));
  const lines = [...head, ...shortened(nodes, nodeLines), '', ...shortened(requests, left - nodeLines)];
  return lines.slice(0, window.rows).map((line) => fitText(line, window.columns));
}

/** The first lines, the last of them saying how many are left out. */
function shortened(lines: readonly string[], most: number): string[] {
  if (lines.length <= most) return [...lines];
  if (most < 2) return lines.slice(0, most);
  return [...lines.slice(0, most - 1), `… ${lines.length - most + 1} more`];
}

function headline({ atMs, status, peers, models, requests }: TopSnapshot): string {
  const connected = peers.filter(({ state }) => state === 'connected').length + 1;
  const running = requests.filter((request) => request.status === 'running').length;
  const tokensPerS = models.reduce((sum, { generation }) => sum + (generation?.tokensPerS ?? 0), 0);
  return [
    new Date(atMs).toISOString().slice(11, 19),
    `weft ${printable(status.version)}`,
    printable(status.name),
    `${connected} of ${peers.length + 1} nodes`,
    `${running} running`,
    ...(tokensPerS > 0 ? [`${formatRate(tokensPerS)} tok/s here`] : []),
    `up ${formatMs(status.uptimeSeconds * 1_000)}`,
  ].join(' · ');
}

/** One line for all that is brought here now; none where nothing is. */
function transfersLine({ transfers }: TopSnapshot): string[] {
  return transfers.length === 0 ? [] : [`coming: ${transfers.map(transferBrief).join(' · ')}`];
}

function tables(snapshot: TopSnapshot): { nodes: string[]; requests: string[] } {
  const nameOf = namesOf(snapshot.status, snapshot.peers);
  const isRunning = ({ status }: Request) => status === 'running';
  const ordered = [
    ...snapshot.requests.filter(isRunning),
    ...snapshot.requests.filter((request) => !isRunning(request)),
  ];
  return {
    nodes: linesOf(table(NODES, [here(snapshot), ...snapshot.peers.map(elsewhere)])),
    requests: linesOf(table(requestColumns(nameOf), ordered)),
  };
}

const linesOf = (text: string): string[] => text.trimEnd().split('\n');

function here({ status, models }: TopSnapshot): NodeRow {
  return {
    name: status.name,
    state: 'here',
    running: status.requestsInFlight,
    queuedMs: status.load.queuedMs,
    memoryFreeBytes: status.load.memoryFreeBytes,
    rttMs: undefined,
    goodput: undefined,
    models: models.filter(({ state }) => state === 'loaded').map(({ id }) => id),
  };
}

function elsewhere(peer: TopSnapshot['peers'][number]): NodeRow {
  const { name, state, load, link, offers } = peer;
  return {
    name,
    state: [state, ...withheldWords(peer)].join(', '),
    running: load?.requestsInFlight,
    queuedMs: load?.queuedMs,
    memoryFreeBytes: load?.memoryFreeBytes,
    rttMs: link?.rttMs,
    goodput: link?.goodputBytesPerSecond,
    models: offers.filter((offer) => offer.state === 'loaded').map(({ aliases, model }) => aliases[0] ?? model.id),
  };
}

const NODES: readonly Column<NodeRow>[] = [
  { title: 'NODE', value: ({ name }) => name },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'RUNNING', value: ({ running }) => orDash(running, String), align: 'right' },
  { title: 'QUEUE', value: ({ queuedMs }) => orDash(queuedMs, formatMs), align: 'right' },
  { title: 'FREE', value: ({ memoryFreeBytes }) => orDash(memoryFreeBytes, formatBytes), align: 'right' },
  { title: 'RTT', value: ({ rttMs }) => orDash(rttMs, formatMs), align: 'right' },
  { title: 'GOODPUT', value: ({ goodput }) => orDash(goodput, (rate) => `${formatBytes(rate)}/s`), align: 'right' },
  { title: 'LOADED', value: ({ models }) => (models.length === 0 ? '-' : models.join(', ')) },
];

/** Of requests in brief; the first is the end of the id. */
export const requestColumns = (nameOf: NameOf): readonly Column<Request>[] => [
  { title: 'REQUEST', value: ({ requestId }) => requestId.slice(-8) },
  { title: 'WHAT', value: ({ name }) => name.replace(/^POST (\/api)?\/v1\//, '') },
  { title: 'MODEL', value: ({ model }) => orDash(model, String) },
  { title: 'FROM', value: ({ caller }) => orDash(caller, nameOf) },
  { title: 'NODE', value: ({ nodes }) => (nodes.length === 0 ? '-' : nodes.map(nameOf).join(', ')) },
  { title: 'STATUS', value: describeStatus },
  { title: 'TIME', value: ({ durationMs }) => formatMs(durationMs), align: 'right' },
  { title: 'PREDICTED', value: ({ predictedMs }) => orDash(predictedMs, formatMs), align: 'right' },
  { title: 'TOKENS', value: ({ completionTokens }) => orDash(completionTokens, String), align: 'right' },
];

function describeStatus({ status, code, failures }: Request): string {
  const text = status === 'error' ? (code ?? status) : status;
  return failures > 0 ? `${text} (lost ${failures}×)` : text;
}
