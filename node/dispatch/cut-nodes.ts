// The nodes of the mesh as those that could run parts of one graph: how fast each is beside this node, what stands before
// the work, how wide the way is. Pure; called by Cutting for every choice.
import type { Advert, ModelOffer } from '../../protocol/capability.ts';
import type { CutTable } from '../../protocol/cut-table.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { CutNode } from '../scheduler/cut-price.ts';
import { computeMs } from '../scheduler/estimate.ts';
import {
  GOODPUT_UNKNOWN_BYTES_PER_SECOND,
  GUESS_LOAD_FIXED_MS,
  GUESS_LOAD_MS_PER_BYTE,
  NEWCOMER_FACTOR,
  RTT_UNKNOWN_MS,
} from '../scheduler/limits.ts';
import type { Corrections, Snapshot } from '../scheduler/snapshot.ts';

/** One row or text: what any two nodes were measured with. */
const UNIT = { inputTokens: 1, outputTokens: 0, requestBytes: 0, answerBytes: 0, answerRows: 0 };

export interface CutNodesInit {
  readonly table: CutTable;
  readonly excluded: ReadonlyMap<NodeId, string>;
  /** Whether nodes that failed a moment ago count: one that had no room for the whole may have room for a part. */
  readonly inNeed: boolean;
  /** By `partsOfModel`. */
  readonly corrections: Pick<Corrections, 'compute'>;
  readonly correctedAs: string;
  readonly holds: (node: NodeId, from: number, to: number) => boolean;
}

/** This node, and every peer that is connected and not excluded. */
export function cutNodes(
  snapshot: Snapshot,
  init: CutNodesInit,
): { readonly self: CutNode; readonly peers: readonly CutNode[] } {
  const { self, peers, avoided } = snapshot;
  const { table, excluded, inNeed, corrections, correctedAs, holds } = init;
  const { digest } = table.model;
  // The table tells of one device: by the offers of its node all others are compared with it.
  const reference =
    table.node === undefined
      ? self.offers
      : (peers.find(({ advert }) => advert.node === table.node)?.advert.offers ?? []);
  const isHere = (offers: readonly ModelOffer[]): boolean => offers.some(({ model }) => model.digest === digest);
  const isHereToo = isHere(self.offers);
  /** Whether a node says that it takes parts of this graph. */
  const takesParts = ({ parts, offers }: Pick<Advert, 'parts' | 'offers'>): boolean =>
    parts === undefined || (parts === 'held' && isHere(offers));
  const base = { holds: (node: NodeId) => (from: number, to: number) => holds(node, from, to) };
  return {
    self: {
      node: self.node,
      self: true,
      speed:
        (table.node === undefined ? 1 : speedOf(self.offers, reference, table)) *
        corrections.compute(self.node, correctedAs),
      queueMs: self.load.queuedMs,
      loadMs: (bytes) => loadingMs(bytes) + (isHereToo ? 0 : bytes / (GOODPUT_UNKNOWN_BYTES_PER_SECOND / 1000)),
      memoryFreeBytes: self.load.memoryFreeBytes,
      rttMs: 0,
      upMbPerMs: Number.POSITIVE_INFINITY,
      downMbPerMs: Number.POSITIVE_INFINITY,
      holds: base.holds(self.node),
    },
    peers: peers
      .filter(({ advert, state }) => {
        const { node } = advert;
        return state === 'connected' && !excluded.has(node) && (inNeed || !avoided.has(node)) && takesParts(advert);
      })
      .map(({ advert, load, link }): CutNode => {
        const { node, offers } = advert;
        const bytesPerMs = (link.goodputBytesPerSecond ?? GOODPUT_UNKNOWN_BYTES_PER_SECOND) / 1000;
        return {
          node,
          speed: speedOf(offers, reference, table) * corrections.compute(node, correctedAs),
          queueMs: load.queuedMs,
          loadMs: (bytes) => loadingMs(bytes) + (isHere(offers) ? 0 : bytes / bytesPerMs),
          memoryFreeBytes: load.memoryFreeBytes,
          // Not the smoothed one: it has waited behind the large tensors of the request before.
          rttMs: link.rttFloorMs ?? link.rttMs ?? RTT_UNKNOWN_MS,
          upMbPerMs: bytesPerMs / 1e6,
          downMbPerMs: bytesPerMs / 1e6,
          holds: base.holds(node),
        };
      }),
  };
}

const loadingMs = (bytes: number): number => GUESS_LOAD_FIXED_MS + bytes * GUESS_LOAD_MS_PER_BYTE;

/**
 * A peer's time over this node's for the same work: by its own profile of this very model, else by the median over models
 * that both have measured, else as any newcomer is taken to be slow.
 */
export function speedOf(
  theirs: readonly ModelOffer[],
  ours: readonly ModelOffer[],
  { model, wholeMs }: Pick<CutTable, 'model' | 'wholeMs'>,
): number {
  const same = theirs.find((offer) => offer.model.digest === model.digest);
  if (same !== undefined && same.profile.samples > 0) return unitMs(same) / wholeMs;
  const ratios = theirs
    .filter(({ profile }) => profile.samples > 0)
    .flatMap((offer) => {
      const our = ours.find(({ model: { digest }, profile }) => digest === offer.model.digest && profile.samples > 0);
      return our === undefined ? [] : [unitMs(offer) / unitMs(our)];
    })
    .sort((a, b) => a - b);
  return ratios[ratios.length >> 1] ?? NEWCOMER_FACTOR;
}

const unitMs = (offer: ModelOffer): number => computeMs(UNIT, offer.profile, offer, 0);
