// What an attempt's times say of its parts, beside what its plan had predicted. Pure; called by the dispatcher when an
// attempt has ended.

import type { NodeId } from '../../protocol/ids.ts';
import type { Timing } from '../../protocol/infer.ts';
import type { Price } from '../../protocol/plan.ts';
import { executorParts, type Span } from '../core/trace.ts';
import type { Trial } from './trial.ts';

export interface AttemptTimes {
  readonly node: NodeId;
  readonly price: Price;
  /** The executor's own; undefined where the attempt ended before it could tell. */
  readonly timing: Timing | undefined;
  /** Milliseconds since the request began: when the attempt did, and when its answer was here. */
  readonly startMs: number;
  readonly endMs: number;
  /** When a peer's acknowledgement came; undefined for work that was done here. */
  readonly acknowledgedMs: number | undefined;
  /** Round trip of the link; the acknowledgement's way back is taken for half of it. */
  readonly rttMs: number | undefined;
}

/** As {@link spansOf}, of an attempt as dispatch has it. @param endMs since the request began */
export function spansOfTrial(
  { placed, startMs: begunMs, traceStartMs: startMs, acknowledgedMs }: Trial,
  { timing, endMs, rttMs }: Pick<AttemptTimes, 'timing' | 'endMs' | 'rttMs'>,
): readonly Span[] {
  const { node, price } = placed.plan;
  const seenMs = acknowledgedMs === undefined ? undefined : startMs + acknowledgedMs - begunMs;
  return spansOf({ node, price, timing, startMs, endMs, acknowledgedMs: seenMs, rttMs });
}

/** Spans of the attempt in the order of time. Parts that took no time and were not predicted to are left out. */
export function spansOf(times: AttemptTimes): readonly Span[] {
  const { node, price, timing, startMs, endMs, acknowledgedMs, rttMs = 0 } = times;
  const spans: Span[] = [];
  let at = startMs;
  const add = (name: Span['name'], durationMs: number, predictedMs?: number): void => {
    // The executor's times are its own: whatever it says, they were within the attempt.
    const lasted = Math.max(0, Math.min(durationMs, endMs - at));
    if (lasted > 0 || (predictedMs ?? 0) > 0) {
      spans.push({
        name,
        node,
        startMs: at,
        durationMs: lasted,
        ...(predictedMs === undefined ? {} : { predictedMs }),
      });
    }
    at += lasted;
  };
  if (acknowledgedMs !== undefined) {
    const seenMs = Math.min(acknowledgedMs, endMs);
    // It may be seen late, by a busy node: the executor had begun by then.
    const workedMs = timing === undefined ? 0 : executorParts(timing).reduce((sum, part) => sum + part.durationMs, 0);
    const arrivedMs = Math.max(startMs, Math.min(seenMs - rttMs / 2, endMs - workedMs));
    add('up', arrivedMs - startMs, price.upMs);
    spans.push({ name: 'acknowledge', node, startMs: arrivedMs, durationMs: Math.max(0, seenMs - arrivedMs) });
  }
  if (timing === undefined) {
    add('compute', endMs - at, price.computeMs);
    return spans;
  }
  for (const { name, durationMs } of executorParts(timing)) add(name, durationMs, price[`${name}Ms`]);
  if (acknowledgedMs !== undefined) add('down', endMs - at, price.downMs);
  return spans;
}
