// A placement's question as plain data, and asked again: what a trace keeps, and how `weft plan --replay` decides anew, under
// the same or another policy. Called by dispatch (record) and by whoever shows a replay.

import type { Load, ModelOffer, ToldReason } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { WholePlan } from '../../protocol/plan.ts';
import type { PlanRecord, RecordedNode } from '../../protocol/plan-record.ts';
import type { PeerRecord } from '../core/mesh.ts';
import { amount, sane } from './estimate.ts';
import { KnownOffers } from './known-offers.ts';
import { RECORD_NODES_MAX, RECORD_TEXT_MAX } from './limits.ts';
import type { RoutingPolicy } from './policy.ts';
import type { Corrections, PlacementRequest, Snapshot } from './snapshot.ts';
import { Survey } from './survey.ts';

/** Only nodes that offer the model, at most {@link RECORD_NODES_MAX}; of more the cheapest. */
export function recordOf(request: PlacementRequest, snapshot: Snapshot): PlanRecord {
  const { model, excluded, leftMs } = request;
  const { self } = snapshot;
  const nodes: RecordedNode[] = [];
  const note = (node: NodeId, name: string, offers: readonly ModelOffer[], known: KnownOfNode): void => {
    const offer = offers.find((one) => one.model.digest === model.digest);
    if (offer !== undefined) nodes.push(nodeOf({ node, name, offer, ...known }, request, snapshot));
  };
  note(self.node, '', self.offers, {
    state: 'connected',
    load: self.load,
    callsInFlight: 0,
    heardAgoMs: 0,
    yields: self.yields,
  });
  const kept = worthKeeping(request, snapshot);
  for (const peer of snapshot.peers) {
    const { node, name, offers } = peer.advert;
    if (kept === undefined || kept.has(node)) note(node, name, offers, { ...peer, yields: peer.advert.yields });
  }
  return {
    request: {
      model: { id: bounded(model.id), digest: bounded(model.digest) },
      inputTokens: request.inputTokens,
      outputTokens: request.outputTokens,
      requestBytes: request.requestBytes,
      answerBytes: request.answerBytes,
      answerRows: request.answerRows,
      explore: request.explore,
      excluded: [...excluded]
        .slice(0, RECORD_NODES_MAX)
        .map(([node, reason]) => ({ node: bounded(node), reason: bounded(reason) })),
      ...(leftMs === undefined ? {} : { leftMs }),
    },
    self: self.node,
    nodes: nodes.slice(0, RECORD_NODES_MAX),
  };
}

/**
 * Decides again on what was known then.
 * @throws WeftError `no_capable_node` where the policy finds nobody
 */
export function replay(record: PlanRecord, policy: RoutingPolicy, random: () => number): WholePlan {
  const { request, self, nodes } = record;
  const byNode = new Map(nodes.map((node) => [node.node, node]));
  const corrections: Corrections = {
    compute: (node) => byNode.get(node)?.correction?.factor ?? 1,
    samples: (node) => byNode.get(node)?.correction?.samples ?? 0,
  };
  const here = byNode.get(self);
  const snapshot: Snapshot = {
    self: {
      node: self,
      offers: here === undefined ? [] : [offerOf(here, record)],
      load: here?.load ?? NO_LOAD,
      ...(here?.yields !== undefined && { yields: here.yields }),
    },
    peers: nodes.filter(({ node }) => node !== self).map((node) => peerOf(node, record)),
    avoided: mapOf(nodes, ({ avoided }) => avoided),
    corrections,
  };
  const { excluded, ...size } = request;
  const again: PlacementRequest = {
    ...size,
    excluded: new Map(excluded.map(({ node, reason }) => [node, reason])),
    quoted: mapOf(nodes, ({ quotedMs }) => quotedMs),
    cached: mapOf(nodes, ({ cachedTokens }) => cachedTokens),
  };
  return policy.choose(again, snapshot, random);
}

type KnownOfNode = Pick<PeerRecord, 'state' | 'load' | 'callsInFlight' | 'heardAgoMs'> &
  Partial<Pick<PeerRecord, 'link'>> & { readonly yields: readonly ToldReason[] | undefined };

const NO_LOAD: Load = { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0 };

/** Undefined = all of them. */
function worthKeeping(request: PlacementRequest, snapshot: Snapshot): ReadonlySet<NodeId> | undefined {
  const { digest } = request.model;
  const offering = snapshot.peers.filter(({ advert }) => advert.offers.some(({ model }) => model.digest === digest));
  if (offering.length < RECORD_NODES_MAX) return undefined;
  try {
    const survey = new Survey(request, snapshot, new KnownOffers());
    return new Set(survey.cheapest(RECORD_NODES_MAX).map((at) => survey.node(at)));
  } catch {
    // None of them can do it now: then any of them show why.
    return undefined;
  }
}

function nodeOf(
  known: KnownOfNode & { readonly node: NodeId; readonly name: string; readonly offer: ModelOffer },
  { model, quoted, cached }: PlacementRequest,
  { avoided, corrections }: Snapshot,
): RecordedNode {
  const { node, offer, load, link } = known;
  const { profile } = offer;
  const doubt = avoided.get(node);
  const samples = corrections?.samples(node, model.digest) ?? 0;
  const factor = corrections?.compute(node, model.digest) ?? 1;
  const quotedMs = quoted?.get(node);
  const cachedTokens = cached?.get(node);
  return {
    node: bounded(node),
    name: bounded(known.name),
    state: known.state,
    offer: {
      state: offer.state,
      dimensions: amount(offer.dimensions),
      sizeBytes: amount(offer.sizeBytes),
      profile: {
        fixedMs: sane(profile.fixedMs),
        perTokenMs: sane(profile.perTokenMs),
        decodeMs: sane(profile.decodeMs),
        loadMs: sane(profile.loadMs),
        samples: amount(profile.samples),
      },
    },
    load: {
      requestsInFlight: amount(load.requestsInFlight),
      queuedMs: sane(load.queuedMs),
      latencyMs: amount(load.latencyMs),
      memoryFreeBytes: amount(load.memoryFreeBytes),
    },
    ...(link === undefined ? {} : { link: linkOf(link) }),
    ...(known.yields === undefined ? {} : { yields: known.yields }),
    callsInFlight: amount(known.callsInFlight),
    heardAgoMs: amount(known.heardAgoMs),
    ...(doubt === undefined ? {} : { avoided: bounded(doubt) }),
    ...(samples > 0 ? { correction: { factor: amount(factor), samples } } : {}),
    ...(quotedMs === undefined ? {} : { quotedMs: sane(quotedMs) }),
    ...(cachedTokens === undefined ? {} : { cachedTokens: amount(cachedTokens) }),
  };
}

function linkOf({ rttMs, goodputBytesPerSecond, path }: PeerRecord['link']): NonNullable<RecordedNode['link']> {
  return {
    ...(rttMs === undefined ? {} : { rttMs: sane(rttMs) }),
    ...(goodputBytesPerSecond === undefined ? {} : { goodputBytesPerSecond: amount(goodputBytesPerSecond) }),
    ...(path === undefined ? {} : { path }),
  };
}

function bounded(text: string): string {
  return text.slice(0, RECORD_TEXT_MAX);
}

function mapOf<T>(nodes: readonly RecordedNode[], of: (node: RecordedNode) => T | undefined): ReadonlyMap<NodeId, T> {
  const map = new Map<NodeId, T>();
  for (const node of nodes) {
    const value = of(node);
    if (value !== undefined) map.set(node.node, value);
  }
  return map;
}

function offerOf({ offer }: RecordedNode, { request }: PlanRecord): ModelOffer {
  return { ...offer, model: request.model, task: 'tensor', contextLength: 0, aliases: [] };
}

function peerOf(recorded: RecordedNode, record: PlanRecord): PeerRecord {
  const { node, name, state, load, link, callsInFlight, heardAgoMs, yields } = recorded;
  const { rttMs, goodputBytesPerSecond, path } = link ?? {};
  return {
    advert: {
      node,
      name,
      version: '',
      incarnation: 0,
      sequence: 0,
      addresses: [],
      hardware: { platform: '', arch: '', cpuModel: '', cpuCount: 0, memoryBytes: 0, devices: [] },
      offers: [offerOf(recorded, record)],
      load,
      ...(yields !== undefined && { yields }),
    },
    state,
    link: { rttMs, rttFloorMs: rttMs, goodputBytesPerSecond, path },
    load,
    callsInFlight,
    heardAgoMs,
  };
}
