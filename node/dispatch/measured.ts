// How long an executor computed, as far as it can be told from here. It says so itself, and is believed as long as that fits
// what was seen: own measurements win. Pure; called when an attempt has ended.
import type { Timing } from '../../protocol/infer.ts';
import type { Price } from '../../protocol/plan.ts';
import { UNEXPLAINED_MS } from './limits.ts';

export interface Seen {
  readonly price: Price;
  /** The condition that the executor accepted; undefined = none. */
  readonly withinMs: number | undefined;
  /** Predicted by the executor's own profile: what its condition rests on. */
  readonly claimedMs: number;
  /** So many times longer than predicted may the work stay there before its queue is no longer believed. */
  readonly patience: number;
  /** The executor's own word. */
  readonly timing: Timing;
  /** From the request's leaving to the whole answer. */
  readonly tookMs: number;
  /** From the executor's acknowledgement to the whole answer; undefined where none came. */
  readonly sinceAcknowledgedMs: number | undefined;
}

/** Milliseconds of computing on this node itself: nobody lies here. */
export function computedHere({ timing, tookMs }: Pick<Seen, 'timing' | 'tookMs'>): number {
  return Math.max(0, Math.min(timing.computeMs, tookMs));
}

/**
 * Milliseconds of computing on a peer. What it took beyond its queue counts as computing, and its queue is believed as far as
 * it was predicted, or promised by accepting a condition.
 */
export function computedThere(seen: Seen): number {
  const { price, withinMs, claimedMs, patience, timing } = seen;
  const oneWayMs = Math.min(price.upMs, price.downMs);
  const transferMs = price.downMs - oneWayMs;
  const thereMs = stayedMs(seen);
  const predictedMs = predictedThere(price);
  const promisedMs = withinMs === undefined ? 0 : withinMs + Math.max(0, price.computeMs - claimedMs);
  const waitMaxMs = Math.max(patience * predictedMs, promisedMs) - price.computeMs;
  const waitedMs = Math.max(0, Math.min(timing.queueMs, waitMaxMs));
  // A transfer may take twice its time, and messages be late, without its being the node's doing.
  const ownMs = thereMs - waitedMs - UNEXPLAINED_MS - transferMs - oneWayMs;
  return Math.max(0, Math.min(timing.computeMs, thereMs), ownMs);
}

/** Milliseconds between the request's arrival at a peer and its answer's leaving, as seen from here. */
export function stayedMs({
  price,
  tookMs,
  sinceAcknowledgedMs,
}: Pick<Seen, 'price' | 'tookMs' | 'sinceAcknowledgedMs'>): number {
  const { upMs, downMs } = price;
  const ms =
    sinceAcknowledgedMs === undefined ? tookMs - upMs - downMs : sinceAcknowledgedMs - downMs + Math.min(upMs, downMs);
  return Math.max(0, ms);
}

/** The same as it was predicted. */
export const predictedThere = ({ queueMs, loadMs, computeMs }: Price): number => queueMs + loadMs + computeMs;
