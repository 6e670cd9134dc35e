// The background measurement, on an engine with known speeds and a clock that a test moves; and where its results lie.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import type { GenerationStatus, LoadedModel, WorkOptions } from '../../../node/core/engine.ts';
import { type Log, silentLog } from '../../../node/core/log.ts';
import type { MeasurableEngine, MeasuredProfile, ProfileReport } from '../../../node/core/profile.ts';
import {
  PROFILE_LOOK_MS,
  PROFILE_QUIET_MS,
  PROFILE_STEP_MS_MAX,
  PROFILES_KEPT_MAX,
} from '../../../node/engine/limits.ts';
import { ProfileStore } from '../../../node/engine/profile-store.ts';
import { Profiler } from '../../../node/engine/profiler.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { Timing } from '../../../protocol/infer.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { temporaryFolder } from './support.ts';

const CHAT = {
  ref: { id: 'owner/chat', digest: `sha256:${'1'.repeat(64)}` },
  manifest: { task: 'text-generation', contextLength: 2_048, generation: { vocabularySize: 500 } },
} as unknown as InstalledModel;
const ENCODER = {
  ref: { id: 'owner/encoder', digest: `sha256:${'2'.repeat(64)}` },
  manifest: { task: 'feature-extraction', contextLength: 512, encoding: { pooling: 'cls', normalize: true } },
} as unknown as InstalledModel;
const GRAPH = {
  ref: { id: 'owner/graph', digest: `sha256:${'3'.repeat(64)}` },
  manifest: { task: 'tensor', contextLength: 0, inputs: [{ name: 'x', type: 'float32', dims: ['n', 4] }] },
} as unknown as InstalledModel;
const CLOSED = {
  ref: { id: 'owner/closed', digest: `sha256:${'4'.repeat(64)}` },
  manifest: { task: 'tensor', contextLength: 0, inputs: [{ name: 'x', type: 'int64', dims: ['n'] }] },
} as unknown as InstalledModel;

const MACHINE = { version: '0.1.0', machine: 'Example CPU, 2 threads' };
const cancelled = (): WeftError => new WeftError({ code: 'cancelled', message: 'Another request came.' });

/** As the engine does when the caller goes away. */
const untilAborted = ({ signal }: WorkOptions): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(cancelled())));

/** An engine whose speeds are known: 2 ms a prompt token, 10 ms a step and 1 more for each sequence beside. */
class KnownEngine implements MeasurableEngine {
  readonly node = 'here';
  readonly clock: ManualClock;
  readonly claims = new Map<string, MeasuredProfile>();
  readonly asked: WorkOptions[] = [];
  models: LoadedModel[] = [];
  quiet = PROFILE_QUIET_MS;
  loadMs = 480;
  /** Called with the number of each request before it is answered; may throw, or never return. */
  before: (request: number, options: WorkOptions) => Promise<void> = async () => undefined;
  #side = 0;

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  loaded(): readonly LoadedModel[] {
    return this.models;
  }

  quietMs(): number {
    return this.quiet;
  }

  claim(digest: string, claim: MeasuredProfile): void {
    this.claims.set(digest, claim);
  }

  profile(): ProfileReport {
    return { observed: { loadMs: this.loadMs } } as ProfileReport;
  }

  async generate(...[request, options, onTokens]: Parameters<MeasurableEngine['generate']>) {
    this.#side++;
    await this.#ask(options);
    const stepMs = 9 + this.#side;
    await Promise.resolve();
    for (let index = 0; index < request.maxNewTokens; index++) onTokens(index, [7]);
    this.#side--;
    const prefillMs = 4 + 2 * request.promptLength;
    const computeMs = prefillMs + stepMs * (request.maxNewTokens - 1);
    return {
      finish: 'length' as const,
      generated: request.maxNewTokens,
      node: '',
      timing: timing(computeMs, prefillMs),
    };
  }

  async encode(...[request, options]: Parameters<MeasurableEngine['encode']>) {
    await this.#ask(options);
    return { embeddings: new Float32Array(), dimensions: 1, node: '', timing: timing(1 + request.ids.length / 10) };
  }

  async run(...[request, options]: Parameters<MeasurableEngine['run']>) {
    await this.#ask(options);
    return { outputs: [], node: '', timing: timing(5 + (request.inputs[0]?.dims[0] ?? 0)) };
  }

  async #ask(options: WorkOptions): Promise<void> {
    this.asked.push(options);
    await this.before(this.asked.length, options);
  }
}

const timing = (computeMs: number, prefillMs = 0): Timing => ({ queueMs: 0, loadMs: 0, computeMs, prefillMs });

function loaded({ ref, manifest }: InstalledModel, over: Partial<LoadedModel> = {}): LoadedModel {
  const generation = { decoder: 'plain', decoderReason: 'It has a loop.', sequencesMax: 2 } as GenerationStatus;
  return {
    id: ref.id,
    digest: ref.digest,
    state: 'loaded',
    provider: 'cpu',
    generation: manifest.task === 'text-generation' ? generation : undefined,
    ...over,
  } as LoadedModel;
}

/** A log that keeps what was worth a warning. */
function recordedLog(): Log & { readonly warnings: string[] } {
  const warnings: string[] = [];
  return { ...silentLog, warn: (_fields, message) => void warnings.push(message), warnings };
}

const MODELS = [CHAT, ENCODER, GRAPH, CLOSED];

interface Kept {
  readonly id: string;
  readonly profile: MeasuredProfile;
}

function make(models: readonly InstalledModel[], init: { readonly measures?: boolean; readonly log?: Log } = {}) {
  const clock = new ManualClock();
  const engine = new KnownEngine(clock);
  const kept: Kept[] = [];
  const find = (digest: string): MeasuredProfile | undefined =>
    kept.findLast(({ id }) => MODELS.some(({ ref }) => ref.id === id && ref.digest === digest))?.profile;
  const store = {
    find: ({ digest, device }: { digest: string; device: string }) => {
      const profile = find(digest);
      return profile?.device === device ? profile : undefined;
    },
    latest: ({ digest }: { digest: string }) => find(digest),
    keep: async ({ id }: { id: string }, profile: MeasuredProfile) => void kept.push({ id, profile }),
  };
  const { measures = true, log = silentLog } = init;
  const profiler = new Profiler({ clock, log, engine, store }, { models, ...MACHINE, measures });
  /** Lets the profiler look once, and end what it does then, as far as the engine lets it. */
  const look = async (): Promise<void> => {
    clock.advance(PROFILE_LOOK_MS);
    await new Promise(setImmediate);
  };
  return { clock, engine, kept, store, profiler, look };
}

describe('Profiler', () => {
  it('measures a text generator once, and claims and keeps what came out', async () => {
    const { engine, kept, profiler, look } = make([CHAT]);
    engine.models = [loaded(CHAT)];
    profiler.start();
    await look();
    expect(kept).toEqual([
      {
        id: 'owner/chat',
        profile: {
          device: 'cpu',
          ...MACHINE,
          measuredAtMs: PROFILE_LOOK_MS,
          work: [
            { tokens: 32, ms: 68 },
            { tokens: 256, ms: 516 },
          ],
          decode: [
            { context: 40, ms: 10 },
            { context: 264, ms: 10 },
          ],
          // All tokens come at one time here: there is no step to be seen.
          batch: [],
          loadMs: 480,
          decoder: 'plain',
          decoderReason: 'It has a loop.',
        },
      },
    ]);
    expect(engine.claims.get(CHAT.ref.digest)).toEqual(kept[0]?.profile);
    const asked = engine.asked.length;
    for (let time = 0; time < 5; time++) await look();
    expect(engine.asked).toHaveLength(asked);
    await profiler.stop();
  });

  it('asks for nothing that counts as demand, has a deadline, or repeats an id', async () => {
    const { engine, profiler, look } = make([CHAT, ENCODER, GRAPH]);
    engine.models = [loaded(CHAT), loaded(ENCODER), loaded(GRAPH)];
    profiler.start();
    for (let time = 0; time < 3; time++) await look();
    // A call past its deadline would get its runner killed.
    for (const { background, budgetMs } of engine.asked) expect([background, budgetMs]).toEqual([true, undefined]);
    expect(new Set(engine.asked.map(({ requestId }) => requestId)).size).toBe(engine.asked.length);
    await profiler.stop();
  });

  it('measures encoders by texts and rows, and other graphs by rows', async () => {
    const { engine, kept, profiler, look } = make([ENCODER, GRAPH]);
    engine.models = [loaded(ENCODER), loaded(GRAPH)];
    profiler.start();
    for (let time = 0; time < 2; time++) await look();
    const of = (id: string) => kept.find((entry) => entry.id === id)?.profile;
    expect(of('owner/encoder')?.work).toEqual([
      { tokens: 16, ms: 2.6 },
      { tokens: 128, ms: 13.8 },
    ]);
    expect(of('owner/encoder')?.batch.map(({ size, ms }) => [size, ms])).toEqual([
      [1, 4.2],
      [2, 7.4],
      [4, 13.8],
      [8, 26.6],
      [16, 52.2],
    ]);
    expect(of('owner/graph')).toMatchObject({ work: [{ tokens: 1, ms: 6 }], decode: [] });
    expect(of('owner/graph')?.batch.at(-1)).toEqual({ size: 16, ms: 21 });
    await profiler.stop();
  });

  it('measures nothing while the node is at work, or before the model is loaded', async () => {
    const { engine, profiler, look } = make([CHAT]);
    engine.models = [loaded(CHAT)];
    engine.quiet = PROFILE_QUIET_MS - 1;
    profiler.start();
    await look();
    engine.quiet = 60_000;
    engine.models = [loaded(CHAT, { state: 'loading' })];
    await look();
    engine.models = [];
    await look();
    expect(engine.asked).toEqual([]);
    await profiler.stop();
  });

  it('goes on where a request interrupted it', async () => {
    const { engine, kept, profiler, look } = make([CHAT]);
    engine.models = [loaded(CHAT)];
    // The warm-up and the first step are done, the second step gives way.
    engine.before = async (request) => {
      if (request === 3) throw cancelled();
    };
    profiler.start();
    await look();
    expect(kept).toEqual([]);
    await look();
    expect(kept[0]?.profile.work.map(({ tokens }) => tokens)).toEqual([32, 256]);
    await profiler.stop();
  });

  it('leaves out a step that takes too long, and what is larger of its kind', async () => {
    const { clock, engine, kept, profiler, look } = make([ENCODER]);
    engine.models = [loaded(ENCODER)];
    // The warm-up and three runs of the shorter text are done; the longer one hangs, the rows are answered again.
    engine.before = (request, options) => (request === 5 ? untilAborted(options) : Promise.resolve());
    profiler.start();
    await look();
    expect(kept).toEqual([]);
    clock.advance(PROFILE_STEP_MS_MAX);
    await new Promise(setImmediate);
    expect(kept[0]?.profile.work.map(({ tokens }) => tokens)).toEqual([16]);
    expect(kept[0]?.profile.batch).toHaveLength(5);
    await profiler.stop();
  });

  it('ends after its time, with what it has', async () => {
    const { clock, engine, kept, profiler, look } = make([ENCODER]);
    engine.models = [loaded(ENCODER)];
    // Every step of three runs takes nearly as long as it may: there is time for three of them.
    engine.before = async (_request, { signal }) => {
      clock.advance(PROFILE_STEP_MS_MAX * 0.32);
      if (signal.aborted) throw cancelled();
    };
    profiler.start();
    await look();
    expect(kept[0]?.profile.work).toHaveLength(2);
    expect(kept[0]?.profile.batch.map(({ size }) => size)).toEqual([1]);
    await profiler.stop();
  });

  it('keeps a failure as an empty profile, so that a model which brings a runner down is not tried at each start', async () => {
    const { engine, kept, profiler, look } = make([CHAT]);
    engine.models = [loaded(CHAT)];
    engine.before = async () => {
      throw new WeftError({ code: 'runner_lost', message: 'The runner died.' });
    };
    profiler.start();
    await look();
    await look();
    expect(kept).toHaveLength(1);
    expect(kept[0]?.profile).toMatchObject({ work: [], decode: [], batch: [] });
    expect(engine.asked).toHaveLength(1);
    await profiler.stop();
  });

  it('keeps nothing of a graph that it can make no input for', async () => {
    const { engine, kept, profiler, look } = make([CLOSED]);
    engine.models = [loaded(CLOSED)];
    profiler.start();
    for (let time = 0; time < 3; time++) await look();
    expect([kept, engine.asked]).toEqual([[], []]);
    await profiler.stop();
  });

  it('prices and measures a model that is offered later', async () => {
    const first = make([CHAT]);
    first.engine.models = [loaded(CHAT)];
    first.profiler.start();
    await first.look();
    await first.profiler.stop();

    const { engine, kept, profiler, look } = make([]);
    kept.push(...first.kept);
    profiler.start();
    profiler.add(CHAT);
    expect(engine.claims.get(CHAT.ref.digest)).toEqual(first.engine.claims.get(CHAT.ref.digest));
    profiler.add(ENCODER);
    engine.models = [loaded(ENCODER)];
    await look();
    expect(kept).toHaveLength(2);
    await profiler.stop();
  });

  it('prices what was kept from its start, and measures anew on another device', async () => {
    const first = make([CHAT]);
    first.engine.models = [loaded(CHAT)];
    first.profiler.start();
    await first.look();
    const onCpu = first.engine.claims.get(CHAT.ref.digest);
    await first.profiler.stop();

    const { engine, kept, profiler, look } = make([CHAT]);
    kept.push(...first.kept);
    profiler.start();
    expect(engine.claims.get(CHAT.ref.digest)).toEqual(onCpu);
    engine.models = [loaded(CHAT)];
    await look();
    expect(engine.asked).toEqual([]);
    engine.models = [loaded(CHAT, { provider: 'webgpu' })];
    await look();
    expect(kept.map(({ profile }) => profile.device)).toEqual(['cpu', 'webgpu']);
    await profiler.stop();
  });

  it('writes down loads that have become slower, once', async () => {
    const { engine, kept, profiler, look } = make([GRAPH]);
    engine.models = [loaded(GRAPH)];
    profiler.start();
    await look();
    engine.loadMs = 500;
    await look();
    expect(kept).toHaveLength(1);
    engine.loadMs = 900;
    await look();
    await look();
    expect(kept.map(({ profile }) => profile.loadMs)).toEqual([480, 900]);
    await profiler.stop();
  });

  it('only prices where it was told not to measure', async () => {
    const { clock, engine, profiler, look } = make([CHAT], { measures: false });
    engine.models = [loaded(CHAT)];
    profiler.start();
    await look();
    expect([clock.waiting, engine.asked]).toEqual([0, []]);
    await profiler.stop();
  });

  it('ends at once when the node stops, and leaves no timer behind', async () => {
    const { clock, engine, kept, profiler, look } = make([CHAT]);
    engine.models = [loaded(CHAT)];
    engine.before = (_request, options) => untilAborted(options);
    profiler.start();
    await look();
    await profiler.stop();
    expect([clock.waiting, kept]).toEqual([0, []]);
  });
});

describe('ProfileStore', () => {
  const profile = (over: Partial<MeasuredProfile> = {}): MeasuredProfile => ({
    device: 'cpu',
    ...MACHINE,
    measuredAtMs: 1,
    work: [{ tokens: 32, ms: 60.5 }],
    decode: [{ context: 40, ms: 10 }],
    batch: [{ size: 1, ms: 10 }],
    loadMs: 480,
    ...over,
  });
  const key = { digest: CHAT.ref.digest, device: 'cpu', ...MACHINE };

  it('gives back after a restart what was kept', async () => {
    await using folder = await temporaryFolder();
    const init = { folder: join(folder.path, 'profiles') };
    const store = await ProfileStore.open({ log: silentLog }, init);
    expect(store.find(key)).toBeUndefined();
    const plain = profile({ decoder: 'plain', decoderReason: 'A loop.' });
    await store.keep(CHAT.ref, plain);
    await store.keep(CHAT.ref, profile({ device: 'webgpu', measuredAtMs: 5 }));
    await store.keep(ENCODER.ref, profile({ measuredAtMs: 9 }));

    const again = await ProfileStore.open({ log: silentLog }, init);
    expect(again.find(key)).toEqual(plain);
    expect(again.latest({ digest: CHAT.ref.digest, ...MACHINE })?.device).toBe('webgpu');
    for (const other of [{ version: '0.2.0' }, { machine: 'Another' }, { device: 'cuda' }, { digest: 'sha256:9' }]) {
      expect(again.find({ ...key, ...other })).toBeUndefined();
    }
    expect(again.latest({ digest: CHAT.ref.digest, ...MACHINE, machine: 'Another' })).toBeUndefined();
  });

  it('replaces a profile, and keeps one file of it', async () => {
    await using folder = await temporaryFolder();
    const store = await ProfileStore.open({ log: silentLog }, { folder: folder.path });
    await store.keep(CHAT.ref, profile());
    await store.keep(CHAT.ref, profile({ loadMs: 9, decoderReason: 'x'.repeat(5_000) }));
    expect(store.find(key)?.loadMs).toBe(9);
    expect(await readdir(folder.path)).toHaveLength(1);
    // A long reason costs no profile.
    expect((await ProfileStore.open({ log: silentLog }, { folder: folder.path })).find(key)?.loadMs).toBe(9);
  });

  it.each<[string, (text: string) => string]>([
    ['cut short', (text) => text.slice(0, 40)],
    ['empty', () => ''],
    ['of another form', (text) => text.replace('"schema":1', '"schema":2')],
    ['with a speed that is none', (text) => text.replace('60.5', '-1')],
    ['of endless numbers', (text) => text.replace('60.5', '1e999')],
    ['with a field too many', (text) => text.replace('{', '{"more":1,')],
    ['of another model', (text) => text.replaceAll('1'.repeat(64), '9'.repeat(64))],
    ['far too long', (text) => text + ' '.repeat(100_000)],
  ])('takes a file %s for none, says so, and is rid of it', async (_what, damage) => {
    await using folder = await temporaryFolder();
    await (await ProfileStore.open({ log: silentLog }, { folder: folder.path })).keep(CHAT.ref, profile());
    const [name = ''] = await readdir(folder.path);
    const path = join(folder.path, name);
    await writeFile(path, damage(await readFile(path, 'utf8')));
    const log = recordedLog();
    const store = await ProfileStore.open({ log }, { folder: folder.path });
    expect(store.find(key)).toBeUndefined();
    expect(log.warnings).toHaveLength(1);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('leaves files alone that are none of its own, and takes away unfinished ones', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'notes.json'), 'mine');
    await writeFile(join(folder.path, `${'a'.repeat(32)}.json.01234567.tmp`), '{');
    await mkdir(join(folder.path, `${'b'.repeat(32)}.json`));
    await ProfileStore.open({ log: silentLog }, { folder: folder.path });
    expect(await readdir(folder.path)).toEqual(['notes.json']);
  });

  it('forgets the oldest beyond its bound', async () => {
    await using folder = await temporaryFolder();
    const store = await ProfileStore.open({ log: silentLog }, { folder: folder.path });
    const version = (at: number): string => `0.0.${at}`;
    for (let at = 0; at <= PROFILES_KEPT_MAX; at++) {
      await store.keep(CHAT.ref, profile({ version: version(at), measuredAtMs: at }));
    }
    expect(store.find({ ...key, version: version(0) })).toBeUndefined();
    expect(store.find({ ...key, version: version(1) })).toBeDefined();
    expect(await readdir(folder.path)).toHaveLength(PROFILES_KEPT_MAX);
  });

  it('goes on without a folder, and says so', async () => {
    await using folder = await temporaryFolder();
    const blocked = join(folder.path, 'file');
    await writeFile(blocked, '');
    const log = recordedLog();
    const store = await ProfileStore.open({ log }, { folder: join(blocked, 'profiles') });
    await store.keep(CHAT.ref, profile());
    expect(store.find(key)).toEqual(profile());
    expect(log.warnings).toHaveLength(2);
  });
});
