// Tables of cuts on disk: one small file per model, shapes, device and version, so that what took seconds to measure is
// measured once. Written by the cutter; a damaged file counts as none.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CUT_SEGMENTS_MAX, type CutTable } from '../../../protocol/cut-table.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { TENSOR_NAME_LENGTH_MAX, TENSOR_RANK_MAX } from '../../../protocol/limits.ts';
import { DataType, type DataTypeName } from '../../../protocol/tensor.ts';
import type { Log } from '../../core/log.ts';
import { TABLE_BYTES_MAX, TABLE_TENSORS_MAX, TABLE_TEXT_LENGTH_MAX, TABLES_KEPT_MAX } from './limits.ts';

const FILE_NAME = /^[0-9a-f]{32}\.json$/;
/** What a crash may leave of a write. */
const UNFINISHED = /^[0-9a-f]{32}\.json\.[0-9a-f]{8}\.tmp$/;

const Amount = z.number().nonnegative();
const Count = z.number().int().nonnegative();
const Text = z.string().max(TABLE_TEXT_LENGTH_MAX);
const Segment = Count.max(CUT_SEGMENTS_MAX - 1);

const Table = z.strictObject({
  model: z.strictObject({ id: Text, digest: Text }),
  shapes: Text,
  segments: z
    .array(z.strictObject({ share: z.number().min(0).max(1.000001), weightBytes: Amount, nodes: Count }))
    .min(1)
    .max(CUT_SEGMENTS_MAX),
  shared: z.array(z.strictObject({ bytes: Amount, segments: z.array(Segment) })).max(TABLE_TENSORS_MAX),
  tensors: z
    .array(
      z.strictObject({
        name: z.string().max(TENSOR_NAME_LENGTH_MAX),
        type: z.custom<DataTypeName>((name) => typeof name === 'string' && Object.hasOwn(DataType, name)),
        dims: z
          .array(z.union([Count, z.string().max(TENSOR_NAME_LENGTH_MAX)]))
          .max(TENSOR_RANK_MAX)
          .exactOptional(),
        bytes: Amount,
        from: z.number().int().min(-1),
        to: z.array(Segment),
        output: z.literal(true).exactOptional(),
      }),
    )
    .max(TABLE_TENSORS_MAX),
  wholeMs: Amount,
  partFixedMs: Amount,
  partMsPerMb: Amount,
  device: Text,
  version: Text,
  measuredAtMs: Amount,
  reason: Text.exactOptional(),
});

const Kept = z.strictObject({ schema: z.literal(1), usual: z.boolean(), table: Table });
type Kept = z.infer<typeof Kept>;

/** What a table is one of. */
export interface CutTableKey {
  readonly digest: string;
  /** Undefined = inputs that were made up. */
  readonly shapes: string | undefined;
  readonly device: string;
  readonly version: string;
}

/** A table from outside this process. @throws WeftError `internal` for anything that is none */
export function parseTable(text: string): CutTable {
  try {
    return Table.parse(JSON.parse(text));
  } catch (cause) {
    throw new WeftError({ code: 'internal', message: 'What was measured of the cuts is no table.' }, { cause });
  }
}

export class CutStore {
  readonly #log: Log;
  readonly #folder: string;
  /** By file name, the oldest measurement first. */
  readonly #kept = new Map<string, Kept>();

  private constructor(components: { readonly log: Log }, init: { readonly folder: string }) {
    this.#log = components.log;
    this.#folder = init.folder;
  }

  /** Reads what is kept. A folder that can't be read or made counts as empty: tables are measured again then. */
  static async open(
    components: { readonly log: Log },
    init: {
      /** Absolute path, made if need be. One daemon at a time. */
      readonly folder: string;
    },
  ): Promise<CutStore> {
    const store = new CutStore(components, init);
    await store.#load().catch((error: unknown) => {
      components.log.warn({ error }, 'kept tables of cuts could not be read');
    });
    return store;
  }

  find(key: CutTableKey): CutTable | undefined {
    return this.#kept.get(fileName(key))?.table;
  }

  /**
   * Keeps a table in place of an older one. A disk that takes none costs a line in the log; it holds until the end.
   * @param usual its inputs were made up
   */
  async keep(table: CutTable, usual: boolean): Promise<void> {
    const kept: Kept = { schema: 1, usual, table: Table.parse(structuredClone(table)) };
    const name = fileName(keyOf(kept));
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    try {
      await this.#write(name, `${JSON.stringify(kept)}\n`);
      await this.#forgetOldest();
    } catch (error) {
      this.#log.warn({ error, model: table.model.id }, 'a table of cuts could not be kept');
    }
  }

  async #load(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const found: [string, Kept][] = [];
    for (const name of await readdir(this.#folder)) {
      if (UNFINISHED.test(name)) await rm(join(this.#folder, name), { force: true });
      if (!FILE_NAME.test(name)) continue;
      const kept = await this.#read(name);
      if (kept !== undefined) found.push([name, kept]);
    }
    found.sort(([, a], [, b]) => a.table.measuredAtMs - b.table.measuredAtMs);
    for (const [name, kept] of found) this.#kept.set(name, kept);
    await this.#forgetOldest();
  }

  /** A file under another table's name is damaged too: it would be found for what it isn't. */
  async #read(name: string): Promise<Kept | undefined> {
    const path = join(this.#folder, name);
    try {
      if ((await stat(path)).size > TABLE_BYTES_MAX) throw new RangeError('too large');
      const kept = Kept.parse(JSON.parse(await readFile(path, 'utf8')));
      if (fileName(keyOf(kept)) !== name) throw new RangeError('under another name');
      return kept;
    } catch (error) {
      this.#log.warn({ error, file: name }, 'a kept table of cuts is damaged and counts as none');
      await rm(path, { force: true, recursive: true });
      return undefined;
    }
  }

  /** The old or the new one, whenever the process ends. Not flushed: a power cut costs a measurement. */
  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#folder, name);
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
      if (this.#kept.size <= TABLES_KEPT_MAX) return;
      this.#kept.delete(name);
      await rm(join(this.#folder, name), { force: true });
    }
  }
}

const keyOf = ({ usual, table }: Kept): CutTableKey => ({
  digest: table.model.digest,
  shapes: usual ? undefined : table.shapes,
  device: table.device,
  version: table.version,
});

function fileName({ digest, shapes, device, version }: CutTableKey): string {
  const hash = createHash('sha256').update(JSON.stringify([digest, shapes ?? null, device, version]));
  return `${hash.digest('hex').slice(0, 32)}.json`;
}
