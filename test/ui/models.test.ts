// The models pages in a browser: a model pulled from a peer over a slow link and cancelled from two windows, its life on this node,
// and the cuts of a graph; names that carry script and tricks are text.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeModel } from '../../models/onnx/model-file.ts';
import type { MeshModelsAnswer, ModelAnswer } from '../../protocol/api/control.ts';
import { connectedPeers } from '../support/connected-peers.ts';
import { type Daemon, pair, startDaemon } from '../support/daemon.ts';
import { freePort } from '../support/free-port.ts';
import { mobilenet } from '../support/mobilenet.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';
import { SELF } from '../support/recorded-answers.ts';
import { startRecordedNode } from '../support/recorded-node.ts';
import { ShapedLink } from '../support/shaped-link.ts';
import { wideModel } from '../support/wide-model.ts';

/** 26 MB take some seconds, so that two windows can look on. */
const SLOW = { bytesPerSecond: 3_000_000 };

/** The other node must dial the link, not this node. */
const UNREACHABLE = '/ip4/127.0.0.1/tcp/1';

/** A pull of what nobody has, by the test itself. */
const REFUSED = [/status of (404|503)/];

const progress = (page: Page) => page.getByRole('progressbar', { name: 'Progress of owner/wide' });

describeWithBrowser('models of a real mesh', () => {
  let folder: string;
  let link: ShapedLink;
  let attic: Daemon;
  let desk: Daemon;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-ui-models-'));
    await writeFile(join(folder, 'mobilenet.onnx'), writeModel(mobilenet({ size: 96, width: 0.5, quantized: false })));
    const wide = await wideModel(folder);
    const port = await freePort();
    link = await ShapedLink.start({ target: { host: '127.0.0.1', port } });
    attic = await startDaemon({
      env: {
        WEFT_NAME: 'attic',
        WEFT_LISTEN: `/ip4/127.0.0.1/tcp/${port}`,
        WEFT_ANNOUNCE: `/ip4/127.0.0.1/tcp/${link.port}`,
      },
    });
    // Without a hub a name that nobody has is refused at once.
    desk = await startDaemon({ env: { WEFT_NAME: 'desk', WEFT_ANNOUNCE: UNREACHABLE, HF_HUB_OFFLINE: '1' } });
    for (const [daemon, args] of [
      [attic, [wide.folder, '--id', wide.id]],
      [attic, [join(folder, 'mobilenet.onnx')]],
      [desk, [join(folder, 'mobilenet.onnx')]],
    ] as const) {
      const { code, stderr } = await daemon.weft('import', ...args);
      expect(code, stderr).toBe(0);
    }
    await pair(attic, desk);
    await connectedPeers(desk, 1);
  });

  afterAll(async () => {
    await link?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('a pull shows its progress in two windows, is cancelled from both, and ends here when it is asked for again', async () => {
    link.shape('down', SLOW);
    const [first, second] = [
      await openPage({ daemon: desk, path: '/models', expected: REFUSED }),
      await openPage({ daemon: desk, path: '/models', width: 360, theme: 'dark' }),
    ];
    await first.page.getByRole('tab', { name: /On the mesh/ }).click();
    await first.page.getByRole('button', { name: 'Pull wide' }).click();
    for (const { page } of [first, second]) {
      await page.getByText('Fetching from 1 peer').waitFor();
      const sources = page.getByRole('table', { name: 'Where owner/wide comes from' });
      await sources.getByRole('rowheader', { name: 'attic' }).waitFor();
      await expect
        .poll(() => progress(page).getAttribute('aria-valuenow').then(Number), { timeout: 20_000 })
        .toBeGreaterThan(4);
    }
    // Whoever began it may go: the pull goes on.
    await first.page.reload();
    await progress(first.page).waitFor();
    await expectAccessible(second.page);
    await expectNoSidewaysScroll(second.page);

    // Both at once: neither request leaves before the other window has been pressed, too.
    const both = Promise.withResolvers<void>();
    for (const { page } of [first, second]) {
      await page.route('**/api/v1/transfers/cancel', async (route) => {
        await both.promise;
        await route.continue();
      });
      await page.getByRole('button', { name: 'Cancel the transfer of wide' }).click();
    }
    both.resolve();
    for (const { page } of [first, second]) {
      await progress(page).waitFor({ state: 'detached' });
      await page.getByText(/^Ended lately/).click();
      await page
        .getByText(/^Cancelled/)
        .first()
        .waitFor();
    }

    link.shape('down', {});
    await first.page.getByRole('button', { name: 'Pull a model' }).click();
    const dialog = first.page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('owner/nothing-of-the-kind');
    await dialog.getByRole('button', { name: 'Pull' }).click();
    await dialog.getByText(/nothing-of-the-kind|HF_HUB_OFFLINE/).waitFor();
    await dialog.locator('[aria-invalid]').waitFor();
    await dialog.getByLabel('Name').fill('owner/wide');
    await dialog.getByRole('button', { name: 'Pull' }).click();
    for (const { page } of [first, second]) {
      await page.getByRole('tab', { name: /^Here/ }).click();
      await page.getByRole('button', { name: 'Load wide' }).waitFor();
    }

    // Its life on this node, seen from the other window.
    await first.page.getByRole('button', { name: 'Load wide' }).click();
    await second.page.getByRole('button', { name: 'Unload wide' }).waitFor();
    await first.page.getByRole('button', { name: 'More for wide' }).click();
    await first.page.getByRole('menuitem', { name: 'Keep in memory' }).click();
    await second.page.getByRole('row', { name: /wide/ }).getByLabel('pinned').first().waitFor();
    await second.page.getByRole('button', { name: 'Unload wide' }).click();
    await first.page.getByRole('button', { name: 'Load wide' }).waitFor();

    await first.page.getByRole('button', { name: 'More for wide' }).click();
    await first.page.getByRole('menuitem', { name: 'Check its files' }).click();
    await first.page.getByRole('button', { name: 'Check', exact: true }).click();
    await first.page.getByText('As it should be').waitFor();
    await first.page.getByText('Signed by attic').waitFor();
    await first.page.keyboard.press('Escape');

    await first.page.getByRole('button', { name: 'More for wide' }).click();
    await first.page.getByRole('menuitem', { name: 'Remove from this node' }).click();
    await first.page.getByText(/25\.6 MB become free\. One other node/).waitFor();
    await first.page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await first.page.getByText('25.6 MB freed').waitFor();
    for (const { page } of [first, second]) {
      await page.getByRole('link', { name: 'wide' }).waitFor({ state: 'detached' });
    }
    await second.close();

    await first.page.getByRole('button', { name: 'More for all models' }).click();
    await first.page.getByRole('menuitem', { name: 'Free disk space' }).click();
    await first.page.getByText(/of the disk are free/).waitFor();
    await first.close();
  });

  test('the cuts of a graph are drawn, moved by the keyboard, and priced over the mesh', async () => {
    const opened = await openPage({ daemon: desk, path: '/models' });
    const { page } = opened;
    await page.getByRole('link', { name: 'mobilenet' }).click();
    await page.getByText('1 × 3 × 96 × 96').waitFor();
    await expectAccessible(page);
    await page.getByRole('tab', { name: 'Cuts' }).click();
    await page.getByRole('img', { name: /^The graph of mobilenet .+ with \d+ cut points/ }).waitFor();
    const slider = page.getByRole('slider', { name: 'Cut point' });
    await slider.press('Home');
    await page.getByText(/^Cut 1 of /).waitFor();
    await slider.press('ArrowRight');
    await slider.press('ArrowRight');
    await page.getByText(/^Cut 3 of /).waitFor();
    expect(await slider.getAttribute('aria-valuetext')).toMatch(
      /^cut point 3, behind \d+ % of the computing, [\d.]+ KB cross$/,
    );
    const table = page.getByRole('table', { name: 'All cut points' });
    expect(await table.getByRole('row', { selected: true }).textContent()).toMatch(/^3/);
    await table.getByRole('button', { name: '5', exact: true }).click();
    await page.getByText(/^Cut 5 of /).waitFor();
    const mesh = page.getByRole('region', { name: 'Over the mesh' });
    await mesh.getByText('Whole, here').waitFor();
    await mesh.getByText('Cut: here, then').waitFor();
    await mesh.getByText('soonest').waitFor();
    expect(await mesh.getByRole('img').count()).toBe(3);
    await expectAccessible(page);
    // Where it is looked at is in the address.
    await page.reload();
    await page.getByRole('img', { name: /^The graph of mobilenet/ }).waitFor();
    await page.setViewportSize({ width: 360, height: 740 });
    await page.getByText(/^Cut \d+ of /).waitFor();
    await expectNoSidewaysScroll(page);
    await opened.close();
  });
});

const EVIL = '<img src=x onerror="document.title=1">/\u202Egnp.exe';

const evilMesh: MeshModelsAnswer = {
  models: [
    {
      id: EVIL,
      digest: `sha256:${'a'.repeat(64)}`,
      sizeBytes: 1_000,
      nodes: [{ node: SELF, name: '<b>me</b>\u2067', self: true, heldBytes: 1_000, state: 'disk' }],
    },
  ],
};

const evilModel: ModelAnswer = {
  id: EVIL,
  digest: `sha256:${'a'.repeat(64)}`,
  aliases: ['<script>alert(1)</script>'],
  task: 'tensor',
  licence: '\u202E<i>free</i>',
  contextLength: 0,
  dimensions: 0,
  sizeBytes: 1_000,
  bundled: false,
  offered: true,
  files: [{ path: '<svg onload=alert(1)>', sizeBytes: 1_000, sha256: 'b'.repeat(64) }],
  inputs: [{ name: 'javascript:alert(1)', type: 'float32', dims: ['<b>', 3] }],
  outputs: [],
};

describeWithBrowser('models as others name them', () => {
  test('script and turned writing in a model card are text', async () => {
    await using node = await startRecordedNode({
      answers: {
        'GET /api/v1/catalogue': { models: [] },
        'GET /api/v1/models/mesh': evilMesh,
        [`GET /api/v1/models/${encodeURIComponent(EVIL)}`]: evilModel,
      },
    });
    const opened = await openPage({ daemon: node, path: '/models' });
    const { page } = opened;
    await page.getByRole('link', { name: '\uFFFDgnp.exe' }).click();
    await page.getByText('<svg onload=alert(1)>').waitFor();
    await page.getByText('\uFFFD<i>free</i>').waitFor();
    await page.getByText('<b>me</b>\uFFFD').waitFor();
    expect(await page.locator('main img, main script, main i, main b').count()).toBe(0);
    expect(await page.locator('main').textContent()).not.toMatch(/[\u202A-\u202E\u2066-\u2069]/);
    expect(await page.title()).toBe('\uFFFDgnp.exe · Weft');
    await opened.close();
  });
});
