// The grid of situations that plans are chosen in: how far the peer is, how fast the way and both ends are.

import type { TravelForm } from './cases.ts';
import type { MeasuredCase } from './measure.ts';

export interface Point {
  readonly measured: MeasuredCase;
  readonly form: TravelForm;
  readonly mbitPerS: number;
  readonly rttMs: number;
  /** How many times as fast as this machine the peer is. */
  readonly peer: number;
  /** And the requester. */
  readonly edge: number;
}

const RATES = [1, 10, 100, 1_000];
const ROUND_TRIPS = [1, 20, 80];
const PEERS = [1, 4, 16];
const EDGES = [1, 0.1];

/** Every model in every form in every situation. */
export function gridOf(all: readonly MeasuredCase[]): Point[] {
  return all.flatMap((measured) =>
    measured.cutCase.forms.flatMap((form) =>
      RATES.flatMap((mbitPerS) =>
        ROUND_TRIPS.flatMap((rttMs) =>
          PEERS.flatMap((peer) => EDGES.map((edge) => ({ measured, form, mbitPerS, rttMs, peer, edge }))),
        ),
      ),
    ),
  );
}

/** Around a point, half a step to each side: the grid where it matters. */
export function aroundPoint(point: Point): Point[] {
  const near = (value: number, by: number): number[] => [value / by, value, value * by];
  return near(point.mbitPerS, 1.8).flatMap((mbitPerS) =>
    near(point.rttMs, 2).flatMap((rttMs) =>
      near(point.peer, 2).map((peer) => ({ ...point, mbitPerS, rttMs: Math.max(1, rttMs), peer: Math.max(1, peer) })),
    ),
  );
}

/** Bytes that cross in a millisecond, 1e6 each. */
export const mbPerMs = ({ mbitPerS }: Point): number => mbitPerS / 8_000;

/** What the point is, for people. */
export function nameOf({ measured, form, mbitPerS, rttMs, peer, edge }: Point): string {
  const short = (value: number): string => String(Number(value.toPrecision(3)));
  return `${measured.cutCase.name} ${form.name}, ${short(mbitPerS)} Mbit/s, ${short(rttMs)} ms, peer ${short(peer)}x, edge ${edge}x`;
}
