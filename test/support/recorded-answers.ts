// Answers of a small healthy mesh as a node gave them, and of larger ones made after their pattern, for recorded-node.ts.

import type { HistoryAnswer, Pulse } from '../../protocol/api/control/pulse.ts';
import type {
  ConfigAnswer,
  InvitationsAnswer,
  MembersAnswer,
  ModelsAnswer,
  PeersAnswer,
  PsAnswer,
  RequestsAnswer,
  SharingAnswer,
  StatusAnswer,
  TransfersAnswer,
} from '../../protocol/api/control.ts';

/** What the views of a node's state read. */
export interface RecordedAnswers {
  readonly 'GET /api/v1/status': StatusAnswer;
  readonly 'GET /api/v1/peers': PeersAnswer;
  readonly 'GET /api/v1/members': MembersAnswer;
  readonly 'GET /api/v1/models': ModelsAnswer;
  readonly 'GET /api/v1/ps': PsAnswer;
  readonly 'GET /api/v1/requests': RequestsAnswer;
  readonly 'GET /api/v1/transfers': TransfersAnswer;
  readonly 'GET /api/v1/config': ConfigAnswer;
  readonly 'GET /api/v1/sharing': SharingAnswer;
  readonly 'GET /api/v1/invitations': InvitationsAnswer;
  readonly 'GET /api/v1/history': HistoryAnswer;
}

type Peer = PeersAnswer['peers'][number];
type Offer = Peer['offers'][number];

const GIB = 2 ** 30;
/** Recorded times count back from the moment of the test. */
const NOW_MS = Date.now();

export const SELF = 'k51selfselfselfselfselfselfselfself0000self';

const MACHINES = [
  {
    cpuModel: 'AMD Ryzen 9 7950X',
    cpuCount: 32,
    memoryBytes: 128 * GIB,
    gpu: 'NVIDIA GeForce RTX 4090',
    gpuBytes: 24 * GIB,
  },
  { cpuModel: 'Apple M3 Max', cpuCount: 14, memoryBytes: 64 * GIB, gpu: undefined, gpuBytes: 0 },
  { cpuModel: 'Intel Core i5-8250U', cpuCount: 8, memoryBytes: 16 * GIB, gpu: undefined, gpuBytes: 0 },
  { cpuModel: 'Cortex-A76', cpuCount: 4, memoryBytes: 8 * GIB, gpu: undefined, gpuBytes: 0 },
] as const;

const MODELS = [
  {
    id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    task: 'chat',
    sizeBytes: 137_000_000,
    dimensions: 0,
    contextLength: 8_192,
  },
  {
    id: 'sentence-transformers/all-MiniLM-L6-v2',
    task: 'embed',
    sizeBytes: 23_000_000,
    dimensions: 384,
    contextLength: 512,
  },
  { id: 'BAAI/bge-reranker-base', task: 'rerank', sizeBytes: 279_000_000, dimensions: 0, contextLength: 512 },
  { id: 'Qwen/Qwen2.5-7B-Instruct', task: 'chat', sizeBytes: 4_680_000_000, dimensions: 0, contextLength: 32_768 },
] as const;

const NAMES = ['studio', 'attic', 'laptop-eva', 'pi-kitchen'] as const;

export function hardwareOf(at: number): StatusAnswer['hardware'] {
  const machine = MACHINES[at % MACHINES.length] ?? MACHINES[0];
  return {
    platform: at % 4 === 1 ? 'darwin' : 'linux',
    arch: at % 2 === 1 ? 'arm64' : 'x64',
    cpuModel: machine.cpuModel,
    cpuCount: machine.cpuCount,
    memoryBytes: machine.memoryBytes,
    devices: machine.gpu === undefined ? [] : [{ kind: 'cuda', name: machine.gpu, memoryBytes: machine.gpuBytes }],
  };
}

function offerOf(at: number, state: string): Offer {
  const model = MODELS[at % MODELS.length] ?? MODELS[0];
  return {
    model: { id: model.id, digest: `sha256:${String(at).padStart(64, '0')}` },
    task: model.task,
    state,
    contextLength: model.contextLength,
    dimensions: model.dimensions,
    sizeBytes: model.sizeBytes,
    profile: { fixedMs: 4, perTokenMs: 0.3, decodeMs: 9, loadMs: 600, samples: 12 },
    aliases: [model.id.slice(model.id.lastIndexOf('/') + 1).toLowerCase()],
    precision: 'q4',
  };
}

export const nodeId = (at: number): string =>
  `k51node${String(at).padStart(4, '0')}${'x'.repeat(24)}${String(at * 7_919).padStart(8, '0')}`;

/** A peer after the pattern of a recorded one. */
export function peerOf(at: number, state: Peer['state'] = 'connected'): Peer {
  return {
    node: nodeId(at),
    name: NAMES[at] ?? `node-${String(at).padStart(2, '0')}`,
    state,
    version: '0.1.0',
    hardware: hardwareOf(at),
    offers: [offerOf(at, 'loaded'), offerOf(at + 1, 'available')],
    load: {
      requestsInFlight: at % 3,
      queuedMs: (at % 5) * 40,
      latencyMs: 20 + at,
      memoryFreeBytes: (4 + (at % 7)) * GIB,
    },
    link: {
      rttMs: 0.4 + (at % 9) * 2.3,
      rttFloorMs: 0.4,
      goodputBytesPerSecond: 118_000_000 / (1 + (at % 6)),
      path: at % 11 === 10 ? 'relay' : 'direct',
    },
    heardAgoMs: 400,
  };
}

/** Answers of a mesh of this node and so many others. */
export function recordedMesh(
  peers: number,
): Pick<RecordedAnswers, 'GET /api/v1/status' | 'GET /api/v1/peers' | 'GET /api/v1/members' | 'GET /api/v1/models'> {
  const others = Array.from({ length: peers }, (_, at) => peerOf(at));
  return {
    'GET /api/v1/status': {
      node: SELF,
      name: 'workbench',
      version: '0.1.0',
      mesh: 'mesh-7f3a',
      role: 'admin',
      api: 'http://127.0.0.1:9338',
      addresses: ['/ip4/192.168.1.20/tcp/9339'],
      home: '/home/eva/.weft',
      offer: 'all',
      members: peers + 1,
      peersConnected: peers,
      requestsInFlight: 1,
      uptimeSeconds: 93_784,
      hardware: hardwareOf(0),
      load: { requestsInFlight: 1, queuedMs: 12, latencyMs: 38, memoryFreeBytes: 71 * GIB },
    },
    'GET /api/v1/peers': { peers: others },
    'GET /api/v1/members': {
      members: [
        { node: SELF, name: 'workbench', role: 'admin' },
        ...others.map(({ node, name }, at) => ({ node, name, role: at === 0 ? 'admin' : 'member' })),
      ],
    },
    'GET /api/v1/models': {
      models: MODELS.map((model, at) => ({
        id: model.id,
        aliases: [model.id.slice(model.id.lastIndexOf('/') + 1).toLowerCase()],
        task: model.task,
        contextLength: model.contextLength,
        dimensions: model.dimensions,
        sizeBytes: model.sizeBytes,
        precision: 'q4',
        nodes: [
          ...(at < 2 ? [{ node: SELF, name: 'workbench', state: at === 0 ? 'loaded' : 'available', self: true }] : []),
          ...others
            .filter((_, peer) => peer % MODELS.length === at)
            .map(({ node, name }) => ({ node, name, state: 'loaded', self: false })),
        ],
      })),
    },
  };
}

/** A pulse so many seconds ago, with a load that goes up and down. */
export function pulseAt(secondsAgo: number, peers: readonly Peer[] = []): Pulse {
  const wave = Math.sin(secondsAgo / 70) * 0.5 + Math.sin(secondsAgo / 19) * 0.3 + 1;
  return {
    atMs: NOW_MS - secondsAgo * 1_000,
    self: {
      requestsInFlight: Math.round(wave * 2),
      queuedMs: Math.max(0, (wave - 1) * 180),
      memoryFreeBytes: (70 - wave * 6) * GIB,
      memoryUsedBytes: (2 + wave * 3) * GIB,
      tokensPerSecond: wave * 46,
      ttftMsP50: 60 + wave * 45,
      ttftMsP95: 130 + wave * 160,
      durationMsP50: 700 + wave * 240,
      durationMsP95: 1_600 + wave * 900,
      local: Math.round(wave * 1.4),
      remote: Math.round(wave * 2.2),
    },
    peers: peers.map(({ node, link, load }) => ({
      node,
      ...(link?.rttMs === undefined ? {} : { rttMs: link.rttMs * wave }),
      ...(link?.goodputBytesPerSecond === undefined ? {} : { goodputBytesPerSecond: link.goodputBytesPerSecond }),
      ...(load === undefined ? {} : { load }),
    })),
  };
}

const mesh = recordedMesh(4);

const setting = (name: string, value: unknown, expected: string): ConfigAnswer['settings'][number] => ({
  name,
  value,
  source: 'file',
  flag: `--${name}`,
  env: `WEFT_${name.toUpperCase()}`,
  expected,
  live: true,
});

/** A mesh of five. */
export const RECORDED: RecordedAnswers = {
  ...mesh,
  'GET /api/v1/sharing': { paused: false, lends: true },
  'GET /api/v1/invitations': { invitations: [] },
  'GET /api/v1/ps': {
    models: [
      {
        id: MODELS[0].id,
        digest: 'sha256:0',
        state: 'loaded',
        provider: 'cuda',
        runnerPid: 4_711,
        residentBytes: 412_000_000,
        requestsInFlight: 1,
        idleUntilMs: NOW_MS + 240_000,
        pinned: false,
        generation: {
          decoder: 'rewritten',
          sequences: 2,
          sequencesMax: 16,
          waiting: 0,
          tokensPerS: 61,
          kvBytes: 21_000_000,
          prefixBytes: 9_000_000,
          kvBytesMax: 512_000_000,
          kvBytesPerToken: 23_040,
          promptTokens: 4_100,
          cachedTokens: 1_900,
          draftedTokens: 800,
          acceptedTokens: 510,
        },
      },
    ],
  },
  'GET /api/v1/requests': {
    requests: Array.from({ length: 12 }, (_, at) => ({
      requestId: `req_${String(at).padStart(20, '0')}`,
      traceId: String(at).padStart(32, '0'),
      name: at % 3 === 2 ? 'embeddings' : 'chat',
      model: MODELS[at % 3 === 2 ? 1 : 0]?.id ?? '',
      startedAtMs: NOW_MS - at * 9_000 - 2_000,
      durationMs: 600 + at * 130,
      status: at === 5 ? ('error' as const) : ('ok' as const),
      ...(at === 5 ? { code: 'peer_lost' } : {}),
      promptTokens: 40 + at,
      completionTokens: 90 + at * 3,
      plan: at % 2 === 0 ? 'local' : 'remote',
      nodes: [at % 2 === 0 ? SELF : nodeId(at % 4)],
      predictedMs: 640 + at * 110,
      failures: at === 5 ? 1 : 0,
    })),
  },
  'GET /api/v1/transfers': { transfers: [] },
  'GET /api/v1/config': {
    file: '/home/eva/.weft/settings.json',
    settings: [setting('name', 'workbench', 'a name'), setting('offer', 'all', 'all, none or models')],
  },
  'GET /api/v1/history': {
    stepMs: 5_000,
    pulses: Array.from({ length: 360 }, (_, at) => pulseAt((360 - at) * 5, mesh['GET /api/v1/peers'].peers)),
  },
};
