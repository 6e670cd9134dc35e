import { describe, expect, it } from 'vitest';
import {
  comingValue,
  editorOf,
  fixedBy,
  formatAmount,
  listOf,
  parseAmount,
  type Setting,
  SIZE_UNITS,
  TIME_UNITS,
  withItem,
} from '../../../../../desktop/ui/views/settings/editor-of.ts';
import { SETTINGS, type SettingName } from '../../../../../node/config/settings-table.ts';

const kindOf = (name: SettingName): string => editorOf(SETTINGS[name]).kind;

describe('the editor of a setting', () => {
  it('follows what the node expects, for every setting there is', () => {
    const names = Object.keys(SETTINGS) as SettingName[];
    const ofKind = (kind: string): string[] => names.filter((name) => kindOf(name) === kind);
    const kinds = [...new Set(names.map(kindOf))].map((kind) => [kind, ofKind(kind)] as const);
    expect(Object.fromEntries(kinds)).toEqual({
      switch: ['mdns', 'offline', 'lend', 'share', 'exact', 'measure', 'lenient'],
      number: ['threads', 'numParallel'],
      amount: ['storage', 'memory', 'keepAlive', 'maxQueue', 'livenessTimeout', 'runnerTimeout'],
      choice: ['bring', 'managed', 'logLevel'],
      set: ['preferOthers'],
      list: ['origins', 'listen', 'announce', 'offer', 'signers', 'rawLocal', 'pin', 'replicas'],
      text: ['host', 'apiKey', 'name', 'models', 'hub', 'hubToken', 'device', 'otlpEndpoint'],
    });
  });

  it('knows ranges, words and choices', () => {
    expect(editorOf(SETTINGS.numParallel)).toEqual({ kind: 'number', min: 1, max: 64 });
    expect(editorOf(SETTINGS.keepAlive)).toMatchObject({ of: 'duration', words: ['0', '-1'] });
    expect(editorOf(SETTINGS.storage)).toMatchObject({ of: 'size', words: ['none'] });
    expect(editorOf(SETTINGS.logLevel)).toEqual({
      kind: 'choice',
      values: ['debug', 'info', 'warn', 'error', 'silent'],
    });
    expect(editorOf(SETTINGS.preferOthers)).toEqual({ kind: 'set', words: ['battery', 'owner', 'none'] });
    expect(editorOf(SETTINGS.offer)).toEqual({ kind: 'list', words: ['all', 'none'] });
    expect(editorOf(SETTINGS.device)).toEqual({
      kind: 'text',
      suggestions: ['auto', 'cpu', 'webgpu', 'cuda', 'coreml', 'dml'],
    });
    expect(editorOf({ expected: 'something that a newer node wants' })).toEqual({ kind: 'text', suggestions: [] });
  });
});

describe('amounts', () => {
  it('are taken apart and put together, where they have one unit', () => {
    expect(parseAmount('1.5GiB', SIZE_UNITS)).toEqual({ number: '1.5', unit: 'GiB' });
    expect(parseAmount('90s', TIME_UNITS)).toEqual({ number: '90', unit: 's' });
    expect(parseAmount('1h30m', TIME_UNITS)).toBeUndefined();
    expect(parseAmount('none', SIZE_UNITS)).toBeUndefined();
    expect(formatAmount({ number: ' 7 ', unit: 'm' })).toBe('7m');
  });
});

describe('values', () => {
  const setting: Setting = {
    name: 'storage',
    value: 'none',
    source: 'default',
    flag: '--storage',
    env: 'WEFT_STORAGE',
    expected: '',
    live: true,
  };

  it('are lists, however they are written', () => {
    expect(listOf('all')).toEqual(['all']);
    expect(listOf('a, b')).toEqual(['a', 'b']);
    expect(listOf(['a'])).toEqual(['a']);
    expect(listOf(null)).toEqual([]);
  });

  it('stand once in a list, and some of them alone', () => {
    expect(withItem(['a'], ' b ')).toEqual(['a', 'b']);
    expect(withItem(['a'], 'a')).toEqual(['a']);
    expect(withItem(['a'], '')).toEqual(['a']);
    expect(withItem(['all'], 'smollm2')).toEqual(['smollm2']);
    expect(withItem(['smollm2', 'minilm'], 'none')).toEqual(['none']);
  });

  it('are those of the next start where one waits, also where that is none', () => {
    expect(comingValue(setting)).toBe('none');
    expect(comingValue({ ...setting, pending: null })).toBeNull();
  });

  it('stay as they are where somebody else has set them', () => {
    expect(fixedBy(setting, false)).toBeUndefined();
    expect(fixedBy({ ...setting, source: 'flag' }, false)).toBe('flag');
    expect(fixedBy({ ...setting, local: true }, false)).toBeUndefined();
    expect(fixedBy({ ...setting, local: true }, true)).toBe('local');
    expect(fixedBy({ ...setting, name: 'apiKey' }, false)).toBe('secret');
  });
});
