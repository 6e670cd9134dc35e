// What the engine does when its runners are killed, stopped or crash: real processes, real signals.
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import type { SupervisedEngine } from '../../../node/engine/supervised-engine.ts';
import { collect, failure } from '../../compliance/engine.ts';
import {
  encodeRequest,
  FRANCE,
  generateRequest,
  HELLO,
  resumedAfter,
  textsOf,
  workOptions,
} from '../../compliance/engine-requests.ts';
import { isAlive, until } from '../../support/wait.ts';
import { minilm, smollm, startEngine } from './support.ts';

let encoder: InstalledModel;
let generator: InstalledModel;
beforeAll(async () => {
  [encoder, generator] = await Promise.all([minilm(), smollm()]);
});

function pidOf(engine: SupervisedEngine, model: InstalledModel): number | undefined {
  return engine.loaded().find(({ id }) => id === model.ref.id)?.runnerPid;
}

const loadedPid = (engine: SupervisedEngine, model: InstalledModel, not?: number): Promise<number> =>
  until('a loaded model', () => {
    const found = engine.loaded().find(({ id, state }) => id === model.ref.id && state === 'loaded');
    return found?.runnerPid !== undefined && found.runnerPid !== not && found.runnerPid;
  });

describe('a lost runner', () => {
  let started: Awaited<ReturnType<typeof startEngine>>;
  beforeAll(async () => {
    // Streams that go on are compared token by token.
    started = await startEngine([encoder, generator], { exact: true });
  });
  afterAll(() => started?.[Symbol.asyncDispose]());

  for (const [signal, code] of [
    ['SIGKILL', 'runner_lost'],
    ['SIGSTOP', 'runner_timeout'],
  ] as const) {
    it(`fails a stream as ${code} after ${signal}, comes back loaded, and goes on where the stream was`, async () => {
      const { engine } = started;
      const sampling = { temperature: 0.8, topP: 1, topK: 0, seed: 42n };
      const request = generateRequest(generator.ref, FRANCE, { sampling, maxNewTokens: 10 });
      const whole = await collect(engine, request);
      const pid = await loadedPid(engine, generator);
      const tokens: number[] = [];
      const lost = await failure(
        engine.generate(request, workOptions(), (_, ids) => {
          // Some steps give several tokens.
          const wasShort = tokens.length < 4;
          tokens.push(...ids);
          if (wasShort && tokens.length >= 4) process.kill(pid, signal);
        }),
      );
      expect(lost.code).toBe(code);
      expect(lost.elsewhere).toBe(true);
      // Nobody asked for it: the model is loaded again all the same.
      expect(await loadedPid(engine, generator, pid)).not.toBe(pid);
      await until('the old runner to be gone', async () => !(await isAlive(pid)));
      const rest = await collect(engine, resumedAfter(request, tokens));
      expect([...tokens, ...rest.tokens]).toEqual(whole.tokens);
    });

    it(`fails embeddings as ${code} after ${signal}, and serves the next ones`, async () => {
      const { engine } = started;
      const before = await engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions());
      const pid = await loadedPid(engine, encoder);
      const work = engine.encode(encodeRequest(encoder.ref, textsOf(Array(60).fill(60))), workOptions());
      process.kill(pid, signal);
      expect((await failure(work)).code).toBe(code);
      const after = await engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions());
      expect(after.embeddings).toEqual(before.embeddings);
      expect(await isAlive(pid)).toBe(false);
    });
  }

  it('keeps requests that it had not sent to the runner, and answers them from the next one', async () => {
    const { engine } = started;
    const long = encodeRequest(encoder.ref, textsOf(Array(40).fill(60)));
    const short = encodeRequest(encoder.ref, [HELLO]);
    const pid = await loadedPid(engine, encoder);
    const lost = [engine.encode(long, workOptions()), engine.encode(long, workOptions())];
    const kept = engine.encode(short, workOptions());
    process.kill(pid, 'SIGKILL');
    // Both calls that are sent ahead hold the long texts, which came first.
    expect((await failure(Promise.all(lost))).code).toBe('runner_lost');
    expect((await kept).embeddings.length).toBe(384);
    await Promise.allSettled(lost);
  });

  it('is not what a signal to the whole group makes: the daemon ends its runners itself', async () => {
    const { engine } = started;
    const pid = await loadedPid(engine, encoder);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
    await engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions());
    expect(await loadedPid(engine, encoder)).toBe(pid);
  });

  it('leaves the other runner alone', async () => {
    const { engine } = started;
    const pid = await loadedPid(engine, generator);
    process.kill(await loadedPid(engine, encoder), 'SIGKILL');
    expect((await collect(engine, generateRequest(generator.ref, FRANCE))).tokens).toHaveLength(6);
    expect(pidOf(engine, generator)).toBe(pid);
  });
});

describe('quarantine', () => {
  it('comes when the runner dies twice by the same request, and shows its reason', async () => {
    await using started = await startEngine([encoder]);
    const { engine } = started;
    await engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions());
    const poison = async (requestId: string): Promise<string> => {
      const pid = await loadedPid(engine, encoder);
      const request = encodeRequest(encoder.ref, textsOf(Array(40).fill(60)));
      const work = failure(engine.encode(request, workOptions({ requestId })));
      process.kill(pid, 'SIGKILL');
      return (await work).code;
    };
    // Another request in between has nothing to do with it, but a success of the model clears it.
    expect(await poison('req_a')).toBe('runner_lost');
    expect(await poison('req_b')).toBe('runner_lost');
    await engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions());
    expect(await poison('req_a')).toBe('runner_lost');
    expect(await poison('req_a')).toBe('model_quarantined');

    expect(engine.loaded()).toMatchObject([
      { state: 'quarantined', runnerPid: undefined, reason: expect.stringContaining('SIGKILL') },
    ]);
    expect(engine.offers()[0]?.state).toBe('quarantined');
    const refused = await failure(engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions()));
    expect(refused).toMatchObject({ code: 'model_quarantined', elsewhere: true });
    expect(refused.message).toContain('twice by the same request');
  });

  it('comes when the runner dies at two loads, but not at one', async () => {
    await using started = await startEngine([encoder]);
    const { engine } = started;
    const request = encodeRequest(encoder.ref, [HELLO]);
    const killed = new Set<number>();
    const killLoading = async (): Promise<void> => {
      const pid = await until('a loading runner', () => {
        const found = pidOf(engine, encoder);
        return found !== undefined && !killed.has(found) && found;
      });
      expect(engine.loaded()[0]?.state).toBe('loading');
      killed.add(pid);
      process.kill(pid, 'SIGKILL');
    };
    const once = engine.encode(request, workOptions());
    await killLoading();
    expect((await once).dimensions).toBe(384);

    process.kill(await loadedPid(engine, encoder), 'SIGKILL');
    killed.add(pidOf(engine, encoder) ?? 0);
    await until('the model to load again', () => engine.loaded()[0]?.state === 'loading');
    const twice = failure(engine.encode(request, workOptions()));
    await killLoading();
    await killLoading();
    expect(await twice).toMatchObject({ code: 'model_quarantined' });
    expect(engine.loaded()[0]?.reason).toContain('two loads');
  });
});

describe('stopping', () => {
  it('ends every runner, a stopped and a busy one too, and rejects what is under way', async () => {
    await using started = await startEngine([encoder, generator]);
    const { engine } = started;
    let tokens = 0;
    const generation = failure(
      engine.generate(generateRequest(generator.ref, FRANCE, { maxNewTokens: 5_000 }), workOptions(), () => tokens++),
    );
    await engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions());
    await until('a stream under way', () => tokens > 0);
    const pids = engine.loaded().map(({ runnerPid }) => runnerPid ?? 0);
    expect(new Set(pids).size).toBe(2);
    process.kill(pids[1] ?? 0, 'SIGSTOP');
    await engine.stop();
    expect((await generation).code).toBe('stopping');
    for (const pid of pids) expect(await isAlive(pid)).toBe(false);
    expect(await readdir(started.pidFolder)).toEqual([]);
    const late = await failure(engine.encode(encodeRequest(encoder.ref, [HELLO]), workOptions()));
    expect(late.code).toBe('stopping');
  });
});
