import { describe, expect, it } from 'vitest';
import { loadSettings, SETTING_NAMES } from '../../../node/config/settings.ts';
import { reportSettings, shown } from '../../../node/config/settings-report.ts';
import { temporaryFolder } from './temporary-folder.ts';

const machine = { hostname: 'laptop', cores: 2, memoryBytes: 3 * 2 ** 30 };

describe('the report of the settings', () => {
  it('shows each as a person would write it, with where it came from', () => {
    const home = temporaryFolder();
    const env = { WEFT_KEEP_ALIVE: '-1', WEFT_MEMORY: '1.5GiB', WEFT_HOST: '[::1]:80' };
    const settings = loadSettings({ flags: { threads: '2' }, env, home, machine });
    const report = reportSettings({ home, settings });
    const values = Object.fromEntries(report.settings.map(({ name, value, source }) => [name, [value, source]]));
    expect(values).toMatchObject({
      host: ['[::1]:80', 'environment'],
      keepAlive: ['-1', 'environment'],
      memory: ['1536MiB', 'environment'],
      threads: [2, 'flag'],
      livenessTimeout: ['2s', 'default'],
      otlpEndpoint: [null, 'default'],
      offer: ['all', 'default'],
    });
    expect(report.settings.find(({ name }) => name === 'lenient')).toEqual({
      name: 'lenient',
      value: false,
      source: 'default',
      flag: '--lenient',
      env: 'WEFT_LENIENT',
      expected: 'true or false',
      live: true,
    });
  });

  it('marks those that only who is at the node changes', () => {
    const home = temporaryFolder();
    const settings = loadSettings({ flags: {}, env: {}, home, machine });
    const local = reportSettings({ home, settings }).settings.filter((row) => row.local === true);
    // Secrets, trust, what must not leave, the disk, and whoever is let in.
    expect(local.map(({ name }) => name)).toEqual([
      'host',
      'apiKey',
      'origins',
      'listen',
      'models',
      'hub',
      'hubToken',
      'signers',
      'rawLocal',
      'managed',
      'otlpEndpoint',
    ]);
  });

  it.each([
    ['apiKey', 'WEFT_API_KEY'],
    ['hubToken', 'HF_TOKEN'],
  ] as const)('never shows %s', (name, variable) => {
    const home = temporaryFolder();
    const settings = loadSettings({ flags: {}, env: { [variable]: 'sk-secret' }, home, machine });
    const next = loadSettings({ flags: {}, env: { [variable]: 'sk-secret-2' }, home, machine });
    expect(JSON.stringify(reportSettings({ home, settings, next }))).not.toContain('sk-secret');
    expect(shown(settings, name)).toBe('(set)');
  });

  it('says what the next start will take, and only where that differs', () => {
    const home = temporaryFolder();
    const settings = loadSettings({ flags: {}, env: {}, home, machine });
    const next = loadSettings({ flags: {}, env: { WEFT_THREADS: '1' }, home, machine });
    const { settings: rows, problem } = reportSettings({ home, settings, next, problem: 'no JSON' });
    expect(rows.filter((row) => row.pending !== undefined)).toMatchObject([{ name: 'threads', value: 2, pending: 1 }]);
    expect(problem).toBe('no JSON');
  });

  it('shows values that mean the same when they are given back', () => {
    const home = temporaryFolder();
    const settings = loadSettings({ flags: {}, env: {}, home, machine });
    const given = Object.fromEntries(SETTING_NAMES.map((name) => [name, shown(settings, name) ?? undefined]));
    const { sources: _, ...again } = loadSettings({ flags: given, env: {}, home, machine });
    expect(settings).toMatchObject(again);
  });
});
