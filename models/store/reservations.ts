// Room on the disk that was promised: two pulls at once must not both be told of the same free bytes.

/** A file that is to come. */
export interface ComingFile {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Bytes that are to come and aren't here yet, where that isn't the rest of the file. */
  readonly missingBytes?: () => number;
}

export class Reservations {
  readonly #held = new Set<ReadonlyMap<string, ComingFile>>();
  readonly #missing: (file: ComingFile) => number;

  /** @param missing bytes of a file that are not here yet */
  constructor(missing: (file: ComingFile) => number) {
    this.#missing = missing;
  }

  /** Promises room for these, until it is released: what has come by then takes its room itself. */
  add(files: readonly ComingFile[]): { release(): void } {
    const held = new Map(files.map((file) => [file.sha256, file]));
    this.#held.add(held);
    return { release: () => void this.#held.delete(held) };
  }

  /**
   * Bytes that are still to come of what room was promised for, each file once.
   * @param open files that are coming without a promise, too
   * @param without files that don't count
   */
  bytes(open: readonly ComingFile[], without: readonly ComingFile[] = []): number {
    const coming = new Map(open.map((file) => [file.sha256, file]));
    const held = [...this.#held].flatMap((files) => [...files.values()]);
    // Who wants the whole file wants more than who wants some of it.
    for (const file of held) if (file.missingBytes !== undefined) coming.set(file.sha256, file);
    for (const file of held) if (file.missingBytes === undefined) coming.set(file.sha256, file);
    for (const { sha256 } of without) coming.delete(sha256);
    return this.missing([...coming.values()]);
  }

  /** Bytes of these files that are not here yet, each file once. */
  missing(files: readonly ComingFile[]): number {
    const distinct = new Map(files.map((file) => [file.sha256, file]));
    return [...distinct.values()].reduce((sum, file) => sum + (file.missingBytes?.() ?? this.#missing(file)), 0);
  }
}
