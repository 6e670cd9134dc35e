// Deadlines, priorities and dry runs: what goes with a request to the policy and to the engines.
import { describe, expect, it } from 'vitest';
import type { RequestTrace } from '../../../node/core/trace.ts';
import type { RoutingPolicy } from '../../../node/scheduler/policy.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import type { PlanRecord } from '../../../protocol/plan-record.ts';
import { SMOL } from '../scheduler/builders.ts';
import { fakeMesh, generation, referenceStream } from './fakes.ts';
import { RUN, type Script, timedMesh } from './timed-mesh.ts';

const options = { signal: new AbortController().signal, requestId: 'req_test' };
const nodes = { a: { claimedMs: 200 }, b: { claimedMs: 300 } };

describe('a deadline', () => {
  it('that nobody can keep is refused at once, with the time that it would take', async () => {
    const mesh = timedMesh({ nodes });
    await expect(mesh.dispatcher.run(RUN, { ...options, deadlineMs: 50 })).rejects.toMatchObject({
      code: 'deadline_unmeetable',
      status: 503,
      facts: { quotedMs: expect.stringMatching(/^2\d\d$/), retryAfterMs: expect.stringMatching(/^\d+$/) },
    });
    expect(mesh.engine('a').calls + mesh.engine('b').calls).toBe(0);
    expect([mesh.clock.timers, mesh.dispatcher.inFlight()]).toEqual([0, 0]);
  });

  it('that can be kept bounds the work', async () => {
    const mesh = timedMesh({ nodes });
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, { ...options, deadlineMs: 250 }))).node).toBe('a');
    expect(mesh.engine('a').options[0]?.budgetMs).toBe(250);
    mesh.engine('a').script = () => ({ ms: 10_000 });
    const late = mesh.outcome(mesh.dispatcher.run(RUN, { ...options, deadlineMs: 250, budgetMs: 5_000 }));
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  it('that has passed already is one that nobody can keep', async () => {
    const mesh = timedMesh({ nodes });
    for (const deadlineMs of [0, -5]) {
      const run = mesh.dispatcher.run(RUN, { ...options, deadlineMs });
      await expect(run).rejects.toMatchObject({ code: 'deadline_unmeetable' });
    }
  });

  it('is looked at again after a decline and after a failure, by what is left then', async () => {
    const left: (number | undefined)[] = [];
    const policy: RoutingPolicy = {
      name: 'watched',
      choose(request, ...rest) {
        left.push(request.leftMs);
        return weftPolicy.choose(request, ...rest);
      },
    };
    for (const fails of ['declined', 'peer_lost'] as const) {
      left.length = 0;
      const script: Script = () => ({ ms: 100, fails, quotedMs: 900 });
      const mesh = timedMesh({ policy, nodes: { ...nodes, a: { claimedMs: 200, script } } });
      const run = mesh.outcome(mesh.dispatcher.run(RUN, { ...options, deadlineMs: 320 }));
      await expect(run).rejects.toMatchObject({ code: 'deadline_unmeetable' });
      expect(left).toEqual([320, 220]);
      expect(mesh.engine('b').calls).toBe(0);
    }
  });

  it('that only the lost node could have kept ends no answer that has begun', async () => {
    for (const dieAt of [0, 5]) {
      const mesh = fakeMesh({ nodes: { a: [{ dieAt }], b: [{}] } });
      const { price, others } = mesh.dispatcher.plan('generate', generation());
      const deadlineMs = (price.totalMs + (others[0]?.price.totalMs ?? 0)) / 2;
      const tokens: number[] = [];
      const run = mesh.dispatcher.generate(generation(), { ...options, deadlineMs }, (_first, ids) => {
        tokens.push(...ids);
      });
      if (dieAt === 0) await expect(run).rejects.toMatchObject({ code: 'deadline_unmeetable' });
      else await expect(run).resolves.toMatchObject({ nodes: ['a', 'b'] });
      expect(tokens).toEqual(dieAt === 0 ? [] : referenceStream(20));
    }
  });
});

describe('what goes with a request', () => {
  it('is its priority, the condition of its plan, and how long its answer is expected to be', async () => {
    const mesh = timedMesh({ nodes });
    await mesh.outcome(mesh.dispatcher.run(RUN, { ...options, priority: 'batch' }));
    const [sent] = mesh.engine('a').options;
    expect(sent).toMatchObject({ priority: 'batch', requestId: 'req_test' });
    expect(sent?.withinMs).toBeGreaterThan(200);
    await mesh.outcome(mesh.dispatcher.generate(generation({ maxNewTokens: 50 }), options, () => undefined));
    expect(mesh.engine('a').options[1]).not.toHaveProperty('priority');
    expect(mesh.engine('a').requests[1]).toMatchObject({ expectedTokens: 50 });
  });

  it('has no condition here', async () => {
    const mesh = timedMesh({ nodes: { self: { claimedMs: 10 }, b: { claimedMs: 300 } } });
    await mesh.outcome(mesh.dispatcher.run(RUN, options));
    expect(mesh.engine('self').options[0]).not.toHaveProperty('withinMs');
    expect(mesh.engine('self').options[0]).not.toHaveProperty('onAck');
  });
});

describe('a record of the decision', () => {
  it('goes with every plan to a trace, and is not made without one', async () => {
    const records: (PlanRecord | undefined)[] = [];
    const trace: RequestTrace = {
      requestId: 'req_test',
      traceParent: '',
      elapsedMs: () => 0,
      model: () => undefined,
      span: () => undefined,
      placed: (_plan, record) => records.push(record),
      failed: () => undefined,
      progress: () => undefined,
      usage: () => undefined,
      end: () => undefined,
    };
    const mesh = timedMesh({ nodes });
    await mesh.outcome(mesh.dispatcher.run(RUN, { ...options, trace }));
    expect(records).toMatchObject([{ self: 'self', request: { model: SMOL }, nodes: [{ node: 'a' }, { node: 'b' }] }]);
  });
});

describe('a dry run', () => {
  it('says where a request would go, and sends nothing', async () => {
    const mesh = timedMesh({ nodes });
    const encoding = {
      model: SMOL,
      ids: Int32Array.of(1),
      lengths: Int32Array.of(1),
      pooling: 'mean',
      normalize: true,
    };
    const plans = [
      mesh.dispatcher.plan('run', RUN),
      mesh.dispatcher.plan('encode', { ...encoding, pooling: 'mean' }),
      mesh.dispatcher.plan('generate', generation()),
    ];
    for (const plan of plans) expect(plan).toMatchObject({ kind: 'remote', node: 'a', others: [{ node: 'b' }] });
    expect(plans[2]?.price.computeMs).toBeGreaterThan(plans[0]?.price.computeMs ?? 0);
    expect(mesh.engine('a').calls + mesh.engine('b').calls).toBe(0);
    const { node } = await mesh.outcome(mesh.dispatcher.run(RUN, options));
    expect(node).toBe('a');
  });

  it('goes by the policy that was injected', () => {
    const policy: RoutingPolicy = {
      name: 'last',
      choose: (...asked) => ({ ...weftPolicy.choose(...asked), kind: 'remote', node: 'b', policy: 'last' }),
    };
    const mesh = timedMesh({ nodes, policy });
    expect(mesh.dispatcher.plan('run', RUN)).toMatchObject({ node: 'b', policy: 'last' });
  });

  it('fails as the request would, where nobody can do it', () => {
    const mesh = timedMesh({ nodes });
    const other = { ...RUN, model: { id: 'a/b', digest: 'sha256:0' } };
    expect(() => mesh.dispatcher.plan('run', other)).toThrow(expect.objectContaining({ code: 'no_capable_node' }));
  });
});
