// Where a graph can be cut, measured by an engine of its own where no daemon runs: for `weft cut`. The model runs in a process
// of its own, as it would under a daemon.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { InstalledModel } from '../../models/installed.ts';
import type { CutTable } from '../../protocol/cut-table.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { SupervisedEngine } from '../engine/supervised-engine.ts';
import { packagePaths } from './paths.ts';

export interface MeasureAloneInit {
  readonly model: InstalledModel;
  /** For files while it is measured. */
  readonly folder: string;
  readonly memoryBytesMax: number;
  readonly threads: number;
  readonly version: string;
  readonly signal: AbortSignal;
}

/** @throws WeftError what measuring fails with: `model_corrupt`, `out_of_memory`, `unsupported`, `cancelled` */
export async function measureAlone(
  components: { readonly clock: Clock; readonly log: Log },
  { model, folder, memoryBytesMax, threads, version, signal }: MeasureAloneInit,
): Promise<CutTable> {
  const { runnerEntry } = packagePaths();
  const engine = new SupervisedEngine(
    { ...components, telemetry: NOBODY_LISTENS, cutStore: { find: () => undefined, keep: async () => undefined } },
    {
      node: 'here',
      models: [model],
      threads: Math.min(threads, availableParallelism()),
      memoryBytesMax,
      keepAliveMs: () => 0,
      runnerEntry,
      nodePath: process.execPath,
      pidFolder: join(folder, 'runners'),
      cuts: { machine: 'this machine', version, scratchFolder: join(folder, 'cutting') },
    },
  );
  await engine.start();
  try {
    return await engine.cuts(model.ref, { signal });
  } finally {
    await engine.stop();
  }
}

const NOBODY_LISTENS: Telemetry = {
  count: () => undefined,
  observe: () => undefined,
  gauge: () => undefined,
  text: async () => '',
};
