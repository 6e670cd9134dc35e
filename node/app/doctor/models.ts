// Layer `models`: those that came with Weft are there, every file that is small is what its manifest says, and no folder
// was passed over.
import { join } from 'node:path';
import type { InstalledModel } from '../../../models/installed.ts';
import { type ModelProblem, ModelStore } from '../../../models/store.ts';
import { verifyFiles } from '../../../models/verify.ts';
import { silentLog } from '../../core/log.ts';
import { type Check, type Finding, failed, failedBy, ok } from './check.ts';
import { RUNTIME_MS_MAX } from './limits.ts';

export interface ModelsInit {
  /** The data folder. */
  readonly home: string;
  /** The owner's own models. */
  readonly modelsFolder: string;
  /** Those that came with the package. */
  readonly bundledModels: string;
}

/** What came with Weft, by short name. */
const BUNDLED = ['minilm', 'smollm2'] as const;

export function modelChecks(init: ModelsInit): readonly Check[] {
  return [
    {
      layer: 'models',
      name: 'installed models',
      deadlineMs: RUNTIME_MS_MAX,
      overdueRemedy: 'The disk that holds the models is slow or hangs: look at it.',
      run: () => look(init),
    },
  ];
}

/** Scans the folders anew: what the daemon saw at its start may have changed since. */
async function look({ home, modelsFolder, bundledModels }: ModelsInit): Promise<readonly Finding[]> {
  // A folder that doesn't exist: nothing of the running daemon's cache is touched.
  const cacheFolder = join(home, 'cache', 'models', '.none');
  // What looks like a leftover may be what the daemon is putting together.
  const init = { roots: [modelsFolder, bundledModels], cacheFolder, readOnly: true };
  const store = new ModelStore({ log: silentLog }, init);
  await store.open();
  return judgeModels(store.list(), store.problems());
}

/** One line for each model and each problem. */
export async function judgeModels(
  models: readonly InstalledModel[],
  problems: readonly ModelProblem[],
): Promise<readonly Finding[]> {
  const missing = BUNDLED.filter((alias) => !models.some(({ aliases }) => aliases.includes(alias)));
  return [
    ...missing.map((alias) =>
      failed(alias, 'The model that comes with Weft is not there, or not whole.', 'Install Weft again.'),
    ),
    ...problems.map(({ id, error }) => failedBy(id, error)),
    ...(await Promise.all(models.map(verified))),
  ];
}

async function verified({ ref, manifest, folder }: InstalledModel): Promise<Finding> {
  try {
    await verifyFiles(folder, manifest, 'small');
    return ok(ref.id, `${manifest.files.length} files, of the right sizes; the small ones are what the manifest says`);
  } catch (error) {
    return failedBy(ref.id, error);
  }
}
