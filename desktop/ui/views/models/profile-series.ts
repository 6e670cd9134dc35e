// A measured profile as series for plots: what was measured, what real requests show, what peers are told. Pure.
import type { ProfileReport } from '../../../../protocol/api/control.ts';
import type { Series } from '../../components/plot.tsx';
import { text } from '../../text/en.ts';

export interface Curve {
  readonly xs: readonly number[];
  readonly series: readonly Series[];
}

const { claim: measuredName, observed: observedName, offered: offeredName } = text.models.speed;

/** Milliseconds against tokens that go in. Undefined with fewer than two measured points: that is a figure, not a plot. */
export function workCurve({ claim, observed, offered }: ProfileReport): Curve | undefined {
  const points = (claim?.work ?? []).toSorted((a, b) => a.tokens - b.tokens);
  if (points.length < 2) return undefined;
  const xs = points.map(({ tokens }) => tokens);
  return {
    xs,
    series: [
      { label: measuredName, values: points.map(({ ms }) => ms), colour: 1 },
      ...(observed.samples === 0
        ? []
        : [{ label: observedName, values: xs.map((tokens) => onLine(observed, tokens)), colour: 2 as const }]),
      ...(offered.samples === 0 && offered.perTokenMs === 0
        ? []
        : [
            {
              label: offeredName,
              values: xs.map((tokens) => onLine(offered, tokens)),
              colour: 3 as const,
              dashed: true,
            },
          ]),
    ],
  };
}

/** Milliseconds for each token against the context behind which it stands. */
export function decodeCurve({ claim, observed, offered }: ProfileReport): Curve | undefined {
  const points = (claim?.decode ?? []).toSorted((a, b) => a.context - b.context);
  if (points.length < 2) return undefined;
  const xs = points.map(({ context }) => context);
  const flat = (label: string, ms: number, colour: 2 | 3): readonly Series[] =>
    ms > 0 ? [{ label, values: xs.map(() => ms), colour, dashed: colour === 3 }] : [];
  return {
    xs,
    series: [
      { label: measuredName, values: points.map(({ ms }) => ms), colour: 1 },
      ...flat(observedName, observed.decodeMs, 2),
      ...flat(offeredName, offered.decodeMs, 3),
    ],
  };
}

/** Milliseconds of one step against the sequences or rows in it. */
export function batchCurve({ claim, offered }: ProfileReport): Curve | undefined {
  const points = (claim?.batch ?? []).toSorted((a, b) => a.size - b.size);
  if (points.length < 2) return undefined;
  const told = new Map(offered.batch?.map(({ size, ms }) => [size, ms]));
  return {
    xs: points.map(({ size }) => size),
    series: [
      { label: measuredName, values: points.map(({ ms }) => ms), colour: 1 },
      ...(told.size === 0
        ? []
        : [
            {
              label: offeredName,
              values: points.map(({ size }) => told.get(size) ?? null),
              colour: 3 as const,
              dashed: true,
            },
          ]),
    ],
  };
}

/** Of a straight line through fixed costs. */
export const onLine = (line: { readonly fixedMs: number; readonly perTokenMs: number }, tokens: number): number =>
  line.fixedMs + line.perTokenMs * tokens;
