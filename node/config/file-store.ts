// The Store in the data folder: one file per document, private to its owner, whole after any crash.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../core/assert.ts';
import type { Store } from '../core/store.ts';
import { makeFolder, readBounded, UNFINISHED, unwritable, writeWhole } from './files.ts';
import { DOCUMENT_BYTES_MAX } from './limits.ts';

/** Names are chosen in the code: lower-case words, so that they are files on every system and never leave the folder. */
const NAME = /^[a-z][a-z0-9-]{0,62}$/;

export class FileStore implements Store {
  readonly #folder: string;
  /** The last write of each document: several of one are made in the order in which they were asked for. */
  readonly #writes = new Map<string, Promise<void>>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Opens the folder, makes it if need be, and takes away what a crash has left unfinished. One store per folder.
   * @throws WeftError `home_unwritable`
   */
  static async open(init: { readonly folder: string }): Promise<FileStore> {
    const { folder } = init;
    try {
      await makeFolder(folder);
      for (const name of await readdir(folder)) {
        if (UNFINISHED.test(name)) await rm(join(folder, name), { force: true });
      }
    } catch (error) {
      throw unwritable(error);
    }
    return new FileStore(folder);
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return readBounded(this.#path(name), DOCUMENT_BYTES_MAX);
  }

  write(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(name);
    assert(bytes.byteLength <= DOCUMENT_BYTES_MAX, 'a document stays within its bound');
    const copy = bytes.slice(); // The caller may go on with its buffer while earlier writes end.
    const write = (this.#writes.get(name) ?? Promise.resolve()).then(() => writeWhole(path, copy));
    // The caller of a failed write hears of it; the next one is tried all the same.
    const done = write.catch(() => undefined);
    this.#writes.set(name, done);
    void done.then(() => {
      if (this.#writes.get(name) === done) this.#writes.delete(name);
    });
    return write;
  }

  /** Resolves once every write that was asked for has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#writes.values());
  }

  #path(name: string): string {
    assert(NAME.test(name), `"${name}" is the name of a document`);
    return join(this.#folder, name);
  }
}
