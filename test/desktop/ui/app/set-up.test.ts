import { describe, expect, it } from 'vitest';
import { isFirstRun } from '../../../../desktop/ui/app/set-up.ts';
import type { ConfigAnswer, MembersAnswer } from '../../../../protocol/api/control.ts';

type Setting = ConfigAnswer['settings'][number];

const setting = (name: string, fields: Partial<Setting> = {}): Setting => ({
  name,
  value: '',
  source: 'default',
  flag: '',
  env: '',
  expected: '',
  live: false,
  ...fields,
});

const config = (...settings: readonly Setting[]): ConfigAnswer => ({
  file: '',
  settings: [
    ...['name', 'offer', 'lend', 'share', 'host']
      .filter((name) => settings.every((one) => one.name !== name))
      .map((name) => setting(name)),
    ...settings,
  ],
});

const members = (count: number): MembersAnswer => ({
  members: Array.from({ length: count }, (_, at) => ({ node: `n${at}`, name: '', role: 'member' })),
});

describe('a node', () => {
  it('has not been set up while nobody has chosen anything and it is alone', () => {
    expect(isFirstRun(config(), members(1))).toBe(true);
    expect(isFirstRun(config(setting('host', { source: 'flag' })), members(1))).toBe(true);
  });

  it('has been set up once its name, its offer or its sharing was chosen, wherever', () => {
    for (const name of ['name', 'offer', 'lend', 'share']) {
      for (const source of ['file', 'environment', 'flag'] as const) {
        expect(isFirstRun(config(setting(name, { source })), members(1))).toBe(false);
      }
      expect(isFirstRun(config(setting(name, { pending: 'attic' })), members(1))).toBe(false);
    }
  });

  it('has been set up once it is in a mesh with others', () => {
    expect(isFirstRun(config(), members(2))).toBe(false);
  });
});
