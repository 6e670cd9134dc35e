// How many copies of a model are in memory, as far as this node can do something about it: load one, fetch one, let its own
// go. Pure: no clock, no randomness, no I/O. Asked every second by the loop that also holds the claims.
import type { ModelState } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { fnv1a } from '../core/fnv1a.ts';
import type { Claim } from './claims.ts';
import {
  DEMAND_FADE_MS,
  HESITATE_LEAVE_MS,
  HESITATE_MS,
  HESITATE_MS_MAX,
  HESITATE_PULL_MS,
  HESITATE_ROOM_MS,
  REPLICA_ADDED_MS,
  REPLICA_AWAY_MS,
  REPLICA_GAIN_SHARE,
  REPLICA_LEAVE_SHARE,
  REPLICA_REQUESTS_MIN,
  REPLICA_STAYS_MS,
  REPLICA_UTILISATION_MAX,
} from './limits.ts';

/** Copies in memory, over the mesh. */
export interface ReplicaBounds {
  readonly min: number;
  /** Infinity = as many as pay. */
  readonly max: number;
}

/** A model takes memory in this state: it is there, or on its way. */
export const isInMemory = (state: ReplicaView['state'] | undefined): boolean =>
  state === 'loaded' || state === 'loading';

/** Fading sums, as those of an advert. */
export interface DemandSum {
  readonly requests: number;
  readonly busyMs: number;
  readonly lostMs: number;
  readonly coldMs: number;
}

/** A model as this node knows it at this moment. */
export interface ReplicaView {
  readonly digest: string;
  readonly bounds: ReplicaBounds;
  /** Here; `away`: its files are not. */
  readonly state: ModelState | 'away';
  /** Milliseconds that it has been in that state. */
  readonly stateMs: number;
  /** It is loaded, nobody uses it now, and no person has pinned it. */
  readonly mayLeave: boolean;
  /** How long the owner lets an idle model stay: so long it has been here at least before it leaves for lack of demand. */
  readonly keepAliveMs: number;
  /** Other nodes that have it in memory or are loading it. */
  readonly copies: readonly NodeId[];
  /** Another node has its files, and could load it. */
  readonly onOtherDisk: boolean;
  /** Since the mesh had a copy more, and one less; Infinity = not seen. */
  readonly addedMs: number;
  readonly leftMs: number;
  /** Since this node let it go for lack of demand; Infinity = never. */
  readonly letGoMs: number;
  /** Of the whole mesh, and of it what came through this node or was computed on it: that alone is no hearsay. */
  readonly demand: DemandSum;
  readonly seenDemand: DemandSum;
  /** Requests computed here, in the same fading sum. */
  readonly computedHere: number;
  /** This node's time for a request over that of the copies. */
  readonly slowness: number;
  readonly loadMs: number;
  /** What it takes in memory, or will. */
  readonly bytes: number;
}

export interface ReplicaSnapshot {
  readonly self: NodeId;
  readonly models: readonly ReplicaView[];
  readonly memoryFreeBytes: number;
}

/** What this node would do with a model, if others leave it to it. */
export interface ReplicaWish {
  readonly kind: 'load' | 'pull' | 'unload';
  readonly digest: string;
  /** Copies that there shall be: no more than this after a load, no fewer after an unload. */
  readonly copies: number;
  /** Models of less worth that leave memory for it, in this order. */
  readonly evict: readonly string[];
  /** What it saves, in milliseconds of waiting; Infinity where a bound asks for it. */
  readonly gainMs: number;
  /** How long it is left to others who suit better. */
  readonly hesitateMs: number;
  /** For people: one sentence. */
  readonly reason: string;
}

/** What this node would do, the most urgent first. */
export function replicaWishes(snapshot: ReplicaSnapshot): readonly ReplicaWish[] {
  return snapshot.models
    .flatMap((view) => leaving(view) ?? coming(view, snapshot) ?? [])
    .sort((a, b) => b.gainMs - a.gainMs || a.hesitateMs - b.hesitateMs);
}

/**
 * Whether a wish may be carried out while others have claims: with those it stays within the copies that it is to end at.
 * @param claims those that count: all before this node claims, those that go before its own afterwards
 */
export function hasRoom(
  wish: Pick<ReplicaWish, 'kind' | 'copies'>,
  view: Pick<ReplicaView, 'copies'>,
  claims: readonly Claim[],
): boolean {
  const { copies } = view;
  if (wish.kind === 'unload') {
    // Whose copy is gone already has nothing left to unload.
    const others = claims.filter(({ kind, node }) => kind === 'unload' && copies.includes(node));
    return copies.length + 1 - others.length > wish.copies;
  }
  const others = claims.filter(({ kind, node }) => kind !== 'unload' && !copies.includes(node));
  return copies.length + others.length < wish.copies;
}

/** Copies of this node that stay in memory whatever their keep-alive says: the bounds need them. */
export function keptReplicas({ self, models }: ReplicaSnapshot): readonly string[] {
  return models
    .filter(({ state, bounds, digest, copies }) => {
      if (bounds.min === 0 || !isInMemory(state)) return false;
      // All agree whose are kept; other models are kept elsewhere.
      const before = copies.filter((node) => placeOf(node, digest) < placeOf(self, digest));
      return before.length < bounds.min;
    })
    .map(({ digest }) => digest);
}

/** Unload, or nothing. */
function leaving(view: ReplicaView): ReplicaWish | undefined {
  const { digest, bounds, copies, mayLeave, stateMs, addedMs, leftMs, demand, computedHere, keepAliveMs } = view;
  if (view.state !== 'loaded' || !mayLeave) return undefined;
  const total = copies.length + 1;
  const share = Math.min(1, computedHere / Math.max(1, demand.requests));
  const wish = { kind: 'unload', digest, evict: [], hesitateMs: share * HESITATE_LEAVE_MS } as const;
  if (total > bounds.max) {
    const reason = `${total} copies are in memory, ${bounds.max} are wanted at most`;
    return { ...wish, copies: bounds.max, gainMs: Number.POSITIVE_INFINITY, reason };
  }
  const least = Math.max(bounds.min, 1);
  const hasSettled = Math.min(stateMs, addedMs, leftMs) >= REPLICA_STAYS_MS && stateMs >= keepAliveMs;
  if (total <= least || keepAliveMs === Number.POSITIVE_INFINITY || !hasSettled) return undefined;
  const regainMs = Math.max(queuedIn(demand), lostWith(total - 1, demand)) / total;
  if (!(regainMs <= REPLICA_LEAVE_SHARE * view.loadMs)) return undefined;
  const reason = `${total - 1} of ${total} copies answer the demand with ${seconds(regainMs * total)} of waiting`;
  return { ...wish, copies: total - 1, gainMs: 0, reason };
}

/** Load or pull, or nothing. */
function coming(view: ReplicaView, snapshot: ReplicaSnapshot): ReplicaWish | undefined {
  const { digest, bounds, copies, demand, seenDemand, loadMs, state } = view;
  const total = copies.length;
  const kind = state === 'disk' ? 'load' : state === 'away' && !view.onOtherDisk ? 'pull' : undefined;
  if (kind === undefined) return undefined;
  if (total < bounds.min) {
    const evict = roomFor(view, snapshot, loadMs);
    if (evict === undefined) return undefined;
    const reason = `${total} copies are in memory, ${bounds.min} are wanted at least`;
    const hesitateMs = hesitation(view, kind, evict);
    return { kind, digest, copies: bounds.min, evict, gainMs: Number.POSITIVE_INFINITY, hesitateMs, reason };
  }
  // What demand alone fetches is decided with the price of the fetch: see bring.ts.
  if (kind === 'pull' || total >= bounds.max) return undefined;
  if (view.addedMs < REPLICA_ADDED_MS || view.letGoMs < REPLICA_AWAY_MS) return undefined;
  if (demand.requests < REPLICA_REQUESTS_MIN) return undefined;
  const costMs = loadMs * (1 + REPLICA_GAIN_SHARE);
  const gainMs = gainOf(view, demand) - costMs;
  if (!(gainMs >= 0)) return undefined;
  const evict = roomFor(view, snapshot, (gainOf(view, seenDemand) - costMs) / (1 + REPLICA_GAIN_SHARE));
  if (evict === undefined) return undefined;
  const reason = `requests wait ${seconds(demand.lostMs)} for ${total} copies, a load takes ${seconds(loadMs)}`;
  return { kind, digest, copies: total + 1, evict, gainMs, hesitateMs: hesitation(view, kind, evict), reason };
}

/**
 * Milliseconds of waiting that one more copy saves, over as much demand as was seen: its share of the requests waits no
 * more, but is computed at this node's speed. That the others wait less as well is left out.
 */
function gainOf({ copies, slowness }: ReplicaView, demand: DemandSum): number {
  const slowerMs = demand.busyMs * Math.max(0, slowness - 1);
  // Where a copy is in memory, waits for its load are over.
  const lostMs = copies.length > 0 ? queuedIn(demand) : demand.lostMs;
  return demand.requests > 0 ? Math.max(0, lostMs - slowerMs) / (copies.length + 1) : 0;
}

const queuedIn = ({ lostMs, coldMs }: DemandSum): number => Math.max(0, lostMs - coldMs);

/** Waiting that is to be expected with so many copies: that of one queue before each, with requests that come at random. */
function lostWith(copies: number, { busyMs }: DemandSum): number {
  const windowMs = DEMAND_FADE_MS / Math.LN2;
  const utilisation = busyMs / (windowMs * copies);
  return utilisation < REPLICA_UTILISATION_MAX ? (busyMs * utilisation) / (1 - utilisation) : Number.POSITIVE_INFINITY;
}

/**
 * Idle models that leave for it, the least valuable first; undefined where what is free and what may leave are too little,
 * or those that would have to leave are worth more. A model that has just come stays.
 */
function roomFor(view: ReplicaView, snapshot: ReplicaSnapshot, worthMsMax: number): readonly string[] | undefined {
  let missing = view.bytes - snapshot.memoryFreeBytes;
  let worthMs = 0;
  const evict: string[] = [];
  const movable = snapshot.models
    .filter(({ digest, mayLeave, stateMs, state }) => {
      return digest !== view.digest && state === 'loaded' && mayLeave && stateMs >= REPLICA_STAYS_MS;
    })
    // A copy that the bounds ask for is never one that may leave.
    .filter(({ bounds, copies }) => copies.length >= bounds.min)
    .sort((a, b) => worthOf(a) - worthOf(b));
  for (const other of movable) {
    if (missing <= 0) break;
    missing -= other.bytes;
    worthMs += worthOf(other);
    evict.push(other.digest);
  }
  return missing <= 0 && (evict.length === 0 || worthMs <= worthMsMax) ? evict : undefined;
}

/** Milliseconds that requests would lose if it were not in memory here. */
const worthOf = ({ computedHere, loadMs }: ReplicaView): number => computedHere * loadMs;

function hesitation({ slowness }: ReplicaView, kind: 'load' | 'pull', evict: readonly string[]): number {
  const slow = HESITATE_MS * Math.max(0, slowness);
  const room = evict.length > 0 ? HESITATE_ROOM_MS : 0;
  return Math.min(slow + room, HESITATE_MS_MAX) + (kind === 'pull' ? HESITATE_PULL_MS : 0);
}

/** A number for each node and model that every node computes alike. */
const placeOf = (node: NodeId, digest: string): number => fnv1a(`${digest} ${node}`);

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
