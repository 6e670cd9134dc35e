// Makes a model of files on this disk: checked and hashed in the caged process, then linked or copied into the store.
import { isAbsolute } from 'node:path';
import { modelRef, parseManifest, sizeOf } from '../../models/manifest.ts';
import { isModelId } from '../../models/model-name.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { ImportOutcome, ImportRequest, SignerReport } from '../core/library.ts';
import type { LibraryComponents } from './components.ts';
import { installFiles } from './install.ts';
import type { JobContext } from './jobs.ts';
import { judge, signAsPublisher } from './signatures.ts';

/** An import, with what a pull of a folder tells beside it. */
export interface Imported extends ImportOutcome {
  readonly signers: readonly SignerReport[];
}

/** @throws WeftError `bad_request` for a relative path or a bad id, `model_corrupt`, `disk_full`, `signature_invalid` */
export async function importModel(
  components: LibraryComponents,
  request: ImportRequest,
  { signal, record }: JobContext,
): Promise<Imported> {
  const { clock, mesh, prep, store } = components;
  if (!isAbsolute(request.path)) throw invalid('path', 'The path of what is imported must be absolute.');
  if (request.id !== undefined && !isModelId(request.id)) throw invalid('id', 'An id is written as OWNER/NAME.');
  // Judged before anything is read: the only signature there will be is this node's own.
  const { signers, warnings, refusal } = judge(
    components,
    nameOf(request),
    { signed: [{ key: mesh.self }], invalid: [] },
    true,
  );
  if (refusal !== undefined) throw refusal;

  record.update({ phase: 'checking' });
  const { path, id, task, licence } = request;
  let hashedBytes = 0;
  const inspected = await prep.inspect(
    {
      path,
      ...(id !== undefined && { id }),
      ...(task !== undefined && { task }),
      ...(licence !== undefined && { licence }),
    },
    {
      signal,
      onBytes: (bytes) => {
        hashedBytes += bytes;
        record.update({ doneBytes: hashedBytes });
      },
    },
  );
  const manifest = parseManifest(inspected.manifestJson);
  const ref = modelRef(manifest);
  const sizeBytes = sizeOf(manifest);
  record.update({ model: ref.id, totalBytes: sizeBytes, doneBytes: sizeBytes, hereBytes: sizeBytes });
  const outcome = {
    ...ref,
    task: manifest.task,
    reason: inspected.reason,
    sizeBytes,
    signers,
    warnings: [...inspected.warnings, ...warnings],
  };
  if (store.byDigest(ref.digest) !== undefined) return { ...outcome, wasHere: true };

  const kept = store.keep(manifest.files.map(({ sha256 }) => sha256));
  let reserved: { release(): void } | undefined;
  try {
    reserved = await store.reserve(manifest.files);
    const from = new Map(inspected.sources.map((source) => [source.path, source.from]));
    for (const file of manifest.files) {
      signal.throwIfAborted();
      const at = from.get(file.path);
      // What changed since it was hashed is refused here; what changes later is a person's own copy.
      if (!store.has(file.sha256) && at !== undefined) await store.adopt(at, file, { copy: true });
    }
    const { wasHere } = await installFiles(components, {
      files: manifest.files,
      about: inspected,
      said: undefined,
      sign: async (_manifest, digest) => (await signAsPublisher(components, digest)).texts,
      origin: { brought: false, from: 'import', atMs: clock.wallNow() },
      record,
      signal,
    });
    return { ...outcome, wasHere };
  } finally {
    reserved?.release();
    kept.release();
  }
}

const nameOf = ({ id }: ImportRequest): string => id ?? 'what is imported';

const invalid = (param: string, message: string): WeftError =>
  new WeftError({ code: 'bad_request', message, facts: { param } });
