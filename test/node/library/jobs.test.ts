import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../node/core/log.ts';
import { type JobContext, Jobs } from '../../../node/library/jobs.ts';
import { ENDED_JOBS_KEPT_MAX, JOBS_AT_ONCE_MAX, JOBS_MAX } from '../../../node/library/limits.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { ManualClock } from '../core/manual-clock.ts';

const never = new AbortController().signal;
const publish = (): void => undefined;
const open = (): Jobs => new Jobs({ clock: new ManualClock(), log: silentLog, events: { publish } });

/** Work that a test ends, and that ends with its signal. */
class Work {
  readonly started = Promise.withResolvers<JobContext>();
  readonly end = Promise.withResolvers<string>();
  runs = 0;

  readonly run = async (context: JobContext): Promise<string> => {
    this.runs++;
    this.started.resolve(context);
    context.signal.addEventListener('abort', () => this.end.reject(context.signal.reason));
    return this.end.promise;
  };

  as(key: string) {
    return { key, kind: 'pull', model: key, work: this.run } as const;
  }
}

describe('jobs', () => {
  it('may have a name and a number of their own, beside others', async () => {
    const components = { clock: new ManualClock(), log: silentLog, events: { publish } };
    const jobs = new Jobs(components, { name: 'part', atOnceMax: 1 });
    const works = [new Work(), new Work()];
    const runs = works.map((work, index) => jobs.run(work.as(`${index}`), never));
    await works[0]?.started.promise;
    expect([works.map((work) => work.runs), jobs.list().map(({ id }) => id)]).toEqual([
      [1, 0],
      ['part-2', 'part-1'],
    ]);
    for (const work of works) work.end.resolve('came');
    await Promise.all(runs);
  });

  it('are shared by all who ask for the same', async () => {
    const jobs = open();
    const work = new Work();
    const first = jobs.run(work.as('a'), never);
    const second = jobs.run(work.as('a'), never);
    await work.started.promise;
    work.end.resolve('came');
    expect(await Promise.all([first, second])).toEqual(['came', 'came']);
    expect(work.runs).toBe(1);
    expect(jobs.list()).toMatchObject([{ model: 'a', phase: 'done' }]);
  });

  it('are cancelled once, whoever waits for them, and remembered', async () => {
    const jobs = open();
    const work = new Work();
    const waiting = [jobs.run(work.as('a'), never), jobs.run(work.as('a'), never)];
    await work.started.promise;
    const [{ id } = { id: '' }] = jobs.list();
    // From two windows at once.
    expect([jobs.cancel(id), jobs.cancel(id)]).toEqual([true, false]);
    for (const end of waiting) await expect(end).rejects.toMatchObject({ code: 'cancelled' });
    expect(jobs.list()).toMatchObject([{ id, phase: 'cancelled' }]);
    expect([jobs.cancel(id), jobs.cancel('pull-99')]).toEqual([false, undefined]);
    // The next who asks for the same begins anew.
    const again = new Work();
    const next = jobs.run(again.as('a'), never);
    await again.started.promise;
    again.end.resolve('came');
    expect(await next).toBe('came');
  });

  it('go on while one of two waiters is left', async () => {
    const jobs = open();
    const work = new Work();
    const leaving = new AbortController();
    const left = jobs.run(work.as('a'), leaving.signal);
    const stays = jobs.run(work.as('a'), never);
    const { signal } = await work.started.promise;
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    expect(signal.aborted).toBe(false);
    work.end.resolve('came');
    expect(await stays).toBe('came');
  });

  it('end when the last waiter leaves, and begin anew for the next', async () => {
    const jobs = open();
    const work = new Work();
    const leaving = new AbortController();
    const left = jobs.run(work.as('a'), leaving.signal);
    const { signal } = await work.started.promise;
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    expect(signal.aborted).toBe(true);
    const again = new Work();
    const next = jobs.run(again.as('a'), never);
    await again.started.promise;
    again.end.resolve('anew');
    expect(await next).toBe('anew');
    expect(jobs.list().map(({ phase }) => phase)).toEqual(['done', 'cancelled']);
  });

  it('that everybody has left are over before the next of the same begin', async () => {
    const jobs = open();
    const order: string[] = [];
    const leaving = new AbortController();
    const started = Promise.withResolvers<void>();
    const tidy = Promise.withResolvers<void>();
    const slow = async ({ signal }: JobContext): Promise<void> => {
      started.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await tidy.promise;
      order.push('tidied');
    };
    const left = jobs.run({ key: 'a', kind: 'pull', model: 'a', work: slow }, leaving.signal);
    await started.promise;
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    const next = jobs.run({ key: 'a', kind: 'pull', model: 'a', work: async () => void order.push('next') }, never);
    tidy.resolve();
    await next;
    expect(order).toEqual(['tidied', 'next']);
  });

  it('run a bounded number at once, in the order in which they came', async () => {
    const jobs = open();
    const works = Array.from({ length: JOBS_AT_ONCE_MAX + 2 }, () => new Work());
    const running = works.map((work, index) => jobs.run(work.as(String(index)), never));
    const begun = () => works.map(({ runs }) => runs);
    await Promise.all(works.slice(0, JOBS_AT_ONCE_MAX).map(({ started }) => started.promise));
    expect(begun()).toEqual([...Array(JOBS_AT_ONCE_MAX).fill(1), 0, 0]);
    works[0]?.end.resolve('done');
    await works[JOBS_AT_ONCE_MAX]?.started.promise;
    expect(begun()).toEqual([...Array(JOBS_AT_ONCE_MAX + 1).fill(1), 0]);
    for (const work of works) work.end.resolve('done');
    await Promise.all(running);
    expect(begun()).toEqual(Array(JOBS_AT_ONCE_MAX + 2).fill(1));
  });

  it('that are left while they wait for their turn never begin, and block nobody', async () => {
    const jobs = open();
    const works = Array.from({ length: JOBS_AT_ONCE_MAX }, () => new Work());
    const running = works.map((work, index) => jobs.run(work.as(String(index)), never));
    await Promise.all(works.map(({ started }) => started.promise));
    const [leaving, waiting, last] = [new AbortController(), new Work(), new Work()];
    const left = jobs.run(waiting.as('waiting'), leaving.signal);
    const ends = jobs.run(last.as('last'), never);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    for (const work of [...works, last]) work.end.resolve('done');
    await Promise.all([...running, ends]);
    expect([waiting.runs, last.runs]).toEqual([0, 1]);
  });

  it('tell what they failed with, and nothing of a defect', async () => {
    const jobs = open();
    const fail = (error: Error) =>
      jobs.run({ key: 'a', kind: 'pull', model: 'a', work: () => Promise.reject(error) }, never);
    const full = new WeftError({ code: 'disk_full', message: 'No room.' });
    await expect(fail(full)).rejects.toBe(full);
    await expect(fail(new Error('/home/somebody/secret'))).rejects.toMatchObject({ code: 'internal' });
    const [defect, expected] = jobs.list();
    expect(expected).toMatchObject({ phase: 'failed', error: { code: 'disk_full', message: 'No room.' } });
    expect(JSON.stringify(defect)).not.toContain('secret');
  });

  it('are listed, newest first, the last few that ended too', async () => {
    const jobs = open();
    for (let index = 0; index < ENDED_JOBS_KEPT_MAX + 5; index++) {
      await jobs.run({ key: String(index), kind: 'import', model: String(index), work: async () => index }, never);
    }
    const work = new Work();
    const running = jobs.run(work.as('now'), never);
    const list = jobs.list();
    expect(list).toHaveLength(ENDED_JOBS_KEPT_MAX + 1);
    expect(list.slice(0, 2).map(({ model }) => model)).toEqual(['now', String(ENDED_JOBS_KEPT_MAX + 4)]);
    expect(new Set(list.map(({ id }) => id)).size).toBe(list.length);
    work.end.resolve('done');
    await running;
  });

  it('are refused beyond the bound', async () => {
    const jobs = open();
    const work = new Work();
    const running = Array.from({ length: JOBS_MAX }, (_, index) => jobs.run(work.as(String(index)), never));
    await expect(jobs.run(work.as('more'), never)).rejects.toMatchObject({ code: 'overloaded' });
    work.end.resolve('done');
    await Promise.all(running);
  });

  it('end with the node, which waits for them, and takes no more', async () => {
    const jobs = open();
    const work = new Work();
    const running = jobs.run(work.as('a'), never);
    const outcome = expect(running).rejects.toMatchObject({ code: 'stopping' });
    await work.started.promise;
    await jobs.stop();
    await outcome;
    expect(jobs.list()).toMatchObject([{ phase: 'cancelled' }]);
    await expect(jobs.run(work.as('b'), never)).rejects.toMatchObject({ code: 'stopping' });
  });

  it('do nothing for who was gone before', async () => {
    const work = new Work();
    await expect(open().run(work.as('a'), AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    expect(work.runs).toBe(0);
  });
});
