// What the store's callers say and get of single files: by digest, in chunks, whole or still coming. Shaped as the
// ports of node/core/transfer.ts are, which this layer may not import.

/** A file that is to be brought here. */
export interface FileToFetch {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Undefined while nobody has said them: the whole file's digest decides then. */
  readonly chunks?: { readonly sizeBytes: number; readonly sha256: readonly string[] };
}

/** Digests of the consecutive chunks of a file, the last one shorter. */
export interface ChunkDigests {
  readonly sizeBytes: number;
  readonly sha256: readonly string[];
}

/** A file that is coming, chunk by chunk and in any order. A lease: several callers may have one of the same file. */
export interface PartialFile {
  readonly file: {
    readonly sha256: string;
    readonly sizeBytes: number;
    readonly chunks: { readonly sizeBytes: number; readonly sha256: readonly string[] | undefined };
  };
  /** True when this chunk is here. */
  has(index: number): boolean;
  /**
   * Verifies a chunk and writes it, away from this thread. Its buffer is detached. Resolves when it has been written: who
   * waits for that never fills memory.
   * @returns false when the bytes are not what the chunk's digest says, or are no chunk of this file
   * @throws WeftError `disk_full`, `forbidden`, `overloaded` (no more file handles); what has come is kept
   */
  write(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean>;
  readonly heldBytes: number;
  /**
   * Makes it a whole file of the store: on the disk for good, under its digest, verified as a whole. Ends every lease.
   * @throws WeftError `model_corrupt` when the whole isn't what it should be: what had come is dropped then
   */
  finish(): Promise<{ readonly sha256: string; readonly chunks: ChunkDigests }>;
  /** Ends this lease; what has come is kept. Called again, or after finish(), it does nothing. */
  close(): Promise<void>;
  /** Ends this lease, and drops what has come unless another lease is open. */
  discard(): Promise<void>;
}

/** What of a file can be read out. */
export interface FileHolding {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  /** Bit i of byte i / 8, lowest first: chunk i is here. */
  readonly chunks: 'all' | Uint8Array<ArrayBuffer>;
}

/** A file that was begun, by what has come of it. */
export interface PartialReport {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly heldBytes: number;
}
