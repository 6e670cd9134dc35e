// Files by digest from other nodes. Its first user is the coordinator of a node that lacks a model's tokenizer.
import type { NodeId } from '../../protocol/ids.ts';

/** A file by what it must be. */
export interface FileIdentity {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Transfer {
  /**
   * The whole file, verified.
   * @throws WeftError `model_corrupt` when no source has these bytes, or the last source's own failure
   */
  fetch(file: FileIdentity, sources: readonly NodeId[], signal: AbortSignal): Promise<Uint8Array>;
  /** The manifest with this digest, as JSON text, verified. */
  fetchManifest(digest: string, sources: readonly NodeId[], signal: AbortSignal): Promise<string>;
}
