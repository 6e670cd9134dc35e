// Whole files by digest, in .blobs/: verified before they come here. A model's files are further names of them, so that
// a file that several models have is stored once.
import { randomUUID } from 'node:crypto';
import { type FileHandle, lstat, readdir, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CHUNK_BYTES, STORE_FILES_MAX } from '../limits.ts';
import { isSha256 } from './chunks.ts';
import { corrupt, onDisk } from './disk-error.ts';
import type { DiskQueue } from './disk-queue.ts';
import {
  copyDurably,
  ensureFolder,
  type Link,
  linkOrCopy,
  missing,
  openPlain,
  syncFolder,
  writeDurably,
} from './durable.ts';
import type { ChunkDigests } from './stored-file.ts';

export interface BlobsInit {
  readonly folder: string;
  /** On the same disk, for what isn't verified yet. */
  readonly staging: string;
  readonly link: Link;
}

/** A whole file on the disk, for what deletes those of no model. */
export interface BlobOnDisk {
  readonly sha256: string;
  /** What its deletion frees: nothing while it has other names. */
  readonly bytes: number;
  /** When it was last written, named or linked. */
  readonly changedMs: number;
}

export class Blobs {
  readonly #queue: DiskQueue;
  readonly #init: BlobsInit;
  #sizes = new Map<string, number>();
  /** Of those that were hashed since the start. */
  readonly #chunks = new Map<string, ChunkDigests>();

  /** Names in the staging folder of what is being verified. */
  readonly #making = new Set<string>();

  constructor(components: { readonly queue: DiskQueue }, init: BlobsInit) {
    this.#queue = components.queue;
    this.#init = init;
  }

  /** Reads the folder anew: plain files with a digest for a name. */
  async scan(): Promise<void> {
    const sizes = new Map<string, number>();
    for (const name of ((await readdir(this.#init.folder).catch(missing)) ?? []).slice(0, STORE_FILES_MAX)) {
      const stat = isSha256(name) ? await lstat(this.path(name)).catch(missing) : undefined;
      if (stat?.isFile()) sizes.set(name, stat.size);
    }
    this.#sizes = sizes;
  }

  path(sha256: string): string {
    return join(this.#init.folder, sha256);
  }

  /** True for what is being verified, by its name in the staging folder. */
  isMaking(name: string): boolean {
    return this.#making.has(name);
  }

  /** Bytes of a file that is here. */
  sizeOf(sha256: string): number | undefined {
    return this.#sizes.get(sha256);
  }

  /** Chunk digests that were computed here. */
  chunksOf(sha256: string): ChunkDigests | undefined {
    return this.#chunks.get(sha256);
  }

  /** Computes them, and thereby verifies the whole file. @returns undefined when it isn't what its name says */
  async hash(sha256: string): Promise<ChunkDigests | undefined> {
    const sizeBytes = this.#sizes.get(sha256);
    await using handle = sizeBytes === undefined ? undefined : await openPlain(this.path(sha256));
    if (handle === undefined || sizeBytes === undefined) return undefined;
    const found = await this.#digests(handle, sizeBytes);
    if (found?.sha256 !== sha256) return undefined;
    this.#chunks.set(sha256, found.chunks);
    return found.chunks;
  }

  /** Takes a file that is verified and on the disk for good; it is gone from its path afterwards. */
  async place(path: string, sha256: string, chunks: ChunkDigests): Promise<void> {
    await ensureFolder(this.#init.folder);
    const { size } = await lstat(path);
    await rename(path, this.path(sha256));
    await syncFolder(this.#init.folder);
    await syncFolder(dirname(path));
    this.#chunks.set(sha256, chunks);
    this.#sizes.set(sha256, size);
  }

  /**
   * Takes a file from elsewhere: a second name of it where the disk can do that, else a copy; verified.
   * @param path may lead through links: its real file is taken
   * @throws WeftError `model_corrupt` when it isn't what it should be
   */
  async adopt(
    path: string,
    file: { readonly sha256: string; readonly sizeBytes: number },
    copy: boolean,
  ): Promise<void> {
    await onDisk(async () => {
      const real = await realpath(path).catch(missing);
      if ((real && (await lstat(real)).size) !== file.sizeBytes)
        throw corrupt('A file is not as large as it should be.');
      await this.#take(file, (temporary) =>
        copy ? copyDurably(real ?? path, temporary) : linkOrCopy(real ?? path, temporary, this.#init.link),
      );
    });
  }

  /** Takes bytes that are in memory. */
  async put(bytes: Uint8Array): Promise<{ sha256: string; sizeBytes: number }> {
    const sizeBytes = bytes.byteLength;
    return onDisk(async () => ({
      sha256: await this.#take({ sizeBytes }, (temporary) => writeDurably(temporary, bytes)),
      sizeBytes,
    }));
  }

  /** Gives a file that lies in a model a name here too, where the disk can link. */
  async remember(sha256: string, path: string): Promise<void> {
    if (this.#sizes.has(sha256)) return;
    await ensureFolder(this.#init.folder);
    const linked = await this.#init.link(path, this.path(sha256)).then(
      () => true,
      // Then it counts as here all the same: its model's file is found by its digest.
      () => false,
    );
    if (linked) this.#sizes.set(sha256, (await lstat(this.path(sha256))).size);
  }

  /** Deletes the name here; whoever has another name of the file keeps it. */
  async delete(sha256: string): Promise<void> {
    this.#sizes.delete(sha256);
    this.#chunks.delete(sha256);
    await rm(this.path(sha256), { force: true });
  }

  async onDisk(): Promise<readonly BlobOnDisk[]> {
    const found: BlobOnDisk[] = [];
    for (const sha256 of this.#sizes.keys()) {
      const stat = await lstat(this.path(sha256)).catch(missing);
      if (stat !== undefined) found.push({ sha256, bytes: stat.nlink > 1 ? 0 : stat.size, changedMs: stat.ctimeMs });
    }
    return found;
  }

  /** Makes a file under another name, verifies it, and gives it its own. */
  async #take(
    file: { readonly sha256?: string; readonly sizeBytes: number },
    make: (temporary: string) => Promise<unknown>,
  ): Promise<string> {
    await ensureFolder(this.#init.staging);
    await ensureFolder(this.#init.folder);
    const name = `file-${randomUUID()}`;
    const temporary = join(this.#init.staging, name);
    this.#making.add(name);
    try {
      await make(temporary);
      await using handle = await openPlain(temporary);
      const found = handle && (await this.#digests(handle, file.sizeBytes));
      if (found === undefined || (file.sha256 ?? found.sha256) !== found.sha256) {
        throw corrupt('A file is not what its digest says.');
      }
      await handle?.sync();
      await this.place(temporary, found.sha256, found.chunks);
      return found.sha256;
    } finally {
      // Still there when it failed, and when it was a second name of the file that is here already.
      await rm(temporary, { force: true });
      this.#making.delete(name);
    }
  }

  async #digests(
    handle: FileHandle,
    sizeBytes: number,
  ): Promise<{ readonly sha256: string; readonly chunks: ChunkDigests } | undefined> {
    const job = { kind: 'hash', data: handle.fd, chunkBytes: CHUNK_BYTES, sizeBytesMax: sizeBytes } as const;
    const { sha256, chunks, sizeBytes: found } = await this.#queue.run<'hash'>(job);
    return found === sizeBytes ? { sha256, chunks: { sizeBytes: CHUNK_BYTES, sha256: chunks } } : undefined;
  }
}
