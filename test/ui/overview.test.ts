// The overview: the mesh and what flows through it, live; with fifty nodes, with none, failing, and on real nodes of which one dies.
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { pair, startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { nodeId, peerOf, pulseAt, recordedMesh } from '../support/recorded-answers.ts';
import { RecordedFailure, startRecordedNode } from '../support/recorded-node.ts';

const map = (page: Page) => page.getByRole('region', { name: 'Map of the mesh' });

/** Where each node of the map stands, by its id. */
const places = (page: Page): Promise<Record<string, string>> =>
  page.evaluate(
    `Object.fromEntries([...document.querySelectorAll('.react-flow__node')].map((node) => [node.dataset.id, node.style.transform]))`,
  );

describeWithBrowser('the overview', () => {
  it('shows fifty nodes, each with its name, and keeps them where they are when one goes', async () => {
    const mesh = recordedMesh(50);
    await using daemon = await startRecordedNode({ answers: mesh });
    const { page } = await openPage({ daemon });
    await map(page).getByRole('link', { name: 'node-49' }).waitFor();
    expect(await map(page).getByRole('link').count()).toBeGreaterThanOrEqual(51);
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
    const before = await places(page);
    const { peers } = mesh['GET /api/v1/peers'];
    daemon.answer('GET /api/v1/peers', {
      peers: peers.filter((_, at) => at !== 7).map((peer, at) => (at === 20 ? { ...peer, state: 'gone' } : peer)),
    });
    daemon.emit('node', { node: nodeId(7), name: 'node-07', state: 'removed', models: [] });
    await map(page).getByRole('link', { name: 'node-07' }).waitFor({ state: 'detached' });
    await map(page)
      .getByRole('link', { name: /^node-21.*Out of reach/ })
      .waitFor();
    const after = await places(page);
    for (const [node, place] of Object.entries(after)) expect(place, node).toBe(before[node]);
    await page.getByText('50 nodes in reach').waitFor({ state: 'detached' });
  });

  it('says when the node computes for itself alone, as soon as that is so', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon });
    await page.getByText('Serving').first().waitFor();
    daemon.answer('GET /api/v1/sharing', { paused: true, lends: false });
    daemon.emit('settings', { lends: false });
    await page.getByText('For itself').waitFor();
  });

  it.each([3, 50])('says which of %i others takes no work, on the map and in the list', async (count) => {
    const mesh = recordedMesh(count);
    const peers = mesh['GET /api/v1/peers'].peers.map((peer, at) =>
      at === 2 ? { ...peer, withheld: 'paused' } : peer,
    );
    await using daemon = await startRecordedNode({ answers: { ...mesh, 'GET /api/v1/peers': { peers } } });
    const { page } = await openPage({ daemon });
    await map(page)
      .getByRole('link', { name: /^laptop-eva.*paused/ })
      .waitFor();
    expect(
      await map(page)
        .getByRole('link', { name: /paused/ })
        .count(),
    ).toBe(1);
    await page.getByRole('radio', { name: 'List' }).click();
    await page.getByRole('row', { name: /laptop-eva.*paused · / }).waitFor();
  });

  it('tells the same as a list', async () => {
    await using daemon = await startRecordedNode({ answers: recordedMesh(50) });
    const { page } = await openPage({ daemon });
    await page.getByRole('radio', { name: 'List' }).click();
    const table = page.getByRole('table', { name: 'Nodes of the mesh' });
    expect(await table.getByRole('row').count()).toBe(52);
    await table.getByRole('link', { name: 'studio' }).click();
    await page.waitForURL(new RegExp(`#/nodes/${nodeId(0)}`));
  });

  it('shows requests as they happen', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon });
    await map(page).getByRole('link', { name: 'attic' }).waitFor();
    const event = { requestId: 'req_live', name: 'chat', model: 'owner/brand-new' };
    daemon.emit('request', { ...event, phase: 'begun' });
    const card = page.getByRole('region', { name: 'Requests', exact: true });
    await card.getByText('under way').waitFor();
    daemon.emit('request', { ...event, phase: 'placed', nodes: [nodeId(1)], plan: 'remote' });
    await card.getByRole('link', { name: /brand-new.*attic/ }).waitFor();
    await page.locator('.map-link-active').waitFor({ state: 'attached' });
    daemon.emit('request', { ...event, phase: 'ended', status: 'ok', durationMs: 4_321 });
    await card.getByText('4.32 s').waitFor();
    await page.locator('.map-link-active').waitFor({ state: 'detached' });
  });

  it('moves figures and links with each pulse', async () => {
    await using daemon = await startRecordedNode();
    const { page } = await openPage({ daemon });
    await page.getByText('median').first().waitFor();
    const pulse = pulseAt(0, recordedMesh(4)['GET /api/v1/peers'].peers);
    daemon.emit('pulse', {
      ...pulse,
      atMs: Date.now() + 1_000,
      self: { ...pulse.self, ttftMsP50: 777, tokensPerSecond: 1_234, queuedMs: 60_000 },
      peers: pulse.peers.map((peer) => ({ ...peer, rttMs: 55.2 })),
    });
    await page.getByText('777 ms').waitFor();
    await page.getByRole('img', { name: /Tokens per second.*1,234/ }).waitFor();
    await page.getByText('Busy', { exact: true }).waitFor();
    await map(page).getByText('55 ms').first().waitFor();
  });

  it('shows a node that has just come', async () => {
    const mesh = recordedMesh(4);
    await using daemon = await startRecordedNode({ answers: mesh });
    const { page } = await openPage({ daemon });
    await map(page).getByRole('link', { name: 'attic' }).waitFor();
    daemon.answer('GET /api/v1/peers', {
      peers: [...mesh['GET /api/v1/peers'].peers, { ...peerOf(30), name: 'newcomer' }],
    });
    daemon.emit('node', { node: nodeId(30), name: 'newcomer', state: 'connected', models: [] });
    await map(page).getByRole('link', { name: 'newcomer' }).waitFor();
  });

  it('says in a mesh of one how another node comes into it', async () => {
    await using daemon = await startRecordedNode({
      answers: { ...recordedMesh(0), 'GET /api/v1/requests': { requests: [] } },
    });
    for (const width of [1280, 360]) {
      const { page, close } = await openPage({ daemon, width, expected: [/404/] });
      await page.getByText('A mesh of one').waitFor();
      await page.getByText('weft join TICKET').waitFor();
      await expectAccessible(page);
      await expectNoSidewaysScroll(page);
      await page.getByRole('button', { name: 'Make an invitation' }).click();
      await page.waitForURL(/#\/access/);
      await close();
    }
  });

  it('says what failed, why and what to do, and tries again', async () => {
    await using daemon = await startRecordedNode({
      answers: {
        'GET /api/v1/status': new RecordedFailure(400, 'bad_request', 'The mesh is upside down.', 'Turn it round.'),
      },
    });
    const { page } = await openPage({ daemon, expected: [/400/] });
    const alert = page.getByRole('alert');
    await alert.getByText('The mesh is upside down.').waitFor();
    await alert.getByText('Turn it round.').waitFor();
    await expectAccessible(page);
    daemon.answer('GET /api/v1/status', recordedMesh(4)['GET /api/v1/status']);
    await alert.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('5 nodes in reach').waitFor();
  });

  for (const theme of ['light', 'dark'] as const) {
    it(`is accessible with all its plots, ${theme}`, async () => {
      await using daemon = await startRecordedNode();
      for (const width of [1280, 360]) {
        const { page, close } = await openPage({ daemon, theme, width });
        await page.getByRole('img', { name: /Time to first token/ }).waitFor();
        await page.getByRole('table', { name: 'What runs where' }).waitFor();
        await expectAccessible(page);
        await expectNoSidewaysScroll(page);
        await close();
      }
    });
  }

  it('shows a real mesh, and sees a node die', async () => {
    const first = await startDaemon({ env: { WEFT_NAME: 'first', WEFT_LIVENESS_TIMEOUT: '3s' } });
    const second = await startDaemon({ env: { WEFT_NAME: 'second' } });
    await pair(first, second);
    const { page } = await openPage({ daemon: first });
    const node = map(page).getByRole('link', { name: /^second/ });
    await node.waitFor();
    await page.getByText('2 nodes in reach').waitFor();
    second.kill('SIGKILL');
    await map(page)
      .getByRole('link', { name: /^second.*Out of reach/ })
      .waitFor();
    await page.getByText('1 node in reach, 1 not').waitFor();
  });
});
