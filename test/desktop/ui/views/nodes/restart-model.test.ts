import { expect, it } from 'vitest';
import { type RestartRun, stepRestart } from '../../../../../desktop/ui/views/nodes/restart-model.ts';

const asked: RestartRun = { step: 'asked', beganAtMs: 1_000, endedAtMs: undefined };

it('goes from asked to gone to back, and tells how long that took', () => {
  expect(stepRestart(asked, true, 1_100)).toBe(asked);
  const left = stepRestart(asked, false, 1_500);
  expect(left?.step).toBe('left');
  expect(stepRestart(left, false, 1_600)).toBe(left);
  expect(stepRestart(left, true, 4_000)).toEqual({ step: 'back', beganAtMs: 1_000, endedAtMs: 4_000 });
  expect(stepRestart(undefined, false, 1)).toBeUndefined();
});
