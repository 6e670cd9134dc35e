// Files that are to come into a store, and models of them. Also used by a process without a test around it.
import { createCipheriv, createHash } from 'node:crypto';
import type { Manifest } from '../../../models/manifest.ts';
import type { FileToFetch, ModelStore, PartialFile } from '../../../models/store.ts';

/** Small, so that a file of a few hundred KB has many. */
export const CHUNK = 64 << 10;

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A file, its chunks, and what is said of both. */
export interface SampleFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
  readonly known: FileToFetch & { readonly chunks: { readonly sizeBytes: number; readonly sha256: string[] } };
  /** Of which nothing but the digest is known. */
  readonly unknown: FileToFetch;
  /** A copy, whose buffer may be taken. */
  readonly chunk: (index: number) => Uint8Array<ArrayBuffer>;
}

export function sample(seed: number, sizeBytes: number, chunkBytes = CHUNK): SampleFile {
  // A cipher's stream: megabytes of it in no time.
  const cipher = createCipheriv('aes-128-ctr', sha256(Buffer.from(`key ${seed}`)).slice(0, 16), new Uint8Array(16));
  const bytes = new Uint8Array(cipher.update(new Uint8Array(sizeBytes)));
  const chunk = (index: number): Uint8Array<ArrayBuffer> => bytes.slice(index * chunkBytes, (index + 1) * chunkBytes);
  const digests = Array.from({ length: Math.ceil(sizeBytes / chunkBytes) }, (_, index) => sha256(chunk(index)));
  const unknown = { sha256: sha256(bytes), sizeBytes };
  return {
    bytes,
    sha256: unknown.sha256,
    known: { ...unknown, chunks: { sizeBytes: chunkBytes, sha256: digests } },
    unknown,
    chunk,
  };
}

/** Writes every chunk that isn't there. @returns how many these were */
export async function writeAll(partial: PartialFile, file: SampleFile): Promise<number> {
  const count = Math.ceil(file.bytes.byteLength / partial.file.chunks.sizeBytes);
  let written = 0;
  for (let index = 0; index < count; index++) {
    if (partial.has(index)) continue;
    const { sizeBytes } = partial.file.chunks;
    if (!(await partial.write(index, file.bytes.slice(index * sizeBytes, (index + 1) * sizeBytes)))) {
      throw new Error(`chunk ${index} was refused`);
    }
    written++;
  }
  return written;
}

/** Brings the whole file into the store. */
export async function fetchAll(store: ModelStore, file: SampleFile): Promise<void> {
  const partial = await store.partial(file.known);
  await writeAll(partial, file);
  await partial.finish();
}

/** A manifest of a model that has these files. */
export function manifestOf(files: Readonly<Record<string, SampleFile>>, overrides: Partial<Manifest> = {}): Manifest {
  const port = { name: 'x', type: 'float32', dims: ['n'] };
  return {
    schema: 1,
    id: 'owner/name',
    task: 'tensor',
    precision: 'fp32',
    graph: Object.keys(files)[0] ?? '',
    files: Object.entries(files).map(([path, { known }]) => ({ path, kind: 'small', ...known })),
    inputs: [port],
    outputs: [port],
    contextLength: 0,
    licence: { spdx: 'MIT', file: Object.keys(files)[0] ?? '' },
    ...overrides,
  };
}

export const ORIGIN = { brought: false, from: 'a test', atMs: 1 };

/** Brings the files, and installs the model. */
export async function installModel(
  store: ModelStore,
  files: Readonly<Record<string, SampleFile>>,
  overrides: Partial<Manifest> = {},
) {
  for (const file of Object.values(files)) if (!store.has(file.sha256)) await fetchAll(store, file);
  const staged = await store.stage(Object.entries(files).map(([path, file]) => ({ path, sha256: file.sha256 })));
  return staged.install(manifestOf(files, overrides), { signatures: [], origin: ORIGIN });
}
