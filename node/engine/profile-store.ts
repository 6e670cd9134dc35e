// Measured profiles on disk: one small file per model, device, machine and version, so that a node prices its models from
// its first second. Written by the profiler; a damaged file counts as none.
import { z } from 'zod';
import { BATCH_POINTS_MAX } from '../../protocol/limits.ts';
import type { Log } from '../core/log.ts';
import type { MeasuredProfile } from '../core/profile.ts';
import { KeptRecords } from './kept-records.ts';
import { PROFILE_BYTES_MAX, PROFILES_KEPT_MAX } from './limits.ts';

const TEXT_LENGTH_MAX = 512;

const Ms = z.number().nonnegative();
const Count = z.number().int().positive();
const Text = z.string().max(TEXT_LENGTH_MAX);

const Kept = z.strictObject({
  schema: z.literal(1),
  /** Hub id, for people who look into the file. */
  model: Text,
  digest: Text,
  device: Text,
  machine: Text,
  version: Text,
  measuredAtMs: Ms,
  work: z.array(z.strictObject({ tokens: Count, ms: Ms })).max(BATCH_POINTS_MAX),
  decode: z.array(z.strictObject({ context: Count, ms: Ms })).max(BATCH_POINTS_MAX),
  batch: z.array(z.strictObject({ size: Count, ms: Ms })).max(BATCH_POINTS_MAX),
  loadMs: Ms,
  decoder: z.enum(['rewritten', 'plain']).optional(),
  decoderReason: Text.optional(),
});
type Kept = z.infer<typeof Kept>;

/** What a profile is one of. */
export interface ProfileKey {
  readonly digest: string;
  readonly device: string;
  readonly machine: string;
  readonly version: string;
}

export class ProfileStore {
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
  ): Promise<ProfileStore> {
    const kept = await KeptRecords.open<Kept>(components, {
      ...init,
      what: 'profile',
      recordsMax: PROFILES_KEPT_MAX,
      bytesMax: PROFILE_BYTES_MAX,
      parse: (value) => Kept.parse(value),
      keyOf,
      measuredAtMs: ({ measuredAtMs }) => measuredAtMs,
    });
    return new ProfileStore(kept);
  }

  /** The profile of exactly this device. */
  find(key: ProfileKey): MeasuredProfile | undefined {
    const kept = this.#kept.find(keyOf(key));
    return kept === undefined ? undefined : profileOf(kept);
  }

  /** The newest profile of the model, whatever device: it isn't known before the model is loaded. */
  latest({ digest, machine, version }: Omit<ProfileKey, 'device'>): MeasuredProfile | undefined {
    const found = this.#kept.latest(
      (kept) => kept.digest === digest && kept.machine === machine && kept.version === version,
    );
    return found === undefined ? undefined : profileOf(found);
  }

  /** Keeps a profile in place of an older one. A disk that takes none costs a line in the log; it holds until the end. */
  async keep(model: { readonly id: string; readonly digest: string }, profile: MeasuredProfile): Promise<void> {
    await this.#kept.keep({ schema: 1, model: model.id, digest: model.digest, ...clipped(profile) });
  }
}

const keyOf = ({ digest, device, machine, version }: ProfileKey): readonly string[] => [
  digest,
  device,
  machine,
  version,
];

function profileOf({ schema: _schema, model: _model, digest: _digest, decoder, decoderReason, ...rest }: Kept) {
  return {
    ...rest,
    ...(decoder === undefined ? {} : { decoder }),
    ...(decoderReason === undefined ? {} : { decoderReason }),
  } satisfies MeasuredProfile;
}

/** A reason is for people: its beginning will do. */
function clipped(profile: MeasuredProfile) {
  const { decoderReason, work, decode, batch, ...rest } = profile;
  return {
    ...rest,
    work: [...work],
    decode: [...decode],
    batch: [...batch],
    ...(decoderReason === undefined ? {} : { decoderReason: decoderReason.slice(0, TEXT_LENGTH_MAX) }),
  };
}
