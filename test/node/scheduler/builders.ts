// Offers, peers and snapshots for tests of everything that places work.
import type { PeerRecord } from '../../../node/core/mesh.ts';
import type { PlacementRequest, Snapshot } from '../../../node/scheduler/snapshot.ts';
import type { Load, ModelOffer, ServiceProfile } from '../../../protocol/capability.ts';
import type { ModelRef, NodeId } from '../../../protocol/ids.ts';

export const SMOL: ModelRef = { id: 'HuggingFaceTB/SmolLM2-135M-Instruct', digest: `sha256:${'a'.repeat(64)}` };
export const MINILM: ModelRef = { id: 'Xenova/all-MiniLM-L6-v2', digest: `sha256:${'b'.repeat(64)}` };

export const IDLE: Load = { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 1e9 };

/** A core that takes 10 ms + 1 ms per token in + 10 ms per token out. */
export const PROFILE: ServiceProfile = { fixedMs: 10, perTokenMs: 1, decodeMs: 10, loadMs: 500, samples: 20 };
export const UNMEASURED: ServiceProfile = { fixedMs: 0, perTokenMs: 0, decodeMs: 0, loadMs: 0, samples: 0 };

export function offer(changes: Partial<ModelOffer> = {}): ModelOffer {
  return {
    model: SMOL,
    task: 'text-generation',
    state: 'loaded',
    contextLength: 8192,
    dimensions: 0,
    sizeBytes: 108e6,
    profile: PROFILE,
    aliases: ['smollm2'],
    ...changes,
  };
}

export interface PeerInit extends Partial<Omit<PeerRecord, 'advert'>> {
  readonly offers?: readonly ModelOffer[];
}

export function peer(node: NodeId, init: PeerInit = {}): PeerRecord {
  const { offers = [offer()], ...record } = init;
  const advert: PeerRecord['advert'] = {
    node,
    name: `name of ${node}`,
    version: '0.1.0',
    incarnation: 1,
    sequence: 1,
    addresses: [],
    hardware: { platform: 'linux', arch: 'x64', cpuModel: 'test', cpuCount: 2, memoryBytes: 8e9, devices: [] },
    offers,
    load: IDLE,
  };
  return {
    advert,
    state: 'connected',
    link: { rttMs: 2, rttFloorMs: 1, goodputBytesPerSecond: 100e6, path: 'direct' },
    load: IDLE,
    callsInFlight: 0,
    heardAgoMs: 0,
    ...record,
  };
}

export function snapshot(
  changes: Partial<Omit<Snapshot, 'self'>> & { readonly self?: Partial<Snapshot['self']> } = {},
): Snapshot {
  return {
    peers: changes.peers ?? [],
    avoided: changes.avoided ?? new Map(),
    ...(changes.corrections === undefined ? {} : { corrections: changes.corrections }),
    self: { node: 'self', offers: [], load: IDLE, ...changes.self },
  };
}

export function request(changes: Partial<PlacementRequest> = {}): PlacementRequest {
  return {
    model: SMOL,
    inputTokens: 20,
    outputTokens: 10,
    requestBytes: 80,
    answerBytes: 0,
    answerRows: 0,
    excluded: new Map(),
    explore: false,
    ...changes,
  };
}
