import { describe, expect, it } from 'vitest';
import { type Check, failed, LAYERS, ok } from '../../../../node/app/doctor/check.ts';
import { runChecks } from '../../../../node/app/doctor/run-checks.ts';
import { silentLog } from '../../../../node/core/log.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import { ManualClock } from '../../core/manual-clock.ts';
import { never } from '../../mesh/support.ts';

const checkOf = (layer: Check['layer'], run: Check['run'], deadlineMs = 1_000): Check => ({
  layer,
  name: `a check of ${layer}`,
  deadlineMs,
  overdueRemedy: `remedy of ${layer}`,
  run,
});

const sound = (layer: Check['layer']): Check => checkOf(layer, async () => [ok('sound', 'fine')]);

describe('the checks of a run', () => {
  it('are told layer by layer, whichever ends first', async () => {
    const late = Promise.withResolvers<void>();
    const checks = [
      ...LAYERS.toReversed().map(sound),
      checkOf('runtime', async () => {
        await late.promise;
        return [failed('late', 'broken', 'mend it')];
      }),
    ];
    const running = runChecks({ clock: new ManualClock(), log: silentLog }, checks, never);
    late.resolve();
    const report = await running;
    expect(report.ok).toBe(false);
    expect([...new Set(report.checks.map(({ layer }) => layer))]).toEqual([...LAYERS]);
  });

  it('don’t wait for one that hangs: it has failed, with a remedy, and is told to end', async () => {
    const clock = new ManualClock();
    let told: AbortSignal | undefined;
    const hanging = checkOf('disk', (signal) => {
      told = signal;
      return new Promise(() => undefined);
    });
    const running = runChecks({ clock, log: silentLog }, [hanging, sound('peer')], never);
    await new Promise(setImmediate); // The others have ended by now.
    clock.advance(1_000);
    const { checks } = await running;
    expect(checks).toEqual([
      {
        layer: 'disk',
        name: 'a check of disk',
        status: 'failed',
        detail: 'The check did not end within 1 s.',
        remedy: 'remedy of disk',
      },
      { layer: 'peer', name: 'sound', status: 'ok', detail: 'fine' },
    ]);
    expect(told?.aborted).toBe(true);
    expect(clock.waiting).toBe(0);
  });

  it('fail by what they throw', async () => {
    const expected = new WeftError({ code: 'home_unwritable', message: 'No.', remedy: 'Do this.' });
    const checks = [
      checkOf('disk', () => Promise.reject(expected)),
      checkOf('peer', () => Promise.reject(new TypeError('x is not a function'))),
    ];
    const report = await runChecks({ clock: new ManualClock(), log: silentLog }, checks, never);
    expect(report.checks).toMatchObject([
      { status: 'failed', detail: 'No.', remedy: 'Do this.' },
      { status: 'failed', detail: expect.stringContaining('x is not a function') },
    ]);
  });

  it('end with the signal', async () => {
    const controller = new AbortController();
    const hanging = checkOf('disk', () => new Promise(() => undefined));
    const running = runChecks({ clock: new ManualClock(), log: silentLog }, [hanging], controller.signal);
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
  });
});
