// Measurements on disk: one small JSON file each, under the hash of what it is a measurement of. The newest are kept, a damaged
// file counts as none. Used by the stores of profiles and of tables of cuts.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../core/log.ts';

const FILE_NAME = /^[0-9a-f]{32}\.json$/;
/** What a crash may leave of a write. */
const UNFINISHED = /^[0-9a-f]{32}\.json\.[0-9a-f]{8}\.tmp$/;

export interface KeptRecordsInit<R> {
  /** Absolute path, made if need be. One daemon at a time. */
  readonly folder: string;
  /** What they are, for the log: `profile`. */
  readonly what: string;
  readonly recordsMax: number;
  /** Of one file. */
  readonly bytesMax: number;
  /** @throws for what is none */
  readonly parse: (value: unknown) => R;
  /** What the record is one of: plain data, the same for the same. */
  readonly keyOf: (record: R) => unknown;
  /** Milliseconds since 1970. */
  readonly measuredAtMs: (record: R) => number;
}

export class KeptRecords<R> {
  readonly #log: Log;
  readonly #init: KeptRecordsInit<R>;
  /** By file name, the oldest measurement first. */
  readonly #kept = new Map<string, R>();

  private constructor(components: { readonly log: Log }, init: KeptRecordsInit<R>) {
    this.#log = components.log;
    this.#init = init;
  }

  /** Reads what is kept. A folder that can't be read or made counts as empty: things are measured again then. */
  static async open<R>(components: { readonly log: Log }, init: KeptRecordsInit<R>): Promise<KeptRecords<R>> {
    const records = new KeptRecords(components, init);
    await records.#load().catch((error: unknown) => {
      components.log.warn({ error, what: init.what }, 'what was measured before could not be read');
    });
    return records;
  }

  /** @param key as `keyOf` gives it */
  find(key: unknown): R | undefined {
    return this.#kept.get(fileName(key));
  }

  /** The newest for which this holds. */
  latest(holds: (record: R) => boolean): R | undefined {
    return [...this.#kept.values()].findLast(holds);
  }

  /** Keeps one in place of an older one. A disk that takes none costs a line in the log; it holds until the end. */
  async keep(record: R): Promise<void> {
    const name = fileName(this.#init.keyOf(record));
    this.#kept.delete(name);
    this.#kept.set(name, record);
    try {
      await this.#write(name, `${JSON.stringify(record)}\n`);
      await this.#forgetOldest();
    } catch (error) {
      this.#log.warn({ error, what: this.#init.what }, 'what was measured could not be kept');
    }
  }

  async #load(): Promise<void> {
    const { folder, measuredAtMs } = this.#init;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const found: [string, R][] = [];
    for (const name of await readdir(folder)) {
      if (UNFINISHED.test(name)) await rm(join(folder, name), { force: true });
      if (!FILE_NAME.test(name)) continue;
      const record = await this.#read(name);
      if (record !== undefined) found.push([name, record]);
    }
    found.sort(([, a], [, b]) => measuredAtMs(a) - measuredAtMs(b));
    for (const [name, record] of found) this.#kept.set(name, record);
    await this.#forgetOldest();
  }

  /** A file under another one's name is damaged too: it would be found for what it isn't. */
  async #read(name: string): Promise<R | undefined> {
    const { folder, what, bytesMax, parse, keyOf } = this.#init;
    const path = join(folder, name);
    try {
      if ((await stat(path)).size > bytesMax) throw new RangeError('too large');
      const record = parse(JSON.parse(await readFile(path, 'utf8')));
      if (fileName(keyOf(record)) !== name) throw new RangeError('under another name');
      return record;
    } catch (error) {
      this.#log.warn({ error, what, file: name }, 'a kept measurement is damaged and counts as none');
      await rm(path, { force: true, recursive: true });
      return undefined;
    }
  }

  /** The old or the new one, whenever the process ends. Not flushed: a power cut costs a measurement. */
  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#init.folder, name);
    const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
    try {
      await writeFile(temporary, text, { mode: 0o600, flag: 'wx' });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async #forgetOldest(): Promise<void> {
    for (const name of this.#kept.keys()) {
      if (this.#kept.size <= this.#init.recordsMax) return;
      this.#kept.delete(name);
      await rm(join(this.#init.folder, name), { force: true });
    }
  }
}

function fileName(key: unknown): string {
  return `${createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 32)}.json`;
}
