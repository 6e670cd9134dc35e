// Loading, unloading, memory, and what becomes of runners when their daemon goes: real processes on the bundled models.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { loadFeatureExtraction } from '../../../models/tasks/feature-extraction.ts';
import { failure } from '../../compliance/engine.ts';
import { encodeRequest, FRANCE, generateRequest, HELLO, workOptions } from '../../compliance/engine-requests.ts';
import { isAlive, until } from '../../support/wait.ts';
import { installedModel, minilm, RUNNER_ENTRY, smollm, startEngine, temporaryFolder } from './support.ts';

let encoder: InstalledModel;
let generator: InstalledModel;
beforeAll(async () => {
  [encoder, generator] = await Promise.all([minilm(), smollm()]);
});

const hello = (model: InstalledModel) => encodeRequest(model.ref, [HELLO]);

describe('loading', () => {
  it('happens once for all who wait, on demand, and never without', async () => {
    await using started = await startEngine([encoder, generator]);
    const { engine, pidFolder } = started;
    const states: string[] = [];
    engine.onChange(() => states.push(engine.offers().find(({ task }) => task === 'feature-extraction')?.state ?? ''));
    expect(engine.loaded()).toEqual([]);
    const results = await Promise.all(Array.from({ length: 5 }, () => engine.encode(hello(encoder), workOptions())));
    expect(states).toEqual(['loading', 'loaded']);
    expect(await readdir(pidFolder)).toEqual([`runner-${engine.loaded()[0]?.runnerPid}.json`]);
    for (const { timing } of results) expect(timing.loadMs).toBeGreaterThan(0);
    expect((await engine.encode(hello(encoder), workOptions())).timing.loadMs).toBe(0);
    expect(engine.offers().map(({ state }) => state)).toEqual(['loaded', 'disk']);
  });

  it('gives the cosines that the model is known for', async () => {
    await using started = await startEngine([encoder]);
    const task = await loadFeatureExtraction(encoder.folder, encoder.manifest);
    const sentences = [
      'A man is eating food.',
      'A man is eating a piece of bread.',
      'How do I reset my password?',
      'I forgot my login credentials, what should I do?',
      'The stock market fell sharply today.',
      'Shares dropped heavily in trading this afternoon.',
      'The new movie is awesome',
      'Quantum tunnelling in semiconductors',
    ];
    const texts = sentences.map((sentence) => [...task.encode(sentence).ids]);
    const { embeddings } = await started.engine.encode(encodeRequest(encoder.ref, texts), workOptions());
    const vector = (index: number): Float32Array => embeddings.subarray(index * 384, (index + 1) * 384);
    const cosine = (a: number, b: number): number =>
      vector(a).reduce((sum, value, at) => sum + value * (vector(b)[at] as number), 0);
    for (const [a, b, expected] of [
      [0, 1, 0.754],
      [2, 3, 0.687],
      [4, 5, 0.627],
      [0, 4, 0.008],
      [2, 1, -0.01],
      [6, 7, 0.059],
    ] as const) {
      expect(cosine(a, b)).toBeCloseTo(expected, 2);
    }
  });

  it('refuses an altered file, names it, and takes it again once it is right', async () => {
    await using folder = await temporaryFolder();
    await cp(encoder.folder, folder.path, { recursive: true });
    const model = await installedModel(folder.path);
    await using started = await startEngine([model], { keepAliveMs: () => 0 });
    const { engine } = started;
    const graph = join(folder.path, model.manifest.graph);
    const good = await readFile(graph);
    const bad = Buffer.from(good);
    bad[good.length >> 1] = (bad[good.length >> 1] ?? 0) ^ 1;

    await engine.encode(hello(model), workOptions());
    await until('the model to be unloaded', () => engine.loaded().length === 0);
    // Verified before, and changed since: it is hashed again.
    await writeFile(graph, bad);
    const error = await failure(engine.encode(hello(model), workOptions()));
    expect(error).toMatchObject({ code: 'model_corrupt', elsewhere: true });
    expect(error.message).toContain('onnx/model_int8.onnx');
    expect(error.message).not.toContain(folder.path);
    expect(engine.offers()[0]?.state).toBe('disk');
    await writeFile(graph, good);
    await utimes(graph, new Date(), new Date());
    expect((await engine.encode(hello(model), workOptions())).dimensions).toBe(384);
  });

  it('takes no more requests than it can hold', async () => {
    await using started = await startEngine([encoder]);
    const { engine } = started;
    const codes: string[] = [];
    const work = Array.from({ length: 515 }, () =>
      engine.encode(hello(encoder), workOptions()).catch(({ code }) => codes.push(code)),
    );
    await until('refusals', () => codes.length === 3);
    expect(new Set(codes)).toEqual(new Set(['overloaded']));
    expect(engine.load().requestsInFlight).toBe(512);
    await engine.stop();
    await Promise.all(work);
    expect(engine.load().requestsInFlight).toBe(0);
  });

  it('offers nothing when it has nothing', async () => {
    await using started = await startEngine([]);
    expect(started.engine.offers()).toEqual([]);
    expect((await failure(started.engine.encode(hello(encoder), workOptions()))).code).toBe('model_not_found');
  });
});

describe('memory', () => {
  it('is given back after the keep-alive, process and all', async () => {
    await using started = await startEngine([encoder], { keepAliveMs: () => 20 });
    const { engine, pidFolder } = started;
    await engine.encode(hello(encoder), workOptions());
    const pid = engine.loaded()[0]?.runnerPid ?? 0;
    await until('the runner to end', async () => engine.loaded().length === 0 && !(await isAlive(pid)));
    await until('its record to go', async () => (await readdir(pidFolder)).length === 0);
    expect(engine.offers()[0]?.state).toBe('disk');
    expect((await engine.encode(hello(encoder), workOptions())).dimensions).toBe(384);
  });

  it('is given back when asked for, after the work under way, and loads again for the next request', async () => {
    await using started = await startEngine([generator]);
    const { engine } = started;
    const { digest } = generator.ref;
    expect(await engine.unload(digest)).toBe(false);
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    let tokens = 0;
    const work = engine.generate(
      generateRequest(generator.ref, FRANCE, { maxNewTokens: 8 }),
      workOptions(),
      (_first, ids) => {
        tokens += ids.length;
        begin();
      },
    );
    await begun;
    const unloaded = engine.unload(digest);
    expect((await work).generated).toBe(tokens);
    expect(await unloaded).toBe(true);
    expect(engine.loaded()).toEqual([]);
    await engine.generate(generateRequest(generator.ref, FRANCE, { maxNewTokens: 1 }), workOptions(), () => undefined);
    expect(engine.loaded()).toHaveLength(1);
  });

  it('is given back by a model that is withdrawn, which is offered no more', async () => {
    await using started = await startEngine([encoder, generator]);
    const { engine } = started;
    await engine.encode(hello(encoder), workOptions());
    await engine.withdraw(encoder.ref.digest);
    expect(engine.loaded()).toEqual([]);
    expect(engine.offers().map(({ model }) => model.id)).toEqual([generator.ref.id]);
    expect((await failure(engine.encode(hello(encoder), workOptions()))).code).toBe('model_not_found');
  });

  it('is taken by a model that is offered later, whose kept measurement spares it the comparison', async () => {
    await using started = await startEngine([]);
    const { engine } = started;
    const { digest } = generator.ref;
    const request = generateRequest(generator.ref, FRANCE, { maxNewTokens: 2 });
    expect((await failure(engine.generate(request, workOptions(), () => undefined))).code).toBe('model_not_found');
    const phases = new Set<string>();
    engine.onLoading(({ phase }) => phases.add(phase));
    const changes: number[] = [];
    engine.onChange(() => changes.push(engine.offers().length));
    engine.offer(generator);
    engine.offer(generator);
    expect(changes).toEqual([1]);
    const measured = { work: [], decode: [], batch: [], measuredAtMs: 0, loadMs: 0, machine: '', version: '' };
    engine.claim(digest, { ...measured, device: 'cpu', decoder: 'rewritten' });
    expect((await engine.generate(request, workOptions(), () => undefined)).generated).toBe(2);
    expect(phases.has('load')).toBe(true);
    expect(phases.has('check')).toBe(false);
    expect(engine.loaded()).toMatchObject([{ digest, generation: { decoder: 'rewritten' } }]);
  });

  it('is given back though requests keep coming: those that come later wait, and load it again', async () => {
    await using started = await startEngine([generator]);
    const { engine } = started;
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const work: Promise<void>[] = [];
    let asking = true;
    // Each asks again at its first token: there is never a moment without a request.
    const ask = async (): Promise<void> => {
      const request = generateRequest(generator.ref, FRANCE, { maxNewTokens: 3 });
      const { generated } = await engine.generate(request, workOptions(), (first) => {
        begin();
        if (asking && first === 0) work.push(ask());
      });
      expect(generated).toBe(3);
    };
    work.push(ask());
    await begun;
    expect(await engine.unload(generator.ref.digest)).toBe(true);
    asking = false;
    for (const one of work) await one;
    expect(engine.loaded()).toHaveLength(1);
  });

  it('is given back once to all who ask, and to nobody by a node that has stopped', async () => {
    await using started = await startEngine([encoder]);
    const { engine } = started;
    const { digest } = encoder.ref;
    const work = engine.encode(hello(encoder), workOptions());
    await until('the load to begin', () => engine.offers()[0]?.state === 'loading');
    expect(await Promise.all([engine.unload(digest), engine.unload(digest)])).toEqual([true, true]);
    expect((await work).dimensions).toBe(384);
    expect(engine.loaded()).toEqual([]);
    await engine.encode(hello(encoder), workOptions());
    await engine.stop();
    expect(await engine.unload(digest)).toBe(false);
  });

  it('counts for a model that is withdrawn until it is gone', async () => {
    await using started = await startEngine([generator]);
    const { engine } = started;
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const request = generateRequest(generator.ref, FRANCE, { maxNewTokens: 4_000 });
    const work = failure(engine.generate(request, workOptions(), () => begin()));
    await begun;
    const { memoryFreeBytes } = engine.load();
    const gone = engine.withdraw(generator.ref.digest);
    expect((await work).code).toBe('model_not_found');
    expect(engine.load().memoryFreeBytes).toBe(memoryFreeBytes);
    await gone;
    expect(engine.load().memoryFreeBytes).toBe(4 * 2 ** 30);
  });

  it('holds what fits: the model that is worth least leaves for the next', async () => {
    await using started = await startEngine([encoder, generator], { memoryBytesMax: 520 * 2 ** 20 });
    const { engine } = started;
    await engine.encode(hello(encoder), workOptions());
    const free = engine.load().memoryFreeBytes;
    expect(free).toBe(520 * 2 ** 20 - (engine.loaded()[0]?.residentBytes ?? 0));
    expect(free).toBeLessThan(420 * 2 ** 20);
    await engine.generate(generateRequest(generator.ref, FRANCE, { maxNewTokens: 1 }), workOptions(), () => undefined);
    expect(engine.loaded().map(({ id }) => id)).toEqual([generator.ref.id]);
    // While it works it does not leave: what would need its place is told so, in numbers.
    const abort = new AbortController();
    const busy = failure(
      engine.generate(
        generateRequest(generator.ref, FRANCE, { maxNewTokens: 4_000 }),
        workOptions({ signal: abort.signal }),
        () => undefined,
      ),
    );
    const refused = await failure(engine.encode(hello(encoder), workOptions()));
    expect(refused).toMatchObject({ code: 'out_of_memory', elsewhere: true });
    expect(refused.message).toMatch(/needs \d+ MiB; models may take 520 MiB, of which \d+ MiB are in use/);
    abort.abort();
    await busy;
    await until('the encoder to fit', async () => (await engine.encode(hello(encoder), workOptions())).dimensions);
    expect(engine.loaded().map(({ id }) => id)).toEqual([encoder.ref.id]);
  });

  it('refuses a model that never fits', async () => {
    await using started = await startEngine([generator], { memoryBytesMax: 100 * 2 ** 20 });
    const request = generateRequest(generator.ref, FRANCE);
    const error = await failure(started.engine.generate(request, workOptions(), () => undefined));
    expect(error.code).toBe('out_of_memory');
    expect(error.facts.limitBytes).toBe(String(100 * 2 ** 20));
    expect(started.engine.loaded()).toEqual([]);
  });

  it('refuses a model that was predicted to fit and did not before it takes more, the second time without loading it', async () => {
    await using started = await startEngine([encoder], { memoryBytesMax: 150 * 2 ** 20 });
    const { engine } = started;
    const states: string[] = [];
    engine.onChange(() => states.push(engine.offers()[0]?.state ?? ''));
    expect((await failure(engine.encode(hello(encoder), workOptions()))).code).toBe('out_of_memory');
    await until('the model to leave', () => engine.load().memoryFreeBytes === 150 * 2 ** 20);
    expect(states).toEqual(['loading', 'disk']);
    await until('its runner to end', async () => (await readdir(started.pidFolder)).length === 0);
    expect((await failure(engine.encode(hello(encoder), workOptions()))).code).toBe('out_of_memory');
    expect(await readdir(started.pidFolder)).toEqual([]);
  });
});

describe('what is measured', () => {
  it('becomes the profile that offers carry, from warm work only', async () => {
    await using started = await startEngine([encoder]);
    const { engine } = started;
    await engine.encode(hello(encoder), workOptions());
    expect(engine.offers()[0]?.profile).toMatchObject({ samples: 0, fixedMs: 0, perTokenMs: 0 });
    expect(engine.offers()[0]?.profile.loadMs).toBeGreaterThan(50);
    const told: number[] = [];
    engine.onChange(() => told.push(engine.offers()[0]?.profile.samples ?? 0));
    for (let repeat = 0; repeat < 3; repeat++) await engine.encode(hello(encoder), workOptions());
    // The first measurement is news for everybody who prices work for this node.
    expect(told[0]).toBe(1);
    const { samples, fixedMs, perTokenMs } = engine.offers()[0]?.profile ?? { samples: 0, fixedMs: 0, perTokenMs: 0 };
    expect(samples).toBe(3);
    expect(fixedMs + 5 * perTokenMs).toBeGreaterThan(0.5);
    expect(engine.load().latencyMs).toBeGreaterThan(0.5);
    const work = Promise.all(Array.from({ length: 8 }, () => engine.encode(hello(encoder), workOptions())));
    expect(engine.load()).toMatchObject({ requestsInFlight: 8 });
    expect(engine.load().queuedMs).toBeGreaterThan(1);
    await work;
    expect(engine.load()).toMatchObject({ requestsInFlight: 0, queuedMs: 0 });
  });
});

describe('a daemon that is killed', () => {
  const host = fileURLToPath(new URL('./host.ts', import.meta.url));
  const startHost = async (pidFolder: string): Promise<{ daemon: ChildProcess; runnerPid: number }> => {
    const daemon = spawn(process.execPath, [host, pidFolder], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(daemon.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    return { daemon, runnerPid: Number(line.toString()) };
  };

  it('takes a busy runner with it within a second', async () => {
    await using folder = await temporaryFolder();
    const { daemon, runnerPid } = await startHost(folder.path);
    expect(await isAlive(runnerPid)).toBe(true);
    const killed = performance.now();
    daemon.kill('SIGKILL');
    await until('the runner to end', async () => !(await isAlive(runnerPid)));
    expect(performance.now() - killed).toBeLessThan(1_000);
  });

  it('leaves a stopped runner to the next one, which ends that and no other process', async () => {
    await using folder = await temporaryFolder();
    const { daemon, runnerPid } = await startHost(folder.path);
    process.kill(runnerPid, 'SIGSTOP');
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
    expect(await isAlive(runnerPid)).toBe(true);
    // A record whose number another program has got since, and one that was torn.
    const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' });
    const record = (startedAt: string): string => JSON.stringify({ pid: other.pid, startedAt, entry: RUNNER_ENTRY });
    await writeFile(join(folder.path, `runner-${other.pid}.json`), record('1'));
    await writeFile(join(folder.path, 'runner-2147483646.json'), '{"pid":');
    await using _started = await startEngine([], { pidFolder: folder.path });
    expect(await isAlive(runnerPid)).toBe(false);
    expect(await isAlive(other.pid ?? 0)).toBe(true);
    expect(await readdir(folder.path)).toEqual([]);
    other.kill('SIGKILL');
  });
});
