// Which chunks of which files were found good lately, so that a file that many peers read is hashed once and not once for
// each. A file is the same one while its inode, size and both times of change are.
import type { BigIntStats } from 'node:fs';
import { VERIFIED_FILES_MAX, VERIFIED_MS } from '../limits.ts';

/** A time of change is no finer than a tick of the kernel's clock: a file that changed just now may change unseen. */
const SETTLED_MS = 2_000;

interface VerifiedFile {
  readonly identity: string;
  /** When each chunk was verified, and what its digest was. */
  readonly chunks: Map<number, { readonly atMs: number; readonly sha256: string }>;
}

export class VerifiedChunks {
  readonly #nowMs: () => number;
  readonly #wallMs: () => number;
  /** By path, least recently verified first. */
  readonly #files = new Map<string, VerifiedFile>();

  /** @param init.nowMs a clock that never jumps; @param init.wallMs the one that files are stamped with */
  constructor(init: { readonly nowMs?: () => number; readonly wallMs?: () => number } = {}) {
    this.#nowMs = init.nowMs ?? (() => performance.now());
    this.#wallMs = init.wallMs ?? (() => Date.now());
  }

  /** False when a chunk wasn't found good lately, whatever lies there now: the file needn't be opened to know that. */
  mayHave(path: string, index: number, sha256: string): boolean {
    const chunk = this.#files.get(path)?.chunks.get(index);
    return chunk !== undefined && chunk.sha256 === sha256 && this.#nowMs() - chunk.atMs < VERIFIED_MS;
  }

  /** @param stat of the open file that is to be read */
  has(path: string, stat: BigIntStats, index: number, sha256: string): boolean {
    return this.#files.get(path)?.identity === identityOf(stat) && this.mayHave(path, index, sha256);
  }

  /** @param stat of the open file, from before the chunk was read */
  add(path: string, stat: BigIntStats, index: number, sha256: string): void {
    if (this.#wallMs() - Number(stat.ctimeMs) < SETTLED_MS) return;
    const identity = identityOf(stat);
    const known = this.#files.get(path);
    const file = known?.identity === identity ? known : { identity, chunks: new Map() };
    file.chunks.set(index, { atMs: this.#nowMs(), sha256 });
    this.#files.delete(path);
    this.#files.set(path, file);
    for (const oldest of this.#files.keys()) {
      if (this.#files.size <= VERIFIED_FILES_MAX) break;
      this.#files.delete(oldest);
    }
  }
}

const identityOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(' ');
