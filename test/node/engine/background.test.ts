// Work that nobody waits for, on real runner processes: it counts nowhere, and gives way to whatever comes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { WorkOptions } from '../../../node/core/engine.ts';
import { Measurement } from '../../../node/engine/measurement.ts';
import { stepsOf } from '../../../node/engine/measuring.ts';
import type { SupervisedEngine } from '../../../node/engine/supervised-engine.ts';
import type { EncodeRequest, GenerateRequest, GenerateResult } from '../../../protocol/infer.ts';
import { minilm, smollm, startEngine } from './support.ts';

const cancelled = expect.objectContaining({ code: 'cancelled' });

let started: Awaited<ReturnType<typeof startEngine>>;
let engine: SupervisedEngine;
let chat: InstalledModel;
let encoder: InstalledModel;
let requests = 0;

const options = (over: Partial<WorkOptions> = {}): WorkOptions => ({
  signal: new AbortController().signal,
  requestId: `r${requests++}`,
  ...over,
});
const background = (): WorkOptions => options({ background: true });

const texts = (): EncodeRequest => ({
  model: encoder.ref,
  ids: Int32Array.of(101, 7592, 102),
  lengths: Int32Array.of(3),
  pooling: 'mean',
  normalize: true,
});
const prompt = (maxNewTokens: number): GenerateRequest => ({
  model: chat.ref,
  ids: Int32Array.of(1, 4093, 198),
  promptLength: 3,
  maxNewTokens,
  stopIds: [],
  sampling: { temperature: 0, topP: 1, topK: 0, seed: 1n },
});
const ignore = (): void => undefined;

/** A generation of minutes; resolves once its first token is there. */
async function begun(over: WorkOptions): Promise<{ readonly result: Promise<GenerateResult> }> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const result = engine.generate(prompt(8_000), over, () => resolve());
  result.catch(reject);
  await promise;
  return { result };
}

/** Lets at least a little of the clock pass since the last request. */
async function quiet(): Promise<void> {
  while (engine.quietMs() === 0) await new Promise(setImmediate);
}

beforeAll(async () => {
  [chat, encoder] = await Promise.all([smollm(), minilm()]);
  started = await startEngine([chat, encoder]);
  engine = started.engine;
}, 60_000);

afterAll(() => started[Symbol.asyncDispose]());

describe('background work', () => {
  it('loads no model', async () => {
    await quiet();
    await expect(engine.encode(texts(), background())).rejects.toEqual(cancelled);
    await expect(engine.generate(prompt(2), background(), ignore)).rejects.toEqual(cancelled);
    expect(engine.loaded()).toEqual([]);
  });

  it('is no part of the load, of requests in flight, or of what was observed', async () => {
    await engine.generate(prompt(2), options(), ignore);
    await engine.encode(texts(), options());
    await quiet();
    const before = engine.profile(chat.ref.digest)?.observed;
    const controller = new AbortController();
    const { result } = await begun(options({ background: true, signal: controller.signal }));
    expect(engine.load()).toMatchObject({ requestsInFlight: 0, queuedMs: 0 });
    expect(engine.loaded().map(({ requestsInFlight }) => requestsInFlight)).toEqual([0, 0]);
    expect(engine.quietMs()).toBeGreaterThan(0);
    controller.abort();
    await expect(result).rejects.toEqual(cancelled);

    for (let time = 0; time < 3; time++) {
      await engine.generate(prompt(3), background(), ignore);
      await engine.encode(texts(), background());
    }
    expect(engine.profile(chat.ref.digest)?.observed).toEqual(before);
    expect(engine.profile(encoder.ref.digest)?.observed.samples).toBe(0);
    // The same without the word does count.
    await engine.generate(prompt(3), options(), ignore);
    await engine.generate(prompt(3), options(), ignore);
    expect(engine.profile(chat.ref.digest)?.observed.samples).toBeGreaterThan(before?.samples ?? 0);
  });

  it('ends as soon as any model is asked for something, and frees its slot', async () => {
    await quiet();
    const { result } = await begun(background());
    const answer = engine.encode(texts(), options());
    // Before the answer: nobody waits for it to notice.
    await expect(result).rejects.toEqual(cancelled);
    expect((await answer).embeddings).toHaveLength(384);
    expect(await engine.generate(prompt(4), options(), ignore)).toMatchObject({ generated: 4 });
  });

  it('gives way where other work would not', async () => {
    const controller = new AbortController();
    const { result } = await begun(options({ signal: controller.signal }));
    let ended = false;
    result.catch(ignore).finally(() => {
      ended = true;
    });
    await engine.encode(texts(), options());
    expect(ended).toBe(false);
    controller.abort();
    await expect(result).rejects.toEqual(cancelled);
  });

  it('is refused while there is other work', async () => {
    const controller = new AbortController();
    const { result } = await begun(options({ signal: controller.signal }));
    expect(engine.quietMs()).toBe(0);
    await expect(engine.encode(texts(), background())).rejects.toEqual(cancelled);
    controller.abort();
    await expect(result).rejects.toEqual(cancelled);
  });

  it('keeps no model from being unloaded, and does not bring it back', async () => {
    await engine.generate(prompt(2), options(), ignore);
    await quiet();
    const { result } = await begun(background());
    const unloaded = engine.unload(chat.ref.digest);
    await expect(result).rejects.toEqual(cancelled);
    expect(await unloaded).toBe(true);
    expect(engine.loaded().map(({ id }) => id)).toEqual([encoder.ref.id]);
  });
});

describe('a measurement', () => {
  const never = new AbortController().signal;
  /** However slow the machine is just now, no step is given up. */
  const unhurried = { now: () => systemClock.now(), after: () => ({ cancel: () => undefined }) };

  it('finds the speeds of a text generator', async () => {
    await engine.generate(prompt(2), options(), ignore);
    await quiet();
    const steps = stepsOf(chat, 4);
    const measurement = new Measurement({ clock: unhurried, engine }, { model: chat, steps });
    await measurement.run(never);
    const { work, decode, batch } = measurement.measured;
    expect(work.map(({ tokens }) => tokens)).toEqual([32, 256]);
    expect(decode.map(({ context }) => context)).toEqual([40, 264]);
    expect(batch.map(({ size }) => size)).toEqual([1, 2, 4]);
    for (const { ms } of [...work, ...decode, ...batch]) expect(ms).toBeGreaterThan(0);
    expect(work[1]?.ms).toBeGreaterThan(work[0]?.ms ?? 0);
  }, 60_000);

  it('finds the speeds of an encoder', async () => {
    await engine.encode(texts(), options());
    await quiet();
    const measurement = new Measurement({ clock: unhurried, engine }, { model: encoder, steps: stepsOf(encoder, 1) });
    await measurement.run(never);
    const { work, batch } = measurement.measured;
    expect(work.map(({ tokens }) => tokens)).toEqual([16, 128]);
    expect(batch.map(({ size }) => size)).toEqual([1, 2, 4, 8, 16]);
    expect(batch.at(-1)?.ms).toBeGreaterThan(batch[0]?.ms ?? 0);
  }, 60_000);
});
