// The chunks of a download: which are waiting, being read, or done. Kept in the order in which they are to be read.
import type { Download } from '../../core/transfer.ts';
import { rarestFirst } from './choose.ts';
import { chunkCount, chunkRange } from './chunks.ts';

export interface Chunk {
  /** Its place in {@link ChunkBoard.chunks}. */
  readonly id: number;
  /** Which of the downloads, and which chunk of its file. */
  readonly download: number;
  readonly index: number;
  readonly bytes: number;
  isDone: boolean;
  /** The verdict on bytes that are being written; another reader's wait for it. */
  writing: Promise<void> | undefined;
}

export class ChunkBoard {
  readonly chunks: readonly Chunk[];
  /** Of all wanted chunks, and of those that are done: what was there before included. */
  readonly totalBytes: number;
  doneBytes: number;
  /** Ids of chunks that nobody reads, in the order in which they should be. */
  #queue: number[];
  #left: number;

  constructor(downloads: readonly Download[]) {
    const chunks: Chunk[] = [];
    let totalBytes = 0;
    let doneBytes = 0;
    for (const [download, { file, sink, wanted }] of downloads.entries()) {
      for (let index = 0; index < chunkCount(file); index++) {
        if (wanted !== undefined && !wanted.has(index)) continue;
        const { length: bytes } = chunkRange(file, index);
        totalBytes += bytes;
        if (sink.has(index)) doneBytes += bytes;
        else chunks.push({ id: chunks.length, download, index, bytes, isDone: false, writing: undefined });
      }
    }
    this.chunks = chunks;
    this.totalBytes = totalBytes;
    this.doneBytes = doneBytes;
    this.#queue = chunks.map(({ id }) => id);
    this.#left = chunks.length;
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  get queue(): readonly number[] {
    return this.#queue;
  }

  chunk(id: number): Chunk {
    return this.chunks[id] as Chunk;
  }

  /** Another source, or another idea of what one has: the order is made anew. */
  reorder(sources: readonly { readonly has: (chunk: Chunk) => boolean }[]): void {
    this.#queue = rarestFirst(
      this.#queue.toSorted((a, b) => a - b),
      sources.map((source) => ({ has: (id: number) => source.has(this.chunk(id)) })),
    );
  }

  /** Somebody reads it now. */
  take({ id }: Chunk): void {
    const at = this.#queue.indexOf(id);
    if (at !== -1) this.#queue.splice(at, 1);
  }

  /** Nobody reads it any more, and it isn't there: next, it has waited longest. */
  giveBack({ id, isDone }: Chunk): void {
    if (!isDone && !this.#queue.includes(id)) this.#queue.unshift(id);
  }

  /** It is written; what two sources have brought at the end counts once. */
  done(chunk: Chunk): void {
    if (chunk.isDone) return;
    chunk.isDone = true;
    this.#left--;
    this.doneBytes += chunk.bytes;
    this.take(chunk);
  }
}
