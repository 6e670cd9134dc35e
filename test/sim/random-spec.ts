// What happens in a random world, drawn from its seed before anything runs: nodes, models, requests, and faults of every
// kind that a world knows. Pure. Called by random worlds.
import type { Priority } from '../../node/core/engine.ts';
import { type Arrival, arrivalsOf } from './arrivals.ts';
import { Draws } from './draws.ts';
import type { SimModel } from './sim-models.ts';
import type { Lie, SimNodeSpec } from './sim-node.ts';

/** What happens to one peer: until `untilMs` where it has an end. `ghost`: its last word from before its end is heard again. */
export type Fault = { readonly atMs: number; readonly peer: number } & (
  | { readonly kind: 'kill' | 'reset' | 'ghost' }
  | { readonly kind: 'silence' | 'stop' | 'restart'; readonly untilMs: number }
  | { readonly kind: 'slow'; readonly untilMs: number; readonly speed: number }
  | { readonly kind: 'link'; readonly untilMs: number; readonly rttMs: number; readonly mbit: number }
  | { readonly kind: 'lie'; readonly untilMs: number; readonly lie: Lie }
  | { readonly kind: 'join'; readonly spec: SimNodeSpec }
);

/** A request, and what its app wants beside the answer. */
export interface Asked extends Arrival {
  readonly priority: Priority;
  /** Milliseconds from its arrival. */
  readonly deadlineMs?: number;
  /** The app leaves after so many milliseconds. */
  readonly leavesMs?: number;
}

export interface RandomSpec {
  readonly models: readonly SimModel[];
  /** Every entry has every model: while it is there, a capable node is. */
  readonly entries: readonly SimNodeSpec[];
  readonly peers: readonly SimNodeSpec[];
  /** In order of time; each has an end by `faultsEndMs`, death left out. */
  readonly faults: readonly Fault[];
  readonly faultsEndMs: number;
  /** More comes in than all could do: some may be refused. */
  readonly overloaded: boolean;
  /** While faults happen. */
  readonly safety: readonly Asked[];
  /** Afterwards, counted from the beginning of the liveness phase: every one of these must succeed. */
  readonly live: readonly Asked[];
}

const FAULTS_MS = 12_000;
const LIVE_MS = 4_000;

/** Requests of a phase: enough to meet its faults, few enough for hundreds of worlds in a test. */
const SAFETY_REQUESTS = 240;
const LIVE_REQUESTS = 80;

/** A phase has its requests in so many bursts. */
const BURSTS = 8;

const DAY_MS = 86_400_000;

const PEERS_MIN = 2;
const PEERS_MAX = 7;

export function randomSpec(seed: number): RandomSpec {
  const draws = new Draws(seed, 'random world');
  const models = Array.from({ length: draws.between(1, 3) }, (_, index) => modelOf(index, draws));
  const entries = Array.from({ length: draws.between(1, 3) }, (_, index) => entryOf(index, models, draws));
  const peers = Array.from({ length: draws.between(PEERS_MIN, PEERS_MAX) }, (_, index) =>
    peerOf(`peer-${index}`, models, draws),
  );
  const overloaded = draws.chance(0.15);
  const capacityRps = rateOf(models, entries);
  const rps = overloaded ? 2 * rateOf(models, [...entries, ...peers]) : 0.6 * capacityRps;
  return {
    models,
    entries,
    peers,
    faults: faultsOf(peers.length, models, draws),
    faultsEndMs: FAULTS_MS,
    overloaded,
    safety: [...asked(seed, models, entries, { ms: FAULTS_MS, rps, max: SAFETY_REQUESTS })],
    live: [...asked(-seed, models, entries, { ms: LIVE_MS, rps: 0.6 * capacityRps, max: LIVE_REQUESTS })].map(
      ({ deadlineMs: _deadline, leavesMs: _leaves, ...patient }) => patient,
    ),
  };
}

function* asked(
  seed: number,
  models: readonly SimModel[],
  entries: readonly SimNodeSpec[],
  { ms, rps, max }: { readonly ms: number; readonly rps: number; readonly max: number },
): Generator<Asked, void> {
  const draws = new Draws(seed, 'apps');
  // Where more would come than a world has time for, it comes as fast, for a shorter time.
  const toS = Math.min(ms, (max * 1_000) / rps) / 1_000;
  const workload = {
    entries: entries.length,
    models: Object.fromEntries(models.map((model) => [model.id, model])),
    mix: Object.fromEntries(models.map(({ id }) => [id, 1 / models.length])),
    arrivals: [{ fromS: 0, toS, rps }],
  };
  // Spread over the whole phase in bursts, so that every fault meets some.
  const stretch = ms / 1_000 / toS;
  for (const arrival of arrivalsOf(workload, seed)) {
    const burst = Math.floor((arrival.atMs * BURSTS) / (toS * 1_000));
    const atMs = arrival.atMs + ((stretch - 1) * burst * toS * 1_000) / BURSTS;
    yield {
      ...arrival,
      atMs,
      priority: draws.chance(0.2) ? 'batch' : 'interactive',
      ...(draws.chance(0.1) && { deadlineMs: Math.exp(draws.within(Math.log(20), Math.log(5_000))) }),
      ...(draws.chance(0.05) && { leavesMs: Math.exp(draws.within(0, Math.log(2_000))) }),
    };
  }
}

function modelOf(index: number, draws: Draws): SimModel {
  return {
    id: `model-${index}`,
    workMs: { median: Math.exp(draws.within(Math.log(5), Math.log(300))), sigma: draws.within(0, 1) },
    inBytes: Math.round(Math.exp(draws.within(Math.log(100), Math.log(200_000)))),
    outBytes: Math.round(Math.exp(draws.within(Math.log(100), Math.log(50_000)))),
    loadMs: draws.within(100, 1_500),
    memoryMb: draws.between(100, 600),
  };
}

function entryOf(index: number, models: readonly SimModel[], draws: Draws): SimNodeSpec {
  return {
    name: `entry-${index}`,
    speed: draws.pick([0.5, 1, 2]),
    slots: draws.between(1, 2),
    rttMs: [0, 0],
    mbit: 1_000,
    memoryMb: 4_000,
    loaded: models.map(({ id }) => id),
    disk: [],
  };
}

function peerOf(name: string, models: readonly SimModel[], draws: Draws): SimNodeSpec {
  const far = draws.chance(0.3);
  const loaded: string[] = [];
  const disk: string[] = [];
  for (const { id } of models) {
    const drawn = draws.next();
    if (drawn < 0.6) loaded.push(id);
    else if (drawn < 0.85) disk.push(id);
  }
  const most = Math.max(...models.map(({ memoryMb }) => memoryMb));
  const needed = models.filter(({ id }) => loaded.includes(id)).reduce((sum, { memoryMb }) => sum + memoryMb, 0);
  return {
    name,
    speed: draws.pick([0.25, 0.5, 1, 1, 2, 4]),
    slots: draws.between(1, 3),
    rttMs: far ? [20, 100] : [1, 5],
    mbit: far ? draws.pick([10, 50, 100]) : 1_000,
    memoryMb: Math.max(most, needed) + draws.pick([0, 300]),
    loaded,
    disk,
    clockMs: draws.chance(0.2) ? draws.within(-DAY_MS, DAY_MS) : 0,
  };
}

/** What these could do at once, the models asked for alike. */
function rateOf(models: readonly SimModel[], nodes: readonly SimNodeSpec[]): number {
  const meanMs =
    models.reduce((sum, { workMs }) => sum + workMs.median * Math.exp(workMs.sigma ** 2 / 2), 0) / models.length;
  return (nodes.reduce((sum, { speed, slots }) => sum + speed * slots, 0) * 1_000) / meanMs;
}

/** One of them is drawn; some are drawn more often than others. */
const KINDS = [
  'kill',
  'reset',
  'restart',
  'ghost',
  'silence',
  'stop',
  'slow',
  'slow',
  'link',
  'link',
  'lie',
  'join',
] as const;

const LIES: readonly Lie[] = [
  { claim: 0.01 },
  { claim: 0.01, idle: true },
  { idle: true },
  { claim: 100 },
  { takesAll: true },
  { declinesAll: true },
  { mute: true },
];

function faultsOf(peers: number, models: readonly SimModel[], draws: Draws): readonly Fault[] {
  const faults: Fault[] = [];
  let count = peers;
  for (let atMs = draws.within(200, 2_000); atMs < FAULTS_MS; atMs += draws.exponential(1_200)) {
    const at = { atMs, peer: draws.between(0, count - 1) };
    const untilMs = Math.min(atMs + draws.within(100, 5_000), FAULTS_MS);
    const kind = draws.pick(KINDS);
    switch (kind) {
      case 'join':
        faults.push({ ...at, kind, peer: count, spec: peerOf(`peer-${count++}`, models, draws) });
        break;
      case 'slow':
        faults.push({ ...at, kind, untilMs, speed: draws.pick([0.01, 0.1, 0.5]) });
        break;
      case 'link':
        faults.push({ ...at, kind, untilMs, rttMs: draws.pick([50, 200, 1_000]), mbit: draws.pick([1, 5, 50]) });
        break;
      case 'lie':
        faults.push({ ...at, kind, untilMs, lie: draws.pick(LIES) });
        break;
      case 'silence':
      case 'stop':
      case 'restart':
        faults.push({ ...at, kind, untilMs });
        break;
      default:
        faults.push({ ...at, kind });
    }
  }
  return faults;
}
