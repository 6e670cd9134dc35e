// Takes the node's pulse: every second while somebody watches, and every 5 seconds for the plots of the last hour. Between
// two pulses it only counts the requests that end.
import type { RequestChange } from '../../protocol/api/control.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Dispatcher } from '../core/dispatcher.ts';
import type { LocalEngine } from '../core/engine.ts';
import type { Events } from '../core/events.ts';
import type { Mesh, PeerRecord } from '../core/mesh.ts';
import type { Gauges, PeerPulse, Pulse, Pulses } from '../core/pulse.ts';

export interface PulseMonitorComponents {
  readonly clock: Clock;
  readonly events: Pick<Events, 'subscribe'>;
  readonly mesh: Pick<Mesh, 'self' | 'peers'>;
  readonly engine: Pick<LocalEngine, 'load' | 'loaded'>;
  readonly dispatcher: Pick<Dispatcher, 'inFlight'>;
}

/** Between two pulses for watchers, and two of the history. */
const LIVE_MS = 1_000;
const STEP_MS = 5_000;

/** An hour. */
const HISTORY_MAX = 720;

/** Peers in a pulse, and in one that is kept: 720 of them take some 3 MB. */
const PEERS_MAX = 256;
const KEPT_PEERS_MAX = 32;

/** What percentiles are made of: requests of the last minute, or as many as 30 a second make. */
const SAMPLES_MS = 60_000;
const SAMPLES_MAX = 2_048;

interface Sample {
  readonly atMs: number;
  readonly durationMs: number;
  readonly ttftMs: number | undefined;
}

interface Ended {
  local: number;
  remote: number;
}

export class PulseMonitor implements Pulses {
  readonly stepMs = STEP_MS;
  readonly #components: PulseMonitorComponents;
  /** Oldest first. */
  readonly #kept: Pulse[] = [];
  readonly #watchers = new Set<{ readonly call: (pulse: Pulse) => void }>();
  #samples: Sample[] = [];
  #sinceLive: Ended = { local: 0, remote: 0 };
  #sinceKept: Ended = { local: 0, remote: 0 };
  #nextKeptMs = 0;
  #timer: Timer | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(components: PulseMonitorComponents) {
    this.#components = components;
  }

  start(): void {
    const { clock, events } = this.#components;
    this.#unsubscribe = events.subscribe(({ type, data }) => {
      if (type === 'request') this.#requestChanged(data as RequestChange);
    });
    this.#nextKeptMs = clock.now() + STEP_MS;
    this.#wait();
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  history(): readonly Pulse[] {
    return [...this.#kept];
  }

  watch(listener: (pulse: Pulse) => void): () => void {
    const watcher = { call: listener };
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) {
      this.#sinceLive = { local: 0, remote: 0 };
      this.#wait();
    }
    return () => {
      // The timer goes back to the longer step by itself.
      this.#watchers.delete(watcher);
    };
  }

  /** Until the next pulse that somebody needs. */
  #wait(): void {
    if (this.#unsubscribe === undefined) return;
    const { clock } = this.#components;
    const untilKeptMs = Math.max(0, this.#nextKeptMs - clock.now());
    this.#timer?.cancel();
    this.#timer = clock.after(this.#watchers.size > 0 ? LIVE_MS : untilKeptMs, () => this.#beat());
  }

  #beat(): void {
    const { clock } = this.#components;
    const nowMs = clock.now();
    const base = this.#read();
    if (nowMs >= this.#nextKeptMs) {
      this.#kept.push({
        ...base,
        self: { ...base.self, ...this.#sinceKept },
        peers: base.peers.slice(0, KEPT_PEERS_MAX),
      });
      if (this.#kept.length > HISTORY_MAX) this.#kept.shift();
      this.#sinceKept = { local: 0, remote: 0 };
      // A machine that slept doesn't make up for what it missed.
      this.#nextKeptMs = Math.max(this.#nextKeptMs + STEP_MS, nowMs + LIVE_MS);
    }
    if (this.#watchers.size > 0) {
      const live = { ...base, self: { ...base.self, ...this.#sinceLive } };
      this.#sinceLive = { local: 0, remote: 0 };
      for (const { call } of [...this.#watchers]) call(live);
    }
    this.#wait();
  }

  #read(): Pulse {
    const { clock, engine, dispatcher, mesh } = this.#components;
    const { queuedMs, memoryFreeBytes } = engine.load();
    const loaded = engine.loaded();
    const self: Gauges = {
      requestsInFlight: dispatcher.inFlight(),
      queuedMs: rounded(queuedMs),
      memoryFreeBytes,
      memoryUsedBytes: loaded.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
      tokensPerSecond: rounded(loaded.reduce((sum, { generation }) => sum + (generation?.tokensPerS ?? 0), 0)),
      ...this.#percentiles(),
      local: 0,
      remote: 0,
    };
    const peers = mesh.peers().filter(({ state }) => state !== 'gone');
    return { atMs: clock.wallNow(), self, peers: peers.slice(0, PEERS_MAX).map(peerPulse) };
  }

  #percentiles(): Partial<Gauges> {
    const sinceMs = this.#components.clock.now() - SAMPLES_MS;
    this.#samples = this.#samples.filter(({ atMs }) => atMs > sinceMs);
    const durations = sorted(this.#samples.map(({ durationMs }) => durationMs));
    const ttfts = sorted(this.#samples.flatMap(({ ttftMs }) => (ttftMs === undefined ? [] : [ttftMs])));
    return {
      ...(ttfts.length > 0 && { ttftMsP50: percentile(ttfts, 0.5), ttftMsP95: percentile(ttfts, 0.95) }),
      ...(durations.length > 0 && {
        durationMsP50: percentile(durations, 0.5),
        durationMsP95: percentile(durations, 0.95),
      }),
    };
  }

  #requestChanged({ phase, caller, status, nodes = [], durationMs, ttftMs }: RequestChange): void {
    // A peer's request counts where its client is.
    if (phase !== 'ended' || caller !== undefined) return;
    if (nodes.length > 0) {
      const where = nodes.every((node) => node === this.#components.mesh.self) ? 'local' : 'remote';
      this.#sinceLive[where] += 1;
      this.#sinceKept[where] += 1;
    }
    if (status !== 'ok' || durationMs === undefined) return;
    this.#samples.push({ atMs: this.#components.clock.now(), durationMs, ttftMs });
    if (this.#samples.length > 2 * SAMPLES_MAX) this.#samples = this.#samples.slice(-SAMPLES_MAX);
  }
}

function peerPulse({ advert, link, load }: PeerRecord): PeerPulse {
  const { rttMs, goodputBytesPerSecond } = link;
  return {
    node: advert.node,
    ...(rttMs !== undefined && { rttMs: rounded(rttMs) }),
    ...(goodputBytesPerSecond !== undefined && { goodputBytesPerSecond: Math.round(goodputBytesPerSecond) }),
    load,
  };
}

const sorted = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b);

/** Nearest rank. */
function percentile(ascending: readonly number[], share: number): number {
  return rounded(ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)] ?? 0);
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
