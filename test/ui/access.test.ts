// Who belongs to the mesh and who uses a node: invitations, revocations, browsers and keys, on real nodes.
import { expect, it } from 'vitest';
import type { MembersAnswer } from '../../protocol/api/control.ts';
import { type Daemon, startDaemon, ticketOf } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { startRecordedNode } from '../support/recorded-node.ts';
import { until } from '../support/wait.ts';

async function members(daemon: Daemon): Promise<readonly string[]> {
  const answer = await fetch(`${daemon.url}/api/v1/members`, { headers: { authorization: `Bearer ${daemon.key}` } });
  return ((await answer.json()) as MembersAnswer).members.map(({ name }) => name);
}

describeWithBrowser('members', () => {
  it('come in by an invitation made here, or joined here, and are taken out again', async () => {
    const [first, second, third] = await Promise.all(
      ['first', 'second', 'third'].map((name) => startDaemon({ env: { WEFT_NAME: name } })),
    );
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were started');
    const { page } = await openPage({ daemon: first, path: '/access' });
    await page.getByLabel('Valid for').selectOption('1 hour');
    await page.getByRole('button', { name: 'Make an invitation' }).click();
    await page.locator('[data-invitation="open"]').waitFor();
    await page.getByRole('img', { name: 'The invitation as a QR code' }).waitFor();
    expect(await page.getByRole('timer').textContent()).toMatch(/^(59:\d\d|01:00:00)$/);
    await expectAccessible(page);
    const ticket = (await page.getByRole('region', { name: 'The invitation itself' }).textContent()) ?? '';
    expect(await page.getByRole('region', { name: 'Open with the desktop app' }).textContent()).toBe(
      `weft://join/${ticket}`,
    );
    expect((await second.weft('join', ticket)).code).toBe(0);
    await page.locator('[data-invitation="used"]').getByText('second').waitFor();

    const joining = await openPage({ daemon: third, path: '/access', width: 360, expected: [/40\d/] });
    const field = joining.page.getByLabel('Invitation', { exact: true });
    await field.fill('weft1nothing');
    await joining.page.getByRole('button', { name: 'Join' }).click();
    await joining.page.getByText('The node has not joined').waitFor();
    await field.fill(await ticketOf(first));
    await joining.page.getByRole('button', { name: 'Join' }).click();
    await joining.page.getByText('This node is in a mesh with 2 other nodes').waitFor();
    await joining.page.getByText('This node is a plain member').waitFor();
    await expectNoSidewaysScroll(joining.page);
    await expectAccessible(joining.page);
    await joining.close();

    await page.getByRole('row', { name: /third/ }).waitFor();

    // One that was made elsewhere, and is used no more.
    await ticketOf(first);
    await page.reload();
    await page.locator('[data-open-invitation]').getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Nobody comes in by that invitation any more').waitFor();
    await page.locator('[data-open-invitation]').waitFor({ state: 'detached' });
    expect(JSON.parse((await first.weft('invite', '--list', '--json')).stdout)).toEqual({ invitations: [] });

    await page.getByRole('button', { name: 'Revoke second' }).click();
    const dialog = page.getByRole('dialog');
    const revoke = dialog.getByRole('button', { name: 'Revoke' });
    expect(await revoke.isDisabled()).toBe(true);
    await dialog.getByLabel('Reason').fill('lost on a train');
    await dialog.getByLabel('Type second to confirm').fill('second');
    await expectAccessible(page);
    await revoke.click();
    await page.getByText('second is out of the mesh').waitFor();
    await page.getByRole('row', { name: /second/ }).waitFor({ state: 'detached' });
    expect([...(await members(first))].sort()).toEqual(['first', 'third']);
    await until('the others to have heard of it', async () => !(await members(third)).includes('second'));
  });

  it('are never confused by what they are called', async () => {
    const evil = '\u{202E}nimda<script>';
    await using node = await startRecordedNode({
      answers: {
        'GET /api/v1/members': {
          members: [
            { node: 'k51selfselfselfselfselfselfselfself0000self', name: 'workbench', role: 'admin' },
            { node: 'k51other12345678', name: evil, role: 'member' },
          ],
        },
        'GET /api/v1/sessions': { sessions: [] },
      },
    });
    const { page } = await openPage({ daemon: node, path: '/access', width: 360, theme: 'dark' });
    await page.getByRole('button', { name: /^Revoke/ }).click();
    // A name that can't be typed is confirmed by the end of its id.
    await page.getByLabel('Type 12345678 to confirm').waitFor();
    await expectNoSidewaysScroll(page);
    await expectAccessible(page);
  });
});

describeWithBrowser('browsers and the key', () => {
  it('are signed out by another one, and by a new key, which is shown once', async () => {
    const daemon = await startDaemon({ env: { WEFT_NAME: 'first' } });
    const mine = await openPage({ daemon, path: '/access' });
    const other = await openPage({ daemon, path: '/settings', expected: [/401/] });
    const { page } = mine;
    const others = page.locator('[data-session="other"]');
    // Last used first.
    await page.reload();
    await others
      .first()
      .getByRole('button', { name: /^Sign out/ })
      .click();
    await others.first().waitFor({ state: 'detached' });
    await other.page.waitForURL(/#\/sign-in/);
    const third = await openPage({ daemon, path: '/doctor', expected: [/401/] });
    await page.reload();
    await page.getByRole('button', { name: 'Sign out all others' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out all others' }).click();
    await third.page.waitForURL(/#\/sign-in/);
    await others.first().waitFor({ state: 'detached' });

    const late = await openPage({ daemon, path: '/access', expected: [/401/] });
    await page.getByRole('button', { name: 'Renew the key' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Renew the key' }).click();
    const shown = page.getByRole('region', { name: 'API key' }).locator('code');
    await shown.waitFor();
    const key = (await shown.textContent()) ?? '';
    expect(key).not.toBe(daemon.key);
    const status = await fetch(`${daemon.url}/api/v1/status`, { headers: { authorization: `Bearer ${key}` } });
    expect(status.status).toBe(200);
    await page.getByRole('button', { name: 'I have it' }).click();
    // This page has signed itself in again; the other one asks, and takes the new key.
    await page.reload();
    await page.locator('[data-session="current"]').waitFor();
    expect(await page.getByText(key).count()).toBe(0);
    await late.page.waitForURL(/#\/sign-in/);
    await late.page.getByRole('textbox').first().fill(key);
    await late.page.keyboard.press('Enter');
    await late.page.locator('[data-page-title]', { hasText: 'Access' }).waitFor();
  });
});
