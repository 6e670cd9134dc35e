// What `weft cut` is to cut: an installed model, or a file or folder of this machine, checked in a caged process as an import
// would be. Works without a daemon.
import { copyFile, link, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { InstalledModel } from '../../models/installed.ts';
import { modelRef, parseManifest } from '../../models/manifest.ts';
import { ModelStore } from '../../models/store.ts';
import { WeftError } from '../../protocol/errors.ts';
import { installedNamed } from '../app/installed-named.ts';
import { packagePaths } from '../app/paths.ts';
import type { Settings } from '../config/settings.ts';
import { silentLog } from '../core/log.ts';
import type { Prep } from '../core/prep.ts';

/**
 * A file or folder as a model, its files linked into a folder of their own.
 * @param scratch where that folder is made
 * @throws WeftError `model_corrupt` for what an import would refuse
 */
export async function modelOfPath(
  prep: Pick<Prep, 'inspect'>,
  path: string,
  { scratch, signal }: { readonly scratch: string; readonly signal: AbortSignal },
): Promise<InstalledModel> {
  const { manifestJson, sources } = await prep.inspect({ path, licence: 'LicenseRef-unknown' }, { signal });
  const manifest = parseManifest(manifestJson);
  const folder = join(scratch, 'model');
  for (const source of sources) {
    const place = join(folder, ...source.path.split('/'));
    await mkdir(dirname(place), { recursive: true });
    // Another disk has no second name for a file of this one.
    await link(source.from, place).catch(() => copyFile(source.from, place));
  }
  return { ref: modelRef(manifest), manifest, folder, aliases: [] };
}

/** @throws WeftError `model_not_found` */
export async function modelOfName(name: string, settings: Settings, cacheFolder: string): Promise<InstalledModel> {
  const { bundledModels } = packagePaths();
  const store = new ModelStore(
    { log: silentLog },
    { roots: [settings.models, bundledModels], bundledRoot: bundledModels, cacheFolder, readOnly: true },
  );
  try {
    await store.open();
    const model = installedNamed(store, name);
    if (model !== undefined) return model;
  } finally {
    await store.close();
  }
  throw new WeftError({
    code: 'model_not_found',
    message: `The model "${name}" is not installed here.`,
    remedy: `Bring it with \`weft pull ${name}\`, or name an .onnx file.`,
  });
}
