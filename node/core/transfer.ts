// Files by digest from other nodes and from a hub, chunk by chunk. The coordinator fetches small files with it, the
// library whole models; node/mesh implements it.
import type { NodeId } from '../../protocol/ids.ts';

/** A file by what it must be. */
export interface FileIdentity {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** A file in chunks of one size, the last one shorter. */
export interface ChunkedFile extends FileIdentity {
  readonly chunks: {
    readonly sizeBytes: number;
    /** One digest per chunk, 64 hex digits each; undefined when nobody has said them yet: only the file's own is known. */
    readonly sha256: readonly string[] | undefined;
  };
}

/** Where the chunks of one file go: verified before they are written. */
export interface ChunkSink {
  /** True when this chunk is here already, verified. */
  has(index: number): boolean;
  /**
   * Verifies a chunk and writes it, both away from the thread that answers peers. Takes the bytes over: their buffer may
   * be detached, and is nobody else's any more.
   * @returns false when they are not what the chunk's digest says; nothing was written then
   * @throws WeftError `disk_full`, or what writing failed with
   */
  write(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

/** Chunks of one file that a source has. */
export type Holding = 'all' | 'none' | { readonly has: (index: number) => boolean };

/** Where chunks come from: a peer, or a hub. */
export interface ChunkSource {
  readonly kind: 'peer' | 'hub';
  /** Node id, or the hub's host. */
  readonly name: string;
  /** Chunks that may be asked for at once. */
  readonly parallelMax: number;
  /** Which chunks of these files it has, in their order. @throws WeftError */
  holdings(files: readonly ChunkedFile[], signal: AbortSignal): Promise<readonly Holding[]>;
  /**
   * The bytes of one chunk, unverified, exactly as many as it has.
   * @param options.onBytes told of bytes as they arrive, where the source can tell
   * @throws WeftError why it could not give them; `model_corrupt` when it has another file
   */
  read(
    file: ChunkedFile,
    index: number,
    options: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void },
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** One file of a download. */
export interface Download {
  readonly file: ChunkedFile;
  readonly sink: ChunkSink;
  /** Chunks that are wanted. @default all of them */
  readonly wanted?: ReadonlySet<number>;
}

/** What one source has done for a download so far. */
export interface SourceProgress {
  readonly kind: 'peer' | 'hub';
  readonly name: string;
  /** Verified bytes that came from it. */
  readonly bytes: number;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  /** `blamed`: it sent what is not the file, and is not asked again. `failed`: it may be asked again later. */
  readonly state: 'active' | 'idle' | 'failed' | 'blamed';
  readonly reason?: string;
}

export interface DownloadProgress {
  /** Of the wanted chunks. */
  readonly totalBytes: number;
  /** Of them, verified and written; those that were there before included. */
  readonly doneBytes: number;
  readonly bytesPerSecond: number;
  readonly sources: readonly SourceProgress[];
}

export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Sources as they are now: asked again while the download runs, so that a peer that comes later takes part. */
  readonly sources: () => readonly ChunkSource[];
  /** At most a few times a second, and once at the end. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** Manifests and small files, whole. */
export interface FileTransfer {
  /**
   * The whole file, verified.
   * @throws WeftError `model_corrupt` when no source has these bytes, or the last source's own failure
   */
  fetch(file: FileIdentity, sources: readonly NodeId[], signal: AbortSignal): Promise<Uint8Array>;
  /** The manifest with this digest, as JSON text, verified. */
  fetchManifest(digest: string, sources: readonly NodeId[], signal: AbortSignal): Promise<string>;
}

export interface Transfer extends FileTransfer {
  /** What was signed of the manifest with this digest, as that peer has it: JSON texts, unverified. */
  fetchSignatures(digest: string, source: NodeId, signal: AbortSignal): Promise<readonly string[]>;
  /** A member as a source of chunks. */
  peer(node: NodeId): ChunkSource;
  /**
   * Brings every wanted chunk that is not there yet: rarest first, from many sources at once, each verified before it is
   * written. Yields to inference. What has come stays when it fails.
   * @throws WeftError the last source's failure when none is left that has a missing chunk; `disk_full`, `cancelled`
   */
  download(downloads: readonly Download[], options: DownloadOptions): Promise<DownloadProgress>;
}
