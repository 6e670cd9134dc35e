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
});
