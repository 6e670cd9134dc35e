// The first run on real nodes: shown where nothing has been chosen, gone once it has.
import { expect, it } from 'vitest';
import type { ConfigAnswer, MembersAnswer, StatusAnswer } from '../../protocol/api/control.ts';
import { type Daemon, startDaemon, ticketOf } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';

const title = '[data-page-title]';

async function ask<T>(daemon: Daemon, path: string): Promise<T> {
  const answer = await fetch(`${daemon.url}/api/v1/${path}`, { headers: { authorization: `Bearer ${daemon.key}` } });
  return (await answer.json()) as T;
}

describeWithBrowser('the first run', () => {
  it('asks for a name and for the mesh, ends in the chat, and does not come back', async () => {
    // It starts anew to take its name, and must come back where the page is.
    const daemon = await startDaemon({ env: { WEFT_HOST: `127.0.0.1:${await freePort()}` } });
    const { page } = await openPage({ daemon, expected: [/ERR_/] });
    await page.locator(title, { hasText: 'What is this machine called?' }).waitFor();
    await expectAccessible(page);
    const name = page.getByLabel('Name of the node');
    expect(await name.inputValue()).toBe(daemon.name);
    await name.fill('');
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('Give it a name.').waitFor();
    await name.fill('attic');
    await page.keyboard.press('Enter');
    await page.locator(title, { hasText: 'Is there a mesh already?' }).waitFor();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Back' }).click();
    expect(await name.inputValue()).toBe('attic');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Finish and chat' }).click();
    await page.waitForURL(/#\/chat/);
    expect((await ask<StatusAnswer>(daemon, 'status')).name).toBe('attic');
    await page.goto(`${daemon.url}/#/`);
    await page.reload();
    await page.locator(title, { hasText: 'Overview' }).waitFor();
  });

  it('joins a mesh by an invitation, and says why where that fails', async () => {
    const mesh = await startDaemon({ env: { WEFT_NAME: 'first' } });
    const daemon = await startDaemon({ env: { WEFT_HOST: `127.0.0.1:${await freePort()}` } });
    const { page } = await openPage({ daemon, width: 360, expected: [/40\d|ERR_/] });
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByRole('radio', { name: 'Join with an invitation' }).click();
    const next = page.getByRole('button', { name: 'Next' });
    await next.click();
    await page.getByText('Paste the invitation.').waitFor();
    await page.getByLabel('Invitation', { exact: true }).fill('no-ticket');
    await next.click();
    await page.getByText('Joining has failed').waitFor();
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
    await page.getByLabel('Invitation', { exact: true }).fill(await ticketOf(mesh));
    await next.click();
    await page.locator(title, { hasText: 'Does it compute for the others?' }).waitFor();
    await page.getByRole('radio', { name: 'Only use' }).click();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Finish and chat' }).click();
    await page.waitForURL(/#\/chat/);
    expect((await ask<MembersAnswer>(daemon, 'members')).members).toHaveLength(2);
    expect(await ask<StatusAnswer>(daemon, 'status')).toMatchObject({ offer: 'all' });
    const { settings } = await ask<ConfigAnswer>(daemon, 'config');
    expect(settings.find(({ name }) => name === 'lend')).toMatchObject({ value: false, source: 'file' });
  });

  it('can be skipped, and is not shown on a node that somebody has set up', async () => {
    const fresh = await startDaemon();
    const first = await openPage({ daemon: fresh });
    await first.page.getByRole('button', { name: 'Skip' }).click();
    await first.page.waitForURL(/#\/chat/);
    const again = await openPage({ daemon: fresh });
    await again.page.locator(title, { hasText: 'Overview' }).waitFor();
    const named = await startDaemon({ env: { WEFT_NAME: 'attic' } });
    const { page } = await openPage({ daemon: named });
    await page.getByText('A mesh of one').waitFor();
    expect(page.url()).not.toContain('welcome');
  });
});
