// The built pages as the desktop window has them: through the app's own protocol, with the preload script's bridge, the main
// process' own parts and a real node behind them.
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { Desktop } from '../../desktop/main/desktop.ts';
import { SILENT } from '../../desktop/main/log.ts';
import { appInBrowser } from '../desktop/support/app-in-browser.ts';
import { FakeElectron } from '../desktop/support/fake-electron.ts';
import { linkTo, newFolder, nodeEnv, realStarter } from '../desktop/support/homes.ts';
import { describeWithBrowser, openPage } from '../support/page.ts';
import { until } from '../support/wait.ts';

const PAGES = fileURLToPath(new URL('../../dist/ui', import.meta.url));
const title = '[data-page-title]';

let app: Desktop | undefined;
afterEach(() => app?.stop());

/** The app with a node of its own, once that serves. */
async function start(): Promise<{ readonly electron: FakeElectron; readonly home: string; readonly api: string }> {
  const home = newFolder();
  const electron = new FakeElectron({ userData: newFolder() });
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
      pages: PAGES,
      preload: '/app/preload.cjs',
      updateKey: undefined,
      hidden: false,
      supervisor: { LOOK_MS: 100, START_LOOK_MS: 25 },
    },
  );
  app = desktop;
  await desktop.start();
  const api = await until('the node', () => (desktop.state.node === 'running' ? desktop.state.api : undefined));
  return { electron, home, api };
}

describeWithBrowser('the pages in the desktop app', () => {
  it('are signed in without a key of their own, follow the menu, and ask before they act on a link', async () => {
    const { electron, home, api } = await start();
    await using served = await appInBrowser(electron);
    const daemon = { url: served.url, key: '' };
    const opened = await openPage({ daemon, signIn: false, script: served.script, path: '/nodes' });
    const { page } = opened;
    await page.locator(title, { hasText: 'Nodes' }).waitFor();
    expect(await page.evaluate<string>('Object.keys(localStorage).join()')).not.toContain('key');
    electron.window.tell('weft:navigate', '/requests');
    await page.locator(title, { hasText: 'Requests' }).waitFor();

    electron.urls.call(`weft://join/weft1${'3Ab9z'.repeat(40)}`);
    const dialog = page.getByRole('dialog', { name: 'Join this mesh?' });
    await dialog.waitFor();
    const { members } = (await linkTo({ home, url: api }).ask('GET', '/api/v1/members')) as { members: unknown[] };
    expect(members).toHaveLength(1);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await opened.close();
  });

  it('change what the app does, and show it', async () => {
    const { electron, home, api } = await start();
    await using served = await appInBrowser(electron);
    const opened = await openPage({
      daemon: { url: served.url, key: '' },
      signIn: false,
      script: served.script,
      path: '/settings',
    });
    const { page } = opened;
    const sharing = page.getByRole('switch', { name: 'Sharing', exact: false }).first();
    await sharing.waitFor();
    electron.battery = true;
    electron.batteryChanged.call();
    const paused = async () =>
      ((await linkTo({ home, url: api }).ask('GET', '/api/v1/sharing')) as { readonly paused: boolean }).paused;
    await until('the pause', paused);
    electron.battery = false;
    electron.batteryChanged.call();
    await until('its end', async () => !(await paused()));
    await sharing.click();
    await until('the pause by hand', paused);
    expect(electron.tray?.image).toBe('tray-paused');
    await opened.close();
  });
});
