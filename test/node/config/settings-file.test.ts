import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changeSettings, loadSettings } from '../../../node/config/settings.ts';
import { parseSettings, settingNamed } from '../../../node/config/settings-file.ts';
import { delay, systemClock } from '../../../node/core/clock.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { seededRandom } from '../../support/seeded.ts';
import { runChild } from './child.ts';
import { temporaryFolder } from './temporary-folder.ts';

function fault(text: string): WeftError {
  try {
    parseSettings('/data/settings.json', text);
  } catch (error) {
    if (error instanceof WeftError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const start = (home: string, env: Readonly<Record<string, string>> = {}) => ({ flags: {}, env, home });
const textIn = (home: string): string => readFileSync(join(home, 'settings.json'), 'utf8');

describe('a settings file at fault', () => {
  it('is refused with line, column and the nearest name', () => {
    const error = fault('{\n  "threads": 2,\n  "ofer": "all"\n}');
    expect(error).toMatchObject({
      code: 'config_invalid',
      message: '/data/settings.json, line 3, column 3, has an unknown setting "ofer".',
      remedy: 'Did you mean "offer"?',
      facts: { line: '3', column: '3' },
    });
  });

  it('names the line of what is no JSON', () => {
    const error = fault('{\n  "threads": 2,\n}');
    expect(error.message).toMatch(/line 3, column 1, is not JSON: a comma may not stand before the end/);
  });

  it('may not say a thing twice', () => {
    expect(fault('{ "threads": 2,\n "threads": 3 }').message).toMatch(/line 2, column 2, has "threads" twice/);
  });

  it('is told of a value by its line, also where a flag or the environment hides it', () => {
    const home = temporaryFolder();
    writeFileSync(join(home, 'settings.json'), '{\n  "name": "a",\n  "threads": "many"\n}');
    for (const env of [{ WEFT_THREADS: '' }, { WEFT_THREADS: '2' }]) {
      expect(() => loadSettings(start(home, env))).toThrow(/"threads" \(settings.json, line 3, column 3\) should be/);
    }
  });

  it('is not read when it is too large', () => {
    const home = temporaryFolder();
    writeFileSync(join(home, 'settings.json'), ' '.repeat((64 << 10) + 1));
    expect(() => loadSettings(start(home))).toThrow(/too large/);
  });

  it('may begin with a byte order mark', () => {
    expect(parseSettings('/s', '\ufeff{ "threads": 2 }').values).toEqual({ threads: 2 });
  });
});

describe('changing settings', () => {
  it('writes what is new, keeps the rest in its order, and gives the next settings', async () => {
    const home = join(temporaryFolder(), 'not', 'there', 'yet');
    const settings = await changeSettings(start(home), { threads: '3', name: 'kitchen' });
    expect(settings).toMatchObject({ threads: 3, name: 'kitchen' });
    await changeSettings(start(home), { offer: ['minilm'], threads: null });
    expect(textIn(home)).toBe('{\n  "name": "kitchen",\n  "offer": [\n    "minilm"\n  ]\n}\n');
    expect(statSync(join(home, 'settings.json')).mode & 0o777).toBe(0o600);
    expect(statSync(home).mode & 0o777).toBe(0o700);
  });

  it.each([
    [{ threads: 'many' }, /^The setting "threads" should be a whole number/],
    [{ threads: 2, nme: 'a' }, /unknown setting "nme"/],
    [{ apiKey: 'secret' }, /may not hold "apiKey"/],
    [{ host: '0.0.0.0:1' }, /without a key of your own/],
    [JSON.parse('{"__proto__": 1}') as object, /unknown setting "__proto__"/],
  ])('refuses %j, and writes nothing of it', async (changes, message) => {
    const home = temporaryFolder();
    writeFileSync(join(home, 'settings.json'), '{"threads":1}');
    await expect(changeSettings(start(home), { ...changes })).rejects.toThrow(message);
    expect(textIn(home)).toBe('{"threads":1}');
    expect(readdirSync(home)).toEqual(['settings.json']);
  });

  it('refuses to touch a file that it does not understand', async () => {
    const home = temporaryFolder();
    writeFileSync(join(home, 'settings.json'), '{ // mine\n}');
    await expect(changeSettings(start(home), { threads: 2 })).rejects.toThrow(/JSON has no comments/);
    expect(textIn(home)).toBe('{ // mine\n}');
  });

  it('leaves a link to a file elsewhere a link', async () => {
    const folder = temporaryFolder();
    const [home, elsewhere] = [join(folder, 'home'), join(folder, 'dotfiles')];
    mkdirSync(home);
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'weft.json'), '{}');
    symlinkSync(join(elsewhere, 'weft.json'), join(home, 'settings.json'));
    await changeSettings(start(home), { threads: 2 });
    expect(lstatSync(join(home, 'settings.json')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(elsewhere, 'weft.json'), 'utf8')).toContain('"threads": 2');
  });
});

describe('a name of a setting', () => {
  it('is found, or the nearest is suggested', () => {
    expect(settingNamed('apiKey')).toBe('apiKey');
    expect(() => settingNamed('thread')).toThrow(
      expect.objectContaining({ code: 'not_found', remedy: 'Did you mean "threads"?' }),
    );
    expect(() => settingNamed('toString')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});

describe('a process that is killed while it writes settings', () => {
  const WRITER = `
import { changeSettings } from '../../../node/config/settings.ts';
const init = { flags: {}, env: {}, home: process.argv[1] };
for (let round = 0; ; round++) {
  const letter = String.fromCharCode(97 + (round % 26));
  await changeSettings(init, { name: letter.repeat(64), announce: Array(64).fill('/dns4/' + letter + '.example/tcp/1') });
  if (round === 0) console.log('writing');
}
`;
  /** What the writer below would do if it did not replace the file whole. */
  const CARELESS = `
import { openSync, writeSync } from 'node:fs';
const file = openSync(process.argv[1] + '/settings.json', 'w');
writeSync(file, '{"name": "half');
console.log('half written');
setInterval(() => file, 1_000);
`;

  it('leaves the old file or the new one, at whatever moment', async () => {
    const random = seededRandom('kills of a settings writer');
    const home = temporaryFolder();
    for (let kill = 0; kill < 20; kill++) {
      const child = runChild(WRITER, home);
      await child.line();
      await delay(systemClock, random.next() * 15);
      await child.end('SIGKILL');
      const { name, announce } = JSON.parse(textIn(home)) as { name: string; announce: string[] };
      expect(name).toBe((name[0] ?? '').repeat(64));
      expect(new Set(announce)).toEqual(new Set([`/dns4/${name[0]}.example/tcp/1`]));
      expect(loadSettings(start(home)).name).toBe(name);
    }
  });

  it('would leave half of it without that care', async () => {
    const home = temporaryFolder();
    writeFileSync(join(home, 'settings.json'), '{"name": "whole"}');
    const child = runChild(CARELESS, home);
    await child.line();
    await child.end('SIGKILL');
    expect(() => loadSettings(start(home))).toThrow(/is not JSON/);
  });
});
