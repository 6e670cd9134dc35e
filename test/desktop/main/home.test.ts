import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { linuxAutostart } from '../../../desktop/main/autostart.ts';
import { homeFolder, isHeld, readKey, readRecord } from '../../../desktop/main/home.ts';
import { openLog } from '../../../desktop/main/log.ts';
import { failureIn, nodeStarter } from '../../../desktop/main/node-process.ts';
import { findNodeProgram } from '../../../desktop/main/node-program.ts';
import { PreferenceBook } from '../../../desktop/main/preferences.ts';
import { describeError } from '../../../node/cli/errors.ts';
import { writeDaemonRecord } from '../../../node/config/daemon-record.ts';
import { homeFolder as nodeHomeFolder, openHome } from '../../../node/config/home.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { until } from '../../support/wait.ts';
import { newFolder } from '../support/homes.ts';

describe('the data folder', () => {
  it.each<[NodeJS.Platform, Readonly<Record<string, string>>]>([
    ['linux', {}],
    ['linux', { XDG_DATA_HOME: '/data' }],
    ['linux', { XDG_DATA_HOME: 'relative' }],
    ['linux', { WEFT_HOME: '/home/weft' }],
    ['darwin', {}],
    ['win32', {}],
    ['win32', { LOCALAPPDATA: '/local' }],
    ['win32', { WEFT_HOME: '' }],
  ])('is where the node has it: %s %j', (platform, env) => {
    const init = { env, platform, userFolder: '/home/user' };
    expect(homeFolder(init)).toBe(nodeHomeFolder(init));
  });

  it('is held while a node has it, and not by a look', async () => {
    const folder = newFolder();
    expect(isHeld(join(folder, 'nowhere'))).toBe(false);
    expect(isHeld(folder)).toBe(false);
    const home = await openHome({ folder });
    expect(isHeld(folder)).toBe(true);
    expect(isHeld(folder)).toBe(true);
    await home.close();
    expect(isHeld(folder)).toBe(false);
    await (await openHome({ folder })).close();
  });

  it('tells where the node answers, and its key', async () => {
    const folder = newFolder();
    expect(await readRecord(folder)).toBeUndefined();
    expect(await readKey(folder)).toBeUndefined();
    const record = {
      pid: 1,
      api: 'http://127.0.0.1:9',
      node: 'n',
      version: '1',
      startedAt: '2026-01-01T00:00:00.000Z',
    };
    await writeDaemonRecord(folder, record);
    expect(await readRecord(folder)).toEqual(record);
    writeFileSync(join(folder, 'api-key'), 'secret\n');
    expect(await readKey(folder)).toBe('secret');
  });

  it.each([
    '',
    '{',
    '{"pid":1}',
    '{"pid":1,"api":"file:///x","node":"","version":"","startedAt":""}',
    'x'.repeat(70_000),
  ])('with a record that is none counts as without: %.20j', async (text) => {
    const folder = newFolder();
    writeFileSync(join(folder, 'daemon.json'), text);
    expect(await readRecord(folder)).toBeUndefined();
  });

  it.each(['', 'two words', 'a\r\nx: y', 'k'.repeat(600)])(
    'with a key that is none counts as without: %.20j',
    async (text) => {
      const folder = newFolder();
      writeFileSync(join(folder, 'api-key'), text);
      expect(await readKey(folder)).toBeUndefined();
    },
  );
});

describe('the node that was shipped', () => {
  it('lies beside the app', () => {
    const resources = newFolder();
    const init = { packaged: true, resources, checkout: '/none', platform: 'linux', arch: 'x64' } as const;
    expect(() => findNodeProgram(init)).toThrow('Install it again');
    for (const path of ['node/node', 'weft/bin/weft.js']) {
      mkdirSync(join(resources, path, '..'), { recursive: true });
      writeFileSync(join(resources, path), '');
    }
    expect(findNodeProgram(init)).toEqual({
      node: join(resources, 'node', 'node'),
      weft: join(resources, 'weft', 'bin', 'weft.js'),
    });
  });

  it('in development is the one that package.json pins', () => {
    const init = {
      packaged: false,
      resources: '/none',
      checkout: process.cwd(),
      platform: 'linux',
      arch: 'mips',
    } as const;
    expect(() => findNodeProgram(init)).toThrow('npm ci');
    if (process.platform === 'linux' && process.arch === 'x64') {
      expect(findNodeProgram({ ...init, arch: 'x64' }).node).toContain('node_modules');
    }
  });

  it('that can not be started ends at once, and says why', async () => {
    const folder = newFolder();
    const missing = nodeStarter({
      program: () => {
        throw new Error('The app is incomplete.');
      },
      env: {},
      home: folder,
      logs: folder,
    });
    expect(await missing.start().ended).toEqual({ code: undefined, reason: 'The app is incomplete.' });
    const broken = nodeStarter({
      program: () => ({ node: join(folder, 'nothing'), weft: 'weft.js' }),
      env: {},
      home: folder,
      logs: folder,
    });
    expect((await broken.start().ended).reason).toContain('could not be started');
  });

  it('has output with a bound, also while it runs, and is understood at its end all the same', async () => {
    const folder = newFolder();
    const talker = join(folder, 'talker.mjs');
    const line = `${'x'.repeat(1_000)}\\n`;
    writeFileSync(
      talker,
      `import { writeSync } from 'node:fs';
       setInterval(() => writeSync(1, '${line}'), 1);
       process.on('SIGTERM', () => { writeSync(2, 'weft: It is over.\\n  do:  Nothing.\\n'); process.exit(1); });`,
    );
    const starter = nodeStarter({
      program: () => ({ node: process.execPath, weft: talker }),
      env: process.env,
      home: folder,
      logs: folder,
      log: { lookMs: 10, bytesMax: 50_000 },
    });
    const child = starter.start();
    const path = join(folder, 'node.log');
    await until('the file to be put aside', () => existsSync(`${path}.1`));
    child.end();
    expect(await child.ended).toEqual({ code: 1, reason: 'It is over. Nothing.' });
    expect(statSync(`${path}.1`).size).toBeGreaterThanOrEqual(50_000);
  });

  it('is understood when it says why it ends', () => {
    const text = describeError(
      new WeftError({ code: 'port_in_use', message: 'Port 9338 is taken.' }, { cause: new Error('EADDRINUSE') }),
    );
    expect(failureIn(`{"level":"info"}\n${text}`)).toBe(
      'Port 9338 is taken. EADDRINUSE Stop the program that holds the port, or choose another port.',
    );
    expect(failureIn('nothing of that kind\n')).toBeUndefined();
  });
});

describe('preferences', () => {
  it('are those of the file, over the defaults, whatever another version wrote', () => {
    const folder = newFolder();
    const init = { folder, startsAtLogin: () => true };
    expect(new PreferenceBook(init).preferences).toMatchObject({ theme: 'system', startAtLogin: true });
    const path = join(folder, 'preferences.json');
    writeFileSync(path, '{"theme":"dark","pausedByHand":true,"later":1}');
    const book = new PreferenceBook(init);
    expect(book.preferences).toMatchObject({ theme: 'dark', pauseOnBattery: true });
    expect(book.preferences).not.toHaveProperty('pausedByHand');
    expect(book.pausedByHand).toBe(true);
    book.change({ startAtLogin: false, notifications: false });
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ theme: 'dark', pausedByHand: true, notifications: false });
    expect(statSync(path).mode & 0o077).toBe(0);
    writeFileSync(path, '{"theme":"pink"}');
    expect(new PreferenceBook(init).preferences.theme).toBe('system');
  });
});

describe('start at login on Linux', () => {
  it('is a file of the desktop, with a program that may be called anything', () => {
    const userFolder = newFolder();
    const autostart = linuxAutostart({ env: {}, userFolder, program: '/opt/My "Weft" $1/100%/weft' });
    expect(autostart.isOn()).toBe(false);
    autostart.set(true);
    expect(autostart.isOn()).toBe(true);
    const text = readFileSync(join(userFolder, '.config', 'autostart', 'weft.desktop'), 'utf8');
    expect(text).toContain(String.raw`Exec="/opt/My \\"Weft\\" \\$1/100%%/weft" --hidden`);
    autostart.set(false);
    autostart.set(false);
    expect(autostart.isOn()).toBe(false);
  });

  it('is that of the image, where the app is one', () => {
    const userFolder = newFolder();
    const config = join(userFolder, 'config');
    const env = { APPIMAGE: '/home/user/Weft.AppImage', XDG_CONFIG_HOME: config };
    linuxAutostart({ env, userFolder, program: '/tmp/.mount/weft' }).set(true);
    expect(readFileSync(join(config, 'autostart', 'weft.desktop'), 'utf8')).toContain('"/home/user/Weft.AppImage"');
  });
});

describe('the log', () => {
  it('has facts as lines, and a bound', () => {
    const folder = newFolder();
    const log = openLog({ folder, now: () => 0 });
    log.info({ pid: 1, error: new Error('why') }, 'what');
    const path = join(folder, 'desktop.log');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      pid: 1,
      error: 'why',
      msg: 'what',
    });
    writeFileSync(path, 'x'.repeat(5 << 20));
    log.warn({}, 'again');
    expect(statSync(path).size).toBeLessThan(200);
    expect(statSync(`${path}.1`).size).toBe(5 << 20);
  });

  it('that can not be written hinders nobody', () => {
    const folder = newFolder();
    chmodSync(folder, 0o500);
    openLog({ folder: join(folder, 'desktop.log', 'x'), now: () => 0 }).info({}, 'nobody hears it');
  });
});
