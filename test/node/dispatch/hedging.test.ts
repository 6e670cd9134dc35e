// Hedges: a second node is asked where the first shows nothing for too long, seldom, and only one of the two is heard.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Hedging } from '../../../node/dispatch/hedging.ts';
import { CANCELLED_STOP_MS, HEDGE_SAMPLES_MIN, SILENT_MS_MIN } from '../../../node/dispatch/limits.ts';
import { runs } from '../../support/property.ts';
import { generation, referenceStream } from './fakes.ts';
import { RUN, type Script, type TimedMeshInit, timedMesh } from './timed-mesh.ts';

const options = { signal: new AbortController().signal, requestId: 'req_test' };
const DIGEST = 'sha256:1';

/** A mesh that knows how long its class of requests takes, and has a hedge to spend. */
async function seasoned(init: Omit<TimedMeshInit, 'nodes'> & { readonly b?: Script } = {}) {
  const { b, ...rest } = init;
  const mesh = timedMesh({
    ...rest,
    nodes: { a: { claimedMs: 20 }, b: { claimedMs: 30, ...(b !== undefined && { script: b }) } },
  });
  for (let request = 0; request < 2 * HEDGE_SAMPLES_MIN; request++) {
    await mesh.outcome(mesh.dispatcher.run(RUN, options));
  }
  expect(mesh.engine('a').calls).toBe(2 * HEDGE_SAMPLES_MIN);
  return mesh;
}

describe('when to hedge', () => {
  it('is not known before there were enough answers, and is their slowest twentieth then', () => {
    const hedging = new Hedging();
    for (let answer = 1; answer < HEDGE_SAMPLES_MIN; answer++) hedging.note('run', DIGEST, 100, 100);
    expect(hedging.afterMs('run', DIGEST, 100)).toBe(Number.POSITIVE_INFINITY);
    for (let answer = 0; answer < 100; answer++) hedging.note('run', DIGEST, 100, answer % 20 === 0 ? 500 : 100);
    expect(hedging.afterMs('run', DIGEST, 100)).toBeGreaterThanOrEqual(100);
    expect(hedging.afterMs('run', DIGEST, 100)).toBeLessThanOrEqual(500);
    expect(hedging.afterMs('encode', DIGEST, 100)).toBe(Number.POSITIVE_INFINITY);
    expect(hedging.afterMs('run', 'sha256:2', 100)).toBe(Number.POSITIVE_INFINITY);
  });

  it('is after as many of twenty as it should be, whatever the times are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1, max: 1e4, noNaN: true }), { minLength: 40, maxLength: 120 }),
        (times) => {
          const hedging = new Hedging();
          for (const ms of times) hedging.note('run', DIGEST, 10, ms);
          const after = hedging.afterMs('run', DIGEST, 10);
          // The quantile is up to eight answers old.
          const later = times.filter((ms) => ms > after * (1 + 1e-9)).length;
          expect(later).toBeLessThanOrEqual(Math.ceil(times.length / 20) + 8);
        },
      ),
      runs(200),
    );
  });

  it('is later where hedges never win, and as soon as before where they do', () => {
    const hedging = new Hedging();
    for (let answer = 0; answer < 2 * HEDGE_SAMPLES_MIN; answer++) hedging.note('run', DIGEST, 100, 100);
    const soon = hedging.afterMs('run', DIGEST, 100);
    for (let hedge = 0; hedge < 10; hedge++) hedging.settled(false);
    expect(hedging.afterMs('run', DIGEST, 100)).toBeGreaterThan(5 * soon);
    for (let hedge = 0; hedge < 5; hedge++) hedging.settled(true);
    expect(hedging.afterMs('run', DIGEST, 100)).toBe(soon);
  });

  it('is never beyond a twentieth of all requests', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 2_000 }), (wanted) => {
        const hedging = new Hedging();
        let sent = 0;
        for (const [index, wants] of wanted.entries()) {
          hedging.earn();
          if (wants && hedging.spend()) sent++;
          expect(sent).toBeLessThanOrEqual((index + 1) / 20 + 1e-6);
        }
      }),
      runs(50),
    );
    const never = new Hedging(0);
    for (let request = 0; request < 1_000; request++) never.earn();
    expect(never.spend()).toBe(false);
  });
});

describe('a node that shows nothing for too long', () => {
  it('is overtaken, told to stop, and seen to stop', async () => {
    const mesh = await seasoned();
    let stopped = 0;
    mesh.engine('a').script = () => ({ ms: 10_000, onStopped: () => stopped++ });
    const beganMs = mesh.clock.now();
    const answer = await mesh.outcome(mesh.dispatcher.run(RUN, options));
    expect(answer).toMatchObject({ node: 'b', nodes: ['b'], plan: { node: 'b' } });
    expect(mesh.clock.now() - beganMs).toBeLessThan(200);
    expect(stopped).toBe(1);
    expect(mesh.clock.timers).toBe(0);
    expect(mesh.telemetry.counts.get('weft_hedges_total')).toBe(1);
    expect(mesh.telemetry.counts.get('weft_hedges_won_total')).toBe(1);
  });

  it('holds its request up as long as it likes without hedges', async () => {
    const mesh = await seasoned({ hedgeShare: 0 });
    mesh.engine('a').script = () => ({ ms: 10_000 });
    const beganMs = mesh.clock.now();
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).node).toBe('a');
    expect(mesh.clock.now() - beganMs).toBe(10_000);
  });

  it('may still be first, and then the other one is told to stop', async () => {
    const mesh = await seasoned({ b: () => ({ ms: 500 }) });
    mesh.engine('a').script = () => ({ ms: 60 });
    const answer = await mesh.outcome(mesh.dispatcher.run(RUN, options));
    expect(answer).toMatchObject({ node: 'a', nodes: ['a'] });
    expect([mesh.engine('b').calls, mesh.engine('b').stopped]).toEqual([1, 1]);
    expect(mesh.telemetry.counts.get('weft_hedges_won_total')).toBeUndefined();
  });

  it('counts as slow, though it was never let finish', async () => {
    const mesh = await seasoned();
    mesh.engine('a').script = () => ({ ms: 10_000 });
    await mesh.outcome(mesh.dispatcher.run(RUN, options));
    await mesh.outcome(mesh.dispatcher.run(RUN, options));
    const calls = mesh.engine('a').calls;
    for (let request = 0; request < 5; request++) await mesh.outcome(mesh.dispatcher.run(RUN, options));
    expect(mesh.engine('a').calls - calls).toBeLessThanOrEqual(1);
  });

  it('is left alone for a while where it goes on all the same', async () => {
    const mesh = await seasoned();
    mesh.engine('a').script = () => ({ ms: 60_000, deaf: true });
    await mesh.outcome(mesh.dispatcher.run(RUN, options));
    const passedOver = () => mesh.dispatcher.plan('run', RUN).rejected.map(({ node }) => node);
    expect(passedOver()).not.toContain('a');
    mesh.clock.advance(CANCELLED_STOP_MS);
    expect(passedOver()).toContain('a');
  });
});

describe('a hedge', () => {
  it('that fails leaves the first node to it, and costs nobody a recovery', async () => {
    const mesh = await seasoned({ b: () => ({ ms: 1, fails: 'bad_request' }) });
    mesh.engine('a').script = () => ({ ms: 300 });
    expect(await mesh.outcome(mesh.dispatcher.run(RUN, options))).toMatchObject({ node: 'a', nodes: ['a'] });
    expect(mesh.engine('b').calls).toBe(1);
  });

  it('goes on alone where the first node fails', async () => {
    const mesh = await seasoned({ b: () => ({ ms: 100 }) });
    mesh.engine('a').script = () => ({ ms: 60, fails: 'peer_lost' });
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).node).toBe('b');
    expect(mesh.engine('b').calls).toBe(1);
  });

  it('ends with its request', async () => {
    const mesh = await seasoned({ b: () => ({ ms: 10_000 }) });
    mesh.engine('a').script = () => ({ ms: 10_000 });
    const run = mesh.outcome(mesh.dispatcher.run(RUN, { ...options, budgetMs: 500 }));
    await expect(run).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect([mesh.engine('a').stopped, mesh.engine('b').stopped]).toEqual([1, 1]);
    expect([mesh.clock.timers, mesh.dispatcher.inFlight()]).toEqual([0, 0]);
  });

  it('is not sent where there is nobody else, nor to whoever just failed', async () => {
    const mesh = await seasoned();
    mesh.engine('a').script = () => ({ ms: 1, fails: 'peer_lost' });
    await mesh.outcome(mesh.dispatcher.run(RUN, options));
    mesh.engine('b').script = () => ({ ms: 300 });
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).node).toBe('b');
    expect(mesh.telemetry.counts.get('weft_hedges_total')).toBeUndefined();
  });
});

describe('generations', () => {
  const SLOW = 10_000;
  const talk = async (mesh: ReturnType<typeof timedMesh>) => {
    const tokens: number[] = [];
    const result = await mesh.outcome(
      mesh.dispatcher.generate(generation(), options, (first, ids) => {
        expect(first).toBe(tokens.length);
        tokens.push(...ids);
      }),
    );
    expect(tokens).toEqual(referenceStream(20));
    return result;
  };
  const mesh = async () => {
    const made = timedMesh({ nodes: { a: { claimedMs: 20 }, b: { claimedMs: 30 } } });
    for (let request = 0; request < 2 * HEDGE_SAMPLES_MIN; request++) await talk(made);
    return made;
  };

  it('are hedged before their first token', async () => {
    const made = await mesh();
    made.engine('a').script = () => ({ ms: SLOW });
    expect(await talk(made)).toMatchObject({ node: 'b', nodes: ['b'] });
    expect(made.engine('a').stopped).toBe(1);
  });

  it('are not hedged behind it', async () => {
    const made = await mesh();
    made.engine('a').script = () => ({ ms: 20, tokenMs: 1_000 });
    expect(await talk(made)).toMatchObject({ node: 'a' });
    expect(made.telemetry.counts.get('weft_hedges_total')).toBeUndefined();
  });

  it('deliver one stream and never two, whoever is first and whoever fails', async () => {
    const behaviour = fc.record(
      {
        ms: fc.integer({ min: 1, max: 200 }),
        tokenMs: fc.integer({ min: 0, max: 30 }),
        deaf: fc.boolean(),
        fails: fc.constantFrom('peer_lost', 'overloaded', 'runner_lost' as const),
      },
      { requiredKeys: ['ms'] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(behaviour, behaviour), { maxLength: 6 }), async (requests) => {
        const made = await mesh();
        for (const [a, b] of requests) {
          made.engine('a').script = () => a as ReturnType<Script>;
          made.engine('b').script = () => b as ReturnType<Script>;
          const tokens: number[] = [];
          const whole = referenceStream(20);
          try {
            const run = made.dispatcher.generate(generation(), options, (first, ids) => {
              expect(first).toBe(tokens.length);
              tokens.push(...ids);
            });
            await made.outcome(run);
            expect(tokens).toEqual(whole);
          } catch (error) {
            expect(error).toHaveProperty('code');
            expect(tokens).toEqual(whole.slice(0, tokens.length));
          }
          expect([made.dispatcher.inFlight(), made.memory.sessions]).toEqual([0, 0]);
        }
      }),
      runs(15),
    );
  });
});

describe('a peer that accepts and never answers', () => {
  const never: Script = () => ({ ms: 1e9 });
  const nodes = { a: { claimedMs: 20, script: never }, b: { claimedMs: 30 } };

  it('loses the request to another one, hedge or not', async () => {
    const mesh = timedMesh({ nodes, hedgeShare: 0 });
    expect((await mesh.outcome(mesh.dispatcher.run(RUN, options))).nodes).toEqual(['a', 'b']);
    expect(mesh.clock.now()).toBeGreaterThanOrEqual(SILENT_MS_MIN);
    expect(mesh.clock.now()).toBeLessThan(2 * SILENT_MS_MIN);
    expect(mesh.engine('a').stopped).toBe(1);
  });

  it('holds it until its time is over without the guard', async () => {
    const mesh = timedMesh({ nodes, hedgeShare: 0, silentMsMin: Number.POSITIVE_INFINITY });
    const run = mesh.outcome(mesh.dispatcher.run(RUN, options));
    await expect(run).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  it('is not given up while tokens come', async () => {
    const slow: Script = () => ({ ms: 20, tokenMs: SILENT_MS_MIN - 1 });
    const mesh = timedMesh({ nodes: { a: { claimedMs: 20, script: slow }, b: { claimedMs: 30 } } });
    const run = mesh.dispatcher.generate(generation(), { ...options, budgetMs: 1e9 }, () => undefined);
    expect((await mesh.outcome(run)).nodes).toEqual(['a']);
  });
});
