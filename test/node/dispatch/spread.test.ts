// Encodings of many texts: when they are scattered over several nodes, and what comes of it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sharesOf } from '../../../node/dispatch/spread.ts';
import type { WeftError } from '../../../protocol/errors.ts';
import type { EncodeRequest } from '../../../protocol/infer.ts';
import type { Candidate, WholePlan } from '../../../protocol/plan.ts';
import { runs } from '../../support/property.ts';
import { IDLE, PROFILE, SMOL } from '../scheduler/builders.ts';
import { settle } from './fakes.ts';
import { type Script, timedMesh } from './timed-mesh.ts';

const options = { signal: new AbortController().signal, requestId: 'req_test' };

function candidate(node: string, queueMs: number, computeMs: number, samples = 10): Candidate {
  const price = { queueMs, loadMs: 0, upMs: 1, computeMs, downMs: 1, totalMs: queueMs + computeMs + 2 };
  return { node, price, samples };
}

function planOf(candidates: readonly Candidate[]): WholePlan {
  const [best, ...others] = candidates.toSorted((a, b) => a.price.totalMs - b.price.totalMs);
  if (best === undefined) throw new Error('no candidate');
  return { kind: 'remote', node: best.node, price: best.price, others, rejected: [] };
}

/** Texts of one token each, that say which they are. */
const texts = (rows: number): EncodeRequest => ({
  model: SMOL,
  ids: Int32Array.from({ length: rows }, (_, row) => row + 1),
  lengths: new Int32Array(rows).fill(1),
  pooling: 'mean',
  normalize: false,
});

/** Takes a millisecond for a text. */
const perText = { offer: { dimensions: 1, profile: { ...PROFILE, fixedMs: 0, perTokenMs: 1, decodeMs: 0 } } };

describe('shares', () => {
  it('are those with which all end at once', () => {
    const found = sharesOf(planOf([candidate('a', 0, 100), candidate('b', 0, 100)]), 100);
    expect(found?.totalMs).toBeCloseTo(52);
    const uneven = sharesOf(planOf([candidate('a', 0, 100), candidate('b', 0, 200), candidate('c', 0, 400)]), 100);
    expect(uneven?.shares).toHaveLength(3);
    expect(uneven?.totalMs).toBeCloseTo(100 / 1.75 + 2);
  });

  it.each<[string, readonly Candidate[], number]>([
    ['few texts', [candidate('a', 0, 100), candidate('b', 0, 100)], 8],
    ['one node', [candidate('a', 0, 100)], 100],
    ['an answer that is there in no time', [candidate('a', 0, 15), candidate('b', 0, 15)], 100],
    ['a second node that is hardly any help', [candidate('a', 0, 100), candidate('b', 0, 1_000)], 100],
    ['a second node that begins when the first is done', [candidate('a', 0, 100), candidate('b', 120, 10)], 100],
    ['a second node that nobody has measured', [candidate('a', 0, 100), candidate('b', 0, 100, 0)], 100],
  ])('are not made for %s', (_what, candidates, rows) => {
    expect(sharesOf(planOf(candidates), rows)).toBeUndefined();
  });

  it('are no slower than any choice of nodes', () => {
    const node = fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 500 }));
    fc.assert(
      fc.property(fc.array(node, { minLength: 2, maxLength: 6 }), (specs) => {
        const all = specs.map(([queueMs, computeMs], index) => candidate(`n${index}`, queueMs, computeMs));
        const found = sharesOf(planOf(all), 1_000);
        if (found === undefined) return;
        for (let subset = 1; subset < 1 << all.length; subset++) {
          const chosen = all.filter((_, index) => ((subset >> index) & 1) === 1);
          const late = chosen.reduce((sum, { price }) => sum + (price.queueMs + 2) / price.computeMs, 0);
          const rate = chosen.reduce((sum, { price }) => sum + 1 / price.computeMs, 0);
          const together = (1 + late) / rate;
          // Whoever would have a negative share makes the sum wrong: such a choice is none.
          if (chosen.some(({ price }) => price.queueMs + 2 > together)) continue;
          expect(found.totalMs).toBeLessThanOrEqual(together * (1 + 1e-9));
        }
      }),
      runs(300),
    );
  });
});

describe('an encoding of many texts', () => {
  const working: Script = () => ({ ms: 20 });
  const nodes = {
    a: { claimedMs: 1, script: working, ...perText },
    b: { claimedMs: 1, script: working, ...perText },
  };

  it('is done by several nodes, each text once, and says how far it is', async () => {
    const mesh = timedMesh({ nodes });
    const seen: number[] = [];
    const request = texts(400);
    const onProgress = (done: number, total: number): void => {
      expect(total).toBe(400);
      seen.push(done);
    };
    const answer = await mesh.outcome(mesh.dispatcher.encode(request, { ...options, onProgress, priority: 'batch' }));
    expect(answer.plan.kind).toBe('scatter');
    expect([...answer.nodes].toSorted()).toEqual(['a', 'b']);
    expect([...answer.embeddings]).toEqual([...request.ids]);
    expect(seen.at(-1)).toBe(400);
    expect(seen.toSorted((x, y) => x - y)).toEqual(seen);
    for (const { priority } of mesh.engine('a').options) expect(priority).toBe('batch');
    await settle();
    expect([mesh.clock.timers, mesh.dispatcher.inFlight()]).toEqual([0, 0]);
  });

  it('is refused at once where all nodes together would be too late, with the time that they would take', async () => {
    const mesh = timedMesh({ nodes });
    const asked = (deadlineMs: number) => mesh.outcome(mesh.dispatcher.encode(texts(400), { ...options, deadlineMs }));
    const { plan } = await mesh.outcome(mesh.dispatcher.encode(texts(400), options));
    const togetherMs = Math.ceil(plan.price.totalMs);
    const before = mesh.engine('a').calls + mesh.engine('b').calls;
    const facts = { quotedMs: expect.stringMatching(/^\d+$/) };
    await expect(asked(togetherMs / 2)).rejects.toMatchObject({ code: 'deadline_unmeetable', facts });
    const refused = await asked(togetherMs / 2).catch((error: WeftError) => Number(error.facts.quotedMs));
    expect(refused).toBeLessThan(togetherMs * 1.2);
    expect(mesh.engine('a').calls + mesh.engine('b').calls).toBe(before);
    expect((await asked(togetherMs * 1.5)).plan.kind).toBe('scatter');
  });

  it('loses nothing with a node that dies', async () => {
    const dying: Script = (call) => (call < 2 ? { ms: 20 } : { ms: 1, fails: 'peer_lost' });
    const mesh = timedMesh({ nodes: { ...nodes, b: { ...nodes.b, script: dying } } });
    const request = texts(400);
    const answer = await mesh.outcome(mesh.dispatcher.encode(request, options));
    expect([...answer.embeddings]).toEqual([...request.ids]);
  });

  it('goes to one node where the others are no help', async () => {
    const far = { ...nodes.b, peer: { load: { ...IDLE, queuedMs: 60_000 } } };
    const mesh = timedMesh({ nodes: { a: nodes.a, b: far } });
    const answer = await mesh.outcome(mesh.dispatcher.encode(texts(400), options));
    expect(answer).toMatchObject({ node: 'a', nodes: ['a'], plan: { kind: 'remote' } });
    expect(mesh.engine('b').calls).toBe(0);
  });

  it('ends with its caller', async () => {
    const mesh = timedMesh({ nodes });
    const caller = new AbortController();
    mesh.engine('a').script = () => {
      queueMicrotask(() => caller.abort());
      return { ms: 20 };
    };
    const run = mesh.outcome(mesh.dispatcher.encode(texts(400), { ...options, signal: caller.signal }));
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    await settle();
    expect([mesh.clock.timers, mesh.dispatcher.inFlight()]).toEqual([0, 0]);
  });
});
