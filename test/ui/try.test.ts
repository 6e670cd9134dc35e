// "Try it" in a browser against a real node: text with probabilities, embeddings compared, and a graph by tensors.
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { readNpy, writeNpy } from '../../protocol/npy.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';

const run = (page: Page) => page.getByRole('button', { name: 'Run' }).click();

/** What the code to copy would put on the clipboard. */
const CLIPBOARD = `
  globalThis.copied = '';
  Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { globalThis.copied = text; } } });
`;

describeWithBrowser('a real node', () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon();
  });

  test('gives text with its probabilities, and the request as code', async () => {
    const opened = await openPage({ daemon, path: '/try', script: CLIPBOARD });
    const { page } = opened;
    await page.getByRole('radio', { name: 'Complete' }).click();
    await page.getByLabel('Tokens at most').fill('12');
    await page.getByLabel('Probabilities').selectOption('3');
    await run(page);
    await page.getByText('Computed on').waitFor();
    const chips = page.getByRole('region', { name: 'Tokens and their probabilities' }).getByRole('button');
    expect(await chips.count()).toBe(12);
    await chips.first().click();
    expect(await page.getByRole('table').getByRole('row').count()).toBeGreaterThanOrEqual(4);
    await page.getByText('It ended at the most tokens that were asked for.').waitFor();
    await expectAccessible(page);

    await page.getByRole('button', { name: 'curl' }).click();
    const code = await page.evaluate<string>('globalThis.copied');
    expect(code).toContain(`${daemon.url}/v1/completions`);
    expect(code).toContain('"max_tokens": 12');
    expect(code).not.toContain(daemon.key);

    await page.getByRole('radio', { name: 'Chat once' }).click();
    await run(page);
    await page.getByText('12 out').waitFor();
    await opened.close();
  });

  test('compares texts by their embeddings', async () => {
    const opened = await openPage({ daemon, path: '/try', width: 360, theme: 'dark' });
    const { page } = opened;
    await page.getByRole('tab', { name: 'Embeddings' }).click();
    await page.getByLabel('Texts to compare').fill('one');
    expect(await page.getByRole('button', { name: 'Run' }).isDisabled()).toBe(true);
    await page.getByLabel('Texts to compare').fill('A cat sleeps\nA kitten naps\nThe bank raised its rates');
    await run(page);
    await page.getByText('Computed on').waitFor();
    expect(await page.getByRole('table').getByRole('row').count()).toBe(4);
    const nearest = await page
      .getByRole('region', { name: 'Nearest pairs' })
      .getByRole('listitem')
      .first()
      .textContent();
    expect(nearest).toContain('A cat sleeps');
    expect(nearest).toContain('A kitten naps');
    await page.getByText('384').waitFor();
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
    await opened.close();
  });

  test('runs a graph by tensors: filled, as JSON, from a file, and kept on this node', async () => {
    const opened = await openPage({ daemon, path: '/try', expected: [/400/] });
    const { page } = opened;
    await page.getByRole('tab', { name: 'Tensors' }).click();
    await page.getByLabel('sequence').fill('3');
    await page.getByLabel('How input_ids is filled').selectOption('json');
    await page.getByLabel('Value of input_ids').fill('[[101, 7592');
    await run(page);
    await page.getByText('That is no JSON').waitFor();
    await page.getByLabel('Value of input_ids').fill('[[101, 7592, 102]]');
    const mask = new Uint8Array(new BigInt64Array([1n, 1n, 1n]).buffer);
    await page.getByLabel('How attention_mask is filled').selectOption('file');
    await page.locator('input[aria-label="File for attention_mask"]').setInputFiles({
      name: 'mask.npy',
      mimeType: 'application/octet-stream',
      buffer: Buffer.from(writeNpy({ type: 'int64', dims: [1, 3], data: mask })),
    });
    await page.getByText('mask.npy').waitFor();
    await run(page);
    const output = page.getByRole('region', { name: 'last_hidden_state' });
    await output.getByText('float32 [1, 3, 384]').waitFor();
    await output.getByText('Largest of the last row').waitFor();
    await expectAccessible(page);
    const download = page.waitForEvent('download');
    await output.getByRole('button', { name: 'Download .npy' }).click();
    const array = readNpy(new Uint8Array(await readFile(await (await download).path())));
    expect(array).toMatchObject({ type: 'float32', dims: [1, 3, 384] });

    // What the node refuses is told with its reason.
    await page.getByLabel('How token_type_ids is filled').selectOption('json');
    await page.getByLabel('Value of token_type_ids').fill('[[0, 0]]');
    await run(page);
    await page.getByText('The request failed').waitFor();
    await page.getByLabel('Value of token_type_ids').fill('[[0, 0, 0]]');
    await page.getByLabel('Cut', { exact: true }).fill('never');
    await page.getByRole('switch', { name: 'Inputs stay on this node' }).click();
    await page.getByRole('checkbox', { name: 'token_type_ids' }).uncheck();
    const sent = page.waitForRequest(/\/api\/v1\/infer$/);
    await run(page);
    expect((await sent).headers()).toMatchObject({
      'x-weft-cut': 'never',
      'x-weft-raw': 'local:input_ids,attention_mask',
    });
    await output.waitFor();
    await opened.close();
  });
});
