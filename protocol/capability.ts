// What a node tells the others about itself. Measured values are the teller's; receivers check them against their own.
import type { ModelRef, NodeId } from './ids.ts';

/** Something that can execute a graph. */
export interface Device {
  readonly kind: 'cpu' | 'webgpu' | 'cuda' | 'coreml' | 'dml';
  readonly name: string;
  /** Memory that models on it share, in bytes. */
  readonly memoryBytes: number;
}

export interface Hardware {
  readonly platform: string;
  readonly arch: string;
  readonly cpuModel: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly devices: readonly Device[];
}

/** Time of warm requests as `fixed + perToken · tokens (+ decode · output tokens)`; 0 samples = not measured yet. */
export interface ServiceProfile {
  readonly fixedMs: number;
  readonly perTokenMs: number;
  readonly decodeMs: number;
  readonly loadMs: number;
  readonly samples: number;
  /** Milliseconds of one step (or run) with so many sequences (or rows) at once, by size. @default not measured */
  readonly batch?: readonly BatchPoint[];
}

export interface BatchPoint {
  readonly size: number;
  readonly ms: number;
}

export type ModelTask =
  | 'text-generation'
  | 'feature-extraction'
  | 'text-ranking'
  | 'automatic-speech-recognition'
  | 'tensor';
export type ModelState = 'disk' | 'loading' | 'loaded' | 'quarantined';

/** A model that a node is ready to run. */
export interface ModelOffer {
  readonly model: ModelRef;
  readonly task: ModelTask;
  readonly state: ModelState;
  /** Most tokens of a sequence. */
  readonly contextLength: number;
  /** Length of an embedding; 0 for other tasks. */
  readonly dimensions: number;
  readonly sizeBytes: number;
  readonly profile: ServiceProfile;
  /** Short names, such as `smollm2`. */
  readonly aliases: readonly string[];
  /** How the weights are stored: `q4`, `int8`, …: which form of the model it is. @default not told */
  readonly precision?: string;
}

/** A model whose files lie on a node that doesn't offer it: not run there, or not whole yet. */
export interface HeldModel {
  readonly model: ModelRef;
  readonly sizeBytes: number;
  /** Of them, verified and there. */
  readonly heldBytes: number;
}

/**
 * What a node is about to do with a model, or does: others leave that to it. A lease: it is void when its owner is gone, or
 * when it is older than such things take.
 */
export interface ModelIntent {
  readonly digest: string;
  /** `load`: into memory, from this disk. `pull`: onto this disk. `unload`: out of memory. */
  readonly kind: 'load' | 'pull' | 'unload';
  /** Milliseconds from its making to this advert: an age, because clocks differ. */
  readonly sinceMs: number;
}

/** Requests for a model that were placed through a node: sums in which each counts half as much 30 s later. */
export interface ModelDemand {
  readonly digest: string;
  readonly requests: number;
  /** Milliseconds that they were computed. */
  readonly busyMs: number;
  /** Milliseconds that they waited in queues and for loads. */
  readonly lostMs: number;
  /** Of lostMs: for the model's own loads. */
  readonly coldMs: number;
}

/** Why a node would rather have others do the work: it runs on its battery, or its owner works at it. */
export const YIELD_REASONS = ['battery', 'owner'] as const;
export type YieldReason = (typeof YIELD_REASONS)[number];

/**
 * Why a node computes nothing for others, and offers them nothing: its owner lends it to nobody, or has paused that. Of
 * two reasons the lasting one counts, which comes first. What moved the owner is nobody's business.
 */
export const WITHHELD = ['unlent', 'paused'] as const;
export type Withheld = (typeof WITHHELD)[number];

/** What a node says of both to others. */
export const TOLD_REASONS = [...YIELD_REASONS, ...WITHHELD] as const;
export type ToldReason = (typeof TOLD_REASONS)[number];

/** Fresh on every answer. */
export interface Load {
  readonly requestsInFlight: number;
  /** Predicted time until interactive work that arrives now begins: batch work waits longer. */
  readonly queuedMs: number;
  /** Median of recent service times near this load; 0 = none seen. */
  readonly latencyMs: number;
  readonly memoryFreeBytes: number;
}

/** Everything that a node publishes. A later (incarnation, sequence) replaces an earlier one. */
export interface Advert {
  readonly node: NodeId;
  readonly name: string;
  readonly version: string;
  /** Milliseconds since 1970 at the node's start. */
  readonly incarnation: number;
  readonly sequence: number;
  /** Multiaddrs at which the node can be dialled. */
  readonly addresses: readonly string[];
  readonly hardware: Hardware;
  readonly offers: readonly ModelOffer[];
  readonly load: Load;
  /** @default none */
  readonly held?: readonly HeldModel[];
  /** @default none */
  readonly intents?: readonly ModelIntent[];
  /** @default none */
  readonly demand?: readonly ModelDemand[];
  /** It still does what nobody else can. @default none */
  readonly yields?: readonly ToldReason[];
  /** Of which graphs it takes parts: none, or those whose files it has. @default of any: it fetches what it needs */
  readonly parts?: 'none' | 'held';
  /** Who may manage it from a node of their own: admins of the mesh, or nobody. @default nobody: its version can't be */
  readonly managed?: Managed;
}

/** Why a node takes no work of others, by its own word; undefined where it takes some. */
export function withheldBy({ yields }: Pick<Advert, 'yields'>): Withheld | undefined {
  return yields === undefined ? undefined : WITHHELD.find((reason) => yields.includes(reason));
}

/** Whose word a node takes as its owner's. */
export const MANAGED = ['admins', 'none'] as const;
export type Managed = (typeof MANAGED)[number];

/** True when `a` replaces `b`. */
export function isNewer(
  a: Pick<Advert, 'incarnation' | 'sequence'>,
  b: Pick<Advert, 'incarnation' | 'sequence'>,
): boolean {
  return a.incarnation > b.incarnation || (a.incarnation === b.incarnation && a.sequence > b.sequence);
}
