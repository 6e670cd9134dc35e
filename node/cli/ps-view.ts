// What `weft ps` shows: a table that fits its window, and under it why a model isn't what one might expect. Pure.
import type { PsAnswer } from '../../protocol/api/control.ts';
import { type Column, formatBytes, formatMs, orDash, printable, table } from './format.ts';
import { fitText, textWidth } from './text-width.ts';

export type LoadedHere = PsAnswer['models'][number];

/** A model in another node's memory, by what that node says of itself. */
export interface LoadedElsewhere {
  readonly node: string;
  readonly name: string;
  readonly id: string;
  readonly state: string;
  readonly sizeBytes: number;
  /** Of the whole node. */
  readonly requestsInFlight: number | undefined;
  readonly queuedMs: number | undefined;
}

export interface PsReading {
  /** Name of the node that was asked. */
  readonly name: string;
  readonly models: readonly LoadedHere[];
  readonly elsewhere: readonly LoadedElsewhere[];
}

interface Row {
  readonly id: string;
  readonly node: string;
  readonly state: string;
  readonly memory: string;
  readonly here: LoadedHere | undefined;
}

/**
 * Ends in a line feed.
 * @param width columns of the window; undefined = as wide as it gets, as in a pipe
 */
export function psText({ name, models, elsewhere }: PsReading, width?: number): string {
  const rows: Row[] = [
    ...models.map((here) => {
      const { id, state } = here;
      const what = here.part === undefined ? id : `${id} (part)`;
      return { id: what, node: `${name} (here)`, state, memory: describeMemory(here), here };
    }),
    ...elsewhere.map(({ id, name: node, state }) => ({ id, node, state, memory: '-', here: undefined })),
  ];
  const columns = COLUMNS.filter(({ title }) => title !== 'NODE' || elsewhere.length > 0);
  const notes = models.flatMap(notesOf).map((note) => `${printable(note)}\n`);
  return [fitted(columns, rows, width), ...(notes.length === 0 ? [] : ['\n', ...notes])].join('');
}

/** What leaves first where the window is narrow; the last are the first to be missed. */
const LEAVE = ['CACHE', 'KV', 'TOK/S', 'DEVICE', 'NODE'];

/** Owners' names go first, then one thing after the other; what is still too wide is cut at the edge. */
function fitted(columns: readonly Column<Row>[], rows: readonly Row[], width: number | undefined): string {
  const whole = table(columns, rows);
  if (width === undefined || fits(whole, width)) return whole;
  let left = columns;
  let shorter = rows.map((row) => ({
    ...row,
    id: row.id.slice(row.id.lastIndexOf('/') + 1),
    node: row.here === undefined ? row.node : 'here',
  }));
  for (const leaving of LEAVE) {
    if (fits(table(left, shorter), width)) break;
    left = left.filter(({ title }) => title !== leaving);
    if (leaving === 'KV') shorter = shorter.map((row) => ({ ...row, memory: row.memory.replace(/,.*/, '') }));
  }
  return table(left, shorter).replace(/.+/g, (line) => fitText(line, width));
}

const fits = (text: string, width: number): boolean => text.split('\n').every((line) => textWidth(line) <= width);

function notesOf({ id, part, reason, provider, fallbackReason, generation }: LoadedHere): string[] {
  return [
    ...(part === undefined ? [] : [`${id} (part): ${namesOf(part.inputs)} → ${namesOf(part.outputs)}`]),
    ...(reason === undefined ? [] : [`${id} is quarantined: ${reason}`]),
    ...(fallbackReason === undefined ? [] : [`${id} runs on ${provider}: ${fallbackReason}`]),
    ...(generation?.decoder === 'plain'
      ? [`${id} is decoded as it was exported: ${generation.decoderReason ?? 'its graph could not be rewritten.'}`]
      : []),
  ];
}

/** Names of tensors: of many the first ones. */
function namesOf(names: readonly string[]): string {
  const more = names.length - PART_NAMES_SHOWN_MAX;
  return names.slice(0, PART_NAMES_SHOWN_MAX).join(', ') + (more > 0 ? `, ${more} more` : '');
}

const PART_NAMES_SHOWN_MAX = 3;

/** `476 MB, KV 23.6 MB`: all that is reserved, and what of it holds keys and values now. */
function describeMemory({ residentBytes, generation }: LoadedHere): string {
  const kvBytes = generation === undefined ? 0 : generation.kvBytes + generation.prefixBytes;
  return `${formatBytes(residentBytes)}${kvBytes > 0 ? `, KV ${formatBytes(kvBytes)}` : ''}`;
}

/** `3/16`, and `+2` that wait. Of other models the requests under way. */
function describeSlots({ requestsInFlight, generation }: LoadedHere): string {
  if (generation === undefined) return String(requestsInFlight);
  const { sequences, sequencesMax, waiting } = generation;
  return `${sequences}/${sequencesMax}${waiting > 0 ? ` +${waiting}` : ''}`;
}

/** A rate of tokens: with a decimal below ten. */
export function formatRate(perSecond: number): string {
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : String(Math.round(perSecond));
}

function describeCache({ promptTokens, cachedTokens }: NonNullable<LoadedHere['generation']>): string {
  return promptTokens === 0 ? '-' : `${Math.round((100 * cachedTokens) / promptTokens)} %`;
}

function describeUntil({ state, here }: Row): string {
  if (state !== 'loaded') return state;
  if (here === undefined) return '-';
  if (here.pinned) return 'pinned';
  if (here.idleUntilMs !== undefined) return `in ${formatMs(here.idleUntilMs)}`;
  return here.requestsInFlight > 0 ? 'in use' : 'for ever';
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'MODEL', value: ({ id }) => id },
  { title: 'NODE', value: ({ node }) => node },
  { title: 'DEVICE', value: ({ here }) => here?.provider || '-' },
  { title: 'MEMORY', value: ({ memory }) => memory },
  { title: 'SLOTS', value: ({ here }) => orDash(here, describeSlots), align: 'right' },
  {
    title: 'TOK/S',
    value: ({ here }) => orDash(here?.generation, ({ tokensPerS }) => formatRate(tokensPerS)),
    align: 'right',
  },
  { title: 'CACHE', value: ({ here }) => orDash(here?.generation, describeCache), align: 'right' },
  { title: 'UNTIL', value: describeUntil },
];
