// Whether a model that only peers have is brought here: the time that the demand seen takes elsewhere, against fetching the
// model once and answering here. Pure: no clock, no randomness, no I/O. Asked by whoever watches the demand.
import type { ServiceProfile } from '../../protocol/capability.ts';
import { decodeMsOf, guessProfile, sane } from './estimate.ts';
import {
  BRING_AGAIN_MS,
  BRING_DISK_SPARE_BYTES,
  BRING_GAIN_SHARE,
  BRING_MEMORY_PER_BYTE,
  BRING_REQUESTS_MIN,
  GOODPUT_UNKNOWN_BYTES_PER_SECOND,
  NEWCOMER_FACTOR,
  PART_MS_MAX,
} from './limits.ts';

/** What was asked of the model through this node in the window that is looked at. */
export interface Demand {
  /** Requests that peers answered. */
  readonly requests: number;
  /** Mean milliseconds from the request to the whole answer, as this node saw them. */
  readonly remoteMs: number;
  /** Means per request. */
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What is known of the model, and of this node as it is at this moment. */
export interface BringSnapshot {
  /**
   * `away`: nothing of it is wanted here. `coming`: it is being fetched. `here`: it was brought, and is whole. The latter two
   * are left as they are until the gain is clearly a loss.
   */
  readonly state: 'away' | 'coming' | 'here';
  /** Of the whole model. */
  readonly sizeBytes: number;
  /** Of them, what is still to come. */
  readonly fetchBytes: number;
  /** Of all sources together; undefined = never measured. */
  readonly goodputBytesPerSecond: number | undefined;
  /** What the peer that answers says of itself; undefined where it says nothing. */
  readonly profile: ServiceProfile | undefined;
  /**
   * This node's times over that peer's, for models that both have measured; undefined where there is none. Above 1 this node
   * is the slower one.
   */
  readonly speedRatio: number | undefined;
  /** Of requests, those that would find the model out of memory: 0 to 1. */
  readonly coldShare: number;
  /** Predicted time until work that arrives here now begins. */
  readonly queuedMs: number;
  readonly diskFreeBytes: number;
  /** Free, or held by models that may leave. */
  readonly memoryFreeBytes: number;
  /** Milliseconds since a copy was let go of; undefined = never. */
  readonly leftAgoMs: number | undefined;
}

/** One way to answer the demand, in milliseconds. */
export interface BringPrice {
  readonly fetchMs: number;
  /** Of one request: waiting and computing… */
  readonly eachMs: number;
  /** …and its share of the loads. */
  readonly coldMs: number;
  readonly totalMs: number;
}

export interface BringDecision {
  readonly bring: boolean;
  /** For people: one sentence. */
  readonly reason: string;
  /** The demand goes on being answered by peers. */
  readonly elsewhere: BringPrice;
  /** A copy is fetched, and answers it here. */
  readonly here: BringPrice;
  /** What the copy saves over the demand seen; negative = costs. */
  readonly gainMs: number;
  /** What it must save. Negative where it is on its way or here: it may cost so much before it is given up. */
  readonly gainMsMin: number;
  /** How its speed here is known: by both nodes' measurements, by the peer's alone, or by its size. */
  readonly basis: 'measured' | 'peer' | 'size';
}

/**
 * Compares both over as many requests as were seen: the demand is taken to go on for as long as it was watched, so a fetch
 * is worth it once waiting elsewhere has cost as much (a rented ski is bought when the rent has paid for it: never more than
 * twice the best in hindsight). More demand never turns a yes into a no, nor a larger file a no into a yes.
 */
export function bring(demand: Demand, snapshot: BringSnapshot): BringDecision {
  const requests = demand.requests > 0 ? Math.min(demand.requests, PART_MS_MAX) : 0;
  const { eachMs, loadMs, basis } = localTimes(demand, snapshot);
  const fetchMs = snapshot.state === 'here' ? 0 : fetchTime(snapshot);
  const coldMs = share(snapshot.coldShare) * loadMs;
  const remoteMs = sane(demand.remoteMs);
  const elsewhere = { fetchMs: 0, eachMs: remoteMs, coldMs: 0, totalMs: requests * remoteMs };
  const here = { fetchMs, eachMs, coldMs, totalMs: fetchMs + requests * (eachMs + coldMs) };
  const gainMs = elsewhere.totalMs - here.totalMs;
  const gainShareMin = BRING_GAIN_SHARE * (snapshot.state === 'away' ? 1 : -1);
  const gainMsMin = elsewhere.totalMs * gainShareMin;
  const obstacle = obstacleTo(requests, snapshot);
  // gainMs >= gainMsMin, as one product: rounding can't make it less for more requests.
  const pays = requests * (remoteMs * (1 - gainShareMin) - (eachMs + coldMs)) >= fetchMs;
  const reason = obstacle ?? inWords({ requests, elsewhere, here, gainMs, pays, basis, state: snapshot.state });
  return { bring: obstacle === undefined && pays, reason, elsewhere, here, gainMs, gainMsMin, basis };
}

/** Why it stays away whatever it would save. */
function obstacleTo(requests: number, snapshot: BringSnapshot): string | undefined {
  const { state, fetchBytes, sizeBytes, diskFreeBytes, memoryFreeBytes, leftAgoMs } = snapshot;
  if (!(requests > 0)) return 'nobody asked for it lately';
  if (state === 'away' && requests < BRING_REQUESTS_MIN) {
    return `${requests} of the ${BRING_REQUESTS_MIN} requests without which nothing is brought`;
  }
  const diskBytes = fetchBytes + BRING_DISK_SPARE_BYTES;
  if (state !== 'here' && !(diskBytes <= diskFreeBytes)) {
    return `it takes ${gigabytes(fetchBytes)} of disk and should leave ${gigabytes(BRING_DISK_SPARE_BYTES)}; ${gigabytes(diskFreeBytes)} are free`;
  }
  const memoryBytes = sizeBytes * BRING_MEMORY_PER_BYTE;
  if (!(memoryBytes <= memoryFreeBytes)) {
    return `it needs about ${gigabytes(memoryBytes)} of memory; ${gigabytes(memoryFreeBytes)} can be had`;
  }
  if (state === 'away' && leftAgoMs !== undefined && leftAgoMs < BRING_AGAIN_MS) {
    return `it was let go of ${Math.round(leftAgoMs / 60_000)} min ago; it is not brought again within ${BRING_AGAIN_MS / 60_000}`;
  }
  return undefined;
}

/** Milliseconds of one request and of a load on this node. */
function localTimes(
  { inputTokens, outputTokens }: Demand,
  { profile, speedRatio, sizeBytes, queuedMs }: BringSnapshot,
): { readonly eachMs: number; readonly loadMs: number; readonly basis: BringDecision['basis'] } {
  const isProfiled = profile !== undefined && profile.samples > 0;
  const guess = guessProfile({ sizeBytes });
  const times = isProfiled ? profile : guess;
  const ratio = speedRatio !== undefined && speedRatio > 0 ? speedRatio : undefined;
  // The guess by size is for a slow core already; a peer's times may be those of a far faster machine.
  const factor = isProfiled ? (ratio ?? NEWCOMER_FACTOR) : 1;
  const outputMs = outputTokens > 0 ? outputTokens * decodeMsOf(times, { sizeBytes }) : 0;
  const computeMs = sane(times.fixedMs) + Math.max(0, inputTokens) * sane(times.perTokenMs) + outputMs;
  return {
    eachMs: sane(sane(queuedMs) + computeMs * factor),
    loadMs: sane(times.loadMs > 0 ? times.loadMs * factor : guess.loadMs),
    basis: isProfiled ? (ratio === undefined ? 'peer' : 'measured') : 'size',
  };
}

function fetchTime({ fetchBytes, goodputBytesPerSecond }: BringSnapshot): number {
  const bytesPerMs = (goodputBytesPerSecond || GOODPUT_UNKNOWN_BYTES_PER_SECOND) / 1000;
  return sane(fetchBytes / bytesPerMs);
}

/** What isn't known is taken to be always so. */
function share(value: number): number {
  return value >= 0 && value <= 1 ? value : 1;
}

function inWords(facts: {
  readonly requests: number;
  readonly elsewhere: BringPrice;
  readonly here: BringPrice;
  readonly gainMs: number;
  readonly pays: boolean;
  readonly basis: BringDecision['basis'];
  readonly state: BringSnapshot['state'];
}): string {
  const { requests, elsewhere, here, gainMs, pays, basis, state } = facts;
  const fetching = here.fetchMs > 0 ? `, ${seconds(here.fetchMs)} of fetching included` : '';
  const known = { measured: '', peer: ' (a guess by its speed there)', size: ' (a guess by its size)' }[basis];
  const both = `${requests} requests take ${seconds(elsewhere.totalMs)} elsewhere, ${seconds(here.totalMs)} here${fetching}${known}`;
  if (state === 'away') {
    if (pays) return `${both}: it saves ${seconds(gainMs)}`;
    return gainMs > 0 ? `${both}: too little for a copy` : `${both}: a copy would not be faster`;
  }
  return pays ? `${both}: it stays` : `${both}: it is no longer worth it`;
}

const seconds = (ms: number): string => `${ms >= 10_000 ? Math.round(ms / 1000) : (ms / 1000).toFixed(1)} s`;
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
