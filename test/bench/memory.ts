// Whether memory stays where it was promised: a thousand loads, runs and unloads of three models within a budget for two.
// Asked for is always a model that isn't there, so each run begins with an unload of another one and a load.
import { readdir, readFile } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { InstalledModel } from '../../models/installed.ts';
import { type Manifest, modelRef } from '../../models/manifest.ts';
import type { SupervisedEngine } from '../../node/engine/supervised-engine.ts';
import { encodeRequest, FRANCE, generateRequest, textsOf, workOptions } from '../compliance/engine-requests.ts';
import { minilm, smollm, startEngine } from '../node/engine/support.ts';
import type { Benchmark } from './harness.ts';

/** With the usual 9 rounds: a thousand. */
const LOADS_PER_ROUND = 112;
/** What is taken as the level from which nothing may grow. */
const SETTLED = 10;
const SAMPLE_MS = 20;
/** Of the budget, so that a load that takes a little more than the first one still fits. */
const SPARE = 0.03;
const PAGE_BYTES = 4_096;
const MIB = 2 ** 20;

/** A model of its own to the engine, on the same files. */
function variant(model: InstalledModel, changes: Partial<Manifest>): InstalledModel {
  const manifest = { ...model.manifest, ...changes };
  return { ...model, ref: modelRef(manifest), manifest, aliases: [] };
}

/** Two encoders, which share a process, and a text generator with one of its own. */
async function threeModels(): Promise<readonly InstalledModel[]> {
  const [encoder, generator] = await Promise.all([minilm(), smollm()]);
  // A context this short needs no more keys and values than the least that is ever reserved.
  const short = variant(generator, { contextLength: 1_024 });
  return [encoder, short, variant(encoder, { id: 'bench/all-MiniLM-L6-v2' })];
}

async function work(engine: SupervisedEngine, { ref, manifest }: InstalledModel): Promise<void> {
  if (manifest.task === 'text-generation') {
    await engine.generate(generateRequest(ref, FRANCE, { maxNewTokens: 4 }), workOptions(), () => undefined);
  } else {
    await engine.encode(encodeRequest(ref, textsOf([16, 64])), workOptions());
  }
}

/** Resident bytes of every runner that was started and still lives, one that is ending included. */
async function runnersResident(pidFolder: string): Promise<number> {
  const names = await readdir(pidFolder).catch(() => []);
  const sizes = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(`/proc/${/\d+/.exec(name)?.[0]}/statm`, 'utf8').catch(() => '');
      return Number(text.split(' ')[1] ?? 0) * PAGE_BYTES;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The most that the runners, and what this process has grown by, take together. */
class Sampler {
  readonly #pidFolder: string;
  readonly #done: Promise<void>;
  #stopped = false;
  /** Resident bytes of this process from which it grows; undefined = not settled yet. */
  daemonFrom: number | undefined;
  runnersMax = 0;
  totalMax = 0;

  constructor(pidFolder: string) {
    this.#pidFolder = pidFolder;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const runners = await runnersResident(this.#pidFolder);
      const { rss } = process.memoryUsage();
      this.runnersMax = Math.max(this.runnersMax, runners);
      this.totalMax = Math.max(this.totalMax, runners + Math.max(0, rss - (this.daemonFrom ?? rss)));
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  }
}

/** What each model takes when it is alone. */
async function sizesOf(models: readonly InstalledModel[], threads: number): Promise<number[]> {
  const sizes: number[] = [];
  for (const model of models) {
    await using alone = await startEngine([model], { threads, generationsMax: 1 });
    await work(alone.engine, model);
    sizes.push(alone.engine.loaded()[0]?.residentBytes ?? 0);
  }
  return sizes;
}

export const memory: Benchmark = {
  name: 'memory',
  summary: '1,000 loads, runs and unloads of three models within a budget for two: what grows',
  async run({ rounds, threads, say }) {
    if (process.platform !== 'linux') throw new Error('This benchmark reads the size of processes from /proc.');
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const models = await threeModels();
    const sizes = await sizesOf(models, threads);
    // Any two fit, and a third one doesn't, although the second encoder has no process to pay for.
    const [smallest = 0] = sizes.toSorted((a, b) => a - b);
    const budget = (sizes.reduce((sum, size) => sum + size, 0) - smallest) * (1 + SPARE);
    const mib = (bytes: number): number => Math.round(bytes / MIB);
    say(`  budget ${mib(budget)} MiB for models of ${sizes.map(mib).join(', ')} MiB`);

    await using started = await startEngine(models, { threads, memoryBytesMax: budget, generationsMax: 1 });
    const { engine, pidFolder } = started;
    const sampler = new Sampler(pidFolder);
    const heapMb: number[] = [];
    const residentMb: number[] = [];
    const loadMs: number[] = [];
    let next = 0;
    while (loadMs.length < LOADS_PER_ROUND * rounds) {
      const there = new Set(engine.loaded().map(({ id }) => id));
      if (there.size === models.length)
        throw new Error('All three models fit: the budget is too large to say anything.');
      do next = (next + 1) % models.length;
      while (there.has((models[next] as InstalledModel).ref.id));
      const begun = performance.now();
      await work(engine, models[next] as InstalledModel);
      loadMs.push(performance.now() - begun);
      collect();
      const { heapUsed, external, rss } = process.memoryUsage();
      heapMb.push((heapUsed + external) / MIB);
      residentMb.push(rss / MIB);
      if (loadMs.length === SETTLED) sampler.daemonFrom = rss;
      if (loadMs.length % LOADS_PER_ROUND === 0) {
        say(
          `  ${loadMs.length} loads: heap + external ${Math.round(heapMb.at(-1) ?? 0)} MiB, resident ${mib(rss)} MiB`,
        );
      }
    }
    await sampler.stop();
    const growth = (values: readonly number[]): number => (values.at(-1) ?? 0) / (values[SETTLED - 1] ?? 1);
    return {
      figures: {
        loads: loadMs.length,
        budget_mb: budget / MIB,
        runners_max_mb: sampler.runnersMax / MIB,
        runners_and_daemon_growth_max_mb: sampler.totalMax / MIB,
        budget_used_max: sampler.totalMax / budget,
        heap_external_growth: growth(heapMb),
        resident_growth: growth(residentMb),
      },
      samples: { heap_external_mb: heapMb, resident_mb: residentMb, load_and_run_ms: loadMs },
    };
  },
};
