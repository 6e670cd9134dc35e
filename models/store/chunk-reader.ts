// Pieces of files for peers: the chunk that a piece lies in is read and hashed first, so that a byte that has rotted on the
// disk is not sent. What was found good is not hashed again for a while, as long as nobody has written to the file.
import type { BigIntStats } from 'node:fs';
import { CHUNK_BYTES_MAX, READ_CHUNKS_MAX } from '../limits.ts';
import { chunkLength } from './chunks.ts';
import { onDisk } from './disk-error.ts';
import type { DiskQueue } from './disk-queue.ts';
import { openPlain } from './durable.ts';
import type { ChunkDigests } from './stored-file.ts';
import { VerifiedChunks } from './verified-chunks.ts';

/** A file that can be read out. */
export interface ReadableFile {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly chunks: ChunkDigests;
  /** Where it lies; the next one is tried where a chunk is bad. */
  readonly paths: readonly string[];
}

export interface ChunkReaderComponents {
  readonly queue: DiskQueue;
  /** Told of a chunk that is good at none of the paths. */
  readonly onBad: (sha256: string, index: number) => void;
}

export class ChunkReader {
  readonly #components: ChunkReaderComponents;
  /** Chunks of which a piece was read, least recently used first: the next piece is near. */
  readonly #kept = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Being read: pieces of one chunk that are asked for at once are one reading. */
  readonly #reading = new Map<string, Promise<Uint8Array<ArrayBuffer> | undefined>>();
  readonly #verified = new VerifiedChunks();

  constructor(components: ChunkReaderComponents) {
    this.#components = components;
  }

  /**
   * A piece of a file, shorter where the file ends or a chunk behind the first one is bad.
   * @param has which chunks are there
   * @returns undefined when the first chunk isn't there, or is bad; the bytes must not be changed
   */
  async read(
    file: ReadableFile,
    offset: number,
    length: number,
    has: (index: number) => boolean,
  ): Promise<Uint8Array | undefined> {
    const end = Math.min(file.sizeBytes, offset + Math.min(length, CHUNK_BYTES_MAX));
    const pieces: Uint8Array[] = [];
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / file.chunks.sizeBytes);
      const start = index * file.chunks.sizeBytes;
      const stop = Math.min(end, start + chunkLength(file.sizeBytes, file.chunks.sizeBytes, index));
      const piece = has(index) ? await this.#piece(file, index, at, stop) : undefined;
      if (piece === undefined) break;
      pieces.push(piece);
      at = stop;
    }
    if (pieces.length === 0 && offset < end) return undefined;
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  }

  /** Lets go of what is kept for reading. */
  clear(): void {
    this.#kept.clear();
  }

  /** Bytes [from, to) of a file, within one chunk. */
  async #piece(file: ReadableFile, index: number, from: number, to: number): Promise<Uint8Array | undefined> {
    const known = await this.#known(file, index, from, to);
    if (known !== undefined) return known;
    const start = index * file.chunks.sizeBytes;
    const length = chunkLength(file.sizeBytes, file.chunks.sizeBytes, index);
    const chunk = await this.#chunk(file, index, to - from === length);
    return chunk?.subarray(from - start, to - start);
  }

  /** As {@link ChunkReader.#piece}, of a chunk that was verified lately. */
  #known(
    { paths, chunks }: ReadableFile,
    index: number,
    from: number,
    to: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return onDisk(async () => {
      for (const path of paths) {
        const expected = chunks.sha256[index];
        if (expected === undefined || !this.#verified.mayHave(path, index, expected)) continue;
        await using handle = await openPlain(path);
        const stat = await handle?.stat({ bigint: true });
        if (handle === undefined || stat === undefined || !this.#verified.has(path, stat, index, expected)) continue;
        const job = { kind: 'read', data: handle.fd, offset: from, length: to - from, expected: undefined } as const;
        return (await this.#components.queue.run<'read'>(job)).bytes;
      }
      return undefined;
    });
  }

  async #chunk(file: ReadableFile, index: number, whole: boolean): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const key = `${file.sha256} ${index}`;
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    if (kept !== undefined && whole) return kept;
    const reading = kept ?? this.#reading.get(key) ?? this.#load(file, index);
    if (reading instanceof Promise) this.#reading.set(key, reading);
    try {
      const chunk = await reading;
      if (chunk !== undefined && !whole) this.#keep(key, chunk);
      return chunk;
    } finally {
      this.#reading.delete(key);
    }
  }

  #keep(key: string, chunk: Uint8Array<ArrayBuffer>): void {
    this.#kept.set(key, chunk);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= READ_CHUNKS_MAX) break;
      this.#kept.delete(oldest);
    }
  }

  async #load(file: ReadableFile, index: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { sizeBytes, chunks } = file;
    const offset = index * chunks.sizeBytes;
    const length = chunkLength(sizeBytes, chunks.sizeBytes, index);
    const expected = chunks.sha256[index] ?? '';
    for (const path of file.paths) {
      const bytes = await onDisk(async () => {
        await using handle = await openPlain(path);
        if (handle === undefined) return undefined;
        const stat: BigIntStats = await handle.stat({ bigint: true });
        const job = { kind: 'read', data: handle.fd, offset, length, expected } as const;
        const { bytes } = await this.#components.queue.run<'read'>(job);
        if (bytes !== undefined) this.#verified.add(path, stat, index, expected);
        return bytes;
      });
      if (bytes !== undefined) return bytes;
    }
    this.#components.onBad(file.sha256, index);
    return undefined;
  }
}
