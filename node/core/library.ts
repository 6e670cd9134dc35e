// The models of this node's disk, and how more of them get there: pull, import, verify, clean up. Implemented by
// node/library; used by the control API.
import type { NodeId } from '../../protocol/ids.ts';
import type { SourceProgress } from './transfer.ts';

export interface PullRequest {
  /**
   * A hub id, `hf.co/owner/name`, a short name, a folder, or a file. Behind a colon may stand the file or the
   * quantisation, behind an at sign the revision: `owner/name:q4`, `owner/name@main`.
   */
  readonly model: string;
}

/** Who signed a model's manifest. */
export interface SignerReport {
  /** Node id, or `ed25519:HEX` or `openssf:…` of a key that is no node's. */
  readonly key: string;
  /** Name of the member with this key. */
  readonly name: string | undefined;
  /** `member`: of this mesh. `listed`: named by the setting `signers`. `unknown`: neither. */
  readonly standing: 'member' | 'listed' | 'unknown';
}

/** What a pull is doing: one line of `weft pull`, and the `transfer` events. */
export interface TransferStatus {
  /** Of this pull, unique on this node. */
  readonly id: string;
  readonly kind: 'pull' | 'import' | 'repair';
  /** Hub id, once it is known; what was asked for until then. */
  readonly model: string;
  readonly phase: 'resolving' | 'fetching' | 'checking' | 'installing' | 'done' | 'failed' | 'cancelled';
  /** Files that were chosen, and why, in one sentence each; empty until then. */
  readonly chosen: readonly string[];
  /** 0 until known. */
  readonly totalBytes: number;
  /** Verified and here, what was here before included. */
  readonly doneBytes: number;
  /** Of them, here before the pull began. */
  readonly hereBytes: number;
  readonly bytesPerSecond: number;
  /** Undefined while there is no telling. */
  readonly etaSeconds: number | undefined;
  readonly sources: readonly SourceProgress[];
  /** Of a failed one. */
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string } | undefined;
}

export interface PullOutcome {
  readonly id: string;
  readonly digest: string;
  /** It was installed before, whole. */
  readonly wasHere: boolean;
  readonly sizeBytes: number;
  /** Of sizeBytes: on this disk already, from peers, from the hub. */
  readonly hereBytes: number;
  readonly peerBytes: number;
  readonly hubBytes: number;
  readonly durationMs: number;
  /** The files that were chosen, and why. */
  readonly chosen: readonly string[];
  readonly signers: readonly SignerReport[];
  /** What a person should know, such as a licence that could not be told. */
  readonly warnings: readonly string[];
}

export interface ImportRequest {
  /** An .onnx file, or a folder in the hub's layout. Absolute. */
  readonly path: string;
  /** `owner/name`. @default `local/` and the name of the file or folder */
  readonly id?: string;
  /** @default guessed from inputs and config */
  readonly task?: string;
  /** SPDX identifier. @default read from a licence file, else `LicenseRef-unknown` */
  readonly licence?: string;
}

export interface ImportOutcome {
  readonly id: string;
  readonly digest: string;
  readonly task: string;
  /** Why this task. */
  readonly reason: string;
  readonly sizeBytes: number;
  readonly wasHere: boolean;
  readonly warnings: readonly string[];
}

/** What `weft verify` found of one model. */
export interface VerifyReport {
  readonly id: string;
  readonly digest: string;
  readonly sizeBytes: number;
  /** Bad or missing chunks, by file. Empty: it is what its manifest says. */
  readonly damaged: readonly { readonly path: string; readonly chunks: number; readonly bytes: number }[];
  /** They were brought anew, and are verified. */
  readonly repaired: boolean;
  /** Why not, where it was tried. */
  readonly reason: string | undefined;
  readonly signers: readonly SignerReport[];
}

/** What `weft gc` deleted, or would. */
export interface CleanUpReport {
  readonly freedBytes: number;
  readonly removed: readonly { readonly what: string; readonly bytes: number }[];
}

/** Disk that models take. */
export interface StorageReport {
  readonly usedBytes: number;
  /** Setting `storage`; undefined = what the disk holds. */
  readonly quotaBytes: number | undefined;
  readonly freeBytes: number;
}

/** A model somewhere on the mesh, as files. */
export interface MeshModel {
  readonly id: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly nodes: readonly {
    readonly node: NodeId;
    readonly name: string;
    readonly self: boolean;
    /** Verified and there; sizeBytes = all of it. */
    readonly heldBytes: number;
    /** State of a model that is offered; undefined where the files only lie there. */
    readonly state: string | undefined;
  }[];
}

/** A model with a short name, that can be pulled from the hub. */
export interface CatalogueModel {
  readonly name: string;
  /** Hub id. */
  readonly id: string;
  readonly task: string;
  /** One line for people. */
  readonly description: string;
}

export interface Library {
  /**
   * Brings a model here and offers it. One pull of the same model is shared by all who ask; it ends when the last of them
   * is gone, and what has come is kept for the next.
   * @throws WeftError `model_not_found`, `hub_unreachable`, `hub_refused`, `disk_full`, `model_corrupt`,
   *   `signature_invalid`, `cancelled`
   */
  pull(request: PullRequest, options: { readonly signal: AbortSignal }): Promise<PullOutcome>;
  /** Pulls, imports and repairs that run, and the last few that ended; newest first. */
  transfers(): readonly TransferStatus[];
  /** Models that have a short name, in the order in which people should see them. */
  catalogue(): readonly CatalogueModel[];
  /**
   * Ends one of them, whoever waits for it; what has come is kept.
   * @returns false for one that had ended before, or was ended by somebody else
   * @throws WeftError `not_found`
   */
  cancel(id: string): boolean;
  /** Makes a model of files on this disk: checked in the caged process, then copied (or linked) into the store. */
  import(request: ImportRequest, options: { readonly signal: AbortSignal }): Promise<ImportOutcome>;
  /**
   * Hashes a model, or all of them, against the manifests, and brings bad chunks anew from peers or the hub.
   * @param name hub id or short name; undefined = all that are installed
   */
  verify(
    name: string | undefined,
    options: { readonly repair: boolean; readonly signal: AbortSignal },
  ): Promise<readonly VerifyReport[]>;
  /**
   * Deletes what nothing needs: files of no model, pulls that nobody goes on with, what a crash left.
   * @param options.partial pulls that were interrupted lately, too
   */
  cleanUp(options: { readonly dryRun: boolean; readonly partial: boolean }): Promise<CleanUpReport>;
  storage(): Promise<StorageReport>;
  /** Every model that a node of the mesh has files of. */
  meshModels(): readonly MeshModel[];
  stop(): Promise<void>;
}
