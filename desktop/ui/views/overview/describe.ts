// Nodes, hardware and state in words. Pure.
import type { PeersAnswer, StatusAnswer } from '../../../../protocol/api/control.ts';
import type { Tone } from '../../components/badge.tsx';
import type { ConnectionState } from '../../data/event-connection.ts';
import { text } from '../../text/en.ts';
import { bytes, duration, memory, plural, safeName, shortModel } from '../../text/format.ts';

type Hardware = StatusAnswer['hardware'];
type Peer = PeersAnswer['peers'][number];

/** Work that waits for less is no queue that anybody feels. */
const BUSY_MS = 2_000;

const words = text.overview;

/** What counts of a machine, in a few words: its accelerator, or its processor; and its memory. */
export function hardwareText(hardware: Hardware | undefined): string {
  if (hardware === undefined) return text.common.unknown;
  const accelerator = hardware.devices.find(({ kind }) => kind !== 'cpu');
  const chip =
    accelerator === undefined ? processor(hardware) : accelerator.name.replace(/^NVIDIA GeForce |^NVIDIA |^AMD /, '');
  return `${safeName(chip)} · ${memory(accelerator?.memoryBytes || hardware.memoryBytes)}`;
}

function processor({ cpuModel, cpuCount }: Hardware): string {
  const name = cpuModel
    .replace(/\((R|TM)\)|CPU|Processor|\d+-Core|@.*$|with .*$/gi, '')
    .replace(/\s+/g, ' ')
    .trim();
  return name === '' ? plural(cpuCount, 'core') : name;
}

/** What a node does now, in a few words. */
export function loadText(load: Peer['load']): string {
  if (load === undefined) return text.common.unknown;
  if (load.queuedMs >= BUSY_MS) return words.waits(duration(load.queuedMs));
  return load.requestsInFlight === 0 ? words.idle : words.underWay(load.requestsInFlight);
}

/** What a peer in reach does now, and first of it that it takes no work of others. */
export function peerLoadText({ load, withheld }: Pick<Peer, 'load' | 'withheld'>): string {
  return withheld === undefined ? loadText(load) : `${words.withheld[withheld]} · ${loadText(load)}`;
}

/** 0 to 1: how much work a node has before it, on a scale on which both a little and much can be seen. */
export function loadShare(load: Peer['load']): number {
  if (load === undefined) return 0;
  return Math.min(1, Math.log10(1 + load.requestsInFlight * 0.6 + load.queuedMs / 250) / 2);
}

/** Short names of the models that a node has in memory, or else on disk. */
export function holdsText(offers: Peer['offers']): string {
  const loaded = offers.filter(({ state }) => state === 'loaded');
  return namesText((loaded.length > 0 ? loaded : offers).map(({ model }) => model.id));
}

/** The first of some models, and how many more there are. @param ids hub ids */
export function namesText(ids: readonly string[]): string {
  const [first] = ids;
  if (first === undefined) return words.holdsNothing;
  const name = safeName(shortModel(first));
  return ids.length === 1 ? name : `${name} ${words.moreModels(ids.length - 1)}`;
}

/** RTT and rate of a link, as far as they are known. */
export function linkTexts(link: Peer['link']): readonly string[] {
  return [
    ...(link?.rttMs === undefined ? [] : [duration(link.rttMs)]),
    ...(link?.goodputBytesPerSecond === undefined ? [] : [`${bytes(link.goodputBytesPerSecond)}/s`]),
  ];
}

/** All that the map shows of a peer, as one text: equal texts look the same. */
export function peerInWords(peer: Peer): string {
  const { name, state, hardware, offers, load, link } = peer;
  // Bars of a hundred pixels: smaller steps can't be seen.
  const share = Math.round(loadShare(load) * 50);
  return [
    name,
    state,
    hardwareText(hardware),
    holdsText(offers),
    peerLoadText(peer),
    share,
    link?.path,
    ...linkTexts(link),
  ].join('\n');
}

export const STATE_TONES: Readonly<Record<Peer['state'], Tone>> = { connected: 'good', suspect: 'warn', gone: 'bad' };

export interface NodeState {
  readonly tone: Tone;
  readonly word: string;
  readonly sentence: string;
}

/** This node in a word and a sentence. */
export function stateOf(init: {
  readonly connection: ConnectionState;
  readonly status: StatusAnswer | undefined;
  readonly peers: readonly Peer[] | undefined;
  /** Of the whole mesh. */
  readonly models: number | undefined;
  /** It computes for other members. @default it does, as far as is known */
  readonly lends?: boolean | undefined;
}): NodeState {
  const { connection, status, peers = [], models, lends = true } = init;
  const { node } = words;
  if (connection === 'offline') return { tone: 'bad', word: node.offline, sentence: node.offlineText };
  if (status === undefined) return { tone: 'neutral', word: node.unknown, sentence: node.unknownText };
  const choice = models === undefined ? text.common.unknown : plural(models, 'model');
  const { queuedMs } = status.load;
  if (queuedMs >= BUSY_MS) return { tone: 'warn', word: node.busy, sentence: node.busyText(duration(queuedMs)) };
  if (!lends) return { tone: 'neutral', word: node.own, sentence: node.ownText(choice) };
  if (peers.length === 0) return { tone: 'good', word: node.alone, sentence: node.aloneText(choice) };
  const here = peers.filter(({ state }) => state === 'connected').length + 1;
  const away = peers.length + 1 - here;
  const sentence =
    away === 0
      ? node.servingText(plural(here, 'node'), choice)
      : node.someGoneText(plural(here, 'node'), String(away), choice);
  return { tone: 'good', word: node.serving, sentence };
}
