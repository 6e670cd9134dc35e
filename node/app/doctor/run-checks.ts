// Runs checks side by side, each under its own deadline: one that hangs holds no other up.
import { toWeftError } from '../../../protocol/errors.ts';
import type { Clock } from '../../core/clock.ts';
import type { DoctorCheck, DoctorReport } from '../../core/control.ts';
import type { Log } from '../../core/log.ts';
import { type Check, type Finding, failed, LAYERS } from './check.ts';

export interface RunChecksComponents {
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The findings of all checks, layer by layer. A check that throws or takes too long has failed; none is left out.
 * @throws the signal's reason when it aborts
 */
export async function runChecks(
  components: RunChecksComponents,
  checks: readonly Check[],
  signal: AbortSignal,
): Promise<DoctorReport> {
  const found = await Promise.all(checks.map((check) => findingsOf(components, check, signal)));
  signal.throwIfAborted();
  const all = found.flat().toSorted((a, b) => rank(a) - rank(b));
  return { ok: all.every(({ status }) => status !== 'failed'), checks: all };
}

const rank = ({ layer }: DoctorCheck): number => (LAYERS as readonly string[]).indexOf(layer);

async function findingsOf(
  { clock, log }: RunChecksComponents,
  check: Check,
  signal: AbortSignal,
): Promise<readonly DoctorCheck[]> {
  const { layer, name, deadlineMs, overdueRemedy, run } = check;
  const controller = new AbortController();
  const { promise: ended, resolve: end } = Promise.withResolvers<readonly Finding[]>();
  const overdue = clock.after(deadlineMs, () => {
    end([failed(name, `The check did not end within ${deadlineMs / 1_000} s.`, overdueRemedy)]);
  });
  overdue.hold?.();
  const onAbort = (): void => end([]);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const running = run(controller.signal).catch((error: unknown) => {
    log.debug({ check: name, error: String(error) }, 'a check of the doctor failed');
    const { code, message, remedy } = toWeftError(error);
    return code === 'internal'
      ? [failed(name, `The check itself failed: ${String(error)}`, 'Report it with this line.')]
      : [failed(name, message, remedy)];
  });
  try {
    const findings = await Promise.race([running, ended]);
    return findings.map((finding) => ({ layer, ...finding }));
  } finally {
    overdue.cancel();
    signal.removeEventListener('abort', onAbort);
    // Whatever it still does is of no use to anybody.
    controller.abort();
  }
}
