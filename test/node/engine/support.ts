// What the tests of the engine share: the bundled models, and engines on real runner processes.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { InstalledModel } from '../../../models/installed.ts';
import { modelRef, parseManifest } from '../../../models/manifest.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { Telemetry } from '../../../node/core/telemetry.ts';
import { SupervisedEngine, type SupervisedEngineInit } from '../../../node/engine/supervised-engine.ts';

export const RUNNER_ENTRY = fileURLToPath(new URL('../../../node/engine/runner/main.ts', import.meta.url));
const BUNDLED = fileURLToPath(new URL('../../../models/bundled/', import.meta.url));

/** A model out of a folder with a manifest. */
export async function installedModel(folder: string): Promise<InstalledModel> {
  const manifest = parseManifest(await readFile(join(folder, 'weft-manifest.json'), 'utf8'));
  return { ref: modelRef(manifest), manifest, folder, aliases: [] };
}

export const minilm = (): Promise<InstalledModel> => installedModel(join(BUNDLED, 'Xenova/all-MiniLM-L6-v2'));
export const smollm = (): Promise<InstalledModel> =>
  installedModel(join(BUNDLED, 'HuggingFaceTB/SmolLM2-135M-Instruct'));

/** Telemetry that counts and forgets. */
export const silentTelemetry: Telemetry = {
  count() {
    /* dropped */
  },
  observe() {
    /* dropped */
  },
  gauge() {
    /* dropped */
  },
  text: async () => '',
};

/** A folder of its own, gone at the end of the scope. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'weft-engine-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Settings of an engine in tests: patient with a loaded machine, and never unloading. */
export function engineInit(
  models: readonly InstalledModel[],
  pidFolder: string,
  overrides: Partial<SupervisedEngineInit> = {},
): SupervisedEngineInit {
  return {
    node: 'test-node',
    models,
    threads: 1,
    memoryBytesMax: 4 * 2 ** 30,
    keepAliveMs: () => Number.POSITIVE_INFINITY,
    runnerEntry: RUNNER_ENTRY,
    nodePath: process.execPath,
    pidFolder,
    liveness: { intervalMs: 100, timeoutMs: 2_000 },
    ...overrides,
  };
}

/** A started engine; stopped at the end of the scope. */
export async function startEngine(
  models: readonly InstalledModel[],
  overrides: Partial<SupervisedEngineInit> = {},
): Promise<AsyncDisposable & { readonly engine: SupervisedEngine; readonly pidFolder: string }> {
  const folder = await temporaryFolder();
  const init = engineInit(models, folder.path, overrides);
  const engine = new SupervisedEngine({ clock: systemClock, log: silentLog, telemetry: silentTelemetry }, init);
  await engine.start();
  return {
    engine,
    pidFolder: folder.path,
    async [Symbol.asyncDispose]() {
      await engine.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}
