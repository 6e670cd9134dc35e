import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findDaemon, readDaemonRecord, writeDaemonRecord } from '../../../node/config/daemon-record.ts';
import { type Home, homeFolder, openHome } from '../../../node/config/home.ts';
import { isLocked } from '../../../node/config/home-lock.ts';
import { runChild } from './child.ts';
import { temporaryFolder } from './temporary-folder.ts';

async function open(folder: string, lockWaitMs?: number): Promise<Home> {
  const home = await openHome({ folder, ...(lockWaitMs === undefined ? {} : { lockWaitMs }) });
  onTestFinished(() => home.close());
  return home;
}

const record = (pid: number) => ({
  pid,
  api: 'http://127.0.0.1:9338',
  node: '12D3KooWnode',
  version: '0.1.0',
  startedAt: new Date().toISOString(),
});

/** Holds a data folder until it is killed. */
const DAEMON = `
import { openHome } from '../../../node/config/home.ts';
import { writeDaemonRecord } from '../../../node/config/daemon-record.ts';
const home = await openHome({ folder: process.argv[1] });
const record = { api: 'http://127.0.0.1:19338', node: 'n', version: '0.1.0', startedAt: new Date().toISOString() };
await writeDaemonRecord(home.folder, { ...record, pid: process.pid });
console.log('ready');
setInterval(() => home, 1_000);
`;

describe('a folder in which a process was killed while it wrote', () => {
  it.skipIf(process.platform !== 'linux')('gives up on a place where no folder can be made, at once', async () => {
    // Node's recursive mkdir never ends below /proc.
    await expect(openHome({ folder: '/proc/weft-test/home' })).rejects.toMatchObject({ code: 'home_unwritable' });
  });

  it('is cleared of what is minutes old, and of nothing else', async () => {
    const folder = temporaryFolder();
    const [old, fresh, own] = ['.settings.json.0123456789ab.tmp', '.api-key.0123456789ab.tmp', '.mine.tmp'];
    for (const name of [old, fresh, own]) writeFileSync(join(folder, name), 'half');
    const minutesAgo = new Date(Date.now() - 120_000);
    for (const name of [old, own]) utimesSync(join(folder, name), minutesAgo, minutesAgo);
    await open(folder);
    expect([old, fresh, own].map((name) => existsSync(join(folder, name)))).toEqual([false, true, true]);
  });
});

describe('where the data folder is', () => {
  const userFolder = '/users/ada';
  const at = (platform: NodeJS.Platform, env: Record<string, string> = {}, asked?: string) =>
    homeFolder({ env, asked, platform, userFolder });

  it('is what was asked for, then WEFT_HOME, then the platform’s place', () => {
    expect(at('linux', { WEFT_HOME: '/b' }, '/a')).toBe('/a');
    expect(at('linux', { WEFT_HOME: '/b' })).toBe('/b');
    expect(at('linux', { WEFT_HOME: '' })).toBe('/users/ada/.local/share/weft');
    expect(at('linux', { XDG_DATA_HOME: '/data' })).toBe('/data/weft');
    expect(at('linux', { XDG_DATA_HOME: 'relative' })).toBe('/users/ada/.local/share/weft');
    expect(at('darwin')).toBe('/users/ada/Library/Application Support/Weft');
    expect(at('win32', { LOCALAPPDATA: '/users/ada/Local' })).toBe('/users/ada/Local/Weft');
    expect(at('win32')).toBe('/users/ada/AppData/Local/Weft');
    expect(at('linux', {}, 'here')).toBe(join(process.cwd(), 'here'));
  });
});

describe('a data folder', () => {
  it('is made for its owner only, with its parents, and works as a store', async () => {
    const folder = join(temporaryFolder(), 'deep', 'home');
    const home = await open(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, 'lock.db')).mode & 0o777).toBe(0o600);
    await home.store.write('members', Uint8Array.of(1));
    expect(await home.store.read('members')).toEqual(Uint8Array.of(1));
    expect(home.path('models', 'x')).toBe(join(folder, 'models', 'x'));
  });

  it('that cannot be made is an error that names it', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    for (const folder of [file, join(file, 'below')]) {
      await expect(openHome({ folder })).rejects.toMatchObject({
        code: 'home_unwritable',
        message: expect.stringContaining(folder),
      });
    }
  });

  it('that cannot be written is an error', async () => {
    // A folder where the lock belongs fails for root, too, which permissions don't stop.
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'lock.db'));
    await expect(openHome({ folder })).rejects.toMatchObject({ code: 'home_unwritable' });
  });

  it('serves one daemon at a time, in the same process too, and the next one once it is closed', async () => {
    const folder = temporaryFolder();
    const home = await open(folder);
    await writeDaemonRecord(folder, record(process.pid));
    await expect(openHome({ folder, lockWaitMs: 50 })).rejects.toMatchObject({
      code: 'home_locked',
      message: expect.stringContaining(`process ${process.pid}, http://127.0.0.1:9338`),
      facts: { pid: String(process.pid), api: 'http://127.0.0.1:9338' },
    });
    // The failed attempt has not loosened the lock.
    expect(isLocked(folder)).toBe(true);
    await home.close();
    expect(isLocked(folder)).toBe(false);
    expect(existsSync(join(folder, 'daemon.json'))).toBe(false);
    await home.close();
    await open(folder);
  });

  it('waits for a daemon that is just ending', async () => {
    const folder = temporaryFolder();
    const first = await open(folder);
    const second = open(folder, 10_000);
    await first.close();
    expect((await second).folder).toBe(folder);
  });

  it('is free at once after kill -9, and held by a stopped process', async () => {
    const folder = temporaryFolder();
    const daemon = runChild(DAEMON, folder);
    await daemon.line();
    daemon.process.kill('SIGSTOP');
    await expect(openHome({ folder, lockWaitMs: 50 })).rejects.toMatchObject({
      code: 'home_locked',
      facts: { pid: String(daemon.pid), api: 'http://127.0.0.1:19338' },
    });
    expect((await findDaemon(folder)).pid).toBe(daemon.pid);
    await daemon.end('SIGKILL');
    expect(isLocked(folder)).toBe(false);
    await expect(findDaemon(folder)).rejects.toMatchObject({ code: 'daemon_not_running' });
    const home = await open(folder, 0);
    // The dead daemon's record is gone: nobody shall look for it there.
    expect(await readDaemonRecord(folder)).toBeUndefined();
    expect(readFileSync(join(home.folder, 'lock.pid'), 'utf8')).toBe(`${process.pid}\n`);
  });

  it('that stays locked ends a start that has nothing else to do with its error', async () => {
    const folder = temporaryFolder();
    await open(folder);
    const late = runChild(
      `import { openHome } from '../../../node/config/home.ts';
       openHome({ folder: process.argv[1], lockWaitMs: 100 }).catch((error) => console.log(error.code));`,
      folder,
    );
    expect(await late.line()).toBe('home_locked');
  });

  it('can be taken over while its daemon is being killed', async () => {
    const folder = temporaryFolder();
    const daemon = runChild(DAEMON, folder);
    await daemon.line();
    daemon.process.kill('SIGKILL');
    await open(folder);
  });
});

describe('finding the daemon', () => {
  it('gives its record while it runs', async () => {
    const folder = temporaryFolder();
    await open(folder);
    await writeDaemonRecord(folder, record(process.pid));
    expect(await findDaemon(folder)).toEqual({ ...record(process.pid), startedAt: expect.any(String) });
    expect(statSync(join(folder, 'daemon.json')).mode & 0o777).toBe(0o600);
  });

  it('fails where no daemon ever was, and where one is only starting', async () => {
    const folder = temporaryFolder();
    await expect(findDaemon(folder)).rejects.toMatchObject({ code: 'daemon_not_running' });
    await expect(findDaemon(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'daemon_not_running' });
    await open(folder);
    await expect(findDaemon(folder)).rejects.toMatchObject({
      code: 'daemon_not_running',
      message: expect.stringContaining('starting'),
    });
  });

  it('takes a record that it cannot read for none', async () => {
    const folder = temporaryFolder();
    await open(folder);
    for (const text of ['', '{', '{"pid":-1}', '[]', JSON.stringify({ ...record(1), api: 'file:///etc/passwd' })]) {
      writeFileSync(join(folder, 'daemon.json'), text);
      expect(await readDaemonRecord(folder)).toBeUndefined();
    }
  });
});
