import { describe, expect, it } from 'vitest';
import type { PlacedOptions } from '../../../node/core/dispatcher.ts';
import type { Span } from '../../../node/core/trace.ts';
import { PART_KEPT_MS } from '../../../node/dispatch/limits.ts';
import type { CutTable } from '../../../protocol/cut-table.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { RunRequest } from '../../../protocol/infer.ts';
import type { Plan } from '../../../protocol/plan.ts';
import { compute, numberOf, RUN_X, TABLE, tables, tensorOf } from './cut-world.ts';
import { type Script, type TimedEngine, type TimedMeshInit, type TimedNode, timedMesh } from './timed-mesh.ts';

const WHOLE = compute(RUN_X).map(numberOf);

const FAST: TimedNode = { claimedMs: 40 };
const SLOW: TimedNode = { claimedMs: 400 };

interface Told {
  readonly plans: Plan[];
  readonly spans: Span[];
}

function asked(options: Partial<PlacedOptions> = {}): PlacedOptions & { readonly told: Told } {
  const told: Told = { plans: [], spans: [] };
  return {
    signal: new AbortController().signal,
    requestId: 'req_1',
    onPlan: (plan) => told.plans.push(plan),
    trace: {
      requestId: 'req_1',
      traceParent: '',
      elapsedMs: () => 0,
      model: () => undefined,
      span: (span) => told.spans.push(span),
      placed: () => undefined,
      failed: () => undefined,
      progress: () => undefined,
      usage: () => undefined,
      end: () => undefined,
    },
    ...options,
    told,
  };
}

const world = (nodes: TimedMeshInit['nodes'], init: Partial<TimedMeshInit> = {}) =>
  timedMesh({ nodes, cuts: tables(true), hedgeShare: 0, ...init });

const partsRun = (engine: TimedEngine): (readonly string[] | undefined)[] =>
  engine.requests.map((request) => (request as RunRequest).part?.outputs);

const tensorsSeen = (engine: TimedEngine): string[] =>
  engine.requests.flatMap((request) => (request as RunRequest).inputs.map(({ name }) => name));

describe('a cut that is asked for', () => {
  it('runs each part on its node and answers as the whole does', async () => {
    const { dispatcher, engine, outcome } = world({ self: SLOW, b: FAST });
    const options = asked({ cut: { at: [1] } });
    const result = await outcome(dispatcher.run(RUN_X, options));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.plan).toMatchObject({
      kind: 'cut',
      parts: [
        { node: 'self', from: 0, to: 1 },
        { node: 'b', from: 1, to: 4 },
      ],
    });
    expect(result.nodes).toEqual(['self', 'b']);
    expect(options.told.plans).toEqual([result.plan]);
    expect(partsRun(engine('self'))).toEqual([['a', 's']]);
    expect(partsRun(engine('b'))).toEqual([['y']]);
  });

  it('is found by a tensor that crosses, and says what left', async () => {
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST });
    const options = asked({ cut: { at: ['b'] } });
    await outcome(dispatcher.run(RUN_X, options));
    const [up] = options.told.spans.filter(({ name, tensors }) => name === 'up' && tensors !== undefined);
    expect(up?.node).toBe('b');
    expect(up?.tensors).toEqual(['m', 's', 'b'].map((name) => ({ name, bytes: 4 })));
  });

  it('is measured first where it was not before', async () => {
    const cuts = tables(false);
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST }, { cuts });
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [2] } })));
    expect(cuts.measured).toBe(1);
    expect(result.plan.kind).toBe('cut');
  });

  it('tells of what ran here, so that tables are corrected', async () => {
    const cuts = tables(true);
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST }, { cuts });
    await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1] }, rawLocal: ['x'] })));
    expect(cuts.ran).toEqual([{ from: 0, to: 1, ms: 400 }]);
  });

  it('goes over three nodes', async () => {
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST, c: FAST });
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1, 3] } })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.plan).toMatchObject({ parts: [{ to: 1 }, { to: 3 }, { to: 4 }] });
  });

  it('is run by nodes that are named alone, and what is left of it too', async () => {
    const failing: Script = () => {
      throw new WeftError({ code: 'runner_lost', message: 'It is gone.' });
    };
    const { dispatcher, outcome } = world({ self: SLOW, b: { ...FAST, script: failing }, c: FAST, d: SLOW });
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1], on: ['self', 'b', 'd'] } })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.nodes).not.toContain('c');
  });

  it('is none where one of the nodes that are named does the whole sooner, and goes to no other', async () => {
    const { dispatcher, engine, outcome } = world({ self: SLOW, b: FAST, c: { claimedMs: 80 } });
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { on: ['self', 'c'] } })));
    expect(result.nodes).toEqual(['c']);
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(engine('b').calls).toBe(0);
    const nobody = outcome(dispatcher.run(RUN_X, asked({ cut: { on: ['gone'] } })));
    await expect(nobody).rejects.toMatchObject({ code: 'no_capable_node' });
  });

  it('keeps up with most of a stream where it is one, though each answer takes as long as whole', async () => {
    const { dispatcher, outcome } = world({ self: SLOW, b: SLOW });
    const rule = { rawLocal: ['x'] };
    const single = await outcome(dispatcher.run(RUN_X, asked(rule)));
    expect(single.plan.kind).toBe('local');
    const streamed = await outcome(dispatcher.run(RUN_X, asked({ ...rule, cut: { steady: true } })));
    expect(streamed.plan.kind).toBe('cut');
    expect(new Set(streamed.nodes)).toEqual(new Set(['self', 'b']));
    expect(streamed.outputs.map(numberOf)).toEqual(WHOLE);
  });

  it('lets tensors between parts lose a little where that is asked for and saves time, and says how much', async () => {
    const large = { ...TABLE, tensors: TABLE.tensors.map((tensor) => ({ ...tensor, bytes: 4e6 })) };
    const { dispatcher, engine, outcome } = world({ self: SLOW, b: FAST }, { cuts: tables(true, large) });
    const ask = (compress?: true) =>
      outcome(
        dispatcher.run(RUN_X, asked({ cut: { at: [2, 3], on: ['self', 'b', 'self'], ...(compress && { compress }) } })),
      );
    await ask();
    await ask(true);
    // Not what came with the request, and nothing on its way within this node.
    expect(engine('b').requests.map((request) => (request as RunRequest).blocks)).toEqual([undefined, ['s', 'b', 'c']]);
    for (const request of engine('self').requests) expect(request).not.toHaveProperty('blocks');
    const small = world({ self: SLOW, b: FAST });
    await small.outcome(small.dispatcher.run(RUN_X, asked({ cut: { at: [2], compress: true } })));
    expect(small.engine('b').requests[0]).not.toHaveProperty('blocks');
  });

  it('is measured for what is to stay here', async () => {
    const cuts = tables(true);
    const wishes: unknown[] = [];
    const spy: typeof cuts = {
      ...cuts,
      measure: async (_model, { raw }) => {
        wishes.push(raw);
        return TABLE;
      },
    };
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST }, { cuts: spy });
    await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [3] }, rawLocal: true })));
    await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1] }, rawLocal: ['x'] })));
    await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1] } })));
    expect(wishes).toEqual([['x', 'm'], ['x'], undefined]);
  });

  it('is refused by name where there is no such place', async () => {
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST });
    const at = (place: number | string) => outcome(dispatcher.run(RUN_X, asked({ cut: { at: [place] } })));
    await expect(at('nope')).rejects.toMatchObject({ code: 'bad_request', message: expect.stringContaining('"nope"') });
    await expect(at(9)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining('9 is no cut point'),
    });
  });

  it('asks no node for segments that give nothing', async () => {
    const idle: CutTable = {
      ...TABLE,
      segments: [...TABLE.segments, { share: 0, weightBytes: 0, nodes: 1 }],
    };
    const { dispatcher, engine, outcome } = world({ self: SLOW, b: FAST }, { cuts: tables(true, idle) });
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [4] } })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(engine('self').calls + engine('b').calls).toBe(1);
  });

  it('of a graph that can be cut nowhere runs it whole', async () => {
    const whole: CutTable = {
      ...TABLE,
      segments: [{ share: 1, weightBytes: 40e6, nodes: 12 }],
      tensors: TABLE.tensors
        .filter(({ from, output }) => from === -1 || output)
        .map((tensor) => (tensor.from === -1 ? { ...tensor, to: [0] } : { ...tensor, from: 0 })),
      reason: 'It has one node only.',
    };
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST }, { cuts: tables(true, whole) });
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: ['b'] } })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.plan).toMatchObject({ kind: 'remote', node: 'b' });
  });

  it('asks for the input that is missing, by name', async () => {
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST });
    const without = { ...RUN_X, inputs: [tensorOf('x', 3)] };
    await expect(outcome(dispatcher.run(without, asked({ cut: { at: [1] } })))).rejects.toMatchObject({
      code: 'tensor_invalid',
      message: expect.stringContaining('"m"'),
    });
  });
});

describe('a part whose node fails', () => {
  const fails = (script: TimedNode['script']): TimedNode => ({
    claimedMs: 40,
    ...(script !== undefined && { script }),
  });

  it.each([
    ['vanishes', () => ({ ms: 5, fails: 'peer_lost' as const })],
    ['can not load it', () => ({ ms: 5, fails: 'out_of_memory' as const })],
    ['shows nothing of it', () => ({ ms: 1e9 })],
    ['shows nothing, not even that it came', () => ({ ms: 1e9, mute: true })],
  ] as [string, Script][])('and %s is replaced; what has run is not run again', async (_what, script) => {
    const { dispatcher, engine, outcome } = world(
      { self: { claimedMs: 4_000 }, b: fails(script), c: { claimedMs: 60 } },
      { silentMsMin: 1_000 },
    );
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1] }, rawLocal: ['x'] })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.nodes).toEqual(['self', 'c']);
    expect(engine('b').calls).toBe(1);
    expect(engine('b').stopped).toBe(1);
    expect(engine('self').calls).toBe(1);
    expect(partsRun(engine('c'))).toEqual([['y']]);
  });

  it('and is the only one ends here', async () => {
    const { dispatcher, outcome } = world({ self: SLOW, b: fails(() => ({ ms: 5, fails: 'peer_lost' as const })) });
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1] } })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.nodes).toEqual(['self']);
  });

  it('and is the only one, before anything has run, leaves all of it here: the place is given up, not the answer', async () => {
    const { dispatcher, engine, outcome } = world({
      self: SLOW,
      b: fails(() => ({ ms: 5, fails: 'peer_lost' as const })),
    });
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [3] } })));
    expect(partsRun(engine('b'))).toEqual([['c']]);
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.nodes).toEqual(['self']);
  });

  it('by giving something else is replaced as well', async () => {
    const { dispatcher, engine, outcome } = world({ self: { claimedMs: 4_000 }, b: FAST, c: { claimedMs: 60 } });
    engine('b').outputsOf = () => [{ ...tensorOf('y', 1), type: 'int32' }];
    const result = await outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1] }, rawLocal: ['x'] })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.nodes).toEqual(['self', 'c']);
  });

  it('ends with the request where the request is at fault', async () => {
    const { dispatcher, engine, outcome } = world({
      self: SLOW,
      b: fails(() => ({ ms: 5, fails: 'tensor_invalid' as const })),
      c: FAST,
    });
    await expect(outcome(dispatcher.run(RUN_X, asked({ cut: { at: [1] } })))).rejects.toMatchObject({
      code: 'tensor_invalid',
    });
    expect(engine('b').calls + engine('c').calls).toBe(1);
  });

  it('is told to stop when the caller leaves', async () => {
    const { dispatcher, engine, outcome, clock } = world({ self: SLOW, b: fails(() => ({ ms: 1e9 })) });
    const controller = new AbortController();
    const run = dispatcher.run(RUN_X, asked({ cut: { at: [1] }, signal: controller.signal }));
    clock.after(500, () => controller.abort());
    await expect(outcome(run)).rejects.toMatchObject({ code: 'cancelled' });
    expect(engine('b').stopped).toBe(1);
  });

  it('is over when its time is', async () => {
    const { dispatcher, engine, outcome } = world({ self: SLOW, b: fails(() => ({ ms: 1e9 })) }, { silentMsMin: 1e8 });
    const run = dispatcher.run(RUN_X, asked({ cut: { at: [1] }, budgetMs: 2_000 }));
    await expect(outcome(run)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(engine('b').stopped).toBe(1);
  });
});

describe('raw: local', () => {
  it('keeps the inputs here, and lets what follows from them leave', async () => {
    const { dispatcher, engine, outcome } = world({ self: { claimedMs: 4_000 }, b: FAST });
    const result = await outcome(dispatcher.run(RUN_X, asked({ rawLocal: ['x'], cut: { at: [1] } })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(tensorsSeen(engine('b'))).toEqual(['m', 'a', 's']);
  });

  it('keeps them here when nodes fail, too', async () => {
    const lost = () => ({ ms: 5, fails: 'peer_lost' as const });
    const { dispatcher, engine, outcome } = world({
      self: SLOW,
      b: { claimedMs: 40, script: lost },
      c: { claimedMs: 50, script: lost },
    });
    const result = await outcome(dispatcher.run(RUN_X, asked({ rawLocal: true })));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    const seen = [...tensorsSeen(engine('b')), ...tensorsSeen(engine('c'))];
    expect(seen).not.toContain('x');
    expect(seen).not.toContain('m');
  });

  it('is what keeps them: without it they leave', async () => {
    const { dispatcher, engine, outcome } = world({ self: { claimedMs: 4_000 }, b: FAST });
    await outcome(dispatcher.run(RUN_X, asked()));
    expect(tensorsSeen(engine('b'))).toContain('x');
  });

  it('keeps texts and batches here, however slow that is', async () => {
    const { dispatcher, engine, outcome } = world({ self: { claimedMs: 4_000 }, b: FAST });
    const many = 300;
    const encode = {
      model: TABLE.model,
      ids: new Int32Array(many),
      lengths: new Int32Array(many).fill(1),
      pooling: 'mean' as const,
      normalize: true,
    };
    await outcome(dispatcher.encode(encode, asked({ rawLocal: true })));
    expect(engine('b').calls).toBe(0);
    await outcome(dispatcher.encode(encode, asked()));
    expect(engine('b').calls).toBeGreaterThan(0);
  });

  it('is refused where this node can not run what must stay', async () => {
    const { dispatcher, outcome } = world({ b: FAST });
    const encode = {
      model: TABLE.model,
      ids: Int32Array.of(1),
      lengths: Int32Array.of(1),
      pooling: 'mean' as const,
      normalize: true,
    };
    await expect(outcome(dispatcher.encode(encode, asked({ rawLocal: true })))).rejects.toMatchObject({
      code: 'no_capable_node',
    });
  });

  it('refuses a name that is no input, which would protect nothing', async () => {
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST });
    await expect(outcome(dispatcher.run(RUN_X, asked({ rawLocal: ['X'] })))).rejects.toMatchObject({
      message: expect.stringContaining('"X"'),
    });
  });
});

describe('a model that is too large', () => {
  it('is cut where no node takes the whole', async () => {
    const { dispatcher, engine, outcome } = world({ self: FAST, b: FAST, c: FAST });
    for (const one of ['self', 'b', 'c'].map(engine)) {
      const wholes = (): boolean => (one.requests.at(-1) as RunRequest).part === undefined;
      const run = one.run.bind(one);
      one.run = async (request, options) => {
        const result = await run(request, options);
        if (!wholes()) return result;
        throw new WeftError({ code: 'out_of_memory', message: 'It needs 40 MB, and 25 MB are there.' });
      };
    }
    const result = await outcome(dispatcher.run(RUN_X, asked()));
    expect(result.outputs.map(numberOf)).toEqual(WHOLE);
    expect(result.plan.kind).toBe('cut');
    await expect(outcome(dispatcher.run(RUN_X, asked({ cut: 'never' })))).rejects.toMatchObject({
      code: 'out_of_memory',
    });
  });
});

describe('a cut that nobody asked for', () => {
  it('is not measured for a request that waits', async () => {
    const cuts = tables(false);
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST }, { cuts });
    const result = await outcome(dispatcher.run(RUN_X, asked()));
    expect(cuts.measured).toBe(0);
    expect(result.plan.kind).not.toBe('cut');
  });

  it('is not made where the whole is as soon', async () => {
    const { dispatcher, outcome } = world({ self: SLOW, b: FAST });
    for (let run = 0; run < 20; run++) {
      const result = await outcome(dispatcher.run(RUN_X, asked()));
      expect(result.plan.kind).toBe('remote');
    }
  });

  it('is made once loading its parts has paid', async () => {
    // A thin link, a large input and small inner tensors: the first segment belongs here, the others there.
    const wide = { ...TABLE, tensors: TABLE.tensors.map((one) => (one.name === 'x' ? { ...one, bytes: 3e6 } : one)) };
    const link = { rttMs: 2, rttFloorMs: 1, goodputBytesPerSecond: 12.5e6, path: 'direct' as const };
    const large: RunRequest = {
      ...RUN_X,
      inputs: [{ name: 'x', type: 'float32', dims: [750_000], data: bigX() }, tensorOf('m', 5)],
    };
    const { dispatcher, outcome, clock } = world(
      { self: SLOW, b: { claimedMs: 10, peer: { link } } },
      { cuts: tables(true, wide) },
    );
    const kinds: string[] = [];
    for (let run = 0; run < 20; run++) {
      const result = await outcome(dispatcher.run(large, asked()));
      kinds.push(result.plan.kind);
    }
    expect(kinds[0]).toBe('local');
    expect(kinds.at(-1)).toBe('cut');
    // Once, not to and fro.
    expect(kinds.lastIndexOf('local')).toBe(kinds.indexOf('cut') - 1);
    clock.advance(PART_KEPT_MS + 1);
    expect((await outcome(dispatcher.run(large, asked()))).plan.kind).toBe('local');
  });
});

function bigX(): Uint8Array {
  const values = new Float32Array(750_000);
  values[0] = 3;
  return new Uint8Array(values.buffer);
}
