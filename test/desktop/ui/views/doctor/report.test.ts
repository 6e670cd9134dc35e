import { expect, it } from 'vitest';
import { layersOf, reportText, summaryOf } from '../../../../../desktop/ui/views/doctor/report.ts';
import type { DoctorAnswer } from '../../../../../protocol/api/control.ts';

const report: DoctorAnswer = {
  ok: false,
  checks: [
    { layer: 'disk', name: 'data folder', status: 'ok', detail: 'Fine.' },
    { layer: 'disk', name: 'free space', status: 'warning', detail: '1 GiB is free.', remedy: 'Make room.' },
    { layer: 'mdns', name: 'network', status: 'failed', detail: 'Blocked\u{1B}[31m.', remedy: 'Open\nUDP 5353.' },
    { layer: 'future', name: 'thing', status: 'skipped', detail: 'Not here.' },
  ],
};

it('stands by layer, each as grave as its gravest check', () => {
  expect(layersOf(report).map(({ title, status, checks }) => [title, status, checks.length])).toEqual([
    ['Disk', 'warning', 2],
    ['Local discovery', 'failed', 1],
    ['future', 'skipped', 1],
  ]);
});

it('is summed up by what is gravest', () => {
  expect(summaryOf(report)).toBe('One check has failed');
  expect(summaryOf({ ok: true, checks: report.checks.slice(0, 2) })).toBe('One thing to look at');
  expect(summaryOf({ ok: true, checks: [] })).toBe('Everything is fine');
});

it('is passed on as plain text, a line for each check', () => {
  expect(reportText(report, { name: 'attic', version: '0.1.0', atMs: 0 })).toBe(
    [
      'Weft doctor: attic, version 0.1.0, 1970-01-01T00:00:00.000Z',
      '',
      'disk        ok       data folder: Fine.',
      'disk        WARNING  free space: 1 GiB is free.',
      '                     -> Make room.',
      'mdns        FAILED   network: Blocked�[31m.',
      '                     -> Open UDP 5353.',
      'future      -        thing: Not here.',
      '',
      '1 fine, 1 to look at, 1 failed, 1 skipped',
    ].join('\n'),
  );
});
