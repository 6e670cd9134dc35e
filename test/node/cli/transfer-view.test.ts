// What a pull looks like, at terminals of any width and without one.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SOURCES_SHOWN_MAX } from '../../../node/cli/limits.ts';
import { textWidth } from '../../../node/cli/text-width.ts';
import { percentOf, transferBrief, transferLines, transferWindow } from '../../../node/cli/transfer-view.ts';
import type { TransferState } from '../../../protocol/api/control.ts';
import { runs } from '../../support/property.ts';
import { drivesTerminal, HOSTILE } from './command-support.ts';

const nameOf = (node: string): string => ({ n1: 'atlas', n2: 'nas' })[node] ?? node;

const STATE: TransferState = {
  id: 'tr_1',
  kind: 'pull',
  model: 'owner/name',
  phase: 'fetching',
  chosen: ['onnx/model_q4.onnx: 4-bit weights fit this machine best.'],
  totalBytes: 108_600_000,
  doneBytes: 48_900_000,
  hereBytes: 0,
  bytesPerSecond: 92_000_000,
  etaSeconds: 8.4,
  sources: [
    { kind: 'hub', name: 'huggingface.co', bytes: 7_900_000, bytesPerSecond: 12_000_000, state: 'active' },
    { kind: 'peer', name: 'n1', bytes: 41_000_000, bytesPerSecond: 80_000_000, state: 'active' },
    { kind: 'peer', name: 'n2', bytes: 0, bytesPerSecond: 0, state: 'idle' },
  ],
};

const failing = (state: 'failed' | 'blamed', reason?: string): TransferState => ({
  ...STATE,
  sources: [
    { kind: 'peer', name: 'n2', bytes: 0, bytesPerSecond: 0, state, ...(reason === undefined ? {} : { reason }) },
  ],
});

const window = (state: TransferState, columns = 100): string[] =>
  transferWindow(state, { columns, nameOf }).map(({ text }) => text);

describe('transferWindow', () => {
  it('has one bar for the whole, and a line for each source with its own speed', () => {
    expect(window(STATE)).toEqual([
      'owner/name: fetching from 2 peers, 1 hub',
      `${'█'.repeat(18)}${'░'.repeat(22)}   45 %  48.9 MB of 109 MB  92.0 MB/s  8 s left`,
      '  hub huggingface.co  12.0 MB/s, 7.9 MB so far',
      '  peer atlas          80.0 MB/s, 41.0 MB so far',
      '  peer nas            idle',
    ]);
  });

  it('says why a source gave up, and tells one that lied from one that failed', () => {
    expect(window(failing('failed', 'It stopped answering.'))[2]).toBe('  peer nas  failed: It stopped answering.');
    expect(window(failing('blamed', 'It sent another file.'))[2]).toBe(
      '  peer nas  is not asked any more: It sent another file.',
    );
    expect(window(failing('failed'))[2]).toBe('  peer nas  failed');
    expect(transferWindow(failing('blamed'), { columns: 80, nameOf })[2]?.tone).toBe('bad');
  });

  it('has no bar while nothing is known of its size, and no speed where nothing comes', () => {
    expect(window({ ...STATE, phase: 'resolving', totalBytes: 0, doneBytes: 0, sources: [] })).toEqual([
      'owner/name: looking for it',
    ]);
    expect(window({ ...STATE, phase: 'checking', doneBytes: 108_600_000, sources: [] })).toEqual([
      'owner/name: checking its files',
      `${'█'.repeat(40)}  100 %  109 MB of 109 MB`,
    ]);
    expect(window({ ...STATE, bytesPerSecond: 0, etaSeconds: undefined })[1]).not.toContain('/s');
  });

  it.each([
    [60, `${'█'.repeat(5)}${'░'.repeat(8)}   45 %  48.9 MB of 109 MB  92.0 MB/s  8 s left`],
    [50, `${'█'.repeat(5)}${'░'.repeat(8)}   45 %  48.9 MB of 109 MB  92.0 MB/s`],
    [40, `${'█'.repeat(6)}${'░'.repeat(8)}   45 %  48.9 MB of 109 MB`],
    [20, `${'█'.repeat(5)}${'░'.repeat(8)}   45 %`],
    [12, '45 %'],
  ])('leaves out what matters least in %i columns', (columns, bar) => {
    expect(window(STATE, columns)[1]).toBe(bar);
  });

  it('counts the sources that it has no room for, those that work before those that gave up', () => {
    const many = Array.from({ length: 20 }, (_, at): TransferState['sources'][number] => ({
      kind: 'peer',
      name: `p${at}`,
      bytes: 0,
      bytesPerSecond: 0,
      state: at < 18 ? 'failed' : 'active',
    }));
    const lines = window({ ...STATE, sources: many }).slice(2);
    expect(lines).toHaveLength(SOURCES_SHOWN_MAX);
    expect(lines.slice(0, 2).map((line) => line.trim().split(/ {2,}/)[0])).toEqual(['peer p18', 'peer p19']);
    expect(lines.at(-1)).toBe('  … 15 more');
  });

  it('shows 100 % only when all of it is there', () => {
    expect(percentOf({ doneBytes: 999, totalBytes: 1_000 })).toBe(99);
    expect(percentOf({ doneBytes: 1_000, totalBytes: 1_000 })).toBe(100);
    expect(percentOf({ doneBytes: 5, totalBytes: 0 })).toBe(undefined);
  });

  it('fits every window and drives no terminal, whatever the daemon says', () => {
    const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.constant(HOSTILE));
    const number = fc.oneof(fc.nat(), fc.double(), fc.constant(Number.NaN), fc.constant(-1));
    const state = fc.record({
      id: text,
      kind: fc.constant('pull' as const),
      model: text,
      phase: fc.oneof(
        fc.constantFrom(...(['resolving', 'fetching', 'checking', 'installing', 'done', 'failed'] as const)),
        text.map((phase) => phase as 'done'),
      ),
      chosen: fc.array(text, { maxLength: 3 }),
      totalBytes: number,
      doneBytes: number,
      hereBytes: number,
      bytesPerSecond: number,
      etaSeconds: number,
      sources: fc.array(
        fc.record({
          kind: fc.constantFrom('peer' as const, 'hub' as const),
          name: text,
          bytes: number,
          bytesPerSecond: number,
          state: fc.constantFrom('active' as const, 'idle' as const, 'failed' as const, 'blamed' as const),
          reason: text,
        }),
        { maxLength: 12 },
      ),
    });
    const columns = fc.integer({ min: 1, max: 200 });
    fc.assert(
      fc.property(state, fc.option(state, { nil: undefined }), columns, (now, before, width) => {
        for (const line of window(now, width)) {
          expect(textWidth(line)).toBeLessThanOrEqual(width);
          expect(drivesTerminal(line)).toBe(false);
        }
        for (const line of [...transferLines(before, now, { nameOf }), transferBrief(now)]) {
          expect(drivesTerminal(line)).toBe(false);
          expect(line).not.toContain('\n');
        }
      }),
      runs(200),
    );
  });
});

describe('transferLines', () => {
  const lines = (before: TransferState | undefined, now: TransferState): string[] =>
    transferLines(before, now, { nameOf });

  it('says each phase once, and what was chosen', () => {
    const resolving: TransferState = { ...STATE, phase: 'resolving', chosen: [], totalBytes: 0, doneBytes: 0 };
    expect(lines(undefined, resolving)).toEqual(['owner/name: looking for it']);
    const begun: TransferState = { ...STATE, doneBytes: 5_000_000, hereBytes: 5_000_000 };
    expect(lines(resolving, begun)).toEqual([
      'onnx/model_q4.onnx: 4-bit weights fit this machine best.',
      'owner/name: fetching 109 MB, 5.0 MB of it here already',
    ]);
    expect(lines(begun, begun)).toEqual([]);
    const checking: TransferState = { ...STATE, phase: 'checking' };
    expect(lines(begun, checking)).toEqual(['owner/name: checking its files']);
    expect(lines(checking, { ...STATE, phase: 'done' })).toEqual([]);
  });

  it('prints a line about each ten percent', () => {
    const printed: string[] = [];
    let before: TransferState = { ...STATE, doneBytes: 0 };
    for (let done = 0; done <= 1_000; done += 7) {
      const now = { ...STATE, totalBytes: 1_000, doneBytes: done, etaSeconds: undefined };
      printed.push(...lines(before, now));
      before = now;
    }
    expect(printed).toHaveLength(9);
    expect(printed[0]).toBe(' 10 %  105 B of 1.0 kB  92.0 MB/s');
    expect(printed.at(-1)).toMatch(/^ 90 %/);
  });

  it('says how far a check of files is that are here', () => {
    const repair: TransferState = {
      ...STATE,
      kind: 'repair',
      phase: 'checking',
      chosen: [],
      doneBytes: 0,
      sources: [],
    };
    expect(lines(undefined, repair)).toEqual(['owner/name: checking its files']);
    expect(lines(repair, { ...repair, doneBytes: 108_600_000 / 2 })[0]).toMatch(/^ 50 % {2}54\.3 MB of 109 MB {2}92/);
  });

  it('says once that a source gave up', () => {
    const failed = failing('failed', 'It stopped answering.');
    expect(lines(STATE, failed)).toEqual(['peer nas failed: It stopped answering.']);
    expect(lines(failed, failed)).toEqual([]);
  });
});

describe('transferBrief', () => {
  it('is a few words', () => {
    expect(transferBrief(STATE)).toBe('owner/name 45 %, 92.0 MB/s');
    expect(transferBrief({ ...STATE, phase: 'resolving', totalBytes: 0 })).toBe('owner/name looking for it');
  });
});
