// The router on three real nodes behind shaped links: how well it foretells an answer's time, how soon it leaves a node that
// turns slow, and for how long it goes on sending to one that is dead. Two of the nodes are emulated slow ones.

import type { RequestTrace } from '../../node/core/trace.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { EncodeRequest } from '../../protocol/infer.ts';
import type { Plan } from '../../protocol/plan.ts';
import { planNodes } from '../../protocol/plan.ts';
import { type Daemon, startDaemon, ticketOf } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { SeededRandom } from '../support/seeded.ts';
import { ShapedLink, type WireShape } from '../support/shaped-link.ts';
import { until } from '../support/wait.ts';
import { type Benchmark, median } from './harness.ts';
import { type LocalNode, offered, startLocal } from './nodes.ts';
import { runnersAmong, SlowRunners } from './slow-runners.ts';

/** Nothing listens there: the entry dials, and is not dialled, so every byte goes through the links. */
const UNREACHABLE = '/ip4/127.0.0.1/tcp/9';

const NEAR: WireShape = { bytesPerSecond: 125e6, delayMs: 1 };
const FAR: WireShape = { bytesPerSecond: 12.5e6, delayMs: 10 };
/** Shares of their time that the slow ones compute. */
const HERE_SHARE = 0.25;
const FAR_SHARE = 0.5;
/** Of the fast one, once it has turned slow. */
const TURNED_SHARE = 0.1;

const WARM_REQUESTS = 96;
const WARM_IN_FLIGHT = 6;
const FORETOLD_REQUESTS = 48;
/** The near node is the choice once so many requests in a row were sent there. */
const CHOSEN_IN_A_ROW = 3;
const AFTER_TURN_REQUESTS = 24;
const PULSE_MS = 25;
const WATCHED_MS = 6_000;

const FAULTS = ['kill', 'stop', 'silence'] as const;
type Fault = (typeof FAULTS)[number];

/** A request's trace that tells of placements when they are made: a plan is told of only once its node has taken it. */
function watching(onSent: (node: string) => void): RequestTrace {
  const nothing = (): void => undefined;
  return {
    requestId: 'req_bench',
    traceParent: '',
    elapsedMs: () => performance.now(),
    placed: (plan) => onSent(planNodes(plan).at(-1) ?? ''),
    ...{ model: nothing, span: nothing, progress: nothing, failed: nothing, usage: nothing, end: nothing },
  };
}

interface Worker {
  readonly daemon: Daemon;
  readonly link: ShapedLink;
}

async function startWorker(shape: WireShape, env: Record<string, string>, args: string[]): Promise<Worker> {
  const port = await freePort();
  const link = await ShapedLink.start({ target: { host: '127.0.0.1', port }, up: shape, down: shape });
  const daemon = await startDaemon({
    env: {
      ...env,
      WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${port}`,
      WEFT_ANNOUNCE: `/ip4/127.0.0.1/tcp/${link.port}`,
    },
    args,
  });
  return { daemon, link };
}

/** The entry, emulated at a quarter; a fast node near it; and one farther away, emulated at a half. */
class Trio {
  readonly entry: LocalNode;
  readonly near: Worker;
  readonly far: Worker;
  readonly model: ModelRef;
  readonly #slow: SlowRunners[] = [];
  readonly #random = new SeededRandom(7);

  private constructor(entry: LocalNode, near: Worker, far: Worker) {
    this.entry = entry;
    this.near = near;
    this.far = far;
    this.model = offered(entry, 'feature-extraction').offer.model;
  }

  static async start(threads: number): Promise<Trio> {
    const env = { WEFT_THREADS: String(threads), WEFT_KEEP_ALIVE: '-1' };
    const near = await startWorker(NEAR, env, []);
    const far = await startWorker(FAR, env, ['--join', await ticketOf(near.daemon)]);
    const entry = await startLocal({ ...env, WEFT_ANNOUNCE: UNREACHABLE }, await ticketOf(near.daemon));
    const trio = new Trio(entry, near, far);
    await until('three nodes that offer it', () => trio.#offering() === 3);
    for (const node of [entry.node.node, near.daemon.node, far.daemon.node]) await trio.#load(node);
    const here = entry.node.engine.loaded().flatMap(({ runnerPid }) => runnerPid ?? []);
    trio.#slow.push(new SlowRunners(here, HERE_SHARE));
    trio.#slow.push(new SlowRunners(await runnersAmong(await far.daemon.children()), FAR_SHARE));
    // Every node is measured under the load under which it will be judged, and before.
    let left = WARM_REQUESTS;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await trio.ask(trio.request());
    };
    await Promise.all(Array.from({ length: WARM_IN_FLIGHT }, lane));
    return trio;
  }

  /** Between 16 and 256 tokens, log-uniformly. */
  request(): EncodeRequest {
    const length = Math.round(16 * 2 ** (4 * this.#random.next()));
    const ids = Int32Array.from({ length }, (_, index) => 2_000 + ((index * 37) % 20_000));
    ids[0] = 101;
    ids[length - 1] = 102;
    return { model: this.model, ids, lengths: Int32Array.of(length), pooling: 'mean', normalize: true };
  }

  /** @param onSent called with every node that it is sent to, at that moment */
  async ask(
    request: EncodeRequest,
    onSent?: (node: string) => void,
  ): Promise<{ readonly plan: Plan; readonly ms: number }> {
    const beganMs = performance.now();
    const { plan } = await this.entry.node.dispatcher.encode(request, {
      signal: new AbortController().signal,
      requestId: 'req_bench',
      ...(onSent !== undefined && { trace: watching(onSent) }),
    });
    return { plan, ms: performance.now() - beganMs };
  }

  /** The near node computes a share of the time from now on. */
  async turn(share: number): Promise<void> {
    this.#slow.push(new SlowRunners(await runnersAmong(await this.near.daemon.children()), share));
  }

  async stop(): Promise<void> {
    for (const slow of this.#slow) slow.stop();
    await this.entry.stop();
    for (const { daemon, link } of [this.far, this.near]) {
      await daemon.stop();
      await link.stop();
    }
  }

  #offering(): number {
    const models = this.entry.node.dispatcher.models();
    return models.find(({ offer }) => offer.model.digest === this.model.digest)?.nodes.length ?? 0;
  }

  /** Loads the model there: by its own API, as its owner would. */
  async #load(node: string): Promise<void> {
    if (node === this.entry.node.node) {
      await this.entry.node.engine.ensureLoaded(this.model.digest, { signal: new AbortController().signal });
      return;
    }
    const worker = [this.near, this.far].find(({ daemon }) => daemon.node === node);
    const { code, stderr } = (await worker?.daemon.weft('load', 'minilm')) ?? { code: -1, stderr: 'no such node' };
    if (code !== 0) throw new Error(`The model could not be loaded: ${stderr}`);
  }
}

interface Foretold {
  /** |measured / predicted - 1| of each request. */
  readonly errors: readonly number[];
  /** |second / first - 1| of the same request twice on the same node. */
  readonly noise: readonly number[];
}

async function foretell(trio: Trio): Promise<Foretold> {
  const errors: number[] = [];
  const noise: number[] = [];
  for (let index = 0; index < FORETOLD_REQUESTS; index++) {
    const request = trio.request();
    const [first, second] = [await trio.ask(request), await trio.ask(request)];
    for (const { plan, ms } of [first, second]) errors.push(Math.abs(ms / plan.price.totalMs - 1));
    if (planNodes(first.plan)[0] === planNodes(second.plan)[0]) noise.push(Math.abs(second.ms / first.ms - 1));
  }
  return { errors, noise };
}

/** Requests that the near node is still sent after it has turned slow, before the first is sent elsewhere. */
async function leaveSlow(trio: Trio): Promise<number> {
  // Where it is sent first: a request that a slow node was sent may well be answered by its hedge.
  const isSentThere = async (): Promise<boolean> => {
    const sent: string[] = [];
    await trio.ask(trio.request(), (node) => sent.push(node));
    return sent[0] === trio.near.daemon.node;
  };
  let inARow = 0;
  await until('the near node as the choice', async () => {
    inARow = (await isSentThere()) ? inARow + 1 : 0;
    return inARow >= CHOSEN_IN_A_ROW;
  });
  await trio.turn(TURNED_SHARE);
  for (let stayed = 0; stayed < AFTER_TURN_REQUESTS; stayed++) {
    if (!(await isSentThere())) return stayed;
  }
  return AFTER_TURN_REQUESTS;
}

interface Death {
  /** From the blow to the last request that was sent there. */
  readonly lastRoutedMs: number;
  readonly failed: number;
  readonly requests: number;
}

async function strike(trio: Trio, fault: Fault): Promise<Death> {
  const dead = trio.near.daemon.node;
  let struckMs = Number.POSITIVE_INFINITY;
  let lastRoutedMs = 0;
  let failed = 0;
  let requests = 0;
  const under = new Set<Promise<unknown>>();
  const pulse = setInterval(() => {
    requests++;
    const asked = trio
      .ask(trio.request(), (node) => {
        const nowMs = performance.now();
        if (nowMs > struckMs && node === dead) lastRoutedMs = nowMs - struckMs;
      })
      .catch(() => failed++)
      .finally(() => under.delete(asked));
    under.add(asked);
  }, PULSE_MS);
  const waits = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  await waits(1_000);
  struckMs = performance.now();
  if (fault === 'silence') trio.near.link.silence();
  else trio.near.daemon.kill(fault === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  await waits(WATCHED_MS);
  clearInterval(pulse);
  await Promise.all(under);
  return { lastRoutedMs, failed, requests };
}

export const live: Benchmark = {
  name: 'live',
  summary: 'the router on three real nodes, two of them emulated slow: prediction, a node that turns slow, dead peers',
  async run({ rounds, threads, say }) {
    const errors: number[] = [];
    const noise: number[] = [];
    const stayed: number[] = [];
    const lastRouted: Record<Fault, number[]> = { kill: [], stop: [], silence: [] };
    let failed = 0;
    let requests = 0;
    for (let round = 0; round < rounds; round++) {
      const trio = await Trio.start(threads);
      try {
        const foretold = await foretell(trio);
        errors.push(median(foretold.errors));
        noise.push(median(foretold.noise));
        stayed.push(await leaveSlow(trio));
      } finally {
        await trio.stop();
      }
      for (const fault of FAULTS) {
        const struck = await Trio.start(threads);
        try {
          const death = await strike(struck, fault);
          lastRouted[fault].push(death.lastRoutedMs);
          failed += death.failed;
          requests += death.requests;
        } finally {
          await struck.stop();
        }
      }
      const dead = FAULTS.map((fault) => `${fault} ${Math.round(lastRouted[fault].at(-1) ?? 0)} ms`).join(', ');
      say(
        `  error ${errors.at(-1)?.toFixed(3)} (noise ${noise.at(-1)?.toFixed(3)}), stayed ${stayed.at(-1)}, last routed ${dead}`,
      );
    }
    return {
      figures: {
        prediction_error_median: median(errors),
        repeat_noise_median: median(noise),
        slow_node_requests_max: Math.max(...stayed),
        dead_peer_last_routed_ms: Math.max(...FAULTS.flatMap((fault) => lastRouted[fault])),
        ...Object.fromEntries(FAULTS.map((fault) => [`${fault}_last_routed_ms_max`, Math.max(...lastRouted[fault])])),
        failed_share: failed / requests,
        emulated_slow_nodes: 2,
      },
      samples: {
        prediction_error: errors,
        repeat_noise: noise,
        slow_node_requests: stayed,
        ...Object.fromEntries(FAULTS.map((fault) => [`${fault}_last_routed_ms`, lastRouted[fault]])),
      },
    };
  },
};
