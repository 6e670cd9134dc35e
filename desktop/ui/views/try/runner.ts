// One request at a time: under way, done or failed, and stopped when the person says so. It goes on while other views are shown; its last
// result is kept, and no other. Pure.
import { Kept } from './kept.ts';

export type RunState<Result> =
  | { readonly at: 'idle' }
  | { readonly at: 'running'; readonly result: Result | undefined }
  | { readonly at: 'done'; readonly result: Result }
  | { readonly at: 'cancelled'; readonly result: Result | undefined }
  | { readonly at: 'failed'; readonly error: unknown };

export const IDLE = { at: 'idle' } as const;

export class Runner<Result> {
  readonly state = new Kept<RunState<Result>>(IDLE);
  #current: AbortController | undefined;

  /** @param work may show what it has so far */
  start(work: (signal: AbortSignal, show: (soFar: Result) => void) => Promise<Result>): void {
    this.#current?.abort();
    const controller = new AbortController();
    const { signal } = controller;
    this.#current = controller;
    const enter = (state: RunState<Result>): void => {
      if (!signal.aborted) this.state.set(state);
    };
    enter({ at: 'running', result: undefined });
    work(signal, (result) => enter({ at: 'running', result })).then(
      (result) => enter({ at: 'done', result }),
      (error: unknown) => enter({ at: 'failed', error }),
    );
  }

  /** What has come so far stays. */
  stop(): void {
    const { value } = this.state;
    if (value.at !== 'running') return;
    this.#current?.abort();
    this.state.set({ at: 'cancelled', result: value.result });
  }

  /** Stops, and forgets what has come. */
  clear(): void {
    this.#current?.abort();
    this.state.clear();
  }
}
