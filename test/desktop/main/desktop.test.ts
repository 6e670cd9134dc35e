// The whole app around a fake Electron, with real nodes behind it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Desktop } from '../../../desktop/main/desktop.ts';
import { SILENT } from '../../../desktop/main/log.ts';
import type { DesktopState } from '../../../desktop/shared/bridge.ts';
import { type Daemon, startDaemon, ticketOf } from '../../support/daemon.ts';
import { isAlive, until } from '../../support/wait.ts';
import { FakeElectron, type FakeElectronInit } from '../support/fake-electron.ts';
import { linkTo, newFolder, nodeEnv, realStarter } from '../support/homes.ts';

const apps: Desktop[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.stop();
});

interface App {
  readonly electron: FakeElectron;
  readonly desktop: Desktop;
  readonly home: string;
  /** As the page has it. */
  state(): Promise<DesktopState>;
  /** Waits for a state. */
  reaches(node: DesktopState['node']): Promise<DesktopState>;
}

async function start(
  init: Partial<FakeElectronInit> & { readonly home?: string; readonly hidden?: boolean } = {},
): Promise<App> {
  const home = init.home ?? newFolder();
  const electron = new FakeElectron({ userData: newFolder(), ...init });
  // Nobody sits at the machine of a test.
  electron.idleSeconds = 3_600;
  const desktop = new Desktop(
    {
      host: electron.host,
      log: SILENT,
      starter: realStarter({ home, logs: electron.host.app.logs }),
      isMetered: async () => false,
    },
    {
      env: nodeEnv({ WEFT_HOME: home }),
      pages: newFolder(),
      preload: '/app/preload.cjs',
      updateKey: undefined,
      hidden: init.hidden ?? false,
      supervisor: { LOOK_MS: 100, START_LOOK_MS: 25, BACK_OFF_MS_MIN: 50, SUCCESSOR_MS: 100 },
    },
  );
  apps.push(desktop);
  await desktop.start();
  const state = async (): Promise<DesktopState> => {
    const outcome = await electron.send('weft:state');
    if ('problem' in outcome) throw new Error(outcome.problem);
    return outcome.value as DesktopState;
  };
  return {
    electron,
    desktop,
    home,
    state,
    reaches: (node) => until(`the node to be ${node}`, async () => [await state()].find((one) => one.node === node)),
  };
}

const sharing = async (daemon: Pick<Daemon, 'home' | 'url'>): Promise<unknown> =>
  linkTo(daemon).ask('GET', '/api/v1/sharing');

describe('a start', () => {
  it('declares the scheme before anything is ready, opens the window, and starts a node that ends with the app', async () => {
    const { electron, desktop, home, reaches } = await start();
    expect(electron.steps).toEqual(['declare', 'ready']);
    expect(electron.window.url).toBe('app://weft/');
    expect(electron.window.visible).toBe(false);
    electron.window.ready.call();
    expect(electron.window.visible).toBe(true);
    expect(electron.claimed).toEqual(['weft']);
    const { api } = await reaches('running');
    expect(electron.window.last('weft:state-changed')).toMatchObject({ node: 'running', api });
    const response = await electron.fetch('/api/v1/status');
    expect(await response.json()).toMatchObject({ home });
    const { pid } = JSON.parse(readFileSync(join(home, 'daemon.json'), 'utf8')) as { readonly pid: number };
    await electron.quit();
    expect(await isAlive(pid)).toBe(false);
    expect(desktop.state.node).toBe('stopped');
  });

  it('takes on a daemon that runs, and leaves it running', async () => {
    const daemon = await startDaemon({ home: newFolder() });
    const { electron, reaches } = await start({ home: daemon.home });
    expect(await reaches('adopted')).toMatchObject({ api: daemon.url });
    expect(await electron.send('weft:stop-node')).toMatchObject({ problem: expect.stringContaining('not started') });
    await electron.quit();
    expect(await isAlive(daemon.pid)).toBe(true);
  });

  it('of a second app ends at once, and touches nothing', async () => {
    const electron = new FakeElectron({ userData: newFolder(), second: true });
    const starter = { start: () => expect.unreachable('a second app starts no node') };
    const desktop = new Desktop(
      { host: electron.host, log: SILENT, starter },
      { env: {}, pages: '', preload: '', updateKey: undefined, hidden: false },
    );
    expect(await desktop.start()).toBe(false);
    expect(electron.windows).toEqual([]);
    expect(electron.steps).toEqual([]);
  });

  it('at login opens no window, unless there is no tray to find the app in', async () => {
    expect((await start({ hidden: true })).electron.windows).toEqual([]);
    expect((await start({ hidden: true, hasTray: false })).electron.windows).toHaveLength(1);
  });
});

describe('links', () => {
  const link = `weft://join/weft1${'3Ab9z'.repeat(40)}`;
  const taken = { value: { kind: 'join', ticket: link.slice(12) } };

  it('that open the app wait for the page, and are given out once', async () => {
    const { electron } = await start({ argv: ['weft', link] });
    expect(electron.window.last('weft:link-opened')).toBeNull();
    expect(await electron.send('weft:take-link')).toEqual(taken);
    expect(await electron.send('weft:take-link')).toEqual({ value: undefined });
  });

  it('of a second start, or of macOS, come to the window of the first', async () => {
    const { electron } = await start();
    electron.second.call(['weft', link]);
    expect(await electron.send('weft:take-link')).toEqual(taken);
    electron.urls.call(link);
    expect(await electron.send('weft:take-link')).toEqual(taken);
    expect(electron.windows).toHaveLength(1);
    expect(electron.window.focused).toBe(true);
  });

  it('of a wrong form are dropped, and none is acted on without the page', async () => {
    const { electron, reaches } = await start();
    await reaches('running');
    electron.urls.call('weft://join/nonsense');
    electron.urls.call(link);
    const { members } = (await (await electron.fetch('/api/v1/members')).json()) as { readonly members: unknown[] };
    expect(members).toHaveLength(1);
    expect(await electron.send('weft:take-link')).toEqual(taken);
  });
});

describe('the window', () => {
  it('can be closed and opened again while the node goes on', async () => {
    const { electron, reaches } = await start();
    await reaches('running');
    electron.window.close();
    expect((await reaches('running')).node).toBe('running');
    electron.clickTray('Open Weft');
    expect(electron.windows).toHaveLength(2);
    electron.activated.call();
    expect(electron.windows).toHaveLength(2);
  });

  it('goes nowhere else: links open in the browser, after a check', async () => {
    const { electron } = await start();
    const { mayNavigate, onOpen } = electron.window.init;
    expect(mayNavigate('app://weft/#/chat')).toBe(true);
    for (const url of ['https://example.org/', 'app://other/', 'file:///etc/passwd', 'app://weft@evil/', 'nonsense']) {
      expect(mayNavigate(url)).toBe(false);
    }
    onOpen('https://example.org/');
    onOpen('file:///etc/passwd');
    await until('the browser', () => electron.opened.length > 0);
    expect(electron.opened).toEqual(['https://example.org/']);
    expect(await electron.send('weft:open-external', ['javascript:alert(1)'])).toHaveProperty('problem');
  });
});

describe('sharing', () => {
  it('is paused and resumed by hand, and stays so over a restart of the node', async () => {
    const { electron, home, state, reaches } = await start();
    const { api = '' } = await reaches('running');
    await electron.send('weft:set-sharing', ['paused']);
    expect(await state()).toMatchObject({ sharing: 'paused', pausedBy: ['hand'] });
    await until('the pause', async () => ((await sharing({ home, url: api })) as { paused: boolean }).paused);
    expect(electron.tray).toMatchObject({ image: 'tray-paused', tooltip: 'Weft: Running, sharing paused' });
    await electron.send('weft:restart-node');
    const again = await reaches('running');
    await until(
      'the pause of the new one',
      async () => ((await sharing({ home, url: again.api ?? '' })) as { paused: boolean }).paused,
    );
    electron.clickTray('Pause sharing');
    expect(await state()).toMatchObject({ sharing: 'on' });
    await until(
      'its end',
      async () => !((await sharing({ home, url: again.api ?? '' })) as { paused: boolean }).paused,
    );
  });

  it('pauses on battery, and resumes with the app’s end', async () => {
    const daemon = await startDaemon({ home: newFolder() });
    const { electron, reaches } = await start({ home: daemon.home });
    await reaches('adopted');
    electron.battery = true;
    electron.batteryChanged.call();
    await until('the pause', async () => ((await sharing(daemon)) as { paused: boolean }).paused);
    await electron.quit();
    expect(await sharing(daemon)).toMatchObject({ paused: false });
  });
});

describe('what matters', () => {
  it('is told: that the node failed, and who joined', async () => {
    const daemon = await startDaemon({ home: newFolder() });
    const { electron, reaches } = await start({ home: daemon.home });
    await reaches('adopted');
    await until('the tray to know of nobody', () =>
      electron.tray?.lines.some((line) => line.kind === 'item' && line.label === '0 peers connected'),
    );
    const guest = await startDaemon({ args: ['--join', await ticketOf(daemon)], env: { WEFT_NAME: 'guest' } });
    const joined = await until('the notice', () => electron.notices.find(({ title }) => title === 'A member joined'));
    expect(joined.body).toBe('guest is part of the mesh now.');
    await until('the tray to know of the guest', () =>
      electron.tray?.lines.some((line) => line.kind === 'item' && line.label === '1 peer connected'),
    );
    await guest.stop();
    daemon.kill('SIGKILL');
    await until('the notice', () => electron.notices.some(({ title }) => title === 'The node is not running'));
    await reaches('running');
    electron.clickNotice(-1);
    expect(electron.window.focused).toBe(true);
  });

  it('is not told where the person wants none', async () => {
    const { electron } = await start();
    await electron.send('weft:set-preferences', [{ notifications: false }]);
    await electron.send('weft:notify', [{ title: 'a', body: 'b' }]);
    await electron.send('weft:set-preferences', [{ notifications: true }]);
    await electron.send('weft:notify', [{ title: 'c', body: 'd' }]);
    expect(electron.notices).toEqual([{ title: 'c', body: 'd' }]);
  });
});

describe('preferences', () => {
  it('take effect, are told to the page, and are kept', async () => {
    const userData = newFolder();
    const { electron, state } = await start({ userData });
    await electron.send('weft:set-preferences', [{ theme: 'dark', startAtLogin: true, pauseWhileWorking: true }]);
    expect(electron.theme).toBe('dark');
    expect(electron.startsAtLogin).toBe(true);
    expect((await state()).preferences).toMatchObject({ theme: 'dark', startAtLogin: true, pauseWhileWorking: true });
    expect(electron.window.last('weft:state-changed')).toMatchObject({ preferences: { theme: 'dark' } });
    const second = await start({ userData });
    expect(second.electron.theme).toBe('dark');
    // That one is the system's own: this one was never asked to.
    expect((await second.state()).preferences).toMatchObject({ pauseWhileWorking: true, startAtLogin: false });
  });
});

it('opens the folder of the logs, and lets the person choose a file', async () => {
  const { electron } = await start();
  await electron.send('weft:open-logs');
  expect(electron.folders).toEqual([electron.host.app.logs]);
  electron.chosen = '/tmp/picture.png';
  expect(await electron.send('weft:choose-file', [{ kind: 'file' }])).toEqual({ value: '/tmp/picture.png' });
});
