// The requests pages in a browser: a request that went to a peer is seen as it happens, its trace opened, read as a drawing and as a
// table, and replayed by another policy; and a long list is filtered.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RequestsAnswer } from '../../protocol/api/control.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, pair, startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { nodeId, SELF } from '../support/recorded-answers.ts';
import { startRecordedNode } from '../support/recorded-node.ts';
import { until } from '../support/wait.ts';
import { WIDE_ROWS, wideModel } from '../support/wide-model.ts';

/** What a button to copy would put on the clipboard. */
const CLIPBOARD = `
  globalThis.copied = '';
  Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { globalThis.copied = text; } } });
`;

describeWithBrowser('requests of a real mesh', () => {
  let folder: string;
  let attic: Daemon;
  let desk: Daemon;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-ui-requests-'));
    const wide = await wideModel(folder, { columns: 20_000 });
    attic = await startDaemon({ env: { WEFT_NAME: 'attic' } });
    desk = await startDaemon({ env: { WEFT_NAME: 'desk' } });
    const { code, stderr } = await attic.weft('import', wide.folder, '--id', wide.id);
    expect(code, stderr).toBe(0);
    await pair(attic, desk);
    await connectedPeers(desk, 1);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function infer(): Promise<string> {
    const inputs = [{ name: 'x', dtype: 'float32', shape: [1, WIDE_ROWS], data: Array(WIDE_ROWS).fill(1) }];
    const ask = () =>
      fetch(`${desk.url}/api/v1/infer`, {
        method: 'POST',
        headers: { authorization: `Bearer ${desk.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'owner/wide', inputs }),
      });
    const response = await until('an answer of the peer', async () => {
      const answer = await ask();
      return answer.ok ? answer : undefined;
    });
    return response.headers.get('x-request-id') ?? '';
  }

  test('a request to a peer is seen, opened and replayed', async () => {
    const opened = await openPage({ daemon: desk, path: '/requests', script: CLIPBOARD });
    const { page } = opened;
    await page.getByText('No request has come yet').waitFor();
    const id = await infer();
    const row = page.locator(`a[href="#/requests/${id}"]`);
    await row.getByText('attic').last().waitFor();
    await expectAccessible(page);
    await row.click();

    const way = page.getByRole('list', { name: 'What the request did, in the order of time' });
    await way.getByText(/^computed on attic: began after .+, took .+, predicted /).waitFor({ state: 'attached' });
    await page.getByText(/^Sent to attic: .+ predicted\.$/).waitFor();
    await page.getByText('does not offer this model').waitFor();
    await expectAccessible(page);
    await page.getByRole('radio', { name: 'Table' }).click();
    const table = page.getByRole('table', { name: 'What the request did, in the order of time' });
    await table.getByRole('cell', { name: 'computed' }).waitFor();

    await page.getByLabel('Policy').selectOption('round-robin');
    await page.getByRole('button', { name: 'Replay' }).click();
    const again = page.getByRole('region', { name: 'Now: one after the other' });
    await again.getByText('attic').waitFor();
    await again.getByText('The same choice.').waitFor();

    await page.getByRole('button', { name: 'Copy as JSON' }).click();
    const copied = JSON.parse(await page.evaluate<string>('globalThis.copied')) as { requestId: string };
    expect(copied.requestId).toBe(id);
    await page.getByRole('button', { name: 'Copy the link' }).click();
    expect(await page.evaluate<string>('globalThis.copied')).toBe(`${desk.url}/#/requests/${id}`);

    // The address leads back here.
    await page.setViewportSize({ width: 360, height: 740 });
    await page.reload();
    await page.getByText(/^Sent to attic/).waitFor();
    await expectNoSidewaysScroll(page);
    await expectAccessible(page);
    await page.getByRole('link', { name: 'All requests' }).click();
    await row.waitFor();
    await opened.close();
  });

  test('one that is not kept any more says so', async () => {
    const opened = await openPage({ daemon: desk, path: '/requests/req_gone', theme: 'dark', expected: [/404/] });
    await opened.page.getByText('This request is not kept any more').waitFor();
    await opened.close();
  });
});

const KEPT = 600;

/** Height of a row in a wide window. */
const ROW_PX = 53;

/** One in fifty failed, one in forty was slow, and two models took turns. */
const many: RequestsAnswer = {
  requests: Array.from({ length: KEPT }, (_, at) => ({
    requestId: `req_${String(at).padStart(20, '0')}`,
    traceId: String(at).padStart(32, '0'),
    name: 'POST /v1/chat/completions',
    model: at % 2 === 0 ? 'owner/even' : 'owner/odd',
    startedAtMs: Date.now() - at * 1_000,
    durationMs: at % 40 === 0 ? 5_000 : 900,
    predictedMs: 1_000,
    status: at % 50 === 7 ? ('error' as const) : ('ok' as const),
    ...(at % 50 === 7 ? { code: 'peer_lost' } : {}),
    nodes: [at % 3 === 0 ? nodeId(0) : SELF],
    failures: 0,
  })),
};

describeWithBrowser('a full list of requests', () => {
  test('is filtered, moves on with events, and has only what is seen in the document', async () => {
    await using node = await startRecordedNode({ answers: { 'GET /api/v1/requests': many } });
    const opened = await openPage({ daemon: node, path: '/requests' });
    const { page } = opened;
    const rows = page.getByRole('region', { name: 'Requests, newest first' }).getByRole('link');
    await page.getByText('600 requests').waitFor();
    expect(await rows.count()).toBeLessThan(60);
    await page.getByRole('radio', { name: 'Failed' }).click();
    await page.getByText('12 of 600 requests').waitFor();
    await page.getByRole('radio', { name: 'All' }).click();
    await page.getByRole('button', { name: 'Slow' }).click();
    await page.getByText('15 of 600 requests').waitFor();
    await page.getByLabel('Model').selectOption('owner/odd');
    await page.getByText('No request is like that').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    await page.getByLabel('Node').selectOption(nodeId(0));
    await page.getByText('200 of 600 requests').waitFor();
    await page.getByLabel('Node').selectOption('');

    const begun = { requestId: 'req_new', name: 'POST /v1/embeddings', model: 'owner/even' };
    node.emit('request', { ...begun, phase: 'begun' });
    const fresh = page.locator('a[href="#/requests/req_new"]');
    await fresh.getByText('running').first().waitFor({ state: 'attached' });
    node.emit('request', { ...begun, phase: 'ended', status: 'error', code: 'no_capable_node', durationMs: 12 });
    await fresh.getByText('no_capable_node').waitFor();
    await opened.close();
  });

  const begun = (requestId: string) => ({
    requestId,
    name: 'POST /v1/embeddings',
    model: 'owner/even',
    phase: 'begun' as const,
  });

  async function openList() {
    const node = await startRecordedNode({ answers: { 'GET /api/v1/requests': many } });
    const opened = await openPage({ daemon: node, path: '/requests' });
    const { page } = opened;
    const list = page.getByRole('region', { name: 'Requests, newest first' });
    const row = (id: string) => list.locator(`a[href="#/requests/${id}"]`);
    const kept = (at: number) => row(many.requests[at]?.requestId ?? '');
    await kept(0).waitFor();
    /** Of a row, in the window. */
    const top = (at: number) => kept(at).evaluate((element) => element.getBoundingClientRect().top);
    /** Near to that row, so that others stand before it. */
    const scrollTo = async (at: number) => {
      await list.evaluate(
        (element, px) => {
          element.scrollTop = px;
        },
        (at - 4) * ROW_PX,
      );
      await kept(at).waitFor();
    };
    const scrollTop = () => list.evaluate((element) => element.scrollTop);
    const focused = page.locator(':focus');
    return { node, opened, page, list, row, kept, top, scrollTo, scrollTop, focused };
  }

  test('stands still under a reader, tells of what is new, and leads to it', async () => {
    const { node, opened, page, list, row, kept, top, scrollTo, scrollTop, focused } = await openList();
    await using _node = node;
    node.emit('request', begun('req_at_top'));
    await row('req_at_top').waitFor();

    await scrollTo(40);
    const before = await top(40);
    for (const id of ['req_1', 'req_2', 'req_3']) node.emit('request', begun(id));
    const pill = list.getByRole('button', { name: '3 new' });
    await pill.waitFor();
    expect(await top(40)).toBe(before);
    // What is shown changes in its place.
    const changed = many.requests[40];
    node.emit('request', { ...changed, phase: 'ended', status: 'error', code: 'deadline_exceeded' });
    await kept(40).getByText('deadline_exceeded').waitFor();
    expect(await top(40)).toBe(before);
    await expectAccessible(page);

    await pill.click();
    await row('req_3').waitFor();
    await row('req_1').waitFor();
    await row('req_at_top').waitFor();
    await pill.waitFor({ state: 'detached' });
    expect(await scrollTop()).toBe(0);
    await list.and(focused).waitFor();
    node.emit('request', begun('req_4'));
    await row('req_4').waitFor();
    await opened.close();
  });

  test('stands still also where more has come than it holds', async () => {
    const { node, opened, page, list, row, kept, top, scrollTo } = await openList();
    await using _node = node;
    await scrollTo(120);
    const before = await top(120);
    for (let at = 1; at <= 700; at += 1) {
      node.emit('request', begun(`req_new_${at}`));
      node.emit('request', { ...begun(`req_new_${at}`), phase: 'ended', status: 'ok', durationMs: 3 });
      // As the pages would get them: in pieces.
      if (at === 500) await list.getByRole('button', { name: '500 new' }).waitFor();
    }
    await list.getByRole('button', { name: '600 new' }).waitFor();
    expect(await top(120)).toBe(before);
    // Those that fell off are left with the reading.
    await list.press('Home');
    await row('req_new_700').waitFor();
    await list.press('End');
    await row('req_new_101').waitFor();
    expect(await kept(120).count()).toBe(0);
    await page.getByText('600 requests').waitFor();
    await opened.close();
  });

  test('stands still under the focus, and begins anew with another filter', async () => {
    const { node, opened, page, list, row, kept, top, scrollTo, scrollTop, focused } = await openList();
    await using _node = node;
    await list.focus();
    await page.keyboard.press('Tab');
    await kept(0).and(focused).waitFor();
    const before = await top(0);
    node.emit('request', begun('req_1'));
    const pill = list.getByRole('button', { name: '1 new' });
    await pill.waitFor();
    expect(await top(0)).toBe(before);
    // By keyboard to what is new.
    await page.keyboard.press('Shift+Tab');
    await pill.and(focused).waitFor();
    await page.keyboard.press('Enter');
    await row('req_1').waitFor();
    await pill.waitFor({ state: 'detached' });

    await scrollTo(40);
    node.emit('request', { ...begun('req_2'), model: 'owner/odd' });
    await pill.waitFor();
    await page.getByLabel('Model').selectOption('owner/odd');
    await row('req_2').waitFor();
    await pill.waitFor({ state: 'detached' });
    expect(await scrollTop()).toBe(0);
    await opened.close();
  });
});
