import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../protocol/errors.ts';
import type { Plan } from '../../../protocol/plan.ts';
import { tensorOf } from '../../../protocol/tensor.ts';
import { IDLE, offer, peer, SMOL, UNMEASURED } from '../scheduler/builders.ts';
import { type FakeMeshInit, fakeMesh, generation, referenceStream, settle } from './fakes.ts';

const encoding = {
  model: SMOL,
  ids: Int32Array.of(1, 2, 3),
  lengths: Int32Array.of(1, 2),
  pooling: 'mean',
  normalize: true,
} as const;
const never = new AbortController().signal;
const options = { signal: never, requestId: 'req_test' };

/** Runs one generation to its end. */
async function generate(init: FakeMeshInit) {
  const mesh = fakeMesh(init);
  const tokens: number[] = [];
  const plans: Plan[] = [];
  const outcome = await mesh.dispatcher
    .generate(generation(), { ...options, onPlan: (plan) => plans.push(plan) }, (first, ids) => {
      expect(first).toBe(tokens.length);
      tokens.push(...ids);
    })
    .then(
      (result) => ({ result, error: undefined }),
      (error: unknown) => ({ result: undefined, error }),
    );
  expect(mesh.dispatcher.inFlight()).toBe(0);
  expect(mesh.memory.sessions).toBe(0);
  expect(mesh.clock.timers).toBe(0);
  return { ...mesh, ...outcome, tokens, plans };
}

describe('placing', () => {
  it('works here without a peer, and on the faster peer where there is one', async () => {
    const here = await generate({ nodes: { self: [{}] } });
    expect(here.result).toMatchObject({
      finish: 'stop',
      generated: 20,
      node: 'self',
      nodes: ['self'],
      plan: { kind: 'local' },
    });
    const there = await generate({ nodes: { a: [{}], self: [{}] } });
    expect(there.result).toMatchObject({ node: 'a', nodes: ['a'], plan: { kind: 'remote', node: 'a' } });
    expect(there.tokens).toEqual(referenceStream(20));
  });

  it('reports each plan before it is carried out', async () => {
    const { plans, tokens } = await generate({ nodes: { a: [{ dieAt: 5 }], self: [{}] } });
    expect(plans.map((plan) => plan.kind)).toEqual(['remote', 'local']);
    expect(plans[1]?.rejected).toContainEqual({ node: 'a', reason: 'excluded after failure (peer_lost)' });
    expect(tokens).toEqual(referenceStream(20));
  });

  it('tells of answers that came from elsewhere, and of no others', async () => {
    const mesh = fakeMesh({ nodes: { a: [{ dieAt: 5 }, {}], self: [{}] } });
    const told: object[] = [];
    const end = mesh.dispatcher.onRemote((answer) => told.push(answer));
    await mesh.dispatcher.generate(generation(), options, () => undefined);
    expect(told).toEqual([]);
    const other = fakeMesh({ nodes: { a: [{}, {}], self: [{}] } });
    other.dispatcher.onRemote(() => {
      throw new Error('It only looks on.');
    });
    const stop = other.dispatcher.onRemote((answer) => told.push(answer));
    await other.dispatcher.generate(generation(), options, () => undefined);
    const { promptLength } = generation();
    expect(told).toEqual([
      { model: SMOL, node: 'a', ms: expect.any(Number), inputTokens: promptLength, outputTokens: 20 },
    ]);
    stop();
    end();
    await other.dispatcher.generate(generation(), options, () => undefined);
    expect(told).toHaveLength(1);
  });

  it('hands on what is left of the budget', async () => {
    const mesh = fakeMesh({ nodes: { a: [{ dieAt: 0 }], self: [{}] } });
    await mesh.dispatcher.encode(encoding, { ...options, budgetMs: 700 });
    expect(mesh.engine('a').budgets).toEqual([700]);
    expect(mesh.engine('self').budgets).toEqual([700]);
  });

  it('tries a node that was never measured now and then, and never in a recovery', async () => {
    const explore = fakeMesh({ nodes: { self: [{}], a: [{}] }, random: () => 0 });
    explore.peers.splice(0, 1, peer('a', { offers: [offer({ profile: UNMEASURED })] }));
    expect((await explore.dispatcher.encode(encoding, options)).nodes).toEqual(['a']);
    const usual = fakeMesh({ nodes: { self: [{}], a: [{}] } });
    usual.peers.splice(0, 1, peer('a', { offers: [offer({ profile: UNMEASURED })] }));
    expect((await usual.dispatcher.encode(encoding, options)).nodes).toEqual(['self']);
  });

  it('refuses more requests than it may have in flight, and takes new ones as others end', async () => {
    const mesh = fakeMesh({ nodes: { self: [{ hangAt: 0 }, {}] }, inFlightMax: 1 });
    const abort = new AbortController();
    const first = mesh.dispatcher.encode(encoding, { ...options, signal: abort.signal });
    await expect(mesh.dispatcher.encode(encoding, options)).rejects.toMatchObject({ code: 'overloaded', status: 429 });
    abort.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await expect(mesh.dispatcher.encode(encoding, options)).resolves.toMatchObject({ dimensions: 4 });
  });

  it('runs tensors and encodes texts elsewhere too when a node is lost', async () => {
    const mesh = fakeMesh({ nodes: { a: [{ dieAt: 0 }], b: [{}] } });
    const inputs = [tensorOf('x', 'float32', [2], new Float32Array(2))];
    const run = await mesh.dispatcher.run({ model: SMOL, inputs, outputs: [] }, options);
    expect(run).toMatchObject({ node: 'b', nodes: ['a', 'b'] });
    expect(await mesh.dispatcher.encode(encoding, options)).toMatchObject({ node: 'b', nodes: ['b'] });
  });
});

describe('recovery', () => {
  it.each([
    'peer_lost',
    'peer_timeout',
    'peer_unreachable',
    'runner_lost',
    'runner_timeout',
    'overloaded',
    'stopping',
  ] as const)('goes on elsewhere after %s, before and after the first token', async (code) => {
    for (const dieAt of [0, 1, 12]) {
      const run = await generate({ nodes: { a: [{ dieAt, code }], b: [{}] } });
      expect(run.tokens).toEqual(referenceStream(20));
      expect(run.result).toMatchObject({ finish: 'stop', generated: 20, nodes: ['a', 'b'] });
      expect(run.engine('b').requests[0]?.ids).toEqual(
        Int32Array.of(11, 12, 13, ...referenceStream(20).slice(0, dieAt)),
      );
      expect(run.telemetry.counts.get('weft_recoveries_total')).toBe(1);
    }
  });

  it('needs nobody when only the last word was lost', async () => {
    const stop = await generate({ nodes: { a: [{ dieAt: 99 }] } });
    expect(stop.result).toMatchObject({ finish: 'stop', generated: 20, node: 'a', nodes: ['a'] });
    const mesh = fakeMesh({ nodes: { a: [{ dieAt: 99 }] } });
    const length = await mesh.dispatcher.generate(generation({ maxNewTokens: 7 }), options, () => undefined);
    expect(length).toMatchObject({ finish: 'length', generated: 7 });
  });

  it('drops tokens that a node repeats', async () => {
    const { tokens } = await generate({ nodes: { a: [{ repeat: 3, dieAt: 9 }], b: [{ repeat: 5, chunk: 4 }] } });
    expect(tokens).toEqual(referenceStream(20));
  });

  it('leaves a node that left out a token, sent too many, or counts more than it sent', async () => {
    for (const script of [{ skipAt: 6 }, { overcount: 2 }]) {
      const run = await generate({ nodes: { a: [script], b: [{}] } });
      expect(run.tokens).toEqual(referenceStream(20));
      expect(run.result).toMatchObject({ finish: 'stop', generated: 20 });
    }
    const overrun = await generate({ nodes: { a: [{ overrun: 3 }], b: [{}] } });
    expect(overrun.tokens).toEqual(referenceStream(20));
    expect(overrun.result).toMatchObject({ finish: 'stop', generated: 20, nodes: ['a'] });
  });

  it('tells a node that it gave up to stop', async () => {
    const run = await generate({ nodes: { a: [{ skipAt: 6 }], b: [{}] } });
    expect(run.engine('a').aborted).toBe(1);
  });

  it('ignores tokens of an attempt that was given up', async () => {
    const mesh = fakeMesh({ nodes: { a: [{ dieAt: 4, undead: true }], b: [{ hangAt: 4 }] } });
    const tokens: number[] = [];
    const abort = new AbortController();
    const run = mesh.dispatcher.generate(generation(), { ...options, signal: abort.signal }, (_first, ids) =>
      tokens.push(...ids),
    );
    await settle();
    expect(tokens).toEqual(referenceStream(20).slice(0, 4));
    abort.abort();
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('leaves a node whose vectors do not fit the texts', async () => {
    const mesh = fakeMesh({ nodes: { a: [{ overcount: 1 }], b: [{}] } });
    expect(await mesh.dispatcher.encode(encoding, options)).toMatchObject({ node: 'b' });
  });

  it('asks the node of a killed runner once more where nobody else can', async () => {
    const run = await generate({ nodes: { self: [{ dieAt: 7, code: 'runner_lost' }, {}] } });
    expect(run.tokens).toEqual(referenceStream(20));
    expect(run.result).toMatchObject({ generated: 20, nodes: ['self'] });
    const twice = await generate({ nodes: { self: [{ dieAt: 7, code: 'runner_lost' }] } });
    expect(twice.error).toMatchObject({ code: 'runner_lost' });
    expect(twice.engine('self').calls).toBe(2);
  });

  it('asks the node of a killed runner as long as each attempt brings the answer forward', async () => {
    const lost = (dieAt: number) => ({ dieAt, code: 'runner_lost' as const });
    const run = await generate({ nodes: { self: [lost(3), lost(7), lost(12), {}] } });
    expect(run.tokens).toEqual(referenceStream(20));
    const stuck = await generate({ nodes: { self: [lost(3), lost(7), lost(7), {}] } });
    expect(stuck.error).toMatchObject({ code: 'runner_lost' });
    expect(stuck.tokens).toEqual(referenceStream(20).slice(0, 7));
  });

  it('comes back to the node of a killed runner when the others are lost', async () => {
    const run = await generate({ nodes: { self: [{ dieAt: 7, code: 'runner_lost' }, {}], a: [{ dieAt: 12 }] } });
    expect(run.tokens).toEqual(referenceStream(20));
    expect(run.result).toMatchObject({ nodes: ['self', 'a', 'self'] });
  });

  it('does not ask a lost peer twice', async () => {
    const run = await generate({ nodes: { a: [{ dieAt: 7, code: 'peer_lost' }, {}] } });
    expect(run.error).toMatchObject({ code: 'no_capable_node', cause: { code: 'peer_lost' } });
    expect(run.tokens).toEqual(referenceStream(20).slice(0, 7));
    expect(run.engine('a').calls).toBe(1);
  });

  it('ends at once when nobody offers the model', async () => {
    const run = await generate({ nodes: {} });
    expect(run.error).toMatchObject({
      code: 'no_capable_node',
      facts: { rejected: 'this node: does not offer this model' },
    });
  });

  it('says that a full or quarantined model is the reason, rather than that nobody is left', async () => {
    const cases: [ErrorCode, ErrorCode][] = [
      ['overloaded', 'overloaded'],
      ['model_quarantined', 'model_quarantined'],
      ['frame_invalid', 'no_capable_node'],
      ['method_unknown', 'no_capable_node'],
      ['not_a_member', 'no_capable_node'],
    ];
    for (const [code, expected] of cases) {
      const run = await generate({ nodes: { a: [{ dieAt: 0, code }], b: [{ dieAt: 0, code: 'peer_lost' }] } });
      expect(run.error).toMatchObject({ code: expected });
    }
  });

  it('does not repeat a request that is itself at fault', async () => {
    const run = await generate({ nodes: { a: [{ dieAt: 0, code: 'bad_request' }], b: [{}] } });
    expect(run.error).toMatchObject({ code: 'bad_request' });
    expect(run.engine('b').calls).toBe(0);
  });

  it('goes elsewhere when a peer has not got the model any more, or cancels by itself', async () => {
    for (const code of ['model_not_found', 'cancelled'] as const) {
      const run = await generate({ nodes: { a: [{ dieAt: 3, code }], b: [{}] } });
      expect(run.tokens).toEqual(referenceStream(20));
    }
    const here = await generate({ nodes: { self: [{ dieAt: 0, code: 'model_not_found' }], b: [{}] } });
    expect(here.error).toMatchObject({ code: 'model_not_found' });
  });

  it('gives up after as many attempts as it may make', async () => {
    const nodes = { a: [{ dieAt: 1 }], b: [{ dieAt: 2 }], c: [{ dieAt: 3 }], d: [{}] };
    const run = await generate({ nodes, attemptsMax: 3 });
    expect(run.error).toMatchObject({
      code: 'no_capable_node',
      facts: { tried: 'a: peer_lost; b: peer_lost; c: peer_lost' },
    });
    expect(run.engine('d').calls).toBe(0);
  });

  it('hides the defect of a receiver, and stops the generation', async () => {
    const mesh = fakeMesh({ nodes: { a: [{}], b: [{}] } });
    const run = mesh.dispatcher.generate(generation(), options, () => {
      throw new Error('a defect');
    });
    await expect(run).rejects.toMatchObject({ code: 'internal', cause: { message: 'a defect' } });
    expect(mesh.engine('a').aborted).toBe(1);
    expect(mesh.engine('b').calls).toBe(0);
  });
});

describe('ending early', () => {
  it.each([false, true])('ends at once when the caller cancels, though the engine is deaf: %s', async (deaf) => {
    const mesh = fakeMesh({ nodes: { a: [{ hangAt: 4, deaf }], b: [{}] } });
    const abort = new AbortController();
    const tokens: number[] = [];
    const run = mesh.dispatcher.generate(generation(), { ...options, signal: abort.signal }, (_first, ids) =>
      tokens.push(...ids),
    );
    await settle();
    abort.abort();
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(tokens.length).toBe(4);
    expect(mesh.engine('a').aborted).toBe(1);
    expect(mesh.engine('b').calls).toBe(0);
    expect([mesh.memory.sessions, mesh.clock.timers, mesh.dispatcher.inFlight()]).toEqual([0, 0, 0]);
  });

  it('begins nothing for a caller that is gone', async () => {
    const mesh = fakeMesh({ nodes: { self: [{}] } });
    await expect(mesh.dispatcher.encode(encoding, { ...options, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(mesh.engine('self').calls).toBe(0);
  });

  it('ends when the budget does, though the engine is deaf', async () => {
    const mesh = fakeMesh({ nodes: { a: [{ hangAt: 4, deaf: true }], b: [{}] } });
    const run = mesh.dispatcher.generate(generation(), { ...options, budgetMs: 300 }, () => undefined);
    await settle();
    mesh.clock.advance(299);
    await settle();
    expect(mesh.dispatcher.inFlight()).toBe(1);
    mesh.clock.advance(1);
    await expect(run).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(mesh.engine('a').aborted).toBe(1);
    expect(mesh.engine('b').calls).toBe(0);
  });
});

describe('nodes that just failed', () => {
  it('get no further request for a while, unless there is no other', async () => {
    const mesh = fakeMesh({ nodes: { a: [{ dieAt: 0 }, {}], b: [{}] } });
    expect((await mesh.dispatcher.encode(encoding, options)).nodes).toEqual(['a', 'b']);
    expect((await mesh.dispatcher.encode(encoding, options)).nodes).toEqual(['b']);
    mesh.peers.splice(1, 1);
    expect((await mesh.dispatcher.encode(encoding, options)).nodes).toEqual(['a']);
  });

  it('are asked again when they did well since, or when the time is over', async () => {
    const mesh = fakeMesh({ nodes: { a: [{ dieAt: 0 }, {}], b: [{}] } });
    await mesh.dispatcher.encode(encoding, options);
    mesh.clock.advance(60_000);
    expect((await mesh.dispatcher.encode(encoding, options)).nodes).toEqual(['a']);
  });
});

describe('models', () => {
  it('lists what is offered here and there, once per digest, absent peers without a node', () => {
    const mesh = fakeMesh({ nodes: { self: [{}] }, offer: { state: 'disk' } });
    const other = offer({ model: { id: 'a/other', digest: `sha256:${'d'.repeat(64)}` } });
    mesh.peers.push(
      peer('loaded', { load: IDLE }),
      peer('sick', { offers: [offer({ state: 'quarantined' })] }),
      peer('gone', { offers: [offer(), other], state: 'gone' }),
    );
    expect(mesh.dispatcher.models()).toEqual([
      {
        offer: expect.objectContaining({ model: SMOL, state: 'loaded' }),
        nodes: ['self', 'loaded', 'sick'],
        states: ['disk', 'loaded', 'quarantined'],
      },
      { offer: other, nodes: [], states: [] },
    ]);
  });
});
