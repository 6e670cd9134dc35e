// One random world, from its seed: a safety phase in which nodes and links fail in every way that a world knows, then a
// liveness phase in which nothing does and every request must succeed. What must hold is checked at every event.
import { policyNamed } from '../../node/scheduler/policies.ts';
import { Invariants } from './invariants.ts';
import { type Asked, type Fault, type RandomSpec, randomSpec } from './random-spec.ts';
import { type SimFailure, Tail } from './sim-failure.ts';
import type { SimNodeSpec } from './sim-node.ts';
import { type Outcome, World } from './world.ts';

export interface RandomWorldOptions {
  /** @default 'weft' */
  readonly policy?: string;
  /** Gets every event as a line. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Of requests that may be hedged; what is checked is the twentieth all the same. @default the dispatcher's own */
  readonly hedgeShare?: number;
}

export interface RandomWorldReport {
  readonly seed: number;
  readonly requests: number;
  /** Of them, in the safety phase: those whose apps left or wanted them too soon, and all that came to be too much. */
  readonly failed: number;
  readonly hedges: number;
  readonly executions: number;
  readonly faults: number;
  /** How long after a node's silence the last request was sent there. */
  readonly lastToSilentMs: number;
  readonly events: number;
  readonly hash: string;
  readonly endedMs: number;
}

/** From the last request on, everyone has an outcome by then: queues are bounded, and so are waits. */
const END_MS = 300_000;
/** After the faults, so long until what was noticed of them is forgotten. */
const SETTLE_MS = 8_000;
/** Of simulated time, between two looks at whether something has failed. */
const STEP_MS = 1_000;
/** What is still in an executor at the last outcome has so long to be seen to stop. */
const STOP_MS = 10_000;

/** Of a time that was added up. */
const ROUNDING_MS = 1e-6;

const DEADLINE_CODES: readonly string[] = ['deadline_unmeetable', 'deadline_exceeded'];
const OVERLOAD_CODES: readonly string[] = ['overloaded', 'quota_exceeded'];

/**
 * Runs it to its end.
 * @throws SimFailure at the first thing that doesn't hold
 */
export function runRandomWorld(seed: number, options: RandomWorldOptions = {}): Promise<RandomWorldReport> {
  return new RandomWorld(seed, options).run();
}

class RandomWorld {
  readonly #seed: number;
  readonly #spec: RandomSpec;
  readonly #world: World;
  readonly #tail: Tail;
  readonly #invariants: Invariants;
  readonly #entries: readonly string[];
  readonly #peers: { readonly node: string; readonly spec: SimNodeSpec; state: 'up' | 'restarting' | 'dead' }[];
  #failure: SimFailure | undefined;
  #failed = 0;

  constructor(seed: number, options: RandomWorldOptions) {
    const spec = randomSpec(seed);
    const name = options.policy ?? 'weft';
    const world = new World({
      seed,
      models: spec.models,
      policy: () => {
        const policy = policyNamed(name);
        if (policy === undefined) throw new RangeError(`There is no policy ${name}.`);
        return policy;
      },
      hedgeShare: options.hedgeShare,
    });
    this.#seed = seed;
    this.#spec = spec;
    this.#world = world;
    this.#tail = new Tail(world, options.onLine);
    this.#invariants = new Invariants({ onBroken: (what) => this.#broken(what) });
    world.onEvent(this.#invariants.watch);
    this.#entries = spec.entries.map((entry) => world.addEntry(entry));
    this.#peers = spec.peers.map((peer) => ({ node: world.addNode(peer), spec: peer, state: 'up' }));
  }

  async run(): Promise<RandomWorldReport> {
    const { clock } = this.#world;
    const { faults, faultsEndMs, live, safety } = this.#spec;
    for (const fault of faults) clock.after(fault.atMs, () => this.#fault(fault));
    this.#ask(safety, ({ ok, code = '' }, asked) => {
      if (!ok && !this.#mayFail(code, asked)) this.#unjust(code, asked);
    });
    await this.#runTo(faultsEndMs + SETTLE_MS);
    await this.#runOut();
    this.#ask(live, ({ ok, code = '' }, asked) => {
      if (!ok) this.#unjust(code, asked);
    });
    await this.#runTo(clock.now() + (live.at(-1)?.atMs ?? 0) + STEP_MS);
    await this.#runOut();
    const endedMs = clock.now();
    await this.#runTo(endedMs + STOP_MS);
    this.#invariants.end();
    if (this.#failure !== undefined) throw this.#failure;
    const { hedges, executions, lastToSilentMs, submitted } = this.#invariants;
    return {
      seed: this.#seed,
      requests: submitted,
      failed: this.#failed,
      hedges,
      executions,
      faults: this.#spec.faults.length,
      lastToSilentMs,
      events: this.#world.events,
      hash: this.#world.eventHash,
      endedMs,
    };
  }

  #ask(requests: readonly Asked[], ended: (outcome: Outcome, asked: Asked) => void): void {
    const { clock } = this.#world;
    for (const asked of requests) {
      clock.after(asked.atMs, () => {
        this.#submit(asked).then(
          (outcome) => {
            if (!outcome.ok) this.#failed++;
            this.#inTime(outcome, asked);
            ended(outcome, asked);
          },
          (error: unknown) => this.#broken(`the request of ${asked.atMs.toFixed(3)} ms met a bug: ${error}`),
        );
      });
    }
  }

  #submit({ deadlineMs, entry, leavesMs, model, priority, workMs }: Asked): Promise<Outcome> {
    const controller = new AbortController();
    if (leavesMs !== undefined) this.#world.clock.after(leavesMs, () => controller.abort());
    return this.#world.submit(this.#entries[entry] as string, model, workMs, {
      priority,
      signal: controller.signal,
      ...(deadlineMs !== undefined && { deadlineMs }),
    });
  }

  #inTime({ latencyMs }: Outcome, { atMs, deadlineMs, leavesMs }: Asked): void {
    const untilMs = Math.min(deadlineMs ?? Number.POSITIVE_INFINITY, leavesMs ?? Number.POSITIVE_INFINITY);
    if (latencyMs <= untilMs + ROUNDING_MS) return;
    this.#broken(`the request of ${atMs.toFixed(3)} ms ended after ${latencyMs} ms, and had ${untilMs}`);
  }

  #mayFail(code: string, { deadlineMs, leavesMs }: Asked): boolean {
    if (leavesMs !== undefined && code === 'cancelled') return true;
    if (deadlineMs !== undefined && DEADLINE_CODES.includes(code)) return true;
    return this.#spec.overloaded && OVERLOAD_CODES.includes(code);
  }

  /** Its entry could have done it all the time. */
  #unjust(code: string, { atMs }: Asked): void {
    this.#broken(`the request of ${atMs.toFixed(3)} ms failed (${code}) while a capable node was there`);
  }

  /** Until everyone has an outcome. */
  async #runOut(): Promise<void> {
    const { clock } = this.#world;
    const untilMs = clock.now() + END_MS;
    while (this.#invariants.open > 0 && clock.now() < untilMs) await this.#runTo(clock.now() + STEP_MS);
    if (this.#invariants.open > 0) this.#broken(`${this.#invariants.open} requests have no end`);
  }

  async #runTo(untilMs: number): Promise<void> {
    const { clock } = this.#world;
    while (clock.now() < untilMs) {
      await clock.run(Math.min(untilMs, clock.now() + STEP_MS));
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  /** The first one counts: what comes after it may follow from it. */
  #broken(what: string): void {
    this.#failure ??= this.#tail.failure(what, this.#seed);
  }

  #fault(fault: Fault): void {
    const world = this.#world;
    if (fault.kind === 'join') {
      this.#peers[fault.peer] = { node: world.addNode(fault.spec), spec: fault.spec, state: 'up' };
      return;
    }
    const peer = this.#peers[fault.peer];
    // What is dead stays so, but its ghost may walk.
    if (peer?.state !== (fault.kind === 'ghost' ? 'dead' : 'up')) return;
    const { node, spec } = peer;
    const later = (untilMs: number, then: () => void): void => {
      world.clock.after(untilMs - fault.atMs, () => {
        if (peer.state !== 'dead') then();
      });
    };
    switch (fault.kind) {
      case 'kill':
      case 'reset':
        peer.state = 'dead';
        this.#invariants.died(node, fault.atMs);
        world[fault.kind](node);
        return;
      case 'ghost':
        world.ghost(node);
        return;
      case 'restart':
        this.#invariants.died(node, fault.atMs);
        peer.state = 'restarting';
        world.restart(node, fault.untilMs - fault.atMs);
        later(fault.untilMs, () => {
          peer.state = 'up';
          this.#invariants.speaks(node);
        });
        return;
      case 'stop':
        this.#invariants.silent(node, fault.atMs);
        world.stop(node);
        later(fault.untilMs, () => {
          this.#invariants.speaks(node);
          world.cont(node);
        });
        return;
      case 'silence':
        this.#invariants.silent(node, fault.atMs);
        world.silence(node);
        later(fault.untilMs, () => {
          this.#invariants.speaks(node);
          world.heal(node);
        });
        return;
      case 'slow':
        world.slow(node, fault.speed);
        later(fault.untilMs, () => world.slow(node, spec.speed));
        return;
      case 'link':
        world.link(node, fault);
        later(fault.untilMs, () => world.link(node, { rttMs: 0, mbit: spec.mbit }));
        return;
      case 'lie':
        world.lie(node, fault.lie);
        later(fault.untilMs, () => world.lie(node, {}));
    }
  }
}
