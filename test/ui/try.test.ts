// "Try it" in a browser against a real node: text with probabilities, embeddings compared, and a graph by tensors; all of it kept while
// other views are shown, and no longer than the session.
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { readNpy, writeNpy } from '../../protocol/npy.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { describeWithBrowser, expectAccessible, expectNoSidewaysScroll, openPage } from '../support/page.ts';

const run = (page: Page) => page.getByRole('button', { name: 'Run' }).click();

/** To another view and back, by the navigation. */
async function leaveAndReturn(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.locator('[data-page-title]', { hasText: 'Settings' }).waitFor();
  await page.getByRole('link', { name: 'Try it' }).click();
  await page.locator('[data-page-title]', { hasText: 'Try it' }).waitFor();
}

/** Requests to a path wait until they are let through. */
async function heldBack(page: Page, path: string): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  await page.route(`**${path}`, async (route) => {
    await promise;
    await route.continue().catch(() => undefined); // the page has stopped it
  });
  return resolve;
}

async function signOutAndIn(page: Page, key: string): Promise<void> {
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByLabel('API key').fill(key);
  await page.keyboard.press('Enter');
  await page.locator('[data-page-title]', { hasText: 'Try it' }).waitFor();
}

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
    await run(page);
    await page.getByText('Choose a .npy file.').waitFor();
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

  test('keeps what was written, chosen and answered while other views are shown', async () => {
    const opened = await openPage({ daemon, path: '/try', expected: [/401/] });
    const { page } = opened;
    await page.getByRole('radio', { name: 'Complete' }).click();
    await page.getByRole('textbox', { name: 'Text' }).fill('Weaving begins with');
    await page.getByLabel('Tokens at most').fill('7');
    await page.getByLabel('Probabilities').selectOption('3');
    await run(page);
    await page.getByText('7 out').waitFor();
    const answer = await page.locator('[data-answer]').textContent();
    await leaveAndReturn(page);
    expect(await page.getByRole('radio', { name: 'Complete' }).isChecked()).toBe(true);
    expect(await page.getByRole('textbox', { name: 'Text' }).inputValue()).toBe('Weaving begins with');
    expect(await page.getByLabel('Tokens at most').inputValue()).toBe('7');
    expect(await page.getByLabel('Probabilities', { exact: true }).inputValue()).toBe('3');
    expect(await page.locator('[data-answer]').textContent()).toBe(answer);
    await page.getByText('7 out').waitFor();

    await page.getByRole('tab', { name: 'Embeddings' }).click();
    await page.getByLabel('Texts to compare').fill('warp\nweft');
    await run(page);
    const matrix = page.getByRole('table', { name: 'Similarity of all pairs' });
    await matrix.waitFor();
    await leaveAndReturn(page);
    // The tab is part of the address.
    expect(new URL(page.url()).hash).toBe('#/try/embeddings');
    expect(await page.getByLabel('Texts to compare').inputValue()).toBe('warp\nweft');
    await matrix.waitFor();

    await page.getByRole('tab', { name: 'Tensors' }).click();
    const models = page.getByLabel('Model', { exact: true });
    await page.getByLabel('sequence').waitFor();
    const encoder = await models.inputValue();
    await page.getByLabel('sequence').fill('3');
    await page.getByLabel('How input_ids is filled').selectOption('json');
    await page.getByLabel('Value of input_ids').fill('[[101, 7592, 102]]');
    await page.getByLabel('Cut', { exact: true }).fill('never');
    await run(page);
    await page.getByText('float32 [1, 3, 384]').waitFor();
    await leaveAndReturn(page);
    expect(await models.inputValue()).toBe(encoder);
    expect(await page.getByLabel('sequence').inputValue()).toBe('3');
    expect(await page.getByLabel('Value of input_ids').inputValue()).toBe('[[101, 7592, 102]]');
    expect(await page.getByLabel('Cut', { exact: true }).inputValue()).toBe('never');
    await page.getByText('float32 [1, 3, 384]').waitFor();

    await page.getByRole('tab', { name: 'Text' }).click();
    expect(await page.locator('[data-answer]').textContent()).toBe(answer);
    await page.goBack();
    await page.getByText('float32 [1, 3, 384]').waitFor();

    // Another model has other inputs: nothing of the former one's is left.
    const [other = ''] = (
      await models.locator('option').evaluateAll((all) => all.map((one) => one.getAttribute('value')))
    ).filter((id) => id !== null && id !== encoder);
    await models.selectOption(other);
    await page.getByText('The outputs appear here').waitFor();
    await leaveAndReturn(page);
    expect(await models.inputValue()).toBe(other);
    expect(await page.getByLabel('Cut', { exact: true }).inputValue()).toBe('auto');

    await signOutAndIn(page, daemon.key);
    // The encoder's own.
    await page.getByLabel('How token_type_ids is filled').waitFor();
    await page.getByText('The outputs appear here').waitFor();
    expect(await models.inputValue()).toBe(encoder);
    expect(await page.getByLabel('How input_ids is filled').inputValue()).not.toBe('json');
    await page.getByRole('tab', { name: 'Embeddings' }).click();
    await page.getByText('How alike the texts are').waitFor();
    expect(await page.getByLabel('Texts to compare').inputValue()).not.toContain('warp');
    await page.getByRole('tab', { name: 'Text' }).click();
    await page.getByText('The text appears here').waitFor();
    expect(await page.getByRole('radio', { name: 'Chat once' }).isChecked()).toBe(true);
    await page.getByRole('radio', { name: 'Complete' }).click();
    expect(await page.getByRole('textbox', { name: 'Text' }).inputValue()).not.toContain('Weaving');
    await opened.close();
  });

  test('a run goes on while other views are shown, until it is stopped or the session ends', async () => {
    const opened = await openPage({ daemon, path: '/try/embeddings', expected: [/401/] });
    const { page } = opened;
    const stop = page.getByRole('button', { name: 'Stop' });
    const matrix = page.getByRole('table', { name: 'Similarity of all pairs' });
    const letThrough = await heldBack(page, '/v1/embeddings');
    await run(page);
    await leaveAndReturn(page);
    await stop.waitFor();
    const answered = page.waitForResponse(/\/v1\/embeddings$/);
    letThrough();
    await (await answered).finished();
    await matrix.waitFor();

    await page.unrouteAll();
    await heldBack(page, '/v1/embeddings');
    await run(page);
    await leaveAndReturn(page);
    const stopped = page.waitForEvent('requestfailed');
    await stop.click();
    await page.getByText('Stopped.').waitFor();
    await stopped;

    await run(page);
    await stop.waitFor();
    const ended = page.waitForEvent('requestfailed');
    await signOutAndIn(page, daemon.key);
    await ended;
    await page.getByText('How alike the texts are').waitFor();
    await page.getByRole('button', { name: 'Run' }).waitFor();
    await opened.close();
  });
});
