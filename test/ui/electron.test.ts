// The real app, where Electron's binary is to be had (ELECTRON_PATH, or one that was installed); elsewhere these tests are listed
// as skipped.
import { join } from 'node:path';
import { _electron } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { buildElectron } from '../../scripts/desktop-build.ts';
import { findElectron, ROOT } from '../../scripts/desktop-electron.ts';
import { homeView, newFolder, nodeEnv } from '../desktop/support/homes.ts';
import { until } from '../support/wait.ts';

const electron = findElectron();

describe.skipIf(electron === undefined)('the app in Electron', () => {
  it('shows the node’s pages, keeps them in, and ends what it started', async () => {
    await buildElectron(ROOT);
    const home = newFolder();
    const env = Object.entries(nodeEnv({ WEFT_HOME: home })).filter(
      (one): one is [string, string] => one[1] !== undefined,
    );
    const app = await _electron.launch({
      executablePath: electron as string,
      // Chromium's sandbox can't be had as root.
      args: [join(ROOT, 'dist', 'desktop', 'main.js'), ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
      env: Object.fromEntries(env),
    });
    const page = await app.firstWindow();
    await page.locator('[data-page-title]').first().waitFor();
    expect(await page.evaluate<string>('location.origin')).toBe('app://weft');
    expect(await page.evaluate<string>('[typeof require, typeof process, typeof module].join()')).toBe(
      'undefined,undefined,undefined',
    );
    expect(await page.evaluate<string>('Object.keys(window.weft).length > 10 && typeof window.weft.state')).toBe(
      'function',
    );
    await until('the node', () => page.evaluate<boolean>("fetch('/api/v1/status').then(({ ok }) => ok)"));
    expect(await page.evaluate<boolean>("fetch('https://example.org/').then(() => true, () => false)")).toBe(false);
    expect(await page.evaluate<boolean>("window.open('https://example.org/') === null")).toBe(true);
    expect(await page.evaluate<string>("Notification.requestPermission().catch(() => 'denied')")).toBe('denied');
    await app.close();
    expect(homeView(home).isHeld()).toBe(false);
  });
});
