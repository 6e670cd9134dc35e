// The lines of a node's log as they come. Of the node behind the page they come by events; another one has no stream here and is asked
// again and again while its log is looked at.
import { useCallback, useEffect, useRef, useState } from 'react';
import type { LogsAnswer } from '../../../../protocol/api/control.ts';
import { type ApiError, api } from '../../data/client.ts';
import { useEvents } from '../../data/events.ts';
import { nodePath } from '../../data/queries.ts';
import { append, EMPTY_LOG, type KeptLog, type LogLine } from './log-model.ts';

/** Between two looks at another node's log. */
export const ASK_SECONDS = 3;

/** Lines of the first look: as many as a node gives. Another node's answer is smaller: it crosses the mesh. */
const LINES = { own: 2_000, other: 500 } as const;

export interface NodeLog {
  readonly log: KeptLog;
  /** Nothing has been read yet. */
  readonly loading: boolean;
  readonly error: ApiError | undefined;
  readonly readAgain: () => void;
  /** Empties what is shown; what comes from now on is shown. */
  readonly clear: () => void;
  /** Lines that came while it was paused. */
  readonly waiting: number;
}

/** @param node undefined: the node behind the page */
export function useLog(node: string | undefined, paused: boolean): NodeLog {
  const [log, setLog] = useState<KeptLog>(EMPTY_LOG);
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState<ApiError>();
  const [reading, setReading] = useState(0);
  const held = useRef<KeptLog>(EMPTY_LOG);
  const [waiting, setWaiting] = useState(0);
  const isPaused = useRef(paused);
  isPaused.current = paused;
  const clearedAtMs = useRef(0);

  const take = useCallback((lines: readonly LogLine[]): void => {
    const fresh = lines.filter(({ atMs }) => atMs > clearedAtMs.current);
    if (isPaused.current) {
      held.current = append(held.current, fresh);
      setWaiting(held.current.lines.length);
    } else setLog((before) => append(before, fresh));
  }, []);

  useEffect(() => {
    const { lines } = held.current;
    if (paused || lines.length === 0) return;
    held.current = EMPTY_LOG;
    setWaiting(0);
    setLog((before) => append(before, lines));
  }, [paused]);

  useLogEvents(node, take, () => setReading((times) => times + 1));

  // biome-ignore lint/correctness/useExhaustiveDependencies: `reading` is the wish to read again
  useEffect(() => {
    const ended = new AbortController();
    const limit = node === undefined ? LINES.own : LINES.other;
    const read = async (): Promise<void> => {
      try {
        const path = nodePath(`logs?level=debug&limit=${limit}`, node);
        const { lines } = await api.get<LogsAnswer>(path, { signal: ended.signal });
        setError(undefined);
        if (!isPaused.current || node === undefined) take(lines);
      } catch (problem) {
        if (!ended.signal.aborted) setError(problem as ApiError);
      } finally {
        if (!ended.signal.aborted) setLoading(false);
      }
    };
    void read();
    const timer = node === undefined ? undefined : setInterval(() => void read(), ASK_SECONDS * 1_000);
    return () => {
      ended.abort();
      clearInterval(timer);
    };
  }, [node, reading, take]);

  return {
    log,
    loading,
    error,
    readAgain: () => setReading((times) => times + 1),
    clear: () => {
      clearedAtMs.current = Math.max(log.lines.at(-1)?.atMs ?? 0, held.current.lines.at(-1)?.atMs ?? 0);
      held.current = EMPTY_LOG;
      setWaiting(0);
      setLog((before) => ({ ...EMPTY_LOG, nextKey: before.nextKey }));
    },
    waiting,
  };
}

function useLogEvents(node: string | undefined, take: (lines: readonly LogLine[]) => void, onMissed: () => void): void {
  const own = node === undefined;
  useEvents('log', (events) => own && take(events.map(({ data }) => data)));
  useEvents('reset', () => own && onMissed());
}
