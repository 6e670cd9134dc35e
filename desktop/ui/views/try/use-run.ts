// One request at a time: under way, done or failed, and stopped when the person says so or leaves.
import { useCallback, useEffect, useRef, useState } from 'react';

export type RunState<Result> =
  | { readonly at: 'idle' }
  | { readonly at: 'running'; readonly result: Result | undefined }
  | { readonly at: 'done'; readonly result: Result }
  | { readonly at: 'cancelled'; readonly result: Result | undefined }
  | { readonly at: 'failed'; readonly error: unknown };

export interface Run<Result> {
  readonly state: RunState<Result>;
  /** @param work may show what it has so far */
  readonly start: (work: (signal: AbortSignal, show: (soFar: Result) => void) => Promise<Result>) => void;
  readonly stop: () => void;
}

export function useRun<Result>(): Run<Result> {
  const [state, setState] = useState<RunState<Result>>({ at: 'idle' });
  const current = useRef<AbortController>(undefined);
  useEffect(() => () => current.current?.abort(), []);
  const start = useCallback<Run<Result>['start']>((work) => {
    current.current?.abort();
    const controller = new AbortController();
    const { signal } = controller;
    current.current = controller;
    setState({ at: 'running', result: undefined });
    const show = (result: Result): void => {
      if (!signal.aborted) setState({ at: 'running', result });
    };
    work(signal, show).then(
      (result) => !signal.aborted && setState({ at: 'done', result }),
      (error: unknown) => !signal.aborted && setState({ at: 'failed', error }),
    );
  }, []);
  const stop = useCallback(() => {
    current.current?.abort();
    setState((state) => (state.at === 'running' ? { at: 'cancelled', result: state.result } : state));
  }, []);
  return { state, start, stop };
}
