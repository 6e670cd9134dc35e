// Interactive and batch requests on one engine, with a real runner process that acts: who is answered first, who is refused,
// and what the engine says of its queue.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import type { Priority } from '../../../node/core/engine.ts';
import { BATCH_TURN_EVERY, GENERATIONS_IN_FLIGHT_MAX } from '../../../node/engine/limits.ts';
import { batchGenerationsMax } from '../../../node/engine/sending.ts';
import type { SupervisedEngine } from '../../../node/engine/supervised-engine.ts';
import type { OnTokens } from '../../../protocol/infer.ts';
import { generateRequest, workOptions } from '../../compliance/engine-requests.ts';
import { ACTING_ENTRY, actingModel, actRequest, BATCH_TOKEN } from './acting-model.ts';
import { startEngine } from './support.ts';

const QUEUE_MS = 400;
const RUN_MS = 20;

let started: Awaited<ReturnType<typeof startEngine>>;
let engine: SupervisedEngine;
let model: InstalledModel;
let other: InstalledModel;
beforeEach(async () => {
  model = actingModel('a');
  other = actingModel('b', {}, { task: 'text-generation' });
  started = await startEngine([model, other], { runnerEntry: ACTING_ENTRY, queueMsMax: () => QUEUE_MS });
  engine = started.engine;
});
afterEach(() => started[Symbol.asyncDispose]());

const run = (priority?: Priority, ms = RUN_MS): Promise<unknown> =>
  engine.run(actRequest(model, { spinMs: ms }), workOptions(priority === undefined ? {} : { priority }));

/** Several runs, so that what one takes is known. */
async function measured(): Promise<void> {
  for (let count = 0; count < 4; count++) await run();
}

/** The order in which requests of these classes, made in this order, are answered. */
async function answered(classes: readonly Priority[]): Promise<string[]> {
  const order: string[] = [];
  const requests = classes.map((priority, index) => run(priority, 2).then(() => order.push(`${priority} ${index}`)));
  await Promise.all(requests);
  return order;
}

describe('an engine', () => {
  it('answers interactive requests before batch requests that came earlier', async () => {
    await run();
    const order = await answered(['batch', 'batch', 'batch', 'interactive', 'interactive']);
    expect(order).toEqual(['interactive 3', 'interactive 4', 'batch 0', 'batch 1', 'batch 2']);
  });

  it('lets one batch request in so many go first, however many interactive ones wait', async () => {
    await run();
    const many = Array.from({ length: 2 * BATCH_TURN_EVERY }, () => 'interactive' as const);
    const order = await answered(['batch', ...many]);
    expect(order.indexOf('batch 0')).toBe(BATCH_TURN_EVERY - 1);
  });

  it('takes interactive requests in where it refuses batch requests', async () => {
    await measured();
    const held: Promise<unknown>[] = [];
    let refused: unknown;
    while (refused === undefined) {
      const one = run('batch').then(
        () => undefined,
        (error: unknown) => error,
      );
      held.push(one);
      // What is refused is refused at once; what is taken in waits for the runner.
      refused = await Promise.race([one, new Promise((resolve) => setImmediate(resolve))]);
    }
    expect(refused).toMatchObject({ code: 'overloaded' });
    expect(engine.load({ priority: 'batch' }).queuedMs).toBeGreaterThan(QUEUE_MS);
    // What others are told is what interactive work waits for: at most what the runner has in hand.
    const { queuedMs, requestsInFlight } = engine.load();
    expect(queuedMs).toBeLessThan(QUEUE_MS / 2);
    expect(requestsInFlight).toBeGreaterThan(QUEUE_MS / RUN_MS / 2);
    await run('interactive');
    await engine.stop();
    await Promise.all(held);
  });

  it('leaves places for generations to interactive work, and tells the runner of each class', async () => {
    const generate = (priority: Priority, maxNewTokens: number, signal: AbortSignal, onTokens: OnTokens) =>
      engine.generate(
        { ...generateRequest(other.ref, [1]), maxNewTokens },
        workOptions({ priority, signal }),
        onTokens,
      );
    const abort = new AbortController();
    const places = batchGenerationsMax(GENERATIONS_IN_FLIGHT_MAX);
    expect(places).toBeLessThan(GENERATIONS_IN_FLIGHT_MAX);
    const begun = new Map<number, number>();
    const full = Promise.withResolvers<void>();
    const batch = Array.from({ length: GENERATIONS_IN_FLIGHT_MAX + 4 }, (_, index) =>
      generate('batch', 100_000, abort.signal, (firstIndex, ids) => {
        if (firstIndex === 0) begun.set(index, ids[0] as number);
        if (begun.size === places) full.resolve();
      }).catch(() => undefined),
    );
    await full.promise;
    const tokens: number[] = [];
    await generate('interactive', 3, abort.signal, (_, ids) => tokens.push(...ids));
    expect(tokens).toEqual([0, 1, 2]);
    expect([...begun]).toEqual(Array.from({ length: places }, (_, index) => [index, BATCH_TOKEN]));
    expect(engine.load().queuedMs).toBe(0);
    abort.abort();
    await Promise.all(batch);
  });

  it('says of each runner what waits for it', async () => {
    await measured();
    const held = Array.from({ length: 5 }, () => run());
    expect(engine.load({ digest: model.ref.digest }).queuedMs).toBeGreaterThan(RUN_MS);
    expect(engine.load({ digest: other.ref.digest }).queuedMs).toBe(0);
    expect(engine.load().queuedMs).toBe(engine.load({ digest: model.ref.digest }).queuedMs);
    // Of a model that it doesn't have, it says what it says of all.
    expect(engine.load({ digest: 'sha256:unknown' }).queuedMs).toBe(engine.load().queuedMs);
    await Promise.all(held);
  });
});
