// Room on the disk that was promised: two pulls at once must not both be told of the same free bytes.

/** A file that is to come. */
export interface ComingFile {
  readonly sha256: string;
  readonly sizeBytes: number;
}

export class Reservations {
  readonly #held = new Set<ReadonlyMap<string, number>>();
  readonly #missing: (file: ComingFile) => number;

  /** @param missing bytes of a file that are not here yet */
  constructor(missing: (file: ComingFile) => number) {
    this.#missing = missing;
  }

  /** Promises room for these, until it is released: what has come by then takes its room itself. */
  add(files: readonly ComingFile[]): { release(): void } {
    const held = new Map(files.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
    this.#held.add(held);
    return { release: () => void this.#held.delete(held) };
  }

  /**
   * Bytes that are still to come of what room was promised for, each file once.
   * @param open files that are coming without a promise, too
   * @param without files that don't count
   */
  bytes(open: readonly ComingFile[], without: readonly ComingFile[] = []): number {
    const coming = new Map(open.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
    for (const held of this.#held) for (const [sha256, sizeBytes] of held) coming.set(sha256, sizeBytes);
    for (const { sha256 } of without) coming.delete(sha256);
    return this.missing([...coming].map(([sha256, sizeBytes]) => ({ sha256, sizeBytes })));
  }

  /** Bytes of these files that are not here yet, each file once. */
  missing(files: readonly ComingFile[]): number {
    const distinct = new Map(files.map((file) => [file.sha256, file]));
    return [...distinct.values()].reduce((sum, file) => sum + this.#missing(file), 0);
  }
}
