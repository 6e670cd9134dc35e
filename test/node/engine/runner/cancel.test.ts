// A cancelled generation leaves its runner idle within one token: the token loop behind the calls that a daemon makes,
// on a generator that counts its runs and, as the runtime does, stands the loop still only in a later turn of it.
import { describe, expect, it } from 'vitest';
import type { CallClient, CallHandler, CallServer, Registered } from '../../../../node/core/calls.ts';
import { systemClock } from '../../../../node/core/clock.ts';
import { sendGenerate } from '../../../../node/engine/jobs.ts';
import type { ModelState } from '../../../../node/engine/model-state.ts';
import { Pending } from '../../../../node/engine/pending.ts';
import { generate } from '../../../../node/engine/runner/generate.ts';
import type { TextGenerator } from '../../../../node/engine/runner/generator.ts';
import { Turns } from '../../../../node/engine/runner/turns.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import type { GenerateRequest, GenerateResult } from '../../../../protocol/infer.ts';
import { RUNNER_METHODS } from '../../../../protocol/methods.ts';
import { generateRequest, workOptions } from '../../../compliance/engine-requests.ts';
import { callPair } from '../../../support/memory-link.ts';

const model = { id: 'a/b', digest: '' };
const LONG = generateRequest(model, [1, 2, 3], { maxNewTokens: 5_000 });
const LONG_PROMPT = generateRequest(model, Array(5_000).fill(1), { maxNewTokens: 5_000 });

/** Always draws token 1. */
class SlowGenerator implements TextGenerator {
  length = 0;
  runs = 0;
  onRun: () => void = () => undefined;

  async prefill(ids: Int32Array): Promise<void> {
    await this.step(ids);
  }

  async step(ids: Int32Array): Promise<Float32Array> {
    await new Promise((resolve) => setImmediate(resolve));
    this.runs++;
    this.onRun();
    this.length += ids.length;
    return Float32Array.of(0, 1);
  }

  close(): void {
    /* it has no cache */
  }
}

/** A runner without a process: its token loop answers what comes over a link. */
function startRunner(): {
  readonly client: CallClient;
  readonly generators: SlowGenerator[];
  readonly server: CallServer;
} {
  const turns = new Turns({ flushed: () => undefined });
  const generators: SlowGenerator[] = [];
  const handler: CallHandler<GenerateRequest, unknown, GenerateResult> = (request, context) => {
    const generator = new SlowGenerator();
    generators.push(generator);
    return generate(request, 10_000, generator, turns, context);
  };
  const registered: Registered = { method: RUNNER_METHODS.generate, handler, admit: () => () => undefined };
  const { client, server } = callPair({ lookup: () => registered, acknowledge: false });
  return { client, generators, server };
}

const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a model needs to be told of its answers. */
const idleModel = () =>
  ({ ledger: { worked: () => undefined }, pending: new Set(), answers: 0 }) as unknown as ModelState;

describe('a cancelled generation', () => {
  it('begins no run once it is told, although the run before stood the loop still, and its place is free', async () => {
    const { client, generators, server } = startRunner();
    for (const [runs, request] of [
      [1, LONG],
      [5, LONG],
      [5, LONG_PROMPT],
    ] as const) {
      const abort = new AbortController();
      const call = client.call(RUNNER_METHODS.generate, request, workOptions({ signal: abort.signal }));
      while (generators.length === 0) await turnOfTheLoop();
      const generator = generators.pop();
      if (generator === undefined) throw new Error('no generator');
      // What the daemon says during a run lies in the socket until the loop goes on.
      generator.onRun = () => {
        if (generator.runs === runs) abort.abort();
      };
      await expect(call.response).rejects.toMatchObject({ code: 'cancelled' });
      await call.settled;
      for (let turn = 0; turn < 10; turn++) await turnOfTheLoop();
      expect(generator.runs).toBe(runs);
      expect([client.open, server.open]).toEqual([0, 0]);
    }
  });

  it('leaves the device to the others, whether it ran, waited for its turn or computed its prompt', async () => {
    const { client, generators } = startRunner();
    const aborts = [new AbortController(), new AbortController(), new AbortController()];
    const other = generateRequest(model, [1], { maxNewTokens: 60 });
    const tenth = Promise.withResolvers<void>();
    const kept = client.call(RUNNER_METHODS.generate, other, {
      ...workOptions(),
      onItem: ({ firstIndex }) => {
        if (firstIndex === 9) tenth.resolve();
      },
    });
    const calls = [LONG, LONG, LONG_PROMPT].map((request, index) =>
      client.call(RUNNER_METHODS.generate, request, workOptions({ signal: aborts[index]?.signal as AbortSignal })),
    );
    await tenth.promise;
    for (const abort of aborts) abort.abort();
    await Promise.all(calls.map(({ settled }) => settled));
    const runs = generators.slice(1).map((generator) => generator.runs);
    expect((await kept.response).generated).toBe(60);
    expect(generators.slice(1).map((generator) => generator.runs)).toEqual(runs);
    // About as many as the one that went on had done by then, not the thousands that were asked for.
    for (const count of runs) expect(count).toBeLessThan(30);
  });

  it.each([
    ['its caller', (_pending: Pending<GenerateResult>, abort: AbortController) => abort.abort()],
    [
      'whoever withdraws its model',
      (pending: Pending<GenerateResult>) =>
        pending.reject(new WeftError({ code: 'model_not_found', message: 'Gone.' })),
    ],
  ])('is told to the runner when it was ended by %s', async (_who, end) => {
    const { client, generators } = startRunner();
    const abort = new AbortController();
    const pending = new Pending<GenerateResult>(
      { clock: systemClock, onSettled: () => undefined },
      { options: workOptions({ signal: abort.signal }), arrival: 0, budgetMsMax: 60_000 },
    );
    const settled: Promise<void>[] = [];
    let tokens = 0;
    const onTokens = (): void => {
      tokens++;
      if (tokens === 3) end(pending, abort);
    };
    sendGenerate(
      { now: () => 0, node: 'n' },
      idleModel(),
      { pending, request: LONG, onTokens },
      (method, request, { signal, budgetMs }, onItem) => {
        const call = client.call(method, request, { signal, requestId: 'req_test', budgetMs, onItem });
        settled.push(call.settled);
        return call.response;
      },
    );
    await expect(pending.result).rejects.toBeInstanceOf(WeftError);
    await Promise.all(settled);
    expect(tokens).toBe(3);
    expect(generators[0]?.runs).toBeLessThan(8);
    expect(client.open).toBe(0);
  });
});
