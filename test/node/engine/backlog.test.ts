import { describe, expect, it } from 'vitest';
import { Backlog, type BacklogInit } from '../../../node/engine/backlog.ts';
import { WeftError } from '../../../protocol/errors.ts';

function backlog(init: Partial<BacklogInit> = {}) {
  const clock = { ms: 0, now: () => clock.ms };
  /** What the runner has of batch work. */
  const runner = { workMs: 0, generations: 0 };
  return {
    clock,
    runner,
    backlog: new Backlog(
      { clock, batchUnderWay: () => runner },
      { queueMsMax: () => 1_000, requestsMax: 100, generationsMax: 2, batchGenerationsMax: 2, ...init },
    ),
  };
}

function refusal(work: () => unknown): WeftError {
  try {
    work();
  } catch (error) {
    if (error instanceof WeftError) return error;
  }
  throw new Error('Nothing was refused.');
}

describe('the backlog of a runner', () => {
  it('takes work in until what waits is predicted to take too long', () => {
    const { backlog: queue } = backlog();
    const takeOut = [queue.add({ work: 600 }), queue.add({ work: 600 })];
    expect(queue.queuedMs()).toBe(1_200);
    expect(refusal(() => queue.add({ work: 1 }))).toMatchObject({ code: 'overloaded' });
    takeOut[0]?.();
    expect(queue.queuedMs()).toBe(600);
    queue.add({ work: 1 });
  });

  it('counts requests while nothing is known of their cost', () => {
    const { backlog: queue } = backlog({ requestsMax: 2 });
    const first = queue.add({ work: 0 });
    queue.add({ generation: 0 });
    expect(refusal(() => queue.add({ work: 0 }))).toMatchObject({ code: 'overloaded' });
    first();
    queue.add({ work: 0 });
    expect(queue.requests).toBe(2);
  });

  it('lets generations share the runner, and makes only those wait that find no place', () => {
    const { backlog: queue } = backlog();
    queue.add({ generation: 1_000 });
    expect(queue.queuedMs()).toBe(0);
    queue.add({ generation: 1_000 });
    // Both places are taken: one of two that take a second each ends in about half of one.
    expect(queue.queuedMs()).toBe(500);
  });

  it('says when to come back by the rate at which requests ended', () => {
    const { backlog: queue, clock } = backlog({ requestsMax: 40 });
    const held = Array.from({ length: 40 }, () => queue.add({ work: 0 }));
    for (const takeOut of held.splice(0, 10)) {
      clock.ms += 1_000;
      takeOut();
    }
    for (let count = 0; count < 10; count++) held.push(queue.add({ work: 0 }));
    // Ten in nine seconds, and twenty until half are gone.
    const { facts } = refusal(() => queue.add({ work: 0 }));
    expect(Number(facts.retryAfterMs)).toBe(18_000);
  });

  it('never says less than a second or more than a minute', () => {
    const slow = backlog({ queueMsMax: () => 1 });
    slow.backlog.add({ work: 10_000_000 });
    expect(refusal(() => slow.backlog.add({ work: 1 })).facts.retryAfterMs).toBe('60000');
    const fresh = backlog({ requestsMax: 1 });
    fresh.backlog.add({ work: 0 });
    expect(refusal(() => fresh.backlog.add({ work: 0 })).facts.retryAfterMs).toBe('1000');
  });

  it('keeps the wait of ten times too much work bounded, which without its bounds grows for ever', () => {
    const flood = ({ backlog: queue, clock }: ReturnType<typeof backlog>): number => {
      const waiting: (() => void)[] = [];
      // Ten requests of 10 ms come for each one that is answered.
      for (let second = 0; second < 60; second++) {
        for (let request = 0; request < 1_000; request++) {
          try {
            waiting.push(queue.add({ work: 10 }));
          } catch (error) {
            expect(error).toMatchObject({ code: 'overloaded' });
          }
          clock.ms += 1;
          if (request % 10 === 9) waiting.shift()?.();
        }
      }
      return queue.queuedMs();
    };
    expect(flood(backlog({ requestsMax: 1_000_000 }))).toBeLessThanOrEqual(1_010);
    const unbounded = backlog({ requestsMax: Number.POSITIVE_INFINITY, queueMsMax: () => Number.POSITIVE_INFINITY });
    expect(flood(unbounded)).toBeGreaterThan(500_000);
  });

  it('follows a bound that changes', () => {
    let max = 10;
    const { backlog: queue } = backlog({ queueMsMax: () => max });
    queue.add({ work: 50 });
    expect(refusal(() => queue.add({ work: 1 })).code).toBe('overloaded');
    max = 100;
    queue.add({ work: 1 });
  });

  it('lets interactive work wait for its own class, and for what the runner has of the other', () => {
    const { backlog: queue, runner } = backlog();
    queue.add({ work: 400 }, 'batch');
    queue.add({ work: 500 }, 'batch');
    queue.add({ work: 50 });
    expect([queue.queuedMs(), queue.queuedMs('batch')]).toEqual([50, 950]);
    runner.workMs = 30;
    expect([queue.queuedMs(), queue.queuedMs('batch')]).toEqual([80, 950]);
    expect(queue.requests).toBe(3);
  });

  it('refuses batch work by all that waits, interactive work by what stands before it', () => {
    const { backlog: queue } = backlog({ requestsMax: 4 });
    for (let count = 0; count < 3; count++) queue.add({ work: 500 }, 'batch');
    expect(refusal(() => queue.add({ work: 500 }, 'batch'))).toMatchObject({ code: 'overloaded' });
    const taken = Array.from({ length: 4 }, () => queue.add({ work: 1 }));
    // Of its own class, so many at most.
    expect(refusal(() => queue.add({ work: 1 }))).toMatchObject({ code: 'overloaded' });
    for (const takeOut of taken) takeOut();
    expect(queue.queuedMs()).toBe(0);
    const many = backlog({ requestsMax: 4 }).backlog;
    for (let count = 0; count < 4; count++) many.add({ work: 0 }, 'batch');
    expect(refusal(() => many.add({ work: 0 }, 'batch'))).toMatchObject({ code: 'overloaded' });
    many.add({ work: 0 });
  });

  it('counts batch generations for interactive ones only where they have their places', () => {
    const { backlog: queue, runner } = backlog({ generationsMax: 4, batchGenerationsMax: 3 });
    for (let count = 0; count < 6; count++) queue.add({ generation: 1_000 }, 'batch');
    runner.generations = 3;
    expect(queue.queuedMs()).toBe(0);
    // Three run, and three wait: four answers of a second end, three at a time, before a seventh begins.
    expect(queue.queuedMs('batch')).toBeCloseTo((4 * 1_000) / 3);
    queue.add({ generation: 1_000 });
    expect(queue.queuedMs()).toBe(250);
  });
});
