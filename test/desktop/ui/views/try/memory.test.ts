// What "Try it" keeps while other views are shown: the run, its last result, and what was filled in for a graph.
import { expect, test } from 'vitest';
import { Kept } from '../../../../../desktop/ui/views/try/kept.ts';
import { Runner } from '../../../../../desktop/ui/views/try/runner.ts';
import { formOf, freshForm } from '../../../../../desktop/ui/views/try/tensor-form.ts';

/** A run whose end the test decides. */
function begun(runner: Runner<string>) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let show: (soFar: string) => void = () => undefined;
  let signal: AbortSignal | undefined;
  runner.start((given, toShow) => {
    signal = given;
    show = toShow;
    return promise;
  });
  return { resolve, reject, show: (soFar: string) => show(soFar), stopped: () => signal?.aborted };
}

/** What is settled has told those who wait for it. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a kept value tells of changes, and is as at first when it is cleared', () => {
  const kept = new Kept({ a: 1, b: 2 });
  const seen: unknown[] = [];
  const off = kept.subscribe(() => seen.push(kept.value));
  kept.change({ a: 3 });
  kept.clear();
  off();
  kept.set({ a: 0, b: 0 });
  expect(seen).toEqual([
    { a: 3, b: 2 },
    { a: 1, b: 2 },
  ]);
});

test('a run shows what it has, and then its result or why there is none', async () => {
  const runner = new Runner<string>();
  expect(runner.state.value).toEqual({ at: 'idle' });
  const first = begun(runner);
  first.show('so');
  expect(runner.state.value).toEqual({ at: 'running', result: 'so' });
  first.resolve('so far');
  await settled();
  expect(runner.state.value).toEqual({ at: 'done', result: 'so far' });

  const second = begun(runner);
  expect(runner.state.value).toEqual({ at: 'running', result: undefined });
  const error = new Error('no');
  second.reject(error);
  await settled();
  expect(runner.state.value).toEqual({ at: 'failed', error });
});

test('a stopped run keeps what it had, a cleared one nothing, and neither says anything more', async () => {
  const runner = new Runner<string>();
  const stopped = begun(runner);
  stopped.show('so');
  runner.stop();
  expect(stopped.stopped()).toBe(true);
  stopped.show('late');
  stopped.resolve('late');
  await settled();
  expect(runner.state.value).toEqual({ at: 'cancelled', result: 'so' });

  const cleared = begun(runner);
  cleared.show('so');
  runner.clear();
  expect(cleared.stopped()).toBe(true);
  cleared.reject(new Error('late'));
  await settled();
  expect(runner.state.value).toEqual({ at: 'idle' });
  runner.stop();
  expect(runner.state.value).toEqual({ at: 'idle' });
});

test('another run takes the place of the one before', async () => {
  const runner = new Runner<string>();
  const first = begun(runner);
  const second = begun(runner);
  expect(first.stopped()).toBe(true);
  first.resolve('first');
  second.resolve('second');
  await settled();
  expect(runner.state.value).toEqual({ at: 'done', result: 'second' });
});

test('what was filled in belongs to one model', () => {
  const form = { ...freshForm('owner/one'), cut: 'never' };
  expect(formOf(form, 'owner/one')).toBe(form);
  expect(formOf(form, 'owner/two')).toEqual(freshForm('owner/two'));
});
