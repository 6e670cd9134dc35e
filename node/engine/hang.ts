// How long a runner's thread may stand still while it has work. Pure; asked by the runner slot with every heartbeat.

import type { Flight } from './flights.ts';
import { BATCH_TOKENS_MAX, HANG_MS_MIN, HANG_PREDICTED_FACTOR, HANG_RUN_MS_MIN, PREFILL_TOKENS } from './limits.ts';
import type { ModelProfile } from './profile.ts';

/** What is known of the work. */
export interface StillWork {
  readonly lane: Flight['lane'];
  readonly model: {
    readonly installed: { readonly manifest: { readonly task: string } };
    readonly profile: Pick<ModelProfile, 'predictMs' | 'decodeMs'>;
  };
}

/**
 * Milliseconds of standing still that prove a hang, by the longest single run of the graph that such work has. A thread
 * inside the runtime turns between two runs, so one long run is no hang: while nothing has been measured, and for loads,
 * only the call's own deadline counts. Infinity then.
 */
export function hangMs({ lane, model }: StillWork): number {
  const { profile, installed } = model;
  if (lane === 'load') return Number.POSITIVE_INFINITY;
  const isAnyGraph = lane === 'short' && installed.manifest.task !== 'feature-extraction';
  const tokens = lane === 'generation' ? PREFILL_TOKENS : isAnyGraph ? 1 : BATCH_TOKENS_MAX;
  const predictedMs = Math.max(profile.predictMs(tokens), lane === 'generation' ? profile.decodeMs : 0);
  if (predictedMs === 0) return Number.POSITIVE_INFINITY;
  return Math.max(isAnyGraph ? HANG_RUN_MS_MIN : HANG_MS_MIN, HANG_PREDICTED_FACTOR * predictedMs);
}
