// What was written, chosen and answered here: kept while other views are shown. In the page's memory only, and no longer than the session:
// prompts are private.
import { useSyncExternalStore } from 'react';
import { api } from '../../data/client.ts';
import { Kept } from './kept.ts';
import { Runner, type RunState } from './runner.ts';

const all: { clear(): void }[] = [];

// Another person may sign in.
api.onSignedOut(() => {
  for (const one of all) one.clear();
});

/** Called once for each, when its file is loaded. */
export function keep<Value>(initial: Value): Kept<Value> {
  const kept = new Kept(initial);
  all.push(kept);
  return kept;
}

/** Called once for each, when its file is loaded. */
export function keepRun<Result>(): Runner<Result> {
  const runner = new Runner<Result>();
  all.push(runner);
  return runner;
}

export const useKept = <Value>(kept: Kept<Value>): Value => useSyncExternalStore(kept.subscribe, () => kept.value);

export const useRunState = <Result>(runner: Runner<Result>): RunState<Result> => useKept(runner.state);
