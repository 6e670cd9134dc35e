// Figures in the flow of a page: bytes, durations, counts, and times that grow older by themselves.
import { type ReactNode, useSyncExternalStore } from 'react';
import { ago, bytes, clockTime, count, duration } from '../text/format.ts';

export const Bytes = ({ value }: { readonly value: number }): ReactNode => (
  <span className="tabular whitespace-nowrap">{bytes(value)}</span>
);

export const Duration = ({ ms }: { readonly ms: number }): ReactNode => (
  <span className="tabular whitespace-nowrap">{duration(ms)}</span>
);

export const Count = ({ value }: { readonly value: number }): ReactNode => (
  <span className="tabular">{count(value)}</span>
);

/** One clock for all: it ticks while somebody looks. */
const ticking = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
const TICK_MS = 10_000;
let now = Date.now();

function subscribe(listener: () => void): () => void {
  ticking.add(listener);
  if (timer === undefined) {
    now = Date.now();
    timer = setInterval(() => {
      now = Date.now();
      for (const each of ticking) each();
    }, TICK_MS);
  }
  return () => {
    ticking.delete(listener);
    if (ticking.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Milliseconds since 1970, anew every 10 s. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => now);

/** Such as `3 min ago`, with the time itself as its title. */
export function Ago({ atMs }: { readonly atMs: number }): ReactNode {
  const nowMs = useNow();
  return (
    <time dateTime={new Date(atMs).toISOString()} title={clockTime(atMs, nowMs)} className="whitespace-nowrap">
      {ago(atMs, Math.max(nowMs, atMs))}
    </time>
  );
}
