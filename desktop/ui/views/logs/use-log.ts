// The lines of a node's log as they come, by the events of that node.
import { useCallback, useEffect, useRef, useState } from 'react';
import type { LogsAnswer } from '../../../../protocol/api/control.ts';
import { type ApiError, api } from '../../data/client.ts';
import type { EventType, NodeEvent } from '../../data/contract.ts';
import { useEvents } from '../../data/events.ts';
import { useNodeEvents } from '../../data/node-events.ts';
import { nodePath } from '../../data/queries.ts';
import { append, EMPTY_LOG, type KeptLog, type LogLine } from './log-model.ts';

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
  /** New lines come by themselves: not from a node that is away, or too old to tell. */
  readonly live: boolean;
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

  const live = useLogEvents(node, take, () => setReading((times) => times + 1));

  // Once more when events come: lines from before them are read, and those that came twice are kept once.
  // biome-ignore lint/correctness/useExhaustiveDependencies: `reading` is the wish to read again
  useEffect(() => {
    const ended = new AbortController();
    const limit = node === undefined ? LINES.own : LINES.other;
    const read = async (): Promise<void> => {
      try {
        const path = nodePath(`logs?level=debug&limit=${limit}`, node);
        const { lines } = await api.get<LogsAnswer>(path, { signal: ended.signal });
        setError(undefined);
        take(lines);
      } catch (problem) {
        if (!ended.signal.aborted) setError(problem as ApiError);
      } finally {
        if (!ended.signal.aborted) setLoading(false);
      }
    };
    void read();
    return () => ended.abort();
  }, [node, reading, take, live]);

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
    live,
  };
}

const LINES_ONLY: readonly EventType[] = ['log'];

/** @returns whether they come */
function useLogEvents(
  node: string | undefined,
  take: (lines: readonly LogLine[]) => void,
  onMissed: () => void,
): boolean {
  const own = node === undefined;
  const hear = (events: readonly NodeEvent[]): void => {
    take(events.flatMap((event) => (event.type === 'log' ? [event.data] : [])));
    if (events.some(({ type }) => type === 'reset')) onMissed();
  };
  useEvents('log', (events) => own && hear(events));
  useEvents('reset', (events) => own && hear(events));
  const state = useNodeEvents(node, LINES_ONLY, hear);
  return own || state === 'live';
}
