// A mesh whose engines take time by a clock that moves by itself, for tests of whatever depends on how long things take:
// quotes, hedges, deadlines, corrections.

import type { CutTables } from '../../../node/core/cut-tables.ts';
import type { Engine, WorkOptions } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import { MeshDispatcher, type MeshDispatcherInit } from '../../../node/dispatch/mesh-dispatcher.ts';
import { SessionMemory } from '../../../node/memory/sessions.ts';
import type { ModelOffer } from '../../../protocol/capability.ts';
import { type ErrorCode, WeftError } from '../../../protocol/errors.ts';
import type { NodeId } from '../../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
  Timing,
} from '../../../protocol/infer.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { IDLE, offer, PROFILE, peer, SMOL } from '../scheduler/builders.ts';
import { compute } from './cut-world.ts';
import { CountingTelemetry, ManualClock, referenceToken, settle } from './fakes.ts';

/** What one call does. */
export interface Behaviour {
  /** Until the answer, or the first token. */
  readonly ms: number;
  /** Between tokens. @default 1 */
  readonly tokenMs?: number;
  /** It says that so much of its time was spent in its queue. @default 0 */
  readonly saysQueueMs?: number;
  /** It says that it computed so long. @default the rest */
  readonly saysComputeMs?: number;
  /** It doesn't work, and answers so after its time. */
  readonly fails?: ErrorCode;
  /** With `declined`: what it quotes. */
  readonly quotedMs?: number;
  /** It doesn't hear its signal. */
  readonly deaf?: boolean;
  /** It doesn't acknowledge. */
  readonly mute?: boolean;
  /** Called when it was told to stop, and has. */
  readonly onStopped?: () => void;
}

export type Script = (call: number, options: WorkOptions) => Behaviour;

export class TimedEngine implements Engine {
  readonly node: NodeId;
  readonly options: WorkOptions[] = [];
  readonly requests: (RunRequest | EncodeRequest | GenerateRequest)[] = [];
  /** Calls that were told to stop. */
  stopped = 0;
  script: Script;
  /** What runs of graphs give. */
  outputsOf: (request: RunRequest) => readonly NamedTensor[] = () => [];
  readonly #clock: ManualClock;
  readonly #length: number;

  constructor(node: NodeId, clock: ManualClock, script: Script, length: number) {
    this.node = node;
    this.#clock = clock;
    this.script = script;
    this.#length = length;
  }

  get calls(): number {
    return this.options.length;
  }

  async run(request: RunRequest, options: WorkOptions): Promise<RunResult> {
    const timing = await this.#work(request, options);
    return { outputs: this.outputsOf(request), node: this.node, timing };
  }

  async encode(request: EncodeRequest, options: WorkOptions): Promise<EncodeResult> {
    const timing = await this.#work(request, options);
    // Each vector says which text it is of.
    const embeddings = new Float32Array(request.lengths.length);
    let at = 0;
    for (const [row, length] of request.lengths.entries()) {
      embeddings[row] = request.ids[at] ?? -1;
      at += length;
    }
    return { embeddings, dimensions: 1, node: this.node, timing };
  }

  async generate(request: GenerateRequest, options: WorkOptions, onTokens: OnTokens): Promise<GenerateResult> {
    const behaviour = this.script(this.calls, options);
    const timing = await this.#work(request, options);
    const start = request.ids.length - request.promptLength;
    const end = Math.min(this.#length, request.maxNewTokens);
    for (let index = start; index < end; index++) {
      if (index > start) await this.#wait(behaviour.tokenMs ?? 1, behaviour, options.signal);
      onTokens(index, [referenceToken(index, this.#length)]);
    }
    return { finish: end === this.#length ? 'stop' : 'length', generated: end, node: this.node, timing };
  }

  async #work(request: RunRequest | EncodeRequest | GenerateRequest, options: WorkOptions): Promise<Timing> {
    const behaviour = this.script(this.calls, options);
    const { ms, fails, quotedMs, saysQueueMs = 0, mute } = behaviour;
    this.options.push(options);
    this.requests.push(request);
    options.signal.addEventListener('abort', () => this.stopped++, { once: true });
    if (mute !== true) options.onAck?.();
    await this.#wait(ms, behaviour, options.signal);
    if (fails !== undefined) {
      const facts: Record<string, string> = quotedMs === undefined ? {} : { quotedMs: String(quotedMs) };
      throw new WeftError({ code: fails, message: `${this.node} does not.`, facts });
    }
    const computeMs = behaviour.saysComputeMs ?? ms - saysQueueMs;
    return { queueMs: saysQueueMs, loadMs: 0, computeMs, prefillMs: 0 };
  }

  #wait(ms: number, { deaf, onStopped }: Behaviour, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(ms, resolve);
      if (deaf === true) return;
      const stop = (): void => {
        timer.cancel();
        onStopped?.();
        reject(signal.reason);
      };
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
  }
}

export interface TimedNode {
  /** What its profile says of a run. */
  readonly claimedMs: number;
  /** @default it takes as long as it says */
  readonly script?: Script;
  readonly peer?: Partial<PeerRecord>;
  readonly offer?: Partial<ModelOffer>;
}

export interface TimedMeshInit extends MeshDispatcherInit {
  /** By id; `self` is this node. */
  readonly nodes: Readonly<Record<NodeId, TimedNode>>;
  /** Tokens of the reference stream. @default 20 */
  readonly length?: number;
  readonly cuts?: CutTables;
}

export function timedMesh(init: TimedMeshInit) {
  const clock = new ManualClock();
  const telemetry = new CountingTelemetry();
  const memory = new SessionMemory();
  const engines = new Map(
    Object.entries(init.nodes).map(([node, { claimedMs, script }]) => [
      node,
      new TimedEngine(node, clock, script ?? (() => ({ ms: claimedMs })), init.length ?? 20),
    ]),
  );
  if (init.cuts !== undefined) for (const engine of engines.values()) engine.outputsOf = compute;
  const offerOf = ({ claimedMs, offer: changes }: TimedNode): ModelOffer =>
    offer({ profile: { ...PROFILE, fixedMs: claimedMs, perTokenMs: 0, decodeMs: 1 }, ...changes });
  let peers: readonly PeerRecord[] = Object.entries(init.nodes)
    .filter(([node]) => node !== 'self')
    .map(([node, spec]) => peer(node, { offers: [offerOf(spec)], ...spec.peer }));
  const own = init.nodes.self;
  const engine = (node: NodeId): TimedEngine => {
    const found = engines.get(node);
    if (found === undefined) throw new Error(`no engine ${node}`);
    return found;
  };
  const here = (): TimedEngine => engine('self');
  const dispatcher = new MeshDispatcher(
    {
      clock,
      random: { next: () => 0.999 },
      log: silentLog,
      telemetry,
      memory,
      mesh: { peers: () => peers },
      local: {
        node: 'self',
        run: (request, options) => here().run(request, options),
        encode: (request, options) => here().encode(request, options),
        generate: (request, options, onTokens) => here().generate(request, options, onTokens),
        offers: () => (own === undefined ? [] : [offerOf(own)]),
        load: () => IDLE,
      },
      remote: engine,
      ...(init.cuts !== undefined && { cuts: init.cuts }),
    },
    // What is run again to be compared would be counted with what is asked for.
    { auditEvery: 0, ...init },
  );
  /** Lets time pass until the promise settles. */
  const outcome = async <R>(promise: Promise<R>): Promise<R> => {
    let settled = false;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => undefined);
    for (await settle(); !settled; await settle()) {
      const nextMs = clock.nextMs;
      if (nextMs === undefined) throw new Error('nothing is left to wait for');
      clock.advance(nextMs - clock.now());
    }
    return done;
  };
  return {
    clock,
    dispatcher,
    engine,
    memory,
    telemetry,
    outcome,
    setPeers: (changed: readonly PeerRecord[]) => {
      peers = changed;
    },
    peers: () => peers,
  };
}

/** A run whose price is what nodes claim of it. */
export const RUN: RunRequest = { model: SMOL, inputs: [], outputs: [] };
