import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { Engine } from '../../../node/core/engine.ts';
import type { Policy } from '../../../node/core/policy.ts';
import type { Traces } from '../../../node/core/trace.ts';
import { RemoteEngine } from '../../../node/mesh/remote-engine.ts';
import { type ServeEngineComponents, serveEngine } from '../../../node/mesh/serve-engine.ts';
import { TraceRing } from '../../../node/telemetry/traces.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest, RunRequest } from '../../../protocol/infer.ts';
import { tensorOf } from '../../../protocol/tensor.ts';
import { FakeEngine, failing, tokenAt } from './fake-engine.ts';
import { allowAll, LOAD, makeKey, SOON, startPair, stopAll } from './support.ts';

const model = { id: 'owner/model', digest: `sha256:${'0'.repeat(64)}` };
const sampling = { temperature: 0, topP: 1, topK: 0, seed: 5n };
const TRACE = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
const options = () => ({ signal: new AbortController().signal, requestId: 'req_test' });

function generation(overrides: Partial<GenerateRequest> = {}): GenerateRequest {
  return { model, ids: Int32Array.of(3, 4), promptLength: 2, maxNewTokens: 6, stopIds: [], sampling, ...overrides };
}

/** A remote engine in front of this one. */
async function remote<E extends Engine>(
  make: (node: string) => E,
  policy: Policy = allowAll,
  traces?: Traces,
  served: Partial<ServeEngineComponents> = {},
) {
  const key = await makeKey();
  const engine = make(key.node);
  const { a, b } = await startPair({
    key,
    prepare: (mesh) => serveEngine({ mesh, engine, policy, ...(traces === undefined ? {} : { traces }), ...served }),
    components: { load: () => ({ ...LOAD, queuedMs: 777 }) },
  });
  return { engine, a, b, remote: new RemoteEngine({ mesh: b.mesh }, { node: key.node }) };
}

afterEach(stopAll);

describe('RemoteEngine', () => {
  it('runs, encodes and generates on the peer', async () => {
    const { remote: engine, a } = await remote((node) => new FakeEngine(node));
    const inputs = [tensorOf('x', 'float32', [2], Float32Array.of(1, 2))];
    const run = await engine.run({ model, inputs, outputs: [] }, options());
    expect(run.outputs[0]).toMatchObject({ name: 'x', dims: [2] });
    expect(run.node).toBe(a.key.node);

    const encoded = await engine.encode(
      { model, ids: Int32Array.of(1, 2, 3, 4), lengths: Int32Array.of(3, 1), pooling: 'mean', normalize: false },
      options(),
    );
    expect([...encoded.embeddings]).toEqual([6, 6, 6, 6, 4, 4, 4, 4]);
    expect(encoded.timing).toEqual({ queueMs: 1, loadMs: 2, computeMs: 3, prefillMs: 4 });

    const tokens: number[] = [];
    const request = generation();
    const result = await engine.generate(request, options(), (firstIndex, ids) => {
      expect(firstIndex).toBe(tokens.length);
      tokens.push(...ids);
    });
    expect(tokens).toEqual([0, 1, 2, 3, 4, 5].map((index) => tokenAt(request, index)));
    expect(result).toMatchObject({ finish: 'length', generated: 6, node: a.key.node });
  });

  it("notes the caller's request down at the executor, under the caller's trace, and how it ended", async () => {
    const traces = new TraceRing({ clock: systemClock, random: systemRandom });
    const { remote: engine, a, b } = await remote((node) => new FakeEngine(node), allowAll, traces);
    await engine.run({ model, inputs: [], outputs: [] }, { ...options(), traceParent: TRACE });
    const record = traces.get('req_test');
    expect(record).toMatchObject({
      name: 'run',
      caller: b.key.node,
      traceId: 'a'.repeat(32),
      model: model.id,
      status: 'ok',
    });
    expect(record?.spans.map(({ name, node }) => [name, node])).toEqual(
      ['load', 'compute'].map((name) => [name, a.key.node]),
    );
  });

  it('goes on where another node stopped', async () => {
    const { remote: engine } = await remote((node) => new FakeEngine(node));
    const request = generation({ ids: Int32Array.of(3, 4, 90, 91), promptLength: 2 });
    const indices: number[] = [];
    const result = await engine.generate(request, options(), (firstIndex) => indices.push(firstIndex));
    expect(indices).toEqual([2, 3, 4, 5]);
    expect(result.generated).toBe(6);
  });

  it('hands the deadline, the trace and the cancellation on', async () => {
    const { remote: engine, engine: local } = await remote((node) => new FakeEngine(node));
    const abort = new AbortController();
    const tokens: number[] = [];
    local.beforeToken = (index) => (index < 2 ? Promise.resolve() : new Promise((resolve) => setImmediate(resolve)));
    const work = engine.generate(
      generation({ maxNewTokens: 1_000_000 }),
      { ...options(), signal: abort.signal, budgetMs: 50_000, traceParent: TRACE },
      (_firstIndex, ids) => {
        tokens.push(...ids);
        if (tokens.length === 5) abort.abort();
      },
    );
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
    expect(tokens).toHaveLength(5);
    expect(local.seen[0]?.options).toMatchObject({ requestId: 'req_test', budgetMs: 50_000, traceParent: TRACE });
    await vi.waitFor(() => expect(local.seen[0]?.options.signal.aborted).toBe(true), SOON);
  });

  it('carries samplers, constraint and log probabilities', async () => {
    const requests: GenerateRequest[] = [];
    const logprobs = [{ logprob: -0.5, top: [{ id: 7, logprob: -0.25 }] }];
    const { remote: engine } = await remote((node) => ({
      ...failing('runner_lost'),
      generate: async (request, _options, onTokens) => {
        requests.push(request);
        onTokens(0, [7], logprobs);
        return { finish: 'length', generated: 1, node, timing: { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 } };
      },
    }));
    const request = generation({
      sampling: { ...sampling, minP: 0.25, repetitionPenalty: 1.5, logitBias: [{ id: 3, bias: -100 }] },
      constraint: { kind: 'tools', tools: [{ name: 'f', schema: '{}' }], choice: 'auto', parallel: true },
      logprobs: 1,
      maxNewTokens: 1,
    });
    const onTokens = vi.fn();
    await engine.generate(request, options(), onTokens);
    expect(requests).toEqual([request]);
    expect(onTokens.mock.calls).toEqual([[0, [7], logprobs]]);
  });

  it('passes on why the peer failed, and whether another node may do better', async () => {
    const { remote: engine } = await remote(() => failing('runner_lost'));
    const error = await engine.generate(generation(), options(), vi.fn()).catch((thrown: WeftError) => thrown);
    expect(error).toMatchObject({ code: 'runner_lost', elsewhere: true });
  });

  describe('with a part of a graph', () => {
    const part = { inputs: [{ name: 'x', type: 'float32' as const, dims: ['N', 2] }], outputs: ['x'] };
    const inputs = [tensorOf('x', 'float32', [1, 2], Float32Array.of(1, 2))];

    it('hands the part on, and who asks', async () => {
      const seen: RunRequest[] = [];
      const {
        remote: engine,
        engine: local,
        b,
      } = await remote((node) => {
        const fake = new FakeEngine(node);
        const run = fake.run.bind(fake);
        fake.run = (request, work) => {
          seen.push(request);
          return run(request, work);
        };
        return fake;
      });
      const { outputs } = await engine.run({ model, inputs, outputs: [], part }, options());
      expect(outputs).toMatchObject([{ name: 'x', dims: [1, 2] }]);
      expect(seen[0]?.part).toEqual(part);
      expect(local.seen[0]?.options.caller).toBe(b.key.node);
    });

    it('asks for a quote of that part, and declines by it', async () => {
      const asked: unknown[] = [];
      const { remote: engine, engine: local } = await remote((node) => new FakeEngine(node), allowAll, undefined, {
        quote: (_model, _size, _priority, of) => {
          asked.push(of);
          return of === undefined ? 10 : 500;
        },
      });
      const declined = engine.run({ model, inputs, outputs: [], part }, { ...options(), withinMs: 400 });
      await expect(declined).rejects.toMatchObject({ code: 'declined', facts: { quotedMs: '500' } });
      await engine.run({ model, inputs, outputs: [] }, { ...options(), withinMs: 400 });
      expect(asked).toEqual([part, undefined]);
      expect(local.seen).toHaveLength(1);
    });

    it('is not for nodes that take none of that model; where that is not asked, it runs', async () => {
      const asked: string[] = [];
      const takesParts = ({ id }: { readonly id: string }): boolean => {
        asked.push(id);
        return false;
      };
      const { remote: engine, engine: local } = await remote((node) => new FakeEngine(node), allowAll, undefined, {
        takesParts,
      });
      await expect(engine.run({ model, inputs, outputs: [], part }, options())).rejects.toMatchObject({
        code: 'model_not_found',
      });
      expect(local.seen).toHaveLength(0);
      // The whole is another matter.
      await engine.run({ model, inputs, outputs: [] }, options());
      expect(asked).toEqual([model.id]);
      const open = await remote((node) => new FakeEngine(node));
      await open.remote.run({ model, inputs, outputs: [], part }, options());
      expect(open.engine.seen).toHaveLength(1);
    });

    it('takes no other tensors for its answer than those that were asked for', async () => {
      const { remote: engine } = await remote((node) => new FakeEngine(node));
      const run = (outputs: string[], wanted: string[] = []) =>
        engine.run({ model, inputs, outputs: wanted, part: { ...part, outputs } }, options());
      // The peer answers with "x", whatever it is asked for.
      await expect(run(['x', 'y'])).rejects.toMatchObject({ code: 'frame_invalid' });
      await expect(run(['x', 'y'], ['y'])).rejects.toMatchObject({ code: 'frame_invalid' });
      await expect(run(['x', 'y'], ['x'])).resolves.toMatchObject({ outputs: [{ name: 'x' }] });
      // Of a whole graph nobody here knows the outputs.
      await expect(engine.run({ model, inputs, outputs: ['y'] }, options())).resolves.toBeDefined();
    });
  });

  it('hands the class on, and a condition that is kept', async () => {
    const { remote: engine, engine: local } = await remote((node) => new FakeEngine(node), allowAll, undefined, {
      quote: () => 250,
    });
    const run = { model, inputs: [], outputs: [] };
    await engine.run(run, { ...options(), priority: 'batch', withinMs: 250 });
    await engine.run(run, options());
    expect(local.seen.map(({ options: { priority } }) => priority)).toEqual(['batch', 'interactive']);
  });

  it('asks the policy for each model', async () => {
    const policy: Policy = {
      authorize: (_caller, { model: id }) => {
        if (id !== undefined) throw new WeftError({ code: 'forbidden', message: 'Not this model.' });
      },
    };
    const { remote: engine, engine: local } = await remote((node) => new FakeEngine(node), policy);
    await expect(engine.generate(generation(), options(), vi.fn())).rejects.toMatchObject({ code: 'forbidden' });
    expect(local.seen).toEqual([]);
  });

  it('refuses an answer with a gap, or whose end is missing', async () => {
    const broken = (firstIndices: readonly number[], generated: number): Engine => ({
      ...failing('runner_lost'),
      generate: async (_request, _options, onTokens) => {
        for (const firstIndex of firstIndices) onTokens(firstIndex, [1]);
        return {
          finish: 'length',
          generated,
          node: 'n',
          timing: { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 },
        };
      },
    });
    const gap = await remote(() => broken([0, 2], 3));
    await expect(gap.remote.generate(generation(), options(), vi.fn())).rejects.toMatchObject({
      code: 'frame_invalid',
    });
    const short = await remote(() => broken([0], 5));
    await expect(short.remote.generate(generation(), options(), vi.fn())).rejects.toMatchObject({
      code: 'frame_invalid',
    });
  });

  it('is unreachable when the peer is not connected', async () => {
    const { b } = await remote((node) => new FakeEngine(node));
    const engine = new RemoteEngine({ mesh: b.mesh }, { node: (await makeKey()).node });
    await expect(engine.generate(generation(), options(), vi.fn())).rejects.toMatchObject({ code: 'peer_unreachable' });
  });
});

describe('a condition', () => {
  const conditioned = (withinMs: number) => ({ ...options(), withinMs });
  const texts = { model, ids: Int32Array.of(1, 2, 3), lengths: Int32Array.of(2, 1) };
  const ask = (engine: Engine, withinMs: number) => [
    engine.run(
      { model, inputs: [tensorOf('x', 'float32', [2], Float32Array.of(1, 2))], outputs: [] },
      conditioned(withinMs),
    ),
    engine.encode({ ...texts, pooling: 'mean', normalize: false }, { ...conditioned(withinMs), priority: 'batch' }),
    engine.generate(generation({ expectedTokens: 3 }), conditioned(withinMs), () => undefined),
  ];

  it('that is not kept is declined with a quote and fresh load, before any work', async () => {
    const quoted: unknown[] = [];
    const traces = new TraceRing({ clock: systemClock, random: systemRandom });
    const {
      remote: engine,
      engine: local,
      a,
      b,
    } = await remote((node) => new FakeEngine(node), allowAll, traces, {
      quote: (asked, size, priority) => {
        quoted.push([asked.digest, size, priority]);
        return 250.5;
      },
    });
    for (const answer of await Promise.allSettled(ask(engine, 250))) {
      expect(answer).toMatchObject({ reason: { code: 'declined', elsewhere: true, facts: { quotedMs: '251' } } });
    }
    expect(local.seen).toEqual([]);
    // Nor is anything noted down, with which a member could fill the ring.
    expect(traces.list()).toEqual([]);
    expect(b.mesh.peer(a.key.node)?.load.queuedMs).toBe(777);
    const nothing = { inputTokens: 1, outputTokens: 0, requestBytes: 8, answerBytes: 8, answerRows: 0 };
    expect(quoted).toHaveLength(3);
    expect(quoted).toEqual(
      expect.arrayContaining([
        [model.digest, nothing, 'interactive'],
        [model.digest, { ...nothing, inputTokens: 3, requestBytes: 20, answerBytes: 0, answerRows: 2 }, 'batch'],
        [model.digest, { ...nothing, inputTokens: 2, outputTokens: 3, answerBytes: 0 }, 'interactive'],
      ]),
    );
  });

  it.each<[string, Partial<ServeEngineComponents>]>([
    ['where nothing is quoted', {}],
    ['of a model that is not offered', { quote: () => undefined }],
    ['by a quote that is no number', { quote: () => Number.NaN }],
  ])('holds nothing up %s: the work is done, however long it takes', async (_where, served) => {
    const { remote: engine, engine: local } = await remote((node) => new FakeEngine(node), allowAll, undefined, served);
    await Promise.all(ask(engine, 1));
    expect(local.seen).toHaveLength(3);
  });

  it('is nobody else’s: a call without one is never declined, nor quoted', async () => {
    const quote = vi.fn(() => 1e9);
    const { remote: engine, engine: local } = await remote((node) => new FakeEngine(node), allowAll, undefined, {
      quote,
    });
    await engine.generate(generation(), options(), () => undefined);
    expect([local.seen.length, quote.mock.calls.length]).toEqual([1, 0]);
  });

  it('gives away nothing of a model that the caller may not use', async () => {
    const policy: Policy = {
      authorize: (_caller, { model: id }) => {
        if (id !== undefined) throw new WeftError({ code: 'forbidden', message: 'Not this model.' });
      },
    };
    const quote = vi.fn(() => 1e9);
    const { remote: engine } = await remote((node) => new FakeEngine(node), policy, undefined, { quote });
    for (const answer of await Promise.allSettled(ask(engine, 1))) {
      expect(answer).toMatchObject({ reason: { code: 'forbidden' } });
    }
    expect(quote).not.toHaveBeenCalled();
  });
});
