// Measured profiles on disk: one small file per model, device, machine and version, so that a node prices its models from
// its first second. Written by the profiler; a damaged file counts as none.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BATCH_POINTS_MAX } from '../../protocol/limits.ts';
import type { Log } from '../core/log.ts';
import type { MeasuredProfile } from '../core/profile.ts';
import { PROFILE_BYTES_MAX, PROFILES_KEPT_MAX } from './limits.ts';

const FILE_NAME = /^[0-9a-f]{32}\.json$/;
/** What a crash may leave of a write. */
const UNFINISHED = /^[0-9a-f]{32}\.json\.[0-9a-f]{8}\.tmp$/;
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
  readonly #log: Log;
  readonly #folder: string;
  /** By file name, the oldest measurement first. */
  readonly #kept = new Map<string, Kept>();

  private constructor(components: { readonly log: Log }, init: { readonly folder: string }) {
    this.#log = components.log;
    this.#folder = init.folder;
  }

  /** Reads what is kept. A folder that can't be read or made counts as empty: profiles are measured again then. */
  static async open(
    components: { readonly log: Log },
    init: {
      /** Absolute path, made if need be. One daemon at a time. */
      readonly folder: string;
    },
  ): Promise<ProfileStore> {
    const store = new ProfileStore(components, init);
    await store.#load().catch((error: unknown) => {
      components.log.warn({ error }, 'kept profiles could not be read');
    });
    return store;
  }

  /** The profile of exactly this device. */
  find(key: ProfileKey): MeasuredProfile | undefined {
    const kept = this.#kept.get(fileName(key));
    return kept === undefined ? undefined : profileOf(kept);
  }

  /** The newest profile of the model, whatever device: it isn't known before the model is loaded. */
  latest({ digest, machine, version }: Omit<ProfileKey, 'device'>): MeasuredProfile | undefined {
    const found = [...this.#kept.values()].findLast(
      (kept) => kept.digest === digest && kept.machine === machine && kept.version === version,
    );
    return found === undefined ? undefined : profileOf(found);
  }

  /** Keeps a profile in place of an older one. A disk that takes none costs a line in the log; it holds until the end. */
  async keep(model: { readonly id: string; readonly digest: string }, profile: MeasuredProfile): Promise<void> {
    const kept: Kept = { schema: 1, model: model.id, digest: model.digest, ...clipped(profile) };
    const name = fileName(kept);
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    try {
      await this.#write(name, `${JSON.stringify(kept)}\n`);
      await this.#forgetOldest();
    } catch (error) {
      this.#log.warn({ error, model: model.id }, 'a measured profile could not be kept');
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
    found.sort(([, a], [, b]) => a.measuredAtMs - b.measuredAtMs);
    for (const [name, kept] of found) this.#kept.set(name, kept);
    await this.#forgetOldest();
  }

  /** A file under another profile's name is damaged too: it would be found for what it isn't. */
  async #read(name: string): Promise<Kept | undefined> {
    const path = join(this.#folder, name);
    try {
      if ((await stat(path)).size > PROFILE_BYTES_MAX) throw new RangeError('too large');
      const kept = Kept.parse(JSON.parse(await readFile(path, 'utf8')));
      if (fileName(kept) !== name) throw new RangeError('under another name');
      return kept;
    } catch (error) {
      this.#log.warn({ error, file: name }, 'a kept profile is damaged and counts as none');
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
      if (this.#kept.size <= PROFILES_KEPT_MAX) return;
      this.#kept.delete(name);
      await rm(join(this.#folder, name), { force: true });
    }
  }
}

function fileName({ digest, device, machine, version }: ProfileKey): string {
  const hash = createHash('sha256').update(JSON.stringify([digest, device, machine, version]));
  return `${hash.digest('hex').slice(0, 32)}.json`;
}

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
