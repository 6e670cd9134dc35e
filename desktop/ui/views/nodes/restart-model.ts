// How far a restart is, from whether the node is seen. Pure.

export const RESTART_STEPS = ['asked', 'left', 'back'] as const;
export type RestartStep = (typeof RESTART_STEPS)[number];

export interface RestartRun {
  readonly step: RestartStep;
  readonly beganAtMs: number;
  /** It is back since then. */
  readonly endedAtMs: number | undefined;
}

/** @param there whether the node is in reach, seen at `atMs` */
export function stepRestart(run: RestartRun | undefined, there: boolean, atMs: number): RestartRun | undefined {
  if (run === undefined) return undefined;
  // What was seen before it was asked says nothing.
  if (run.step === 'asked' && !there) return { ...run, step: 'left' };
  if (run.step === 'left' && there) return { ...run, step: 'back', endedAtMs: Math.max(atMs, run.beganAtMs) };
  return run;
}
