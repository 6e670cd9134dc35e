// The settings of a node, changed from its page: right and wrong values, what waits for the next start, and what can't be changed here.
import { expect, it } from 'vitest';
import type { ConfigAnswer } from '../../protocol/api/control.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { RECORDED } from '../support/recorded-answers.ts';
import { RecordedFailure, startRecordedNode } from '../support/recorded-node.ts';

async function settingOf(daemon: Daemon, name: string): Promise<ConfigAnswer['settings'][number] | undefined> {
  const answer = await fetch(`${daemon.url}/api/v1/config`, { headers: { authorization: `Bearer ${daemon.key}` } });
  return ((await answer.json()) as ConfigAnswer).settings.find((setting) => setting.name === name);
}

describeWithBrowser('settings', () => {
  it('are refused with the reason beside the field, saved, and still there after the node has started anew', async () => {
    const daemon = await startDaemon({ env: { WEFT_HOST: `127.0.0.1:${await freePort()}` } });
    const { page } = await openPage({ daemon, path: '/settings', expected: [/400|ERR_/] });
    const queue = page.locator('[data-setting="maxQueue"]');
    await queue.getByRole('textbox').fill('99999');
    await queue.getByRole('button', { name: 'Save' }).click();
    await queue.getByRole('alert').getByText('should be a duration from 100ms to 1h').waitFor();
    expect(await queue.getByRole('textbox').getAttribute('aria-invalid')).toBe('true');
    await expectAccessible(page);
    await queue.getByRole('textbox').fill('45');
    await page.keyboard.press('Enter');
    await queue.getByText('set', { exact: true }).waitFor();
    expect(await settingOf(daemon, 'maxQueue')).toMatchObject({ value: '45s', source: 'file' });

    await page.getByRole('switch', { name: 'Lenient requests' }).click();
    await page.locator('[data-setting="lenient"]').getByText('set', { exact: true }).waitFor();
    const pin = page.locator('[data-setting="pin"]');
    await pin.getByRole('textbox').fill('minilm');
    await page.keyboard.press('Enter');
    await pin.getByRole('button', { name: 'Remove minilm' }).waitFor();
    expect(await settingOf(daemon, 'pin')).toMatchObject({ value: ['minilm'] });
    await pin.getByRole('button', { name: /back to the default/ }).click();
    await pin.getByRole('button', { name: 'Remove minilm' }).waitFor({ state: 'detached' });
    expect(await settingOf(daemon, 'pin')).toMatchObject({ value: [], source: 'default' });

    // Names take the place of the word that stood for all of them.
    const offer = page.locator('[data-setting="offer"]');
    await offer.getByRole('textbox').fill('minilm');
    await offer.getByRole('button', { name: 'Models it runs: one more' }).click();
    await offer.getByRole('button', { name: 'Remove all' }).waitFor({ state: 'detached' });
    await offer.getByRole('button', { name: 'Undo' }).click();
    await offer.getByRole('button', { name: 'Remove all' }).waitFor();

    const parallel = page.locator('[data-setting="numParallel"]');
    await parallel.getByRole('textbox').fill('8');
    await page.keyboard.press('Enter');
    await parallel.getByText('Until then: 16').waitFor();
    // Given by the environment of the node: shown, with the reason, and not to be changed here.
    const threads = page.locator('[data-setting="threads"]');
    await threads.getByText('Given by the variable WEFT_THREADS').waitFor();
    expect(await threads.getByRole('textbox').count()).toBe(0);

    await page.locator('[data-waiting="1"]').getByRole('button', { name: 'Restart' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
    await page.locator('[data-restart="back"]').waitFor();
    await page.locator('[data-waiting]').waitFor({ state: 'detached' });
    expect(await parallel.getByRole('textbox').inputValue()).toBe('8');
    await page.reload();
    expect(await parallel.getByRole('textbox').inputValue()).toBe('8');

    await page.getByRole('switch', { name: 'Sharing with the mesh' }).click();
    await page.getByRole('switch', { name: 'Sharing with the mesh', checked: false }).waitFor();
    const sharing = await fetch(`${daemon.url}/api/v1/sharing`, { headers: { authorization: `Bearer ${daemon.key}` } });
    expect(await sharing.json()).toMatchObject({ paused: true });

    await page.getByRole('searchbox').fill('WEFT_MAX_QUEUE');
    await parallel.waitFor({ state: 'detached' });
    expect(await page.locator('[data-setting]').count()).toBe(1);
    await page.getByRole('searchbox').fill('');
    await page.getByRole('radio', { name: 'Dark' }).click();
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    await expectAccessible(page);
  });

  it('and all of access and nodes say what could not be had, and try again', async () => {
    const failure = new RecordedFailure(429, 'overloaded', 'Too much at once.', 'Wait a little.');
    const failing = ['status', 'peers', 'members', 'config', 'sessions', 'sharing'].map(
      (name) => `GET /api/v1/${name}`,
    );
    await using node = await startRecordedNode({
      answers: Object.fromEntries(failing.map((path) => [path, failure])),
    });
    const { page } = await openPage({ daemon: node, path: '/nodes', expected: [/429/] });
    for (const path of ['/nodes', '/nodes/somebody', '/access', '/settings']) {
      await page.goto(`${node.url}/#${path}`);
      await page.getByText('Too much at once.').first().waitFor();
    }
    await expectAccessible(page);
    node.answer('GET /api/v1/config', RECORDED['GET /api/v1/config']);
    await page.getByRole('button', { name: 'Try again' }).first().click();
    await page.locator('[data-setting="name"]').waitFor();
  });

  it('of the desktop app are shown where there is one, and fit a narrow screen', async () => {
    const daemon = await startDaemon();
    const { page } = await openPage({ daemon, path: '/settings', width: 360, script: APP });
    await page.getByRole('switch', { name: 'Start at login' }).click();
    await page.getByText('Paused now: the machine runs on battery.').waitFor();
    await page.getByRole('button', { name: 'Fetch it' }).click();
    expect(await page.evaluate('window.told')).toEqual([{ startAtLogin: true }, 'download']);
    await expectNoSidewaysScroll(page);
    await expectAccessible(page);
  });
});

/** What the app's preload script would give. */
const APP = `
  window.told = [];
  const preferences = { startAtLogin: false, pauseOnBattery: true, pauseOnMetered: false, pauseWhileWorking: false, notifications: true, theme: 'light' };
  const state = { node: 'running', preferences, sharing: 'paused', pausedBy: ['battery'], update: { phase: 'available', version: '0.2.0' } };
  window.weft = {
    platform: 'linux',
    versions: { app: '0.1.0', electron: '1', chrome: '1' },
    state: async () => state,
    onState: () => () => {},
    onNavigate: () => () => {},
    onDeepLink: () => () => {},
    setPreferences: async (changes) => void window.told.push(changes),
    setSharing: async (sharing) => void window.told.push(sharing),
    downloadUpdate: async () => void window.told.push('download'),
  };
`;
