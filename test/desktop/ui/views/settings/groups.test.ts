import { describe, expect, it } from 'vitest';
import { settings as text } from '../../../../../desktop/ui/text/en/settings.ts';
import { groupsOf, titleOf } from '../../../../../desktop/ui/views/settings/groups.ts';
import { SETTINGS } from '../../../../../node/config/settings-table.ts';

const all = Object.entries(SETTINGS).map(([name, { flag, env, expected, live }]) => ({
  name,
  value: null,
  source: 'default' as const,
  flag,
  env,
  expected,
  live,
}));
const names = (groups: ReturnType<typeof groupsOf>): string[] =>
  groups.flatMap(({ settings }) => settings.map(({ name }) => name));

describe('settings', () => {
  it('all stand in a group, and have a title and a meaning', () => {
    const groups = groupsOf(all, { words: '', onlyChanged: false });
    expect(names(groups).sort()).toEqual(Object.keys(SETTINGS).sort());
    expect(groups.map(({ id }) => id)).not.toContain('other');
    expect(Object.keys(SETTINGS).filter((name) => text.names[name] === undefined)).toEqual([]);
  });

  it('of a newer node stand among the others, under their own names', () => {
    const newer = [{ ...all[0], name: 'colour', flag: '--colour', env: 'WEFT_COLOUR' }] as typeof all;
    expect(groupsOf(newer, { words: '', onlyChanged: false }).map(({ id }) => id)).toEqual(['other']);
    expect(titleOf('colour')).toBe('colour');
  });

  it('are found by title, name, flag, variable and meaning', () => {
    const found = (words: string): string[] => names(groupsOf(all, { words, onlyChanged: false }));
    expect(found('longest queue')).toEqual(['maxQueue']);
    expect(found('WEFT_MAX_QUEUE')).toEqual(['maxQueue']);
    expect(found('--keep-alive')).toEqual(['keepAlive']);
    expect(found('collector')).toEqual(['otlpEndpoint']);
    expect(found('no such thing')).toEqual([]);
  });

  it('that were changed are those with a source, and those that wait', () => {
    const changed = all.map((setting) =>
      setting.name === 'pin'
        ? { ...setting, source: 'file' as const }
        : setting.name === 'threads'
          ? { ...setting, pending: 4 }
          : setting,
    );
    expect(names(groupsOf(changed, { words: '', onlyChanged: true })).sort()).toEqual(['pin', 'threads']);
  });
});
