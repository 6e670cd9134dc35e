// Signing in to a real node: by a one-time link, by the key, and what is said where neither holds.
import { expect, it } from 'vitest';
import { startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';

const title = '[data-page-title]';

/** The refusals are what is tested. */
const expected = [/401/];

describeWithBrowser('signing in', () => {
  it('lets a link in once, says so the second time, and lasts over a reload', async () => {
    // A name of its own: a node that has been set up shows no first run.
    const daemon = await startDaemon({ env: { WEFT_NAME: 'attic' } });
    const answer = await fetch(`${daemon.url}/api/v1/session/link`, {
      method: 'POST',
      headers: { authorization: `Bearer ${daemon.key}`, 'content-type': 'application/json' },
      body: '{}',
    });
    const { url } = (await answer.json()) as { readonly url: string };
    const path = new URL(url).hash.slice(1);
    const first = await openPage({ daemon, path, signIn: false, expected });
    await first.page.locator(title, { hasText: 'Overview' }).waitFor();
    expect(first.page.url()).not.toContain('sign-in');
    await first.page.reload();
    await first.page.locator(title, { hasText: 'Overview' }).waitFor();

    const second = await openPage({ daemon, path, signIn: false, expected });
    await second.page.getByText('The link does not sign in').waitFor();
    await expectAccessible(second.page);
    await first.page.getByRole('button', { name: 'More' }).click();
    await first.page.getByRole('menuitem', { name: 'Sign out' }).click();
    await first.page.locator(title, { hasText: 'Sign in' }).waitFor();
    await first.page.reload();
    await first.page.locator(title, { hasText: 'Sign in' }).waitFor();
  });

  it('takes the key, and leads to what was wanted', async () => {
    const daemon = await startDaemon({ env: { WEFT_NAME: 'attic' } });
    const { page } = await openPage({ daemon, path: '/requests', signIn: false, expected });
    await page.locator(title, { hasText: 'Sign in' }).waitFor();
    const key = page.getByLabel('API key');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Paste the key first.').waitFor();
    await key.fill('weft_wrong');
    await page.keyboard.press('Enter');
    await page.getByText(/The key was refused/).waitFor();
    await key.fill(daemon.key);
    await page.keyboard.press('Enter');
    await page.locator(title, { hasText: 'Requests' }).waitFor();
    // What changes something works, too: the session's token is sent with it.
    const { status } = await page.evaluate<{ status: number }>(
      `fetch('/api/v1/session').then((a) => a.json()).then(({ csrf }) => fetch('/api/v1/invitations', {
        method: 'POST', headers: { 'content-type': 'application/json', 'x-weft-csrf': csrf }, body: '{}' })).then(({ status }) => ({ status }))`,
    );
    expect(status).toBe(200);
  });

  for (const width of [1280, 360]) {
    for (const theme of ['light', 'dark'] as const) {
      it(`is accessible at ${width} pixels, ${theme}`, async () => {
        const daemon = await startDaemon({ env: { WEFT_NAME: 'attic' } });
        const { page } = await openPage({ daemon, width, theme, signIn: false, expected });
        await page.getByText('weft dashboard', { exact: true }).waitFor();
        await expectAccessible(page);
        await expectNoSidewaysScroll(page);
      });
    }
  }
});
