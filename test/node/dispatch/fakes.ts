// A mesh of scripted engines for tests of dispatch: each executor draws from the same reference stream and fails in the
// way that its script says.
import type { Clock, Timer } from '../../../node/core/clock.ts';
import type { Engine, WorkOptions } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import type { Telemetry } from '../../../node/core/telemetry.ts';
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
} from '../../../protocol/infer.ts';
import { IDLE, offer, PROFILE, peer, SMOL } from '../scheduler/builders.ts';

export const STOP_ID = 2;
export const TIMING = { queueMs: 0, loadMs: 0, computeMs: 1, prefillMs: 1 };

/** Time that moves by hand. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return this.#nowMs;
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { atMs: this.#nowMs + ms, callback };
    this.#timers.push(timer);
    const cancel = (): void => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
    return { cancel };
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** When the next timer ends; undefined = there is none. */
  get nextMs(): number | undefined {
    return this.#timers.length === 0 ? undefined : Math.min(...this.#timers.map(({ atMs }) => atMs));
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter((timer) => timer.atMs <= this.#nowMs);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.#nowMs);
    for (const timer of due) timer.callback();
  }
}

/** What one call of an engine does. Token positions are indices behind the prompt. */
export interface Script {
  /** Before the token of this index: fails with the code. Beyond the last one: fails instead of its final answer. */
  readonly dieAt?: number;
  readonly code?: ErrorCode;
  /** Before the token of this index: waits until it is aborted, or for ever. */
  readonly hangAt?: number;
  readonly deaf?: boolean;
  /** Sends this many known tokens again before each new one. */
  readonly repeat?: number;
  /** Leaves out the token of this index. */
  readonly skipAt?: number;
  /** Tokens per call of onTokens. @default 1 */
  readonly chunk?: number;
  /** Says that it drew this many more tokens than it sent. */
  readonly overcount?: number;
  /** Goes on sending tokens after it has failed. */
  readonly undead?: boolean;
  /** Sends tokens behind the last one. */
  readonly overrun?: number;
}

/** The stream that every executor of these tests draws: `length` tokens, the last of which is the stop token. */
export const referenceToken = (index: number, length: number): number =>
  index === length - 1 ? STOP_ID : 100 + ((index * 7919) % 1009);

export const referenceStream = (length: number): number[] =>
  Array.from({ length }, (_, index) => referenceToken(index, length));

/** Follows one script per call, the last one from then on. */
export class ScriptedEngine implements Engine {
  readonly node: NodeId;
  readonly #scripts: readonly Script[];
  readonly #length: number;
  calls = 0;
  /** Calls that were told to stop. */
  aborted = 0;
  readonly requests: GenerateRequest[] = [];
  readonly budgets: (number | undefined)[] = [];
  readonly traceParents: (string | undefined)[] = [];

  constructor(node: NodeId, length: number, scripts: readonly Script[] = [{}]) {
    this.node = node;
    this.#length = length;
    this.#scripts = scripts;
  }

  async generate(request: GenerateRequest, options: WorkOptions, onTokens: OnTokens): Promise<GenerateResult> {
    this.requests.push(request);
    const script = this.#begin(options);
    const start = request.ids.length - request.promptLength;
    const end = Math.min(this.#length, request.maxNewTokens);
    const token = (index: number): number => referenceToken(index, this.#length);
    const chunk = script.chunk ?? 1;
    for (let index = start; index < end; index += chunk) {
      await Promise.resolve();
      const last = Math.min(index + chunk, end);
      const within = (at: number | undefined): boolean => at !== undefined && at >= index && at < last;
      if (within(script.hangAt)) await hang(options.signal, script.deaf === true);
      if (within(script.dieAt)) throw this.#die(script, onTokens, index);
      options.signal.throwIfAborted();
      if (within(script.skipAt)) continue;
      const first = Math.max(0, index - (script.repeat ?? 0));
      onTokens(
        first,
        Array.from({ length: last - first }, (_, offset) => token(first + offset)),
      );
    }
    await Promise.resolve();
    if (script.overrun !== undefined)
      onTokens(
        end,
        Array.from({ length: script.overrun }, () => 7),
      );
    if (script.hangAt !== undefined && script.hangAt >= end) await hang(options.signal, script.deaf === true);
    if (script.dieAt !== undefined && script.dieAt >= end) throw this.#die(script, onTokens, end);
    const finish = token(end - 1) === STOP_ID ? 'stop' : 'length';
    const generated = end + (script.overcount ?? 0) + (script.overrun ?? 0);
    return { finish, generated, node: this.node, timing: TIMING };
  }

  async encode(request: EncodeRequest, options: WorkOptions): Promise<EncodeResult> {
    const script = this.#begin(options);
    await Promise.resolve();
    if (script.hangAt !== undefined) await hang(options.signal, script.deaf === true);
    if (script.dieAt !== undefined) throw this.#die(script);
    const length = request.lengths.length * 4 + (script.overcount ?? 0);
    return { embeddings: new Float32Array(length), dimensions: 4, node: this.node, timing: TIMING };
  }

  async run(request: RunRequest, options: WorkOptions): Promise<RunResult> {
    const script = this.#begin(options);
    if (script.dieAt !== undefined) throw this.#die(script);
    return { outputs: request.inputs, node: this.node, timing: TIMING };
  }

  #begin(options: WorkOptions): Script {
    options.signal.addEventListener('abort', () => this.aborted++, { once: true });
    this.budgets.push(options.budgetMs);
    this.traceParents.push(options.traceParent);
    const script = this.#scripts[Math.min(this.calls, this.#scripts.length - 1)] ?? {};
    this.calls++;
    return script;
  }

  #die(script: Script, onTokens?: OnTokens, index = 0): WeftError {
    if (script.undead === true) setImmediate(() => onTokens?.(index, [666, 667]));
    return new WeftError({ code: script.code ?? 'peer_lost', message: `${this.node} was lost.` });
  }
}

function hang(signal: AbortSignal, deaf: boolean): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (deaf) return;
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Counts what is counted. */
export class CountingTelemetry implements Telemetry {
  readonly counts = new Map<string, number>();
  readonly observed = new Map<string, number[]>();

  count(name: string, _labels?: unknown, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  observe(name: string, seconds: number): void {
    this.observed.set(name, [...(this.observed.get(name) ?? []), seconds]);
  }

  gauge(): void {
    /* not read here */
  }

  async text(): Promise<string> {
    return '';
  }
}

export interface FakeMeshInit extends MeshDispatcherInit {
  /** Scripts of each node by id; `self` is this one. In this order from fast to slow. */
  readonly nodes: Readonly<Record<NodeId, readonly Script[]>>;
  /** Tokens of the reference stream. @default 20 */
  readonly length?: number;
  readonly offer?: Partial<ModelOffer>;
  /** @default never below 1: nothing explores */
  readonly random?: () => number;
}

/** A dispatcher over scripted engines. */
export function fakeMesh(init: FakeMeshInit) {
  const clock = new ManualClock();
  const telemetry = new CountingTelemetry();
  const memory = new SessionMemory();
  const length = init.length ?? 20;
  const names = Object.keys(init.nodes);
  const engines = new Map(names.map((node) => [node, new ScriptedEngine(node, length, init.nodes[node])]));
  // Each twice as slow as the one before: nodes that are nearly alike are priced alike.
  const offerOf = (node: NodeId): ModelOffer => {
    const times = 2 ** names.indexOf(node);
    const profile = { ...PROFILE, fixedMs: 100 * times, perTokenMs: times, decodeMs: 10 * times };
    return offer({ profile, ...init.offer });
  };
  const peers: PeerRecord[] = names
    .filter((node) => node !== 'self')
    .map((node) => peer(node, { offers: [offerOf(node)] }));
  const self = engines.get('self') ?? new ScriptedEngine('self', length);
  const engine = (node: NodeId): ScriptedEngine => {
    const found = engines.get(node);
    if (found === undefined) throw new Error(`no engine ${node}`);
    return found;
  };
  const dispatcher = new MeshDispatcher(
    {
      clock,
      random: { next: init.random ?? (() => 0.999) },
      log: silentLog,
      telemetry,
      memory,
      mesh: { peers: () => peers },
      local: {
        node: 'self',
        run: (request, options) => self.run(request, options),
        encode: (request, options) => self.encode(request, options),
        generate: (request, options, onTokens) => self.generate(request, options, onTokens),
        offers: () => (engines.has('self') ? [offerOf('self')] : []),
        load: () => IDLE,
      },
      remote: engine,
    },
    init,
  );
  return { clock, dispatcher, engine, memory, peers, telemetry };
}

export function generation(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    model: SMOL,
    ids: Int32Array.of(11, 12, 13),
    promptLength: 3,
    maxNewTokens: 1000,
    stopIds: [STOP_ID],
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 1n },
    ...changes,
  };
}

/** Lets everything run that is ready to. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
