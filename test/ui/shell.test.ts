// The frame around the views, on a recorded node: navigation by pointer, keys and palette, how the connection stands, appearance.
import { expect, it } from 'vitest';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { RECORDED } from '../support/recorded-answers.ts';
import { RecordedFailure, startRecordedNode } from '../support/recorded-node.ts';

const title = '[data-page-title]';

describeWithBrowser('the shell', () => {
  it('leads to every view, by links, by keys, and back', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon, expected: [/404/] });
    const nav = page.getByRole('navigation', { name: 'Views' });
    await nav.getByRole('link', { name: 'Requests' }).click();
    await page.locator(title, { hasText: 'Requests' }).waitFor();
    expect(new URL(page.url()).hash).toBe('#/requests');
    for (const [keys, name, hash] of [
      ['gm', 'Models', '#/models'],
      ['gs', 'Settings', '#/settings'],
      ['go', 'Overview', '#/'],
    ] as const) {
      for (const key of keys) await page.keyboard.press(key);
      await page.locator(title, { hasText: name }).waitFor();
      expect(new URL(page.url()).hash).toBe(hash);
      expect(await nav.getByRole('link', { name, exact: true }).getAttribute('aria-current')).toBe('page');
    }
    await page.goBack();
    await page.locator(title, { hasText: 'Settings' }).waitFor();
  });

  it('finds views, nodes and actions in the command palette, with the keyboard alone', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon, expected: [/404/] });
    await page.keyboard.press('Control+k');
    const search = page.getByRole('combobox');
    await search.fill('attic');
    await page.getByRole('option', { name: 'attic' }).waitFor();
    await expectAccessible(page);
    await page.keyboard.press('Enter');
    await page.waitForURL(/#\/nodes\/k51node/);
    await page.keyboard.press('Control+k');
    await search.fill('doct');
    await page.keyboard.press('Enter');
    await page.waitForURL(/#\/doctor$/);
    await page.keyboard.press('Control+k');
    await search.waitFor();
    await page.keyboard.press('Escape');
    await search.waitFor({ state: 'detached' });
  });

  it('leaves keys alone that are written into a field', async () => {
    await using daemon = await startRecordedNode({ signedIn: false });
    const { page } = await openPage({ daemon, signIn: false, expected: [/401/] });
    const field = page.getByLabel('API key');
    await field.pressSequentially('go?');
    expect(await field.inputValue()).toBe('go?');
    expect(page.url()).toContain('#/sign-in');
  });

  it('shows its keys', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon });
    await page.keyboard.press('?');
    const dialog = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    await dialog.getByText('Go to Models').waitFor();
    await expectAccessible(page);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  });

  it('says when the node is out of reach, and takes up again by itself, with what is so by then', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon, expected: [/ERR_|Failed to load/] });
    const footer = page.getByRole('button', { name: 'Live' });
    await footer.waitFor();
    daemon.setDown(true);
    await page.getByRole('button', { name: /^Reconnecting/ }).waitFor();
    const status = RECORDED['GET /api/v1/status'];
    daemon.answer('GET /api/v1/status', { ...status, name: 'renamed' });
    daemon.setDown(false);
    await page.getByRole('button', { name: /^Reconnecting|^Node not/ }).click();
    await footer.waitFor();
    daemon.emit('reset', {});
    await page.getByText('renamed').first().waitFor();
  });

  it('is live with an older node that does not know all kinds of events', async () => {
    await using daemon = await startRecordedNode({
      eventTypes: ['node', 'model', 'request', 'transfer', 'log'],
      answers: {
        '/api/v1/session': new RecordedFailure(404, 'not_found', 'There is no such endpoint.', ''),
        'GET /api/v1/history': new RecordedFailure(404, 'not_found', 'There is no such endpoint.', ''),
      },
    });
    const { page } = await openPage({ daemon, expected: [/404|400/] });
    await page.getByRole('button', { name: 'Live' }).waitFor();
    await page.getByText('This node sends no measures').waitFor();
  });

  it('goes to the sign-in page when the node no longer knows it', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon, path: '/requests', expected: [/401|404|ERR_/] });
    await page.getByRole('button', { name: 'Live' }).waitFor();
    daemon.answer('/api/v1/events', new RecordedFailure(401, 'unauthorized', 'Sign in.', ''));
    daemon.breakStreams();
    await page.locator(title, { hasText: 'Sign in' }).waitFor();
  });

  it('keeps the appearance that was chosen', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon, theme: 'light' });
    const theme = (): Promise<string | null> => page.locator('html').getAttribute('data-theme');
    expect(await theme()).toBe('light');
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Dark' }).click();
    expect(await theme()).toBe('dark');
    await page.reload();
    await page.locator(title).waitFor();
    expect(await theme()).toBe('dark');
  });

  it('shows names of others as text, whatever they hold', async () => {
    const status = RECORDED['GET /api/v1/status'];
    await using daemon = await startRecordedNode({
      answers: {
        'GET /api/v1/status': { ...status, name: '<img src=x onerror=alert(1)>\u{202E}cod.exe' },
        'GET /api/v1/peers': { peers: [] },
      },
    });
    const { page } = await openPage({ daemon });
    await page.getByText('<img src=x onerror=alert(1)>\u{FFFD}cod.exe').first().waitFor();
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.evaluate<boolean>('document.body.textContent.includes("\\u202E")')).toBe(false);
  });

  it('says of an address that leads nowhere what it is', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon, path: '/nowhere' });
    await page.getByRole('link', { name: 'To the overview' }).click();
    await page.locator(title, { hasText: 'Overview' }).waitFor();
  });

  for (const width of [1280, 360]) {
    for (const theme of ['light', 'dark'] as const) {
      it(`is accessible at ${width} pixels, ${theme}`, async () => {
        await using daemon = await startRecordedNode();
        const { page } = await openPage({ daemon, width, theme });
        await page.getByText('studio').first().waitFor();
        await expectAccessible(page);
        await expectNoSidewaysScroll(page);
        if (width < 768) {
          await page.getByRole('button', { name: 'More' }).click();
          await page.getByRole('menuitem', { name: 'Doctor' }).waitFor();
          await expectAccessible(page);
        }
      });
    }
  }

  it('asks before it joins a mesh by a link, and goes where the desktop’s menus lead', async () => {
    await using daemon = await startRecordedNode({
      answers: { 'POST /api/v1/join': { mesh: 'm', members: RECORDED['GET /api/v1/members'].members } },
    });
    const { page } = await openPage({
      daemon,
      expected: [/404/],
      script: `window.weft = {
        platform: 'linux', versions: {},
        state: () => Promise.resolve({ node: 'running', preferences: { theme: 'dark' }, sharing: 'on', pausedBy: [], update: { phase: 'idle' } }),
        setPreferences: () => Promise.resolve(), onState: () => () => {},
        onNavigate: (listener) => { window.navigateTo = listener; return () => {}; },
        onDeepLink: (listener) => { window.openLink = listener; return () => {}; },
      };`,
    });
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    await page.evaluate(`navigateTo('/requests')`);
    await page.locator(title, { hasText: 'Requests' }).waitFor();
    await page.evaluate(`openLink({ kind: 'join', ticket: 'weft-ticket' })`);
    const dialog = page.getByRole('dialog', { name: 'Join this mesh?' });
    await dialog.waitFor();
    expect(daemon.requests.some(({ line }) => line === 'POST /api/v1/join')).toBe(false);
    await dialog.getByRole('button', { name: 'Join' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(daemon.requests.find(({ line }) => line === 'POST /api/v1/join')?.body).toEqual({ ticket: 'weft-ticket' });
    // The desktop app is signed in by its key: there is nothing to sign out of.
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Light' }).waitFor();
    expect(await page.getByRole('menuitem', { name: 'Sign out' }).count()).toBe(0);
  });
});
