// One file of a model of which parts are here: what of it counts, and how more of it comes. Only what was found good since
// the start counts, so that whoever opens a part need not, and can not, hash the whole file.

import type { ManifestFile } from '../manifest.ts';
import { bitmapOf, chunkCount, chunkLength } from './chunks.ts';
import { corrupt, onDisk } from './disk-error.ts';
import type { DiskQueue } from './disk-queue.ts';
import { openPlain } from './durable.ts';
import type { ChunkDigests, PartialFile } from './stored-file.ts';

export interface PartFileComponents {
  readonly queue: DiskQueue;
  /** Of the same file; one of a file that isn't whole can lose chunks. */
  readonly lease: PartialFile & { lose?(indexes: readonly number[]): void };
  /** Chunks that were found good: what is added stays known. */
  readonly good: Set<number>;
}

export class PartFile {
  readonly #components: PartFileComponents;
  readonly #file: ManifestFile;
  /** Where whoever opens a part reads it: absolute. */
  readonly path: string;

  constructor(components: PartFileComponents, init: { readonly file: ManifestFile; readonly path: string }) {
    this.#components = components;
    this.#file = init.file;
    this.path = init.path;
  }

  get file(): { readonly sha256: string; readonly sizeBytes: number; readonly chunks: ChunkDigests } {
    const { sha256, sizeBytes, chunks } = this.#file;
    return { sha256, sizeBytes, chunks };
  }

  /** True when this chunk is here, and was found good. */
  has(index: number): boolean {
    return this.#components.good.has(index);
  }

  /** Chunks that are here, and were found good: bit i of byte i / 8, lowest first. */
  bitmap(): Uint8Array<ArrayBuffer> {
    const { sizeBytes, chunks } = this.#file;
    return bitmapOf(chunkCount(sizeBytes, chunks.sizeBytes), (index) => this.has(index));
  }

  /** Bytes of these chunks. */
  bytesOf(indexes: Iterable<number>): number {
    const { sizeBytes, chunks } = this.#file;
    let bytes = 0;
    for (const index of indexes) bytes += chunkLength(sizeBytes, chunks.sizeBytes, index);
    return bytes;
  }

  /**
   * Hashes what lies here from before. What isn't right has to come again.
   * @param indexes chunks that are asked for; @default all
   * @throws WeftError `model_corrupt` for a file that is here whole, and damaged; `cancelled`
   */
  async check(indexes: Iterable<number> | undefined, options: { readonly signal: AbortSignal }): Promise<void> {
    const { queue, lease, good } = this.#components;
    const { sizeBytes, chunks } = this.#file;
    const unsure = [...(indexes ?? Array(chunkCount(sizeBytes, chunks.sizeBytes)).keys())].filter(
      (index) => !good.has(index) && lease.has(index),
    );
    if (unsure.length === 0) return;
    const found = await onDisk(async () => {
      await using handle = await openPlain(this.path);
      if (handle === undefined) throw corrupt('A file of a part of a model is gone.');
      const job = {
        kind: 'chunks',
        data: handle.fd,
        sizeBytes,
        chunkBytes: chunks.sizeBytes,
        indexes: unsure,
      } as const;
      return await queue.run<'chunks'>(job, options);
    });
    const bad = unsure.filter((index, at) => found.chunks[at] !== chunks.sha256[index]);
    const wrong = new Set(bad);
    for (const index of unsure) if (!wrong.has(index)) good.add(index);
    if (bad.length === 0) return;
    if (lease.lose === undefined)
      throw corrupt('A file that a part of a model needs is damaged; weft verify repairs it.');
    lease.lose(bad);
  }

  /** As {@link PartialFile.write}. */
  async write(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const { lease, good } = this.#components;
    if (good.has(index)) return true;
    // Nothing is written over what is there, be it not looked at yet.
    if (lease.has(index)) await this.check([index], { signal: NEVER });
    if (good.has(index)) return true;
    if (!(await lease.write(index, bytes))) return false;
    good.add(index);
    return true;
  }

  /** What has come is kept. */
  close(): Promise<void> {
    return this.#components.lease.close();
  }
}

const NEVER = new AbortController().signal;
