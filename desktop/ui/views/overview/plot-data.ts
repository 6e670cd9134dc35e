// What the plots of the overview draw, from pulses. Pure.
import type { Pulse } from '../../data/contract.ts';

/** Longer without a pulse, and a line is broken: nobody knows what was so. */
const GAP_MS = 12_000;

export interface PlotData {
  readonly xs: readonly number[];
  /** One list for each picked value, as long as xs. */
  readonly values: readonly (readonly (number | null)[])[];
}

/** Pulses of the last so many milliseconds. */
export function within(pulses: readonly Pulse[], windowMs: number): readonly Pulse[] {
  const fromMs = (pulses.at(-1)?.atMs ?? 0) - windowMs;
  const first = pulses.findIndex(({ atMs }) => atMs >= fromMs);
  return first <= 0 ? pulses : pulses.slice(first);
}

/** Values of gauges over time; a point without value stands where pulses are missing. */
export function gauges(
  pulses: readonly Pulse[],
  picks: readonly ((self: Pulse['self']) => number | undefined)[],
): PlotData {
  const xs: number[] = [];
  const values: (number | null)[][] = picks.map(() => []);
  let beforeMs: number | undefined;
  for (const { atMs, self } of pulses) {
    if (beforeMs !== undefined && atMs - beforeMs > GAP_MS) {
      xs.push(beforeMs + 1);
      for (const list of values) list.push(null);
    }
    xs.push(atMs);
    for (const [at, pick] of picks.entries()) values[at]?.push(pick(self) ?? null);
    beforeMs = atMs;
  }
  return { xs, values };
}

/** Events that are counted per pulse, as so many a minute, over slices of the window: single pulses would only flicker. */
export function ratesPerMinute(
  pulses: readonly Pulse[],
  windowMs: number,
  picks: readonly ((self: Pulse['self']) => number)[],
  slices = 60,
): PlotData {
  const lastMs = pulses.at(-1)?.atMs;
  if (lastMs === undefined) return { xs: [], values: picks.map(() => []) };
  const sliceMs = windowMs / slices;
  // Slices begin at round times: they don't move while a pulse comes.
  const end = Math.floor(lastMs / sliceMs) + 1;
  const firstMs = pulses[0]?.atMs ?? lastMs;
  const start = Math.max(end - slices, Math.floor(firstMs / sliceMs));
  const xs = Array.from({ length: end - start }, (_, at) => (start + at) * sliceMs);
  const values = picks.map(() => xs.map((): number | null => null));
  for (const { atMs, self } of pulses) {
    const slice = Math.floor(atMs / sliceMs) - start;
    if (slice < 0) continue;
    for (const [at, pick] of picks.entries()) {
      const list = values[at];
      if (list !== undefined) list[slice] = (list[slice] ?? 0) + pick(self) * (60_000 / sliceMs);
    }
  }
  // Slices without a pulse stay empty: nobody counted. The last slice is not over: what it will hold is told by the part that has gone.
  const part = Math.max(0.2, (lastMs - (end - 1) * sliceMs) / sliceMs);
  for (const list of values) {
    const last = list.at(-1);
    if (last != null) list[list.length - 1] = last / part;
  }
  return { xs, values };
}
