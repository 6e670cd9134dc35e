// Tables of cuts on disk: one small file per model, shapes, device and version, so that what took seconds to measure is
// measured once. Written by the cutter; a damaged file counts as none.
import { z } from 'zod';
import { CUT_SEGMENTS_MAX, type CutTable } from '../../../protocol/cut-table.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { TENSOR_NAME_LENGTH_MAX, TENSOR_RANK_MAX, TENSORS_MAX } from '../../../protocol/limits.ts';
import { DataType, type DataTypeName } from '../../../protocol/tensor.ts';
import type { Log } from '../../core/log.ts';
import { KeptRecords } from '../kept-records.ts';
import { TABLE_BYTES_MAX, TABLE_TENSORS_MAX, TABLE_TEXT_LENGTH_MAX, TABLES_KEPT_MAX } from './limits.ts';

const Amount = z.number().nonnegative();
const Count = z.number().int().nonnegative();
const Text = z.string().max(TABLE_TEXT_LENGTH_MAX);
const Segment = Count.max(CUT_SEGMENTS_MAX - 1);

const Table = z.strictObject({
  model: z.strictObject({ id: Text, digest: Text }),
  shapes: Text,
  raw: z.array(z.string().max(TENSOR_NAME_LENGTH_MAX)).max(TENSORS_MAX).exactOptional(),
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
  /** @default none */
  readonly raw?: readonly string[];
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
  readonly #kept: KeptRecords<Kept>;

  private constructor(kept: KeptRecords<Kept>) {
    this.#kept = kept;
  }

  /** Reads what is kept: see {@link KeptRecords.open}. */
  static async open(
    components: { readonly log: Log },
    init: {
      /** Absolute path, made if need be. One daemon at a time. */
      readonly folder: string;
    },
  ): Promise<CutStore> {
    const kept = await KeptRecords.open<Kept>(components, {
      ...init,
      what: 'table of cuts',
      recordsMax: TABLES_KEPT_MAX,
      bytesMax: TABLE_BYTES_MAX,
      parse: (value) => Kept.parse(value),
      keyOf: ({ usual, table: { model, shapes, raw = [], device, version } }) =>
        keyOf({ digest: model.digest, shapes: usual ? undefined : shapes, raw, device, version }),
      measuredAtMs: ({ table }) => table.measuredAtMs,
    });
    return new CutStore(kept);
  }

  find(key: CutTableKey): CutTable | undefined {
    return this.#kept.find(keyOf(key))?.table;
  }

  /**
   * Keeps a table in place of an older one. A disk that takes none costs a line in the log; it holds until the end.
   * @param usual its inputs were made up
   */
  async keep(table: CutTable, usual: boolean): Promise<void> {
    await this.#kept.keep({ schema: 1, usual, table: Table.parse(structuredClone(table)) });
  }
}

const keyOf = ({ digest, shapes, raw = [], device, version }: CutTableKey): readonly (string | null)[] => [
  digest,
  shapes ?? null,
  raw.toSorted().join('\n'),
  device,
  version,
];
