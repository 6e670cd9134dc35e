// What the library is told of demand: which models requests ask other nodes for, what answering them here would take, and
// which models are in use. For the composition root.
import type { ModelStore } from '../../models/store.ts';
import type { Advert, ModelOffer } from '../../protocol/capability.ts';
import type { Clock } from '../core/clock.ts';
import type { RemoteAnswers } from '../core/dispatcher.ts';
import type { LocalEngine } from '../core/engine.ts';
import type { Mesh, PeerRecord } from '../core/mesh.ts';
import type { Demand, DemandComponents } from '../library/bringing.ts';
import { type BringSnapshot, bring } from '../scheduler/bring.ts';

export interface DemandWatchComponents {
  readonly clock: Clock;
  readonly dispatcher: RemoteAnswers;
  readonly engine: Pick<LocalEngine, 'offers' | 'load' | 'loaded'>;
  readonly mesh: Pick<Mesh, 'peers' | 'peer'>;
  readonly store: Pick<ModelStore, 'storage'>;
}

export function watchDemand({ clock, dispatcher, engine, mesh, store }: DemandWatchComponents): DemandComponents {
  const used = new Map<string, number>();
  /** Looked up now and then: a decision waits for no disk. */
  let diskFreeBytes = 0;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  const look = (): void => {
    if (clock.now() - lookedAtMs < DISK_LOOK_MS) return;
    lookedAtMs = clock.now();
    store.storage().then(
      ({ freeBytes, usedBytes, quotaBytes = Number.POSITIVE_INFINITY }) => {
        diskFreeBytes = Math.max(0, Math.min(freeBytes, quotaBytes - usedBytes));
      },
      // What can't be looked up is taken to be full.
      () => {
        diskFreeBytes = 0;
      },
    );
  };
  return {
    onRemote: (listener) => {
      look();
      return dispatcher.onRemote((answer) => {
        look();
        listener(answer);
      });
    },
    decide: (demand) => {
      const verdict = bring(meansOf(demand), snapshotOf(demand, { engine, mesh, diskFreeBytes }));
      return { bring: verdict.bring, reason: verdict.reason };
    },
    lastUsedMs: (digest) => {
      const model = engine.loaded().find((loaded) => loaded.digest === digest);
      if (model !== undefined) used.set(digest, clock.wallNow());
      return used.get(digest);
    },
    inUse: (digest) => {
      const loaded = engine.loaded().filter((one) => one.digest === digest || one.part?.model === digest);
      return loaded.some(
        ({ pinned, requestsInFlight, state }) => pinned || requestsInFlight > 0 || state === 'loading',
      );
    },
  };
}

const DISK_LOOK_MS = 10_000;

function meansOf({ requests }: Demand) {
  const mean = (of: (request: Demand['requests'][number]) => number): number =>
    requests.reduce((sum, request) => sum + of(request), 0) / Math.max(1, requests.length);
  return {
    requests: requests.length,
    remoteMs: mean(({ ms }) => ms),
    inputTokens: mean(({ inputTokens }) => inputTokens),
    outputTokens: mean(({ outputTokens }) => outputTokens),
  };
}

function snapshotOf(
  { model, requests, heldBytes, evictableBytes, leftAgoMs }: Demand,
  parts: Pick<DemandWatchComponents, 'engine' | 'mesh'> & { readonly diskFreeBytes: number },
): BringSnapshot {
  const { engine, mesh, diskFreeBytes } = parts;
  const offerOf = ({ offers }: Pick<Advert, 'offers'>): ModelOffer | undefined =>
    offers.find((offer) => offer.model.digest === model.digest);
  const there = mesh.peers().filter(({ advert, state }) => state === 'connected' && offerOf(advert) !== undefined);
  // The one that most requests go to.
  const answering = there.toSorted((a, b) => speedOf(offerOf(a.advert)) - speedOf(offerOf(b.advert)))[0];
  const offer = answering && offerOf(answering.advert);
  const sizeBytes = offer?.sizeBytes ?? Number.POSITIVE_INFINITY;
  const { queuedMs, memoryFreeBytes } = engine.load();
  const mayLeave = engine
    .loaded()
    .filter(({ pinned, requestsInFlight, state }) => !pinned && requestsInFlight === 0 && state === 'loaded')
    .reduce((sum, { residentBytes }) => sum + residentBytes, 0);
  return {
    state: 'away',
    sizeBytes,
    fetchBytes: Math.max(0, sizeBytes - heldBytes),
    goodputBytesPerSecond: goodputOf(there),
    profile: offer?.profile,
    speedRatio: answering && speedRatio(engine.offers(), answering.advert.offers),
    // Once, if it finds room beside what is loaded; at every request, if they take turns.
    coldShare: memoryFreeBytes >= 2 * sizeBytes ? 1 / Math.max(1, requests.length) : 1,
    queuedMs,
    diskFreeBytes: diskFreeBytes + evictableBytes,
    memoryFreeBytes: memoryFreeBytes + mayLeave,
    leftAgoMs,
  };
}

/** Of all of them together, as far as it was measured. */
function goodputOf(peers: readonly PeerRecord[]): number | undefined {
  const known = peers.flatMap(({ link }) => link.goodputBytesPerSecond ?? []);
  return known.length === 0 ? undefined : known.reduce((sum, bytesPerSecond) => sum + bytesPerSecond, 0);
}

/** Milliseconds of a paragraph; what was never measured comes last. */
export function speedOf(offer: ModelOffer | undefined): number {
  if (offer === undefined || offer.profile.samples === 0) return Number.POSITIVE_INFINITY;
  const { fixedMs, perTokenMs, decodeMs } = offer.profile;
  return fixedMs + TOKENS_COMPARED * (perTokenMs + decodeMs);
}

/** This node's times over that peer's, by the models that both have measured: the median. */
export function speedRatio(own: readonly ModelOffer[], theirs: readonly ModelOffer[]): number | undefined {
  const ratios = own.flatMap(({ model, profile }) => {
    const other = theirs.find((offer) => offer.model.digest === model.digest)?.profile;
    if (other === undefined || profile.samples === 0 || other.samples === 0) return [];
    const [here, there] =
      profile.decodeMs > 0 && other.decodeMs > 0
        ? [profile.decodeMs, other.decodeMs]
        : [profile.fixedMs + TOKENS_COMPARED * profile.perTokenMs, other.fixedMs + TOKENS_COMPARED * other.perTokenMs];
    return here > 0 && there > 0 ? [here / there] : [];
  });
  return ratios.sort((a, b) => a - b)[ratios.length >> 1];
}

/** A paragraph. */
const TOKENS_COMPARED = 100;
