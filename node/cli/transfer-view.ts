// What a pull, an import or a repair looks like: lines that change at a terminal, lines that stay elsewhere. Pure.
import type { TransferState } from '../../protocol/api/control.ts';
import { formatBytes, formatMs, printable } from './format.ts';
import { PROGRESS_STEP_PERCENT, SOURCES_SHOWN_MAX } from './limits.ts';
import type { NameOf } from './node-names.ts';
import { barLine } from './progress-bar.ts';
import { fitText, textWidth } from './text-width.ts';

type Source = TransferState['sources'][number];

/** A line, and how it stands beside the others. */
export interface ViewLine {
  readonly text: string;
  readonly tone: 'plain' | 'dim' | 'bad';
}

/** The phases in words of this command. */
const PHASES: Readonly<Record<TransferState['phase'], string>> = {
  resolving: 'looking for it',
  fetching: 'fetching',
  checking: 'checking its files',
  installing: 'installing',
  done: 'done',
  failed: 'failed',
  cancelled: 'ended',
};

/** False for one that has ended, well or not. */
export const isRunning = ({ phase }: Pick<TransferState, 'phase'>): boolean =>
  phase !== 'done' && phase !== 'failed' && phase !== 'cancelled';

/** Of what is to come; 100 only when all of it is there. Undefined while its size is not known. */
export function percentOf({ doneBytes, totalBytes }: Pick<TransferState, 'doneBytes' | 'totalBytes'>) {
  if (!(totalBytes > 0)) return undefined;
  return Math.min(100, Math.max(0, Math.floor((100 * doneBytes) / totalBytes)));
}

/**
 * The lines that change: what is done, the bar of the whole, and a line for each source. Each fits the columns.
 * @param view.nameOf names of peers
 */
export function transferWindow(
  state: TransferState,
  view: { readonly columns: number; readonly nameOf: NameOf },
): readonly ViewLine[] {
  const { columns, nameOf } = view;
  const percent = percentOf(state);
  const lines: ViewLine[] = [
    { text: headline(state), tone: 'plain' },
    ...(percent === undefined ? [] : [{ text: barLine(percent, measures(state), columns), tone: 'plain' as const }]),
    ...sourceLines(state.sources, nameOf),
  ];
  return lines.map(({ text, tone }) => ({ text: fitText(text, columns), tone }));
}

/** One transfer in a few words: `owner/name 45 %, 12.0 MB/s`. */
export function transferBrief(state: TransferState): string {
  const percent = percentOf(state);
  const parts = [
    `${printable(state.model)} ${percent === undefined ? PHASES[state.phase] : `${percent} %`}`,
    ...(isMoving(state) && state.bytesPerSecond > 0 ? [speed(state.bytesPerSecond)] : []),
  ];
  return parts.join(', ');
}

/** `owner/name: fetching from 2 peers, 1 hub` */
function headline({ model, phase, sources }: TransferState): string {
  const from = phase === 'fetching' ? fromWhere(sources) : '';
  return `${printable(model)}: ${PHASES[phase] ?? printable(phase)}${from}`;
}

function fromWhere(sources: readonly Source[]): string {
  const working = sources.filter(({ state }) => state === 'active' || state === 'idle');
  const count = (kind: Source['kind']): number => working.filter((source) => source.kind === kind).length;
  const parts = [counted(count('peer'), 'peer'), counted(count('hub'), 'hub')].filter((part) => part !== '');
  return parts.length === 0 ? '' : ` from ${parts.join(', ')}`;
}

const counted = (count: number, what: string): string =>
  count === 0 ? '' : `${count} ${what}${count === 1 ? '' : 's'}`;

/** Bytes, speed, time left. */
function measures(state: TransferState): string[] {
  const { doneBytes, totalBytes, bytesPerSecond, etaSeconds } = state;
  const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  if (!isMoving(state) || !(bytesPerSecond > 0)) return [amount];
  return [amount, speed(bytesPerSecond), ...(etaSeconds === undefined ? [] : [timeLeft(etaSeconds)])];
}

const speed = (bytesPerSecond: number): string => `${formatBytes(Math.max(0, bytesPerSecond))}/s`;

const timeLeft = (seconds: number): string =>
  `${formatMs(Math.max(1, Math.round(seconds)) * 1_000)} left`.replace('.0 s', ' s');

/** Those that give most first; those that gave up last, with the reason. */
function sourceLines(sources: readonly Source[], nameOf: NameOf): ViewLine[] {
  const ordered = [...sources.filter(isWorking), ...sources.filter((source) => !isWorking(source))];
  const shown = ordered.length <= SOURCES_SHOWN_MAX ? ordered : ordered.slice(0, SOURCES_SHOWN_MAX - 1);
  const names = shown.map((source) => sourceName(source, nameOf));
  const width = Math.max(0, ...names.map(textWidth));
  const lines = shown.map((source, at): ViewLine => {
    const name = names[at] ?? '';
    const padded = `  ${name}${' '.repeat(width - textWidth(name))}  `;
    return isWorking(source)
      ? { text: `${padded}${workText(source)}`, tone: 'dim' }
      : { text: `${padded}${faultText(source)}`, tone: 'bad' };
  });
  const left = ordered.length - shown.length;
  return left === 0 ? lines : [...lines, { text: `  … ${left} more`, tone: 'dim' }];
}

const isWorking = ({ state }: Source): boolean => state !== 'failed' && state !== 'blamed';

/** `peer atlas`, `hub huggingface.co` */
function sourceName({ kind, name }: Source, nameOf: NameOf): string {
  return printable(kind === 'peer' ? `peer ${nameOf(name)}` : `hub ${name}`);
}

function workText({ state, bytes, bytesPerSecond }: Source): string {
  const rate = state === 'active' ? speed(bytesPerSecond) : 'idle';
  return bytes > 0 ? `${rate}, ${formatBytes(bytes)} so far` : rate;
}

/** A source that sent what is not the file is told apart from one that could not be reached. */
function faultText({ state, reason }: Source): string {
  const what = state === 'blamed' ? 'is not asked any more' : 'failed';
  return reason === undefined ? what : `${what}: ${printable(reason)}`;
}

/**
 * What is new since the state before, as lines that stay: phases, what was chosen, each tenth, sources that gave up.
 * @param before undefined for the first
 */
export function transferLines(
  before: TransferState | undefined,
  now: TransferState,
  { nameOf }: { readonly nameOf: NameOf },
): string[] {
  const name = printable(now.model);
  const phase = before?.phase === now.phase ? [] : phaseLine(now).map((text) => `${name}: ${text}`);
  const step = stepOf(now) > (before === undefined ? 0 : stepOf(before)) ? [stepLine(now)] : [];
  return [...chosenLines(before, now), ...phase, ...step, ...faultLines(before, now, nameOf)];
}

/** The files that were chosen and why, once they are known. */
export function chosenLines(before: TransferState | undefined, { chosen }: TransferState): string[] {
  return before !== undefined && before.chosen.length > 0 ? [] : chosen.map((reason) => printable(reason));
}

/** How it ends is said by whoever waits for it. */
function phaseLine(now: TransferState): string[] {
  if (!isRunning(now)) return [];
  if (now.phase !== 'fetching' || !(now.totalBytes > 0)) return [PHASES[now.phase] ?? printable(now.phase)];
  const here = now.hereBytes > 0 ? `, ${formatBytes(now.hereBytes)} of it here already` : '';
  return [`${PHASES.fetching} ${formatBytes(now.totalBytes)}${here}`];
}

/** While the bytes that are done grow: when they come, and when files that are here are read. */
const isMoving = ({ kind, phase }: TransferState): boolean =>
  phase === 'fetching' || (phase === 'checking' && kind !== 'pull');

function stepOf(state: TransferState): number {
  return isMoving(state) ? Math.floor((percentOf(state) ?? 0) / PROGRESS_STEP_PERCENT) : 0;
}

const stepLine = (state: TransferState): string =>
  `${`${percentOf(state) ?? 0}`.padStart(3)} %  ${measures(state).join('  ')}`;

function faultLines(before: TransferState | undefined, now: TransferState, nameOf: NameOf): string[] {
  const known = new Set(
    before?.sources.filter((source) => !isWorking(source)).map(({ kind, name }) => `${kind} ${name}`),
  );
  return now.sources
    .filter((source) => !isWorking(source) && !known.has(`${source.kind} ${source.name}`))
    .map((source) => `${sourceName(source, nameOf)} ${faultText(source)}`);
}
