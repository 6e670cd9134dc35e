// What the node's owner can see and do: the control API's port, implemented by the composition root.
import type { Hardware, Load, ModelOffer, ModelTask, Withheld } from '../../protocol/capability.ts';
import type { CutTable } from '../../protocol/cut-table.ts';
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type { Plan, WholePlan } from '../../protocol/plan.ts';
import type { LoadedModel } from './engine.ts';
import type { Events } from './events.ts';
import type { Library } from './library.ts';
import type { LinkEstimate } from './mesh.ts';
import type { ProfileReport } from './profile.ts';
import type { Pulses } from './pulse.ts';
import type { Measured, TraceRecord } from './trace.ts';
import type { Invitation, Member, OpenInvitation } from './trust.ts';

export interface NodeStatus {
  readonly node: NodeId;
  readonly name: string;
  readonly version: string;
  readonly mesh: string;
  readonly role: string;
  readonly api: string;
  readonly addresses: readonly string[];
  readonly home: string;
  readonly offer: 'all' | 'none' | readonly string[];
  readonly members: number;
  readonly peersConnected: number;
  readonly requestsInFlight: number;
  readonly uptimeSeconds: number;
  readonly hardware: Hardware;
  /** As peers hear of it. */
  readonly load: Load;
}

export interface PeerStatus {
  readonly node: NodeId;
  readonly name: string;
  readonly state: 'connected' | 'suspect' | 'gone';
  readonly version: string;
  readonly hardware: Hardware | undefined;
  readonly offers: readonly ModelOffer[];
  readonly load: Load | undefined;
  readonly link: LinkEstimate | undefined;
  readonly heardAgoMs: number | undefined;
  /** Why it takes no work of others; undefined where it does, and of one that is gone: it may come back otherwise. */
  readonly withheld: Withheld | undefined;
  /** This device is an admin of the mesh, and the peer takes an admin's word as its owner's. */
  readonly manageable: boolean;
}

/** A model that is installed here, for `weft show`. */
export interface ModelDetails {
  readonly id: string;
  readonly digest: string;
  readonly aliases: readonly string[];
  readonly task: ModelTask;
  readonly licence: string | undefined;
  readonly contextLength: number;
  readonly dimensions: number;
  readonly sizeBytes: number;
  /** Came with Weft: `weft rm` leaves it alone. */
  readonly bundled: boolean;
  readonly offered: boolean;
  readonly files: readonly { readonly path: string; readonly sizeBytes: number; readonly sha256: string }[];
  readonly inputs: readonly TensorPort[];
  readonly outputs: readonly TensorPort[];
  /** Of text generators, once they have been loaded: as in GenerationStatus. */
  readonly decoder: 'rewritten' | 'plain' | undefined;
  readonly decoderReason: string | undefined;
  /** Where it is offered. */
  readonly profile: ProfileReport | undefined;
}

/** -1 or a name stands for a dimension that each request chooses. */
export interface TensorPort {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | string)[];
}

/** A setting with its value, and where that came from. */
export interface SettingReport {
  readonly name: string;
  /** As a person would write it; secrets are never shown. */
  readonly value: unknown;
  readonly source: 'flag' | 'environment' | 'file' | 'default';
  readonly flag: string;
  readonly env: string;
  readonly expected: string;
  /** What the file says now, where that differs and is taken over at the next start. */
  readonly pending?: unknown;
  /** A change in the file is taken over by a running daemon. */
  readonly live: boolean;
  /** Only this node's own API changes it, never another node's. Absent of all others. */
  readonly local?: true;
}

export interface ConfigReport {
  readonly file: string;
  /** What is wrong with the file; the node keeps the values that it had. Absent where nothing is. */
  readonly problem?: string;
  readonly settings: readonly SettingReport[];
}

/** What this node does for other members: all that its settings allow, or nothing. */
export interface Sharing {
  readonly paused: boolean;
  /** It computes for them: not paused, and its settings allow it. */
  readonly lends: boolean;
}

/** One check of `weft doctor`. */
export interface DoctorCheck {
  /** Layer, in the order in which they stand on each other, such as `runtime`, `disk`, `ports`, `mdns`, `peer`. */
  readonly layer: string;
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'failed' | 'skipped';
  /** What was found, in one line. */
  readonly detail: string;
  /** What to do; absent where nothing needs doing. */
  readonly remedy?: string;
}

export interface DoctorReport {
  readonly ok: boolean;
  readonly checks: readonly DoctorCheck[];
}

export interface LogLine {
  readonly atMs: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A model that is in memory now. */
export interface LoadOutcome {
  readonly id: string;
  /** It was there before. */
  readonly wasLoaded: boolean;
  readonly pinned: boolean;
  readonly provider: string;
  /** All that is reserved for it. */
  readonly residentBytes: number;
}

/** A plan in words, and what it means for a deadline. */
export interface PlanExplanation {
  /** The choice first, then what it beat and who can't, each with the reason. */
  readonly lines: readonly string[];
  /** A request with this deadline would be refused, with these figures in milliseconds. */
  readonly unmeetable: { readonly quotedMs: number; readonly retryAfterMs: number } | undefined;
}

/** A decision of an earlier request, made again on what was known then. */
export interface ReplayedPlacement {
  /** Milliseconds since the request began. */
  readonly atMs: number;
  readonly old: Plan;
  /** What became of it, by part. */
  readonly measured: Measured;
  /** What the policy chooses; undefined where it finds nobody, or nothing is kept of what was known. */
  readonly new: Plan | undefined;
  /** Why there is no choice. */
  readonly reason: string | undefined;
  /** The new choice in words. */
  readonly explanation: readonly string[];
}

export interface ReplayedRequest {
  readonly requestId: RequestId;
  readonly model: string | undefined;
  readonly status: TraceRecord['status'];
  readonly durationMs: number;
  /** Name of the policy that decided again. */
  readonly policy: string;
  readonly placements: readonly ReplayedPlacement[];
}

export interface NodeControl {
  /** What happens here, for watchers. */
  readonly events: Events;
  /** How it is doing, for plots. */
  readonly pulses: Pulses;
  /** The models of this node's disk, and how more of them get there. */
  readonly library: Library;
  status(): NodeStatus;
  /** Every member but this node, the unreachable ones included. */
  peers(): readonly PeerStatus[];
  members(): readonly Member[];
  loaded(): readonly LoadedModel[];
  /** @param name hub id or short name of an installed model @throws WeftError `model_not_found` */
  model(name: string): ModelDetails;
  /**
   * Loads a model that nobody asks for yet, and keeps it if it is to be pinned: until it is unloaded, or the node ends.
   * @throws WeftError `model_not_found`, or why it can't be loaded
   */
  load(name: string, options: { readonly pin: boolean; readonly signal: AbortSignal }): Promise<LoadOutcome>;
  /** Frees a model's memory. @returns its hub id, and whether it was loaded @throws WeftError `model_not_found` */
  unload(name: string): Promise<{ readonly id: string; readonly wasLoaded: boolean }>;
  /** Deletes an installed model's files. @throws WeftError `model_not_found`, or `forbidden` for a bundled one */
  remove(name: string): Promise<{ readonly id: string; readonly freedBytes: number }>;
  /** Newest first. */
  requests(): readonly TraceRecord[];
  request(id: RequestId): TraceRecord | undefined;
  /**
   * Where an installed model's graph can be cut; measured now where that isn't known.
   * @throws WeftError `model_not_found`, `unsupported`, or what measuring it fails with
   */
  cuts(name: string, options: { readonly again: boolean; readonly signal: AbortSignal }): Promise<CutTable>;
  /** @param leftMs until the answer must be there; undefined = no deadline */
  explain(plan: WholePlan, leftMs: number | undefined): PlanExplanation;
  /**
   * Decides an earlier request again, under another policy or as today's code would.
   * @param policy name of a routing policy; undefined = Weft's own
   * @throws WeftError `not_found` for a request that isn't kept, `bad_request` for a policy that there isn't
   */
  replay(id: RequestId, policy: string | undefined): ReplayedRequest;
  /** The last lines of the log, oldest first, whatever level is printed. */
  logs(filter: { readonly level?: LogLine['level']; readonly limit: number }): readonly LogLine[];
  config(): ConfigReport;
  /**
   * Changes settings.json, whole or not at all; null removes a setting. What may change while the node runs does at once.
   * @throws WeftError `config_invalid`
   */
  configure(changes: Readonly<Record<string, unknown>>): Promise<ConfigReport>;
  /** Whether anything is done here for other members. */
  sharing(): Sharing;
  /** Pauses or resumes that, until the node's next start. This node's own requests go on as ever. */
  setSharing(sharing: Pick<Sharing, 'paused'>): Sharing;
  doctor(signal: AbortSignal): Promise<DoctorReport>;
  /** A new API key for the next requests; the old one is worthless. @throws WeftError `config_invalid` when it was set by flag or environment */
  newKey(): Promise<{ readonly key: string }>;
  /** Asks the node to stop, soon: the answer goes out first. */
  stop(): void;
  /** As {@link stop}, and to begin anew with the same command line. */
  restart(): void;
  /** Signs a member out of the mesh. @param member node id or name @throws WeftError `forbidden`, `not_found` */
  revoke(member: string, reason: string): Promise<Member>;
  invite(init: { readonly ttlMs: number }): Promise<Invitation>;
  /** Invitations of this node that could still be used. */
  invitations(): readonly OpenInvitation[];
  /** @throws WeftError `not_found` for one that isn't open */
  cancelInvitation(id: string): Promise<void>;
  /** @throws WeftError `ticket_invalid`, `ticket_expired`, `join_refused`, `already_member` or `peer_unreachable` */
  join(ticket: string): Promise<{ readonly mesh: string; readonly members: readonly Member[] }>;
}
