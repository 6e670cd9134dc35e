// What the store says of the disk that it takes and of what it found there.

/** A file of a model that isn't what the manifest says. */
export interface DamagedFile {
  /** As in the manifest. */
  readonly path: string;
  /** Chunks that are missing or differ; may be empty where the file is only too long. */
  readonly bad: readonly number[];
}

export interface StorageUse {
  readonly usedBytes: number;
  /** Undefined: what the disk holds. */
  readonly quotaBytes: number | undefined;
  readonly freeBytes: number;
}

export interface CleanUpInit {
  /** Only says what would be deleted. */
  readonly dryRun: boolean;
  /** Files that were begun lately, too. */
  readonly partial: boolean;
  /** Without `partial`, what was touched within this time stays. @default 7 days */
  readonly olderThanMs?: number;
}

export interface CleanUp {
  readonly freedBytes: number;
  readonly removed: readonly { readonly what: string; readonly bytes: number }[];
}
