// A view that fails takes only itself down: it says so and what to do, the navigation goes on, and another try brings it back, whether
// the node had said what can't be drawn or a file of the pages could not be had.
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { describeWithBrowser, expectAccessible, openPage } from '../support/page.ts';
import { RECORDED, SELF } from '../support/recorded-answers.ts';
import { startRecordedNode } from '../support/recorded-node.ts';

const row = {
  requestId: 'req_1',
  traceId: '0'.repeat(32),
  name: 'POST /v1/embeddings',
  startedAtMs: Date.now(),
  durationMs: 20,
  status: 'ok',
  nodes: [SELF],
  failures: 0,
};

/** As no node should say it. */
const UNDRAWABLE = { requests: [{ ...row, nodes: 7 }] };

/** What React says of a view that threw, and Chromium of a file that it did not get. */
const THROWN = [/TypeError/, /dynamically imported module/, /Failed to load resource: net::ERR_FAILED/, /404/];

const failed = (page: Page) => page.getByRole('alert').filter({ hasText: 'This view has failed' });
const retry = (page: Page) => page.getByRole('button', { name: 'Try again' }).click();
const goTo = (page: Page, view: string) =>
  page.getByRole('navigation').getByRole('link', { name: view, exact: true }).click();
const atView = (page: Page, view: string) => page.locator('[data-page-title]', { hasText: view }).waitFor();

/** Files whose name begins so can't be had, until the end is called for. */
async function without(page: Page, name: string): Promise<() => Promise<void>> {
  const files = new RegExp(`/assets/${name}-[^/]*\\.js$`);
  await page.route(files, (route) => route.abort());
  return () => page.unroute(files);
}

describeWithBrowser('a view that fails', () => {
  it('says so, leaves the others alone, and asks the node anew when it is tried again', async () => {
    await using node = await startRecordedNode({ answers: { 'GET /api/v1/requests': UNDRAWABLE } });
    const { page } = await openPage({ daemon: node, path: '/models', expected: THROWN });
    await goTo(page, 'Requests');
    await failed(page).waitFor();
    await page.getByRole('button', { name: 'Load the page again' }).waitFor();
    await expectAccessible(page);
    await goTo(page, 'Models');
    await atView(page, 'Models');
    await failed(page).waitFor({ state: 'detached' });
    await goTo(page, 'Requests');
    await failed(page).waitFor();

    node.answer('GET /api/v1/requests', { requests: [row] });
    await retry(page);
    await page.locator('a[href="#/requests/req_1"]').waitFor();
  });

  it('comes back by itself when one returns to it and the node says it better', async () => {
    await using node = await startRecordedNode({ answers: { 'GET /api/v1/requests': { requests: [row] } } });
    const { page } = await openPage({ daemon: node, path: '/requests', expected: THROWN });
    const link = page.locator('a[href="#/requests/req_1"]');
    await link.waitFor();
    // While it is looked at.
    node.emit('request', { requestId: 'req_1', name: row.name, phase: 'placed', nodes: 7 });
    await failed(page).waitFor();
    await goTo(page, 'Models');
    await atView(page, 'Models');
    await goTo(page, 'Requests');
    await link.waitFor();
    expect(await failed(page).count()).toBe(0);
  });

  it('whose file can not be had is had by another try', async () => {
    await using node = await startRecordedNode({ answers: { 'GET /api/v1/requests': { requests: [row] } } });
    const { page } = await openPage({ daemon: node, path: '/models', expected: THROWN });
    const end = await without(page, 'requests-view');
    await goTo(page, 'Requests');
    await failed(page).waitFor();
    await retry(page);
    await failed(page).waitFor();
    await goTo(page, 'Models');
    await atView(page, 'Models');
    await goTo(page, 'Requests');
    await failed(page).waitFor();
    await end();
    await retry(page);
    await page.locator('a[href="#/requests/req_1"]').waitFor();
  });

  it('for want of the file of one of its parts, too', async () => {
    await using node = await startRecordedNode();
    const { page } = await openPage({ daemon: node, path: '/models', expected: THROWN });
    const end = await without(page, 'mesh-map');
    await goTo(page, 'Overview');
    await failed(page).waitFor();
    await end();
    await retry(page);
    await atView(page, 'Overview');
    await failed(page).waitFor({ state: 'detached' });
  });

  it('and the frame, where the node says of itself what can not be drawn, leaves no empty page', async () => {
    await using node = await startRecordedNode();
    const good = RECORDED['GET /api/v1/status'];
    node.answer('GET /api/v1/status', { ...good, name: { first: 'no', last: 'text' } });
    const { page } = await openPage({ daemon: node, signIn: false, expected: [...THROWN, /React child|object/] });
    await failed(page).waitFor();
    node.answer('GET /api/v1/status', good);
    await retry(page);
    await atView(page, 'Overview');
  });

  it('and the palette, whose file is loaded when it is opened, takes no more down than a view', async () => {
    await using node = await startRecordedNode();
    const { page } = await openPage({ daemon: node, path: '/models', expected: THROWN });
    await atView(page, 'Models');
    const end = await without(page, 'palette');
    await page.keyboard.press('Control+k');
    await failed(page).waitFor();
    await end();
    await retry(page);
    await page.getByRole('combobox').waitFor();
  });
});
