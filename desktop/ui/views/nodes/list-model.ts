// What the list of nodes shows: one row for each, and which of them, in what order. Pure.
import type { ModelsAnswer, PeersAnswer, PsAnswer, StatusAnswer } from '../../../../protocol/api/control.ts';
import { shortModel } from '../../text/format.ts';

type Peer = PeersAnswer['peers'][number];

/** A version beside that of the node behind the page. */
export type Age = 'same' | 'older' | 'newer' | 'unknown';

export interface NodeRow {
  readonly node: string;
  readonly name: string;
  readonly self: boolean;
  readonly state: Peer['state'];
  /** Why it takes no work of others. */
  readonly withheld: Peer['withheld'];
  readonly version: string;
  readonly age: Age;
  readonly hardware: Peer['hardware'];
  readonly load: Peer['load'];
  /** Undefined for the node itself, and where nothing is known. */
  readonly link: Peer['link'];
  /** Short names of models that are in its memory. */
  readonly loaded: readonly string[];
  /** Number of models that it offers. */
  readonly offered: number;
  /** Milliseconds since 1970; undefined for the node itself and for one that was never heard. */
  readonly heardAtMs: number | undefined;
}

export type Shown = 'all' | 'reached' | 'away' | 'older';
export const SHOWN: readonly Shown[] = ['all', 'reached', 'away', 'older'];

export type SortKey = 'name' | 'state' | 'load' | 'link' | 'loaded' | 'version';

export interface Sorting {
  readonly by: SortKey;
  readonly descending: boolean;
}

export interface RowsInit {
  readonly status: StatusAnswer;
  readonly peers: PeersAnswer;
  /** Left out where it could not be had. */
  readonly ps: PsAnswer | undefined;
  readonly models: ModelsAnswer | undefined;
  readonly nowMs: number;
}

/** The node itself comes first. */
export function nodeRows({ status, peers, ps, models, nowMs }: RowsInit): readonly NodeRow[] {
  const self: NodeRow = {
    node: status.node,
    name: status.name,
    self: true,
    state: 'connected',
    withheld: undefined,
    version: status.version,
    age: 'same',
    hardware: status.hardware,
    load: status.load,
    link: undefined,
    loaded: unique((ps?.models ?? []).filter(({ state }) => state === 'loaded').map(({ id }) => shortModel(id))),
    offered: (models?.models ?? []).filter(({ nodes }) => nodes.some((node) => node.self)).length,
    heardAtMs: undefined,
  };
  return [self, ...peers.peers.map((peer) => peerRow(peer, status.version, nowMs))];
}

function peerRow(peer: Peer, version: string, nowMs: number): NodeRow {
  const { node, name, state, hardware, load, link, offers } = peer;
  return {
    node,
    name,
    self: false,
    state,
    withheld: peer.withheld,
    version: peer.version,
    age: ageOf(peer.version, version),
    hardware,
    // What a node said before it went says nothing of now.
    load: state === 'gone' ? undefined : load,
    link: state === 'gone' ? undefined : link,
    loaded: unique(offers.filter((offer) => offer.state === 'loaded').map(({ model }) => shortModel(model.id))),
    offered: offers.length,
    heardAtMs: heardAtMs(peer, nowMs),
  };
}

const unique = (names: readonly string[]): readonly string[] => [...new Set(names)];

/** When an answer about a peer came. Answers are patched in place of being read anew, but only for peers that are in reach. */
const answeredAtMs = new WeakMap<Peer, number>();

/** When a peer was last heard, from how long ago that was when its answer came. */
export function heardAtMs(peer: Peer, nowMs: number): number | undefined {
  if (peer.heardAgoMs === undefined) return undefined;
  const atMs = answeredAtMs.get(peer) ?? nowMs;
  answeredAtMs.set(peer, atMs);
  return atMs - peer.heardAgoMs;
}

/** Compares versions as semantic versioning does, but for what stands behind a `-` or `+`. */
export function ageOf(theirs: string, ours: string): Age {
  const [a, b] = [numbersOf(theirs), numbersOf(ours)];
  if (a === undefined || b === undefined) return 'unknown';
  for (const [at, number] of a.entries()) {
    const difference = number - (b[at] ?? 0);
    if (difference !== 0) return difference < 0 ? 'older' : 'newer';
  }
  return 'same';
}

function numbersOf(version: string): readonly number[] | undefined {
  const match = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  return match === null ? undefined : match.slice(1).map(Number);
}

/** Those that are asked for. Every word must be found somewhere: in the name, the id, the models or the hardware. */
export function filterRows(
  rows: readonly NodeRow[],
  { shown, words }: { readonly shown: Shown; readonly words: string },
): readonly NodeRow[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (!isShown(row, shown)) return false;
    if (wanted.length === 0) return true;
    const { hardware } = row;
    const text = [
      row.name,
      row.node,
      row.version,
      ...row.loaded,
      hardware?.platform,
      hardware?.arch,
      hardware?.cpuModel,
      ...(hardware?.devices.map(({ name, kind }) => `${name} ${kind}`) ?? []),
    ]
      .join('\n')
      .toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

export function isShown({ state, age }: NodeRow, shown: Shown): boolean {
  if (shown === 'reached') return state === 'connected';
  if (shown === 'away') return state !== 'connected';
  return shown === 'all' || age === 'older';
}

const STATES: readonly NodeRow['state'][] = ['connected', 'suspect', 'gone'];

/** What rows are compared by; undefined where a node doesn't tell. */
const VALUE: Readonly<Record<SortKey, (row: NodeRow) => number | string | undefined>> = {
  name: ({ name }) => name,
  state: ({ state }) => STATES.indexOf(state),
  /** Requests before time in the queue. */
  load: ({ load }) => (load === undefined ? undefined : load.requestsInFlight * 1e9 + load.queuedMs),
  link: ({ link }) => link?.rttMs,
  loaded: ({ loaded, offered }) => loaded.length * 1e6 + offered,
  version: ({ version }) => (version === '' ? undefined : version),
};

/** The node itself stays first, whoever doesn't tell comes last, and equal rows go by name. */
export function sortRows(rows: readonly NodeRow[], { by, descending }: Sorting): readonly NodeRow[] {
  const sign = descending ? -1 : 1;
  return rows.toSorted((a, b) => {
    if (a.self !== b.self) return a.self ? -1 : 1;
    const [x, y] = [VALUE[by](a), VALUE[by](b)];
    if (x !== y && (x === undefined || y === undefined)) return x === undefined ? 1 : -1;
    return sign * compare(x, y) || compare(a.name, b.name) || compare(a.node, b.node);
  });
}

function compare(a: number | string | undefined, b: number | string | undefined): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

type Hardware = NonNullable<Peer['hardware']>;

/** Devices beside the processor. */
export const accelerators = (hardware: Hardware): Hardware['devices'] =>
  hardware.devices.filter(({ kind }) => kind !== 'cpu');

/** A device's or processor's name without what every one of its kind has in it: `NVIDIA GeForce RTX 4090` → `RTX 4090`. */
export function shortHardware(name: string): string {
  const short = name
    .replace(/\((R|TM|C)\)/gi, '')
    .replace(/^(NVIDIA GeForce|NVIDIA)\s/, '')
    .replace(/\s(CPU|Processor)\b.*$/, '')
    .replace(/\s+/g, ' ')
    .trim();
  return short === '' ? name : short;
}

/** Why the node behind the page can't manage another one; undefined where it can. */
export function whyNotManaged(
  peer: Peer,
  status: Pick<StatusAnswer, 'role' | 'version'>,
): 'member' | 'older' | 'owner' | 'away' | undefined {
  if (peer.manageable === true) return peer.state === 'connected' ? undefined : 'away';
  if (status.role !== 'admin') return 'member';
  if (peer.version === '' || peer.state === 'gone') return 'away';
  return ageOf(peer.version, status.version) === 'older' ? 'older' : 'owner';
}
