// A real gateway on a free port, over a coordinator and a node that a test writes out in a few lines.

import { connect, type Socket } from 'node:net';
import OpenAI from 'openai';
import { onTestFinished } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { NodeControl, NodeStatus } from '../../../node/core/control.ts';
import type { Conversations } from '../../../node/core/conversations.ts';
import type {
  AnswerEvents,
  AnswerResult,
  ChatRequest,
  Coordinator,
  EmbedAnswer,
  EmbedRequest,
  ModelListing,
  RequestOptions,
} from '../../../node/core/coordinator.ts';
import type { Library } from '../../../node/core/library.ts';
import type { Log, LogFields } from '../../../node/core/log.ts';
import type { CounterName, Labels, Telemetry } from '../../../node/core/telemetry.ts';
import type { Traces } from '../../../node/core/trace.ts';
import { createGuards, type Guards } from '../../../node/gateway/auth.ts';
import { Gateway, type GatewayComponents, type GatewayInit } from '../../../node/gateway/gateway.ts';
import type { GatewayLimits } from '../../../node/gateway/limits.ts';
import type { WholePlan } from '../../../protocol/plan.ts';

export const KEY = 'weft-test-key-0123456789';
export const SELF = '12D3KooWSelf';
export const OTHER = '12D3KooWOther';
export const CHAT_MODEL = 'owner/chat-model';
export const EMBED_MODEL = 'owner/embed-model';

export const PLAN: WholePlan = {
  kind: 'remote',
  node: OTHER,
  price: { queueMs: 0, loadMs: 0, upMs: 1, computeMs: 10, downMs: 1, totalMs: 12.3456 },
  others: [],
  rejected: [],
};

export const LISTINGS: readonly ModelListing[] = [
  {
    id: CHAT_MODEL,
    aliases: ['chat'],
    task: 'text-generation',
    contextLength: 8192,
    dimensions: 0,
    sizeBytes: 1_000,
    nodes: [{ node: OTHER, name: 'attic', state: 'loaded', self: false }],
  },
  {
    id: EMBED_MODEL,
    aliases: ['embed'],
    task: 'feature-extraction',
    contextLength: 512,
    dimensions: 3,
    sizeBytes: 500,
    nodes: [{ node: SELF, name: 'desk', state: 'disk', self: true }],
  },
];

export function chatResult(overrides: Partial<AnswerResult> = {}): AnswerResult {
  return {
    model: CHAT_MODEL,
    choices: [{ finish: 'stop' }],
    usage: { promptTokens: 7, completionTokens: 3, cachedTokens: 4 },
    timings: { ttftMs: 12.3456, totalMs: 40, tokensPerSecond: 75.5 },
    nodes: [OTHER],
    plan: PLAN,
    ...overrides,
  };
}

export type Chat = (request: ChatRequest, options: RequestOptions, events: AnswerEvents) => Promise<AnswerResult>;

/** Says "Hello world" from the other node. */
export const helloChat: Chat = async (_request, _options, events) => {
  events.onPlaced?.(OTHER, CHAT_MODEL);
  events.onDelta({ choice: 0, text: 'Hello' });
  events.onDelta({ choice: 0, text: ' wörld' });
  return chatResult();
};

/** Rejects with the reason once the request is ended, as the port promises. */
export function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Three numbers for each input: its length, its index, a tenth. */
export async function embedLengths({ inputs }: EmbedRequest): Promise<EmbedAnswer> {
  return {
    model: EMBED_MODEL,
    embeddings: Float32Array.from(inputs.flatMap((input, index) => [input.length, index, 0.1])),
    dimensions: 3,
    promptTokens: inputs.length * 2,
    truncated: 0,
    nodes: [OTHER],
    plan: PLAN,
  };
}

const unexpected = (): never => {
  throw new Error('not expected in this test');
};

export function fakeCoordinator(overrides: Partial<Coordinator> = {}): Coordinator {
  return {
    models: () => LISTINGS,
    chat: helloChat,
    complete: unexpected,
    embed: embedLengths,
    rerank: unexpected,
    transcribe: unexpected,
    run: unexpected,
    plan: unexpected,
    ...overrides,
  };
}

export const HARDWARE = {
  platform: 'linux',
  arch: 'x64',
  cpuModel: 'test',
  cpuCount: 2,
  memoryBytes: 1 << 30,
  devices: [{ kind: 'cpu' as const, name: 'cpu', memoryBytes: 1 << 30 }],
};

export const STATUS: NodeStatus = {
  node: SELF,
  name: 'desk',
  version: '1.2.3',
  mesh: 'ab'.repeat(32),
  role: 'admin',
  api: 'http://127.0.0.1:9338',
  addresses: [],
  home: '/data',
  offer: 'all',
  members: 2,
  peersConnected: 1,
  requestsInFlight: 0,
  uptimeSeconds: 1,
  hardware: HARDWARE,
  load: { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 4_000_000_000 },
};

export function fakeConversations(overrides: Partial<Conversations> = {}): Conversations {
  return {
    list: unexpected,
    create: unexpected,
    get: unexpected,
    change: unexpected,
    delete: unexpected,
    send: unexpected,
    regenerate: unexpected,
    stop: unexpected,
    follow: unexpected,
    import: unexpected,
    ...overrides,
  };
}

export function fakeLibrary(overrides: Partial<Library> = {}): Library {
  return {
    pull: unexpected,
    transfers: () => [],
    cancel: unexpected,
    import: unexpected,
    verify: unexpected,
    cleanUp: unexpected,
    storage: unexpected,
    meshModels: () => [],
    catalogue: () => [],
    stop: async () => undefined,
    ...overrides,
  };
}

export function fakeControl(overrides: Partial<NodeControl> = {}): NodeControl {
  return {
    status: () => STATUS,
    peers: () => [
      {
        node: OTHER,
        name: 'attic – north',
        state: 'connected',
        version: '1.2.3',
        hardware: HARDWARE,
        offers: [],
        load: undefined,
        link: undefined,
        heardAgoMs: 3,
        withheld: undefined,
        manageable: true,
      },
    ],
    members: () => [{ node: SELF, name: 'desk', role: 'admin' }],
    loaded: () => [],
    library: fakeLibrary(),
    pulses: { stepMs: 5_000, history: () => [], watch: () => () => undefined },
    events: { publish: () => undefined, since: () => [], last: 0, subscribe: () => () => undefined },
    model: unexpected,
    load: unexpected,
    unload: unexpected,
    remove: unexpected,
    requests: () => [],
    request: () => undefined,
    cuts: unexpected,
    explain: unexpected,
    replay: unexpected,
    logs: () => [],
    config: () => ({ file: '/data/settings.json', settings: [] }),
    configure: unexpected,
    sharing: () => ({ paused: false, lends: true }),
    setSharing: unexpected,
    doctor: unexpected,
    newKey: unexpected,
    stop: () => undefined,
    restart: () => undefined,
    revoke: unexpected,
    invite: async ({ ttlMs }) => ({ id: 'aa', ticket: 'weft-ticket', expiresAtMs: ttlMs }),
    invitations: unexpected,
    cancelInvitation: unexpected,
    join: async () => ({ mesh: 'ab'.repeat(32), members: [] }),
    ...overrides,
  };
}

/** Keeps every line. */
export function recordingLog(): Log & { readonly lines: { level: string; fields: LogFields; message: string }[] } {
  const lines: { level: string; fields: LogFields; message: string }[] = [];
  const at = (level: string) => (fields: LogFields, message: string) => void lines.push({ level, fields, message });
  const log = { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
  return log;
}

export function recordingTelemetry(): Telemetry & { readonly counted: { name: CounterName; labels?: Labels }[] } {
  const counted: { name: CounterName; labels?: Labels }[] = [];
  return {
    counted,
    count: (name, labels) => void counted.push({ name, ...(labels === undefined ? {} : { labels }) }),
    observe: () => undefined,
    gauge: () => undefined,
    text: async () => 'weft_requests_total 1\n',
  };
}

/** Notes nothing down. */
export const silentTraces: Traces = {
  begin: ({ requestId }) => ({
    requestId,
    traceParent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    elapsedMs: () => 0,
    model: () => undefined,
    span: () => undefined,
    placed: () => undefined,
    progress: () => undefined,
    failed: () => undefined,
    usage: () => undefined,
    end: () => undefined,
  }),
  get: () => undefined,
  placements: () => undefined,
  list: () => [],
};

export interface RunningGateway {
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  readonly log: ReturnType<typeof recordingLog>;
  readonly telemetry: ReturnType<typeof recordingTelemetry>;
  readonly openai: OpenAI;
  /** Sends a request with the key and, where there is a body, its type. */
  readonly call: (path: string, body?: unknown, headers?: Record<string, string>) => Promise<Response>;
}

export interface StartInit {
  readonly coordinator?: Partial<Coordinator>;
  readonly control?: Partial<NodeControl>;
  readonly init?: Partial<GatewayInit>;
  readonly limits?: Partial<GatewayLimits>;
  /** Guards that are replaced, the others staying in force. */
  readonly guards?: Partial<Guards>;
  readonly components?: Partial<GatewayComponents>;
}

/** Starts a gateway that stops when the test has finished. */
export async function startGateway(options: StartInit = {}): Promise<RunningGateway> {
  const log = recordingLog();
  const telemetry = recordingTelemetry();
  const init = {
    host: '127.0.0.1',
    port: 0,
    apiKey: () => KEY,
    origins: () => [],
    nodeId: SELF,
    name: 'desk',
    lenient: () => false,
    ...options.init,
  };
  const gateway = new Gateway(
    {
      clock: systemClock,
      random: systemRandom,
      log,
      telemetry,
      traces: silentTraces,
      coordinator: fakeCoordinator(options.coordinator),
      conversations: fakeConversations(),
      control: fakeControl(options.control),
      nodes: { manage: unexpected, watch: unexpected },
      guards: { ...createGuards(init), ...options.guards },
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...options.components,
    },
    init,
  );
  const { url, port } = await gateway.start();
  onTestFinished(() => gateway.stop());
  const call = (path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${KEY}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0, timeout: 20_000 });
  return { gateway, url, port, log, telemetry, openai, call };
}

/** A bare connection, and everything that comes back on it. */
export class RawClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone, with all that was received. */
  readonly closed: Promise<string>;
  received = '';

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve(this.received)));
    this.socket.setEncoding('latin1').on('data', (text: string) => {
      this.received += text;
    });
    // A reset is one of the ends that tests wait for: `close` follows.
    this.socket.on('error', () => undefined);
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  write(text: string): this {
    this.socket.write(text);
    return this;
  }

  /** Waits until what came back contains the text. */
  async until(text: string): Promise<string> {
    while (!this.received.includes(text)) {
      await Promise.race([new Promise((resolve) => this.socket.once('data', resolve)), this.closed]);
      if (this.socket.destroyed && !this.received.includes(text))
        throw new Error(`the connection ended without "${text}": ${JSON.stringify(this.received)}`);
    }
    return this.received;
  }
}

/** Head of a request, up to the empty line. */
export function head(line: string, headers: Record<string, string | undefined> = {}): string {
  const all = { host: 'localhost', authorization: `Bearer ${KEY}`, ...headers };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  return `${line} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

export const USER_HI = [{ role: 'user' as const, content: 'Hi' }];
