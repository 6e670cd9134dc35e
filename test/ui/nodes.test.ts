// The nodes of a mesh: seen to come and go, managed from the page of another one, and fifty of them at once.
import { expect, it } from 'vitest';
import type { ConfigAnswer, PeersAnswer } from '../../protocol/api/control.ts';
import { pair, startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { nodeId, RECORDED, recordedMesh } from '../support/recorded-answers.ts';
import { RecordedFailure, startRecordedNode } from '../support/recorded-node.ts';
import { until } from '../support/wait.ts';

describeWithBrowser('the nodes of a real mesh', () => {
  it('are listed, managed from elsewhere, restarted, and seen to go', async () => {
    const [admin, cellar] = await Promise.all([
      startDaemon({ env: { WEFT_NAME: 'first' } }),
      startDaemon({ env: { WEFT_NAME: 'cellar' } }),
    ]);
    await pair(admin, cellar);
    // A wrong value is refused, and so is asking a node that has just gone.
    const { page } = await openPage({ daemon: admin, path: '/nodes', expected: [/400|50\d/] });
    const row = page.locator(`[data-node="${cellar.node}"]`);
    await page.locator(`[data-node="${cellar.node}"][data-state="connected"]`).waitFor();
    await expectAccessible(page);

    await row.getByRole('link').click();
    await page.getByText('Round trip').first().waitFor();
    await page.getByText('Data folder').waitFor();
    await page.getByRole('img', { name: /^Requests running/ }).waitFor();
    await expectAccessible(page);

    await page.getByRole('tab', { name: 'Settings' }).click();
    const setting = page.locator('[data-setting="storage"]');
    await setting.getByRole('combobox').selectOption('MiB');
    await setting.getByRole('textbox').fill('0.5');
    await setting.getByRole('button', { name: 'Save' }).click();
    await setting.getByRole('alert').getByText('should be a size of at least 1MiB').waitFor();
    await setting.getByRole('combobox').selectOption('GiB');
    await setting.getByRole('textbox').fill('9');
    await page.keyboard.press('Enter');
    await setting.getByText('set', { exact: true }).waitFor();
    const config = (await (
      await fetch(`${cellar.url}/api/v1/config`, { headers: { authorization: `Bearer ${cellar.key}` } })
    ).json()) as ConfigAnswer;
    expect(config.settings.find(({ name }) => name === 'storage')).toMatchObject({ value: '9GiB', source: 'file' });
    // What decides where secrets go is changed at the node itself only.
    await page.locator('[data-setting="managed"] [data-fixed="local"]').waitFor();

    await page.getByRole('tab', { name: 'Logs' }).click();
    await page.getByText('an admin changes this node from elsewhere').first().waitFor();

    await page.getByRole('tab', { name: 'Models' }).click();
    const model = page.getByRole('row', { name: /all-MiniLM-L6-v2/ });
    await model.getByRole('button', { name: /What to do with/ }).click();
    await page.getByRole('menuitem', { name: 'Load into memory' }).click();
    await model.getByText('in memory').waitFor();

    await page.getByRole('button', { name: 'Restart' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
    await page.locator('[data-restart="back"]').waitFor();
    await page.reload();
    await model.getByText('on disk').waitFor();

    await page.getByRole('link', { name: 'All nodes' }).click();
    const state = (word: string) => page.locator(`[data-node="${cellar.node}"][data-state="${word}"]`).waitFor();
    await state('connected');
    cellar.kill('SIGSTOP');
    await page.locator(`[data-node="${cellar.node}"]:not([data-state="connected"])`).waitFor();
    cellar.kill('SIGCONT');
    await state('connected');
    cellar.kill('SIGKILL');
    await state('gone');
    await page.getByText('1 of 2 in reach').waitFor();
    await row.getByRole('link').click();
    await page.locator('[data-not-managed="away"]').waitFor();
    await expectAccessible(page);
  });

  it('cannot be managed by a plain member, and the page says why', async () => {
    const [admin, member] = await Promise.all([
      startDaemon({ env: { WEFT_NAME: 'first' } }),
      startDaemon({ env: { WEFT_NAME: 'cellar' } }),
    ]);
    await pair(admin, member);
    await until('the member to see the admin', async () => {
      const answer = await fetch(`${member.url}/api/v1/peers`, { headers: { authorization: `Bearer ${member.key}` } });
      return ((await answer.json()) as PeersAnswer).peers.some(({ state }) => state === 'connected');
    });
    const { page } = await openPage({ daemon: member, path: `/nodes/${admin.node}`, width: 360 });
    await page.locator('[data-not-managed="member"]').getByText('Only admins manage other nodes').waitFor();
    expect(await page.getByRole('tab').allTextContents()).toEqual(['At a glance', 'Models']);
    expect(await page.getByRole('button', { name: 'Restart' }).count()).toBe(0);
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
  });
});

describeWithBrowser('a node elsewhere', () => {
  it('is brought a model, and shows how far that is', async () => {
    const path = `/api/v1/nodes/${nodeId(1)}`;
    const model = 'Qwen/Qwen2.5-7B-Instruct';
    const transfer = (phase: string) => ({
      id: 'transfer-1',
      kind: 'pull',
      model,
      phase,
      chosen: [],
      totalBytes: 4_000,
      doneBytes: 1_000,
      hereBytes: 0,
      bytesPerSecond: 500,
      sources: [],
    });
    const answers: Record<string, unknown> = {
      ...recordedMesh(4),
      [`GET ${path}/status`]: RECORDED['GET /api/v1/status'],
      [`GET ${path}/ps`]: { models: [] },
      [`GET ${path}/models`]: { models: [] },
      [`GET ${path}/transfers`]: { transfers: [] },
      [`POST ${path}/models/pull`]: { accepted: true },
    };
    for (const peer of (answers['GET /api/v1/peers'] as { peers: Record<string, unknown>[] }).peers) {
      Object.assign(peer, { manageable: true });
    }
    await using node = await startRecordedNode({ answers });
    const { page } = await openPage({ daemon: node, path: `/nodes/${nodeId(1)}/models` });
    await page.getByText('No model is here yet').waitFor();
    await page.getByRole('combobox').fill(model);
    await page.keyboard.press('Enter');
    await page.getByText(`${model} is on its way`).waitFor();
    await until('that node to be watched', () => node.watchersOf(nodeId(1)) > 0);
    node.emit('transfer', transfer('fetching'), nodeId(1));
    await page.getByRole('progressbar', { name: model }).waitFor();
    expect(await page.getByRole('progressbar', { name: model }).getAttribute('aria-valuenow')).toBe('25');
    node.emit('transfer', { ...transfer('fetching'), doneBytes: 2_000 }, nodeId(1));
    await page.locator('[aria-valuenow="50"]').waitFor();
    await expectAccessible(page);
    const error = { code: 'disk_full', message: 'The disk is full.', remedy: 'Make room.' };
    node.emit('transfer', { ...transfer('failed'), error }, nodeId(1));
    await page.getByText('The disk is full. Make room.').waitFor();
    expect(node.requests.find(({ line }) => line === `POST ${path}/models/pull`)?.body).toEqual({ model });
    // Leaving the page of a node ends what is told of it.
    await page.goto(`${node.url}/#/nodes`);
    await until('nobody to watch it', () => node.watchersOf(nodeId(1)) === 0);
  });

  it('shows its log as it is written, and says where it is not told', async () => {
    const path = `/api/v1/nodes/${nodeId(1)}`;
    const line = (atMs: number, message: string) => ({ atMs, level: 'info', message, fields: {} });
    const answers: Record<string, unknown> = {
      ...recordedMesh(4),
      [`GET ${path}/status`]: RECORDED['GET /api/v1/status'],
      [`GET ${path}/logs`]: { lines: [line(1, 'before')] },
    };
    for (const peer of (answers['GET /api/v1/peers'] as { peers: Record<string, unknown>[] }).peers) {
      Object.assign(peer, { manageable: true });
    }
    await using node = await startRecordedNode({ answers });
    const { page } = await openPage({
      daemon: node,
      path: `/nodes/${nodeId(1)}/logs`,
      expected: [/400/, /Failed to load/],
    });
    const list = page.getByRole('region', { name: 'Lines of the log' });
    await list.getByText('before').waitFor();
    await until('its log to be watched', () => node.watchersOf(nodeId(1)) > 1);
    node.emit('log', line(5, 'as it happens'), nodeId(1));
    await list.getByText('as it happens').waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    node.emit('log', line(7, 'of the node behind the page'));
    // What was missed is read.
    node.answer(`GET ${path}/logs`, { lines: [line(1, 'before'), line(6, 'missed')] });
    node.emit('reset', {}, nodeId(1));
    await list.getByText('missed').waitFor();
    expect(await list.getByRole('listitem').allTextContents()).toHaveLength(3);
    // A node of an older version tells nothing by itself.
    node.answer(`${path}/events`, new RecordedFailure(400, 'unsupported', 'The node is too old.', 'Update it.'));
    node.breakStreams();
    await page.getByText('not live', { exact: true }).waitFor();
    await list.getByText('missed').waitFor();
  });
});

describeWithBrowser('a node that takes no work', () => {
  it('says so in the list and on its page, as soon as that is so, and until it takes some again', async () => {
    const { peers } = recordedMesh(3)['GET /api/v1/peers'];
    const told = (withheld?: string) => ({
      peers: peers.map((peer, at) => (at === 1 ? { ...peer, offers: [], withheld } : peer)),
    });
    await using node = await startRecordedNode({ answers: recordedMesh(3) });
    const { page } = await openPage({ daemon: node, path: '/nodes' });
    const row = page.locator(`[data-node="${nodeId(1)}"]`);
    await row.getByText('Connected').waitFor();
    expect(await page.locator('[data-withheld]').count()).toBe(0);
    const change = async (withheld?: string): Promise<void> => {
      node.answer('GET /api/v1/peers', told(withheld));
      node.emit('node', { node: nodeId(1), name: 'attic', state: 'connected', models: [], withheld });
    };
    await change('paused');
    await row.getByText('paused', { exact: true }).waitFor();
    expect(await page.locator('[data-withheld]').count()).toBe(1);
    await expectAccessible(page);
    await row.getByText('paused', { exact: true }).hover();
    await page.getByRole('tooltip').getByText('its owner has paused sharing').waitFor();
    await change('unlent');
    await row.getByText('lends nothing').waitFor();

    await row.getByRole('link').click();
    await page.getByText('lends nothing', { exact: true }).waitFor();
    await expectAccessible(page);
    await change();
    await page.getByText('lends nothing', { exact: true }).waitFor({ state: 'detached' });
  });

  it('fits a narrow screen', async () => {
    const answers = structuredClone(recordedMesh(3)) as Record<string, { peers?: Record<string, unknown>[] }>;
    for (const peer of answers['GET /api/v1/peers']?.peers ?? []) Object.assign(peer, { withheld: 'unlent' });
    await using node = await startRecordedNode({ answers });
    const { page } = await openPage({ daemon: node, path: '/nodes', width: 360 });
    await page.locator('tbody tr').nth(3).waitFor();
    await expectNoSidewaysScroll(page);
  });
});

describeWithBrowser('fifty nodes', () => {
  it('are filtered, sorted and marked, and what they are called does nothing', async () => {
    const answers = structuredClone(recordedMesh(50)) as Record<string, { peers?: Record<string, unknown>[] }>;
    const peers = answers['GET /api/v1/peers']?.peers ?? [];
    Object.assign(peers[7] ?? {}, { version: '0.0.9', manageable: false });
    Object.assign(peers[9] ?? {}, { name: '\u{202E}evil<script>alert(1)</script>' });
    Object.assign(peers[11] ?? {}, { state: 'gone', heardAgoMs: 190_000 });
    await using node = await startRecordedNode({ answers });
    const { page } = await openPage({ daemon: node, path: '/nodes', theme: 'dark' });
    await page.locator('tbody tr').nth(50).waitFor();
    await page.getByText('�evil<script>alert(1)</script>').waitFor();
    await page
      .locator(`[data-node="${nodeId(11)}"]`)
      .getByText('heard 3 min ago')
      .waitFor();
    await expectAccessible(page);

    await page.getByRole('searchbox').fill('rtx node-4');
    await page.locator('tbody tr').nth(3).waitFor({ state: 'detached' });
    expect(await page.locator('tbody tr').count()).toBe(3);
    await page.getByRole('searchbox').fill('');
    await page.getByRole('radio', { name: /Older version/ }).click();
    await page
      .locator(`[data-node="${nodeId(7)}"]`)
      .getByText('older')
      .last()
      .waitFor();
    expect(await page.locator('tbody tr').count()).toBe(1);
    await page.getByRole('radio', { name: /^All/ }).click();
    await page.getByRole('button', { name: 'Sort by State' }).click();
    await page.getByRole('button', { name: 'Sort by State' }).click();
    expect(await page.locator('tbody tr').nth(1).getAttribute('data-node')).toBe(nodeId(11));

    await page.goto(`${node.url}/#/nodes/${nodeId(7)}`);
    await page.getByText('It runs an older version of Weft').waitFor();
    await page.goto(`${node.url}/#/nodes/nobody`);
    await page.getByText('No member of this mesh has that id').waitFor();
  });

  it('fit a narrow screen', async () => {
    await using node = await startRecordedNode({ answers: recordedMesh(50) });
    const { page } = await openPage({ daemon: node, path: '/nodes', width: 360 });
    await page.locator('tbody tr').nth(50).waitFor();
    await expectNoSidewaysScroll(page);
    await expectAccessible(page);
  });
});
