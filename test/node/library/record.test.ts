import { describe, expect, it } from 'vitest';
import type { TransferStatus } from '../../../node/core/library.ts';
import type { SourceProgress } from '../../../node/core/transfer.ts';
import { PROGRESS_INTERVAL_MS } from '../../../node/library/limits.ts';
import { TransferRecord } from '../../../node/library/record.ts';
import { TransferState } from '../../../protocol/api/control/models.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { ManualClock } from '../core/manual-clock.ts';

function open() {
  const clock = new ManualClock();
  const told: TransferStatus[] = [];
  const events = { publish: (_type: string, data: unknown) => void told.push(data as TransferStatus) };
  return { clock, told, record: new TransferRecord({ clock, events }, { id: 'pull-1', kind: 'pull', model: 'o/n' }) };
}

const source = (bytes: number): SourceProgress => ({
  kind: 'peer',
  name: 'p',
  bytes,
  bytesPerSecond: 10,
  state: 'active',
});
const at = (doneBytes: number, bytesPerSecond: number) => ({
  totalBytes: 1000,
  doneBytes,
  bytesPerSecond,
  sources: [source(doneBytes)],
});

describe('a transfer', () => {
  it('tells every change of phase at once, and progress a few times a second', () => {
    const { clock, told, record } = open();
    record.update({ totalBytes: 1000 });
    record.update({ phase: 'fetching' });
    const phases = told.length;
    for (let done = 0; done < 100; done++) {
      record.progress(at(done, 10), 0);
      clock.advance(10);
    }
    // A second has passed.
    expect(told.length - phases).toBeLessThanOrEqual(1000 / PROGRESS_INTERVAL_MS + 1);
    expect(told.length - phases).toBeGreaterThanOrEqual(3);
    record.update({ phase: 'checking' });
    expect(told.at(-1)).toMatchObject({ phase: 'checking', doneBytes: 99, etaSeconds: undefined, bytesPerSecond: 0 });
  });

  it('tells the last progress although nothing follows it', () => {
    const { clock, told, record } = open();
    record.update({ phase: 'fetching' });
    record.progress(at(5, 10), 0);
    record.progress(at(7, 10), 0);
    clock.advance(PROGRESS_INTERVAL_MS);
    expect(told.at(-1)?.doneBytes).toBe(7);
    expect(clock.waiting).toBe(0);
  });

  it('tells the time that is left by the smoothed speed', () => {
    const { record } = open();
    record.update({ totalBytes: 1000, phase: 'fetching' });
    expect(record.status.etaSeconds).toBeUndefined();
    record.progress(at(200, 100), 0);
    expect(record.status.etaSeconds).toBeCloseTo(8);
    // One slow moment doesn't make hours of it.
    record.progress(at(200, 0), 0);
    expect(record.status.etaSeconds).toBeLessThan(12);
    record.progress(at(300, 100), 500);
    expect(record.status.doneBytes).toBe(800);
  });

  it('ends with its error, and sets no timer behind it', () => {
    const { clock, told, record } = open();
    record.update({ phase: 'fetching' });
    record.progress(at(5, 10), 0);
    record.end('failed', new WeftError({ code: 'hub_unreachable', message: 'Gone.' }));
    expect(told.at(-1)).toMatchObject({ phase: 'failed', error: { code: 'hub_unreachable', message: 'Gone.' } });
    expect(clock.waiting).toBe(0);
  });

  it('is what the control API says it is', () => {
    const { told, record } = open();
    record.update({ totalBytes: 1000, phase: 'fetching', chosen: ['because'] });
    record.progress(at(5, 10), 0);
    record.end('done');
    for (const status of told)
      expect(TransferState.safeParse(JSON.parse(JSON.stringify(status))).error).toBeUndefined();
  });
});
